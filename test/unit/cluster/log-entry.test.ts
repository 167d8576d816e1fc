import fc from 'fast-check'
import t from 'tap'
import { packEntry, readBroadcast, unpackEntry, urlOf, type Broadcast } from '../../../plugin/cluster/log-entry.ts'
import { encodeData, Frame } from '../../../plugin/protocol/frame.ts'

const ref = 'abcdefghijklmnopqrstu_'

function readAll (bytes: Buffer): Array<Broadcast | null> {
  const entry = unpackEntry(bytes)!
  return entry.items.map((item) => readBroadcast(urlOf(entry, item)!, item))
}

const plain = ({ url, group, except, frame }: Broadcast) => ({ url, group, except, text: frame.text, key: frame.key })

t.test('an entry is read as it was written, whatever its data', async () => {
  const broadcasts = fc.array(fc.record({
    url: fc.constantFrom('/live', '/shop/:id/live'),
    group: fc.option(fc.string({ minLength: 1 })),
    except: fc.constantFrom(null, ref),
    frame: fc.tuple(fc.constantFrom('note', 'cpu@host?id=a%20b'), fc.string({ unit: 'binary' }), fc.option(fc.string())).map(([name, data, key]) => new Frame(`event: ${name}\n${encodeData(data)}\n`, key === null ? null : `${name}\n${key}`))
  }))
  fc.assert(fc.property(broadcasts, fc.integer({ min: 1 }), (given, counter) => {
    const bytes = packEntry({ node: 'n-1', counter }, given)
    const { node, counter: read, isLast } = unpackEntry(bytes)!
    t.strictSame([node, read, isLast], ['n-1', counter, false])
    const back = readAll(bytes).map((broadcast) => plain(broadcast!))
    return JSON.stringify(back) === JSON.stringify(given.map(plain)) && back.every(({ text }, index) => text === given[index]!.frame.text)
  }), { numRuns: 100 })
})

t.test('a trace stands behind what earlier versions read, and one that is not allowed is left out', async (t) => {
  const broadcast = { url: '/live', group: null, except: null, frame: new Frame('event: note\ndata: 1\n\n') }
  const pack = (given: Broadcast) => packEntry({ node: 'n', counter: 1 }, [given])
  t.strictSame(unpackEntry(pack(broadcast))!.items, [[0, null, null, null, 'event: note\ndata: 1\n\n']])
  t.strictSame(unpackEntry(pack({ ...broadcast, trace: '{}' }))!.items[0], [0, null, null, null, 'event: note\ndata: 1\n\n', null, '{}'])
  t.strictSame(readAll(pack({ ...broadcast, trace: '{}' })), [{ ...broadcast, trace: '{}' }])
  t.strictSame(readAll(pack({ ...broadcast, epoch: 3, trace: '{}' })), [{ ...broadcast, epoch: 3, trace: '{}' }])
  for (const trace of ['', 'x'.repeat(1_025), 5, null, {}]) t.strictSame(readAll(pack({ ...broadcast, trace: trace as string })), [broadcast])
})

t.test('the last entry of a node says so', async (t) => {
  t.equal(unpackEntry(packEntry({ node: 'n', counter: 3 }, [], true))!.isLast, true)
})

t.test('what is no entry is not read', async (t) => {
  for (const bytes of ['', '{', 'null', '{}', '[]', '[1]', '[1,"n"]', '[1,"n",0,[],[]]', '[1,"n",1.5,[],[]]', '[1,"n n",1,[],[]]', '[1,5,1,[],[]]', '["1","n",1,[],[]]']) {
    t.equal(unpackEntry(Buffer.from(bytes)), null, bytes)
  }
})

t.test('an entry of a later format keeps its place, and has nothing to deliver', async (t) => {
  t.match(unpackEntry(Buffer.from('[2,"n",7,{"more":1}]')), { node: 'n', counter: 7, urls: null, items: [] })
})

t.test('an entry may have more at its end', async (t) => {
  const [entry] = readAll(Buffer.from('[1,"n",1,["/live"],[[0,null,null,null,"event: note\\ndata: 1\\n\\n","more"]],false,{"more":1}]'))
  t.equal(entry!.frame.text, 'event: note\ndata: 1\n\n')
})

t.test('an item must be one update and nothing else', async (t) => {
  const good = [0, 'g', ref, 'note\nk', 'event: note\ndata: 1\ndata: 2\n\n']
  const read = (item: unknown[]) => readAll(Buffer.from(JSON.stringify([1, 'n', 1, ['/live'], [item]])))[0]
  t.ok(read(good))
  const bad: Record<string, unknown[]> = {
    'an empty group': [0, '', null, null, good[4]],
    'a group that is no text': [0, 1, null, null, good[4]],
    'the id of a session': [0, null, `${ref}vw`, null, good[4]],
    'a key of another update': [0, null, null, 'other\nk', good[4]],
    'a key that is no text': [0, null, null, 1, good[4]],
    'no text': [0, null, null, null],
    'two updates': [0, null, null, null, 'event: note\ndata: 1\n\nevent: note\ndata: 2\n\n'],
    'a control frame': [0, null, null, null, 'event: tether\ndata: {"type":"goodbye"}\n\n'],
    'a reply of another session': [0, null, null, null, 'event: tether.reply\ndata: {}\n\n'],
    'an event of the browser': [0, null, null, null, 'event: error\ndata: 1\n\n'],
    'a line with an id': [0, null, null, null, 'event: note\nid: 5\ndata: 1\n\n'],
    'a carriage return': [0, null, null, null, 'event: note\ndata: 1\rid: 5\n\n'],
    'no data': [0, null, null, null, 'event: note\n\n'],
    'no end': [0, null, null, null, 'event: note\ndata: 1\n'],
    'no field of an update': [0, null, null, null, 'id: 1\ndata: 1\n\n'],
    'nothing but an end': [0, null, null, null, '\n\n'],
    'the key of another update for one without a name': [0, null, null, 'note\nk', 'data: 1\n\n'],
    'an empty name': [0, null, null, null, 'event: \ndata: 1\n\n'],
    'a name that is too long': [0, null, null, null, `event: a@${'x'.repeat(511)}\ndata: 1\n\n`],
    'half an end': [0, null, null, null, 'event: note\ndata: 1\n\n\n']
  }
  for (const [what, item] of Object.entries(bad)) t.equal(read(item), null, what)
  for (const key of [null, '\nk']) t.match(read([0, null, null, key, 'data: 1\ndata: 2\n\n']), { frame: { key, text: 'data: 1\ndata: 2\n\n' } }, 'an update may be without its name')
})

t.test('an item without a place has none', async (t) => {
  const entry = unpackEntry(Buffer.from('[1,"n",1,["/live",5],[[7],[1],["x"],5,null]]'))!
  t.strictSame(entry.items.map((item) => urlOf(entry, item)), [null, null, null, null, null])
})
