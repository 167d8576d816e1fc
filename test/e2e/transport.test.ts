import type { Test } from 'tap'
import t from 'tap'
import type { FrameFields, Transport, UpgradeOptions } from '../../plugin/index.ts'
import { openReader, type Reader } from './harness/reader.ts'
import { request } from './harness/request.ts'
import { protocols, startServer, type Protocol, type Server } from './harness/server.ts'
import { isSettled, staysPending, turns, until, within } from './harness/until.ts'

/** An application whose route `/` gives each of its streams to the test. */
async function startPlain (t: Test, protocol: Protocol, upgradeOptions: UpgradeOptions = {}): Promise<Server & { open: (path?: string, headers?: Record<string, string>) => Promise<{ reader: Reader, transport: Transport }> }> {
  const transports: Transport[] = []
  const server = await startServer(t, {
    protocol,
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade({ heartbeatMs: 0, retryMs: 300, ...upgradeOptions })
      app.get('/', async (request, reply) => { transports.push(await upgrade(request, reply)) })
    }
  })
  return {
    ...server,
    open: async (path = '/', headers = {}) => {
      const reader = await openReader(server, path, { headers })
      const transport = await until(() => transports.shift(), 'the transport')
      await until(() => reader.text !== '', 'the first bytes')
      return { reader, transport }
    }
  }
}

const large = 'x'.repeat(32_768)

/** Freezes the reader and sends until a `send` blocks; gives its promise. */
async function fillUp (reader: Reader, transport: Transport): Promise<{ blocked: Promise<boolean> }> {
  reader.pause()
  for (;;) {
    const blocked = transport.send({ data: large })
    if (await staysPending(blocked, 100)) return { blocked }
    if (!await blocked) throw new Error('the stream was closed')
  }
}

const frames: Array<[FrameFields, string]> = [
  [{ data: 'text' }, 'data: text\n\n'],
  [{ data: '' }, 'data: \n\n'],
  [{ data: 'two\nlines' }, 'data: two\ndata: lines\n\n'],
  [{ data: 'a\rb\r\nc\n' }, 'data: a\ndata: b\ndata: c\ndata: \n\n'],
  [{ data: { a: [1, null, 'x\ny'] } }, 'data: {"a":[1,null,"x\\ny"]}\n\n'],
  [{ data: null }, 'data: null\n\n'],
  [{ data: 0 }, 'data: 0\n\n'],
  [{ data: false }, 'data: false\n\n'],
  [{ data: new Date(0) }, 'data: "1970-01-01T00:00:00.000Z"\n\n'],
  [{ event: 'tick', data: 1 }, 'event: tick\ndata: 1\n\n'],
  [{ id: '17', data: 'x' }, 'id: 17\ndata: x\n\n'],
  [{ id: '' }, 'id: \n\n'],
  [{ id: 'a b', data: 'x' }, 'id: a b\ndata: x\n\n'],
  [{ id: 'Größe 🌍', data: 'x' }, 'id: Größe 🌍\ndata: x\n\n'],
  [{ retry: 0 }, 'retry: 0\n\n'],
  [{ comment: 'still here' }, ': still here\n\n'],
  [{ comment: '' }, ':\n\n'],
  [{ comment: 'two\r\nlines' }, ': two\n: lines\n\n'],
  [{ comment: 'c', retry: 5, id: 'i', event: 'e', data: 'd' }, ': c\nretry: 5\nid: i\nevent: e\ndata: d\n\n'],
  [{ event: undefined, id: undefined, retry: undefined, comment: undefined, data: 'ümläut 🌍' }, 'data: ümläut 🌍\n\n']
]

