import t from 'tap'
import { packEntry } from '../../../plugin/cluster/log-entry.ts'
import { LogReader } from '../../../plugin/cluster/log-reader.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { VirtualClock } from './virtual-clock.ts'

function start () {
  const clock = new VirtualClock()
  const got: string[] = []
  const coming: string[] = []
  const reader = new LogReader({
    node: 'self',
    clock,
    limits: { logTailEntries: 100, logTailBytes: 1e6 },
    forgetMs: 70_000,
    awayMs: 60_000,
    joiningMs: 1_000,
    readBack: () => undefined,
    onComing: (node) => { coming.push(node) },
    onLeaving: () => {},
    onLoss: () => {},
    traced: (_broadcast, _from, deliver) => { deliver() }
  })
  reader.subscribe('/live', { deliver: ({ frame }) => { got.push(textOf(frame)) }, lost: (reason) => { if (reason !== 'joined') got.push(reason) } })
  reader.up(60_000)
  const packed = (node: string, counter: number) => packEntry({ node, counter }, [{ url: '/live', group: null, except: null, frame: new Frame(`event: all\ndata: ${node}${counter}\n\n`) }])
  const entry = (at: string, node: string, counter: number) => { reader.entry(at, packed(node, counter)) }
  /** What a session gets that comes from another node. */
  const replayed = (other: LogReader): string[] => {
    const texts: string[] = []
    reader.replay(other.position()!, { deliver: ({ frame }) => { texts.push(textOf(frame)) }, lost: () => { texts.push('lost') }, pause: () => {} })
    return texts
  }
  return { clock, reader, entry, packed, got, coming, replayed }
}

const textOf = (frame: Frame) => /data: (.*)/.exec(frame.text)![1]!

t.test('what was in the log before a node began is not for its sessions, though a new connection reads it', async (t) => {
  const { clock, reader, entry, got, coming } = start()
  entry('05', 'other', 4)
  entry('06', 'other', 5)
  await clock.pass(2_000)
  // Of a node that was gone before, of one that is there, and of one that wrote nothing since.
  entry('01', 'gone', 1)
  entry('02', 'gone', 2)
  entry('03', 'other', 3)
  entry('04', 'quiet', 7)
  entry('05', 'other', 4)
  reader.up(60_000)
  await clock.pass(1)
  t.strictSame(got, ['other4', 'other5'])
  entry('07', 'quiet', 9)
  t.strictSame(got, ['other4', 'other5', 'missing', 'quiet9'], 'what follows is new, and its number is known')
  t.strictSame(coming, ['other', 'quiet'])
})

t.test('after a failover new entries may have earlier places', async (t) => {
  const { entry, got } = start()
  entry('05', 'other', 4)
  entry('04', 'other', 5)
  t.strictSame(got, ['other4', 'other5'])
})

t.test('all that comes from an engine that has forgotten is new', async (t) => {
  const { reader, entry, got } = start()
  entry('05', 'other', 4)
  reader.forgot()
  entry('01', 'new', 1)
  t.strictSame(got, ['other4', 'new1'])
})

t.test('a node that was away for longer than the log keeps tells it before what comes next, whoever that is from', async (t) => {
  const { clock, reader, entry, got } = start()
  entry('05', 'gone', 4)
  await clock.pass(60_000)
  // On a new connection, entries come before the engine is up. The other node is dead, and this one is new.
  entry('09', 'new', 1)
  reader.up(60_000)
  await clock.pass(1)
  t.strictSame(got, ['gone4', 'away', 'new1'])
})

t.test('what the engine lost before one node came to it, a session of that node does not get from another behind what followed', async () => {
  const [one, two] = [start(), start()]
  for (const { entry } of [one, two]) {
    entry('01', 'writer', 1)
    entry('02', 'other', 1)
  }
  one.entry('03', 'writer', 2)
  // A failover.
  for (const { entry } of [one, two]) entry('11', 'other', 2)
  one.entry('12', 'other', 3)
  t.strictSame(one.replayed(two.reader), ['lost', 'other3'])
  two.entry('12', 'other', 3)
  two.entry('13', 'writer', 3)
  t.strictSame(two.got.slice(-3), ['other3', 'missing', 'writer3'])
  one.entry('13', 'writer', 3)
  t.strictSame(one.replayed(two.reader), [], 'its node has told the loss')
  t.strictSame(two.replayed(one.reader), [])
  one.entry('14', 'other', 4)
  two.entry('14', 'other', 4)
  t.strictSame(one.got, ['writer1', 'other1', 'writer2', 'other2', 'other3', 'writer3', 'other4'])
})

t.test('what the engine lost behind all that a session has comes from a node that has read it', async () => {
  const [one, two] = [start(), start()]
  for (const { entry } of [one, two]) entry('01', 'writer', 1)
  one.entry('02', 'writer', 2)
  t.strictSame(one.replayed(two.reader), ['writer2'])
})

t.test('an entry that its node writes again does not come again to sessions from a node that had read it before', async (t) => {
  const [one, two] = [start(), start()]
  for (const { entry } of [one, two]) entry('01', 'writer', 1)
  one.entry('02', 'writer', 2)
  for (const { entry } of [one, two]) entry('11', 'other', 1)
  t.strictSame(two.replayed(one.reader), [])
  two.entry('12', 'writer', 2)
  await two.clock.pass(1)
  t.strictSame(two.got, ['writer1', 'other1', 'missing'], 'the other sessions are told')
  t.equal(two.reader.duplicates, 1)
  two.entry('13', 'writer', 3)
  t.strictSame(two.got.slice(3), ['writer3'], 'once')
  one.entry('13', 'writer', 3)
  t.strictSame([two.replayed(one.reader), one.replayed(two.reader)], [[], []])
})

t.test('entries of a node that was quiet since this one began are no loss, though sessions from elsewhere know it', async () => {
  const [one, two] = [start(), start()]
  one.entry('01', 'quiet', 7)
  for (const { entry } of [one, two]) entry('02', 'other', 1)
  t.strictSame(two.replayed(one.reader), [])
  two.entry('03', 'quiet', 8)
  two.entry('04', 'quiet', 9)
  t.strictSame(two.got, ['other1', 'quiet8', 'quiet9'])
})

t.test('an entry that its node writes again does not come again to sessions that got it from before their node began', async () => {
  const { reader, entry, packed, got } = start()
  entry('05', 'other', 1)
  reader.tail.prepend(reader.older([{ at: '03', bytes: packed('writer', 6) }, { at: '04', bytes: packed('writer', 7) }]))
  entry('06', 'writer', 7)
  entry('07', 'writer', 8)
  t.strictSame(got, ['other1', 'writer8'])
  t.equal(reader.duplicates, 1)
})