const refused: Array<[string, FrameFields]> = [
  ['no field', {}],
  ['only undefined', { data: undefined }],
  ['CR in id', { id: '1\r2', data: 'x' }],
  ['LF in id', { id: '1\n2', data: 'x' }],
  ['NUL in id', { id: '1\0', data: 'x' }],
  ['a blank before an id', { id: ' 1', data: 'x' }],
  ['a blank behind an id', { id: '1 ', data: 'x' }],
  ['an id of a blank', { id: ' ', data: 'x' }],
  ['a tab before an id', { id: '\t1', data: 'x' }],
  ['a tab behind an id', { id: '1\t', data: 'x' }],
  ['a control character in an id', { id: 'a\x01b', data: 'x' }],
  ['an escape in an id', { id: 'a\x1bb', data: 'x' }],
  ['DEL in an id', { id: 'a\x7f', data: 'x' }],
  ['half of a surrogate pair in an id', { id: 'a\ud800', data: 'x' }],
  ['CR in event', { event: 'a\rdata: forged', data: 'x' }],
  ['LF in event', { event: 'a\ndata: forged', data: 'x' }],
  ['NUL in event', { event: 'a\0', data: 'x' }],
  ['an id that is no string', { id: 5 as never, data: 'x' }],
  ['an event that is no string', { event: {} as never, data: 'x' }],
  ['a comment that is no string', { comment: 7 as never }],
  ['a negative retry', { retry: -1 }],
  ['a broken retry', { retry: 1.5 }],
  ['NaN as retry', { retry: NaN }],
  ['a retry that forges', { retry: '5\ndata: x' as never }],
  ['a bigint', { data: 1n }],
  ['a function', { data: () => {} }],
  ['a circle', { data: (() => { const circle: Record<string, unknown> = {}; return circle.self = circle })() }]
]

for (const protocol of protocols) {
  t.test(`${protocol}: every field goes out as it should, and what cannot be written is refused`, async (t) => {
    const { open } = await startPlain(t, protocol)
    const { reader, transport } = await open()
    t.equal(reader.text, 'retry: 300\n\n')
    const before = reader.text.length
    const sent = frames.map(([fields]) => transport.send(fields))
    t.same(await Promise.all(sent), frames.map(() => true))
    const expected = frames.map(([, text]) => text).join('')
    await until(() => reader.text.length >= before + expected.length, 'all frames')
    t.equal(reader.text.slice(before), expected)

    for (const [what, fields] of refused) t.throws(() => transport.send(fields), { code: 'FST_ERR_TETHER_FRAME' }, what)
    await transport.send({ data: 'last' })
    await until(() => reader.text.endsWith('data: last\n\n'), 'the last frame')
    t.equal(reader.text.slice(before), `${expected}data: last\n\n`, 'nothing of the refused ones was written')
  })

  t.test(`${protocol}: close() writes what waits and ends the body`, async (t) => {
    const { open, app } = await startPlain(t, protocol)
    const { reader, transport } = await open()
    const sent = transport.send({ data: 'before' })
    const closing = transport.close()
    const late = transport.send({ data: 'after' })
    t.equal(await sent, true)
    t.equal(await late, false, 'a send after close()')
    await within(closing, 'close()')
    t.equal(await transport.closed, 'closed')
    await within(transport.close(), 'close() again')
    t.equal(await transport.send({ data: 'later' }), false)
    await until(() => reader.closed, 'the end')
    t.ok(reader.ended, 'a proper end')
    t.equal(reader.text, 'retry: 300\n\ndata: before\n\n')
    t.equal(app.tether.stats().streams, 0)
  })

  t.test(`${protocol}: close() delivers to a reader that is behind`, async (t) => {
    const { open } = await startPlain(t, protocol, { writeBuffer: 100 })
    const { reader, transport } = await open()
    const total = 200
    for (let count = 0; count < total; count++) {
      if (count === 1) reader.pause()
      transport.send({ data: 'y'.repeat(4_000) })
    }
    const closing = transport.close()
    reader.resume()
    await within(closing, 'close()')
    await until(() => reader.closed, 'the end')
    t.ok(reader.ended)
    t.equal(reader.updates.length, total)
  })

  t.test(`${protocol}: the client leaves`, async (t) => {
    const { open, app, errors } = await startPlain(t, protocol)
    const { reader, transport } = await open()
    t.notOk(await isSettled(transport.closed))
    reader.destroy()
    t.equal(await within(transport.closed, 'closed'), 'client')
    t.equal(await transport.send({ data: 'x' }), false)
    await within(transport.close(), 'close()')
    t.equal(app.tether.stats().streams, 0)
    t.same(errors(), [])
  })

  t.test(`${protocol}: send blocks while the reader takes nothing, and settles when it reads or leaves`, async (t) => {
    for (const end of ['reads', 'leaves'] as const) {
      const { open, app } = await startPlain(t, protocol, { writeBuffer: 1 })
      const { reader, transport } = await open()
      const { blocked } = await fillUp(reader, transport)
      const alsoBlocked = transport.send({ data: 'small' })
      await turns()
      t.notOk(await isSettled(alsoBlocked))
      if (end === 'reads') {
        reader.resume()
        t.equal(await within(blocked, 'the blocked send'), true)
        t.equal(await within(alsoBlocked, 'the other blocked send'), true)
        await until(() => reader.updates.at(-1)?.data === 'small', 'the last frame')
      } else {
        reader.destroy()
        t.equal(await within(blocked, 'the blocked send'), false)
        t.equal(await within(alsoBlocked, 'the other blocked send'), false)
        t.equal(app.tether.stats().bufferedBytes, 0)
      }
    }
  })

  t.test(`${protocol}: a reader that takes nothing for stallTimeoutMs is cut`, async (t) => {
    const { open, app } = await startPlain(t, protocol, { writeBuffer: 1, stallTimeoutMs: 1_000 })
    const { reader, transport } = await open()
    const { blocked } = await fillUp(reader, transport)
    t.equal(await within(blocked, 'the blocked send'), false)
    t.equal(await within(transport.closed, 'closed'), 'stalled')
    const { streams, stallDisconnects, bufferedBytes } = app.tether.stats()
    t.same({ streams, stallDisconnects, bufferedBytes }, { streams: 0, stallDisconnects: 1, bufferedBytes: 0 })
  })

  t.test(`${protocol}: who ignores send's promise is cut at 1,024 frames or 1 MiB`, async (t) => {
    const { open, app } = await startPlain(t, protocol)
    for (const [data, most] of [['small', 1_024], [large, 32]] as const) {
      const { reader, transport } = await open()
      await fillUp(reader, transport)
      let count = 0
      let peak = 0
      while (!(await isSettled(transport.closed))) {
        transport.send({ data })
        peak = Math.max(peak, app.tether.stats().bufferedBytes)
        if (++count > 2_000) break
      }
      t.equal(await within(transport.closed, 'closed'), 'overflow')
      t.ok(count <= most + 4, `${count} frames`)
      t.ok(peak <= 1_048_576 + 2 * large.length, `${peak} bytes held at most`)
      t.equal(app.tether.stats().bufferedBytes, 0)
    }
  })

  t.test(`${protocol}: Last-Event-ID comes from the header or the query`, async (t) => {
    const { open } = await startPlain(t, protocol)
    const cases: Array<[string, Record<string, string>, string | null]> = [
      ['/', {}, null],
      ['/', { 'last-event-id': 'abc' }, 'abc'],
      ['/?last-event-id=fromQuery', {}, 'fromQuery'],
      ['/?last-event-id=fromQuery', { 'last-event-id': 'fromHeader' }, 'fromHeader'],
      ['/?last-event-id=', {}, null],
      ['/?last-event-id=a&last-event-id=b', {}, null],
      ['/?last-event-id[]=a', {}, null],
      ['/?lastEventId=a', {}, 'a'],
      ['/?evs_last_event_id=a', {}, 'a'],
      ['/?evs_preamble=2056&evs_last_event_id=a%20b', {}, 'a b'],
      ['/?evs_last_event_id=c&lastEventId=b&last-event-id=a', {}, 'a'],
      ['/?evs_last_event_id=c&lastEventId=b&last-event-id=', {}, 'b'],
      ['/?evs_last_event_id=c&lastEventId=', {}, 'c'],
      ['/?last-event-id=a&last-event-id=b&lastEventId=c', {}, 'c'],
      ['/?lastEventId=fromQuery', { 'last-event-id': 'fromHeader' }, 'fromHeader'],
      ['/?lastEventId=fromQuery', { 'last-event-id': '' }, 'fromQuery'],
      ['/?lastEventId=Gr%C3%B6%C3%9Fe', {}, 'Größe'],
      ['/?LASTEVENTID=a', {}, null]
    ]
    for (const [path, headers, expected] of cases) {
      const { transport } = await open(path, headers)
      t.equal(transport.lastEventId, expected, `${path} ${JSON.stringify(headers)}`)
    }
  })

  t.test(`${protocol}: heartbeats are comments, and stop with the stream`, async (t) => {
    const { open, app } = await startPlain(t, protocol, { heartbeatMs: 60 })
    const { reader, transport } = await open()
    await until(() => reader.blocks.length >= 3, 'two heartbeats')
    t.same(reader.blocks.slice(1, 3).map((block) => block.raw), [':', ':'])
    await transport.close()
    const { writes } = app.tether.stats()
    await until(() => reader.ended, 'the end')
    t.equal(app.tether.stats().writes, writes)
  })
}

t.test('Last-Event-ID in the query is there although the route knows no such parameter', async (t) => {
  const seen: unknown[] = []
  const server = await startServer(t, {
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade()
      app.get('/', { schema: { querystring: { type: 'object', properties: { page: { type: 'integer' } }, additionalProperties: false } } }, async (request, reply) => {
        seen.push(request.query, (await upgrade(request, reply)).lastEventId)
      })
    }
  })
  await openReader(server, '/?page=1&lastEventId=7')
  await until(() => seen.length === 2, 'the transport')
  t.same(seen, [{ page: 1 }, '7'])
})

t.test('whatever id goes out comes back as it is', async (t) => {
  const ids = ['1', 'a b', 'a  b', 'Größe', '日本語', '🌍', '\u00a0x\u00a0', '\u0085x\u0085', '\ufeffx', 'a;b,c="d"', '%20', 'e\u0301', 'x\u3000']
  for (const protocol of ['http/1.1', 'h2c'] as const) {
    const seen: Array<string | null> = []
    const server = await startServer(t, {
      protocol,
      setup: (app) => {
        const upgrade = app.tether.sse.upgrade()
        app.get('/', async (request, reply) => {
          const transport = await upgrade(request, reply)
          seen.push(transport.lastEventId)
          await transport.send({ id: ids[seen.length - 1]!, data: 'x' })
          await transport.close()
        })
      }
    })
    const received: Array<string | undefined> = []
    for (const id of ids) {
      // As a browser sends it: in UTF-8, each byte of which is a character to Node.
      const answer = await request(server, '/', { headers: { 'last-event-id': Buffer.from(id).toString('latin1') } })
      received.push(/^id: (.*)$/m.exec(answer.text)?.[1])
    }
    t.same(received, ids, 'as it goes out')
    t.same(seen, ids, `as it comes back over ${protocol}`)
  }
})

t.test('a Last-Event-ID that is no UTF-8 is taken as Latin-1', async (t) => {
  const seen: Array<string | null> = []
  const server = await startServer(t, {
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade()
      app.get('/', async (request, reply) => {
        const transport = await upgrade(request, reply)
        seen.push(transport.lastEventId)
        await transport.close()
      })
    }
  })
  const headers = ['\xfc', '\xc3\xbc\xff', '\xed\xa0\x80', '\xc0\xaf']
  for (const header of headers) await request(server, '/', { headers: { 'last-event-id': header } })
  t.same(seen, headers)
  seen.length = 0
  // There is no wire between, so its text is what it is.
  for (const text of ['Größe', '日本語']) await server.app.inject({ url: '/', headers: { 'last-event-id': text } })
  t.same(seen, ['Größe', '日本語'], 'injected')
})
