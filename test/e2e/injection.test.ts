import { createParser, type EventSourceMessage } from 'eventsource-parser'
import t from 'tap'
import type { Transport } from '../../plugin/index.ts'
import { counting, exactly } from './harness/claim.ts'
import { startLive } from './harness/live.ts'
import { openReader, type Reader } from './harness/reader.ts'
import { post, readWhole, request } from './harness/request.ts'
import { protocols } from './harness/server.ts'
import { until } from './harness/until.ts'

/** Text that would be a frame of its own, if it got out of its field. */
const hostile = [
  'a\n\nevent: evil\ndata: 1\n\n',
  'a\r\revent: evil\rdata: 1\r\r',
  'a\r\n\r\nevent: evil\r\ndata: 1\r\n\r\n',
  '\nid: evil\nretry: 1\n',
  '\n:comment',
  'data: 1',
  ': comment',
  '\n',
  '\r',
  '\r\n',
  '\n\n\n',
  ' leading and trailing ',
  '',
  'NUL \0 in it',
  '\ufeffBOM',
  '\u2028 \u2029 \u0085 \v \f',
  'ä€😀'
]

/** What a parser of the standard's makes of a stream: every message, and every other field. */
function parse (reader: Reader) {
  const messages: EventSourceMessage[] = []
  const retries: number[] = []
  const parser = createParser({ onEvent: (message) => { messages.push(message) }, onRetry: (retry) => { retries.push(retry) } })
  parser.feed(reader.text)
  return { messages, updates: messages.filter(({ event }) => event !== 'tether'), retries }
}

/** CR, LF and CRLF all come back as LF. */
const normal = (text: string) => text.replace(/\r\n|\r/g, '\n')

for (const protocol of protocols) {
  t.test(`${protocol}: data cannot leave its update`, async (t) => {
    const server = await startLive(t, { protocol })
    for (const headers of [{}, counting('new')] as Array<Record<string, string>>) {
      const { reader, session } = await server.connect({ headers })
      for (const text of hostile) {
        session.send('row', text)
        session.send('note', { text })
        session.send('sample', { series: text, value: 1 })
        session.send('row', 'between')
      }
      await until(() => parse(reader).updates.length === hostile.length * 4, 'the updates')
      const { messages, updates, retries } = parse(reader)
      t.same(retries, [1_000])
      t.equal(messages.length, updates.length + 1, 'nothing else was made')
      t.same(updates.map(({ event, data }) => [event, event === 'row' ? data : JSON.parse(data)]), hostile.flatMap((text) => [
        ['row', normal(text)],
        ['note', { text }],
        ['sample', { series: text, value: 1 }],
        ['row', 'between']
      ]))
      const isExact = headers['x-tether-session'] === undefined
      if (isExact) t.same(updates.map(({ id }) => id), updates.map((_, index) => `${session.id}.${index + 1}`), 'nor is an id changed')
      else t.ok(updates.every(({ id }) => id === undefined), 'nor is an id made')
    }
  })

  t.test(`${protocol}: nor can a reason, or the name of a group`, async (t) => {
    const server = await startLive(t, { protocol })
    for (const text of hostile.filter((text) => text !== '')) {
      const { reader, session } = await server.connect()
      server.live.group(text).add(session)
      server.live.group(text).broadcast('row', 'x')
      session.close(text)
      await until(() => reader.ended, 'the end')
      const { messages } = parse(reader)
      t.same(messages.map(({ event }) => event), ['tether', 'row', 'tether'])
      t.same(JSON.parse(messages[2]!.data), { type: 'goodbye', reason: text, reconnect: false })
    }
  })
}

t.test('names that the contract does not have are refused, whatever is in them', async (t) => {
  const server = await startLive(t)
  const { reader, session } = await server.connect()
  for (const name of [...hostile, 'tether', 'message', '__proto__', 'constructor', 'toString']) {
    t.throws(() => session.send(name as never, {} as never), { code: 'FST_ERR_TETHER_UNKNOWN_UPDATE' })
    t.throws(() => server.live.broadcast(name as never, {} as never), { code: 'FST_ERR_TETHER_UNKNOWN_UPDATE' })
  }
  session.send('row', 'last')
  await until(() => parse(reader).updates.length === 1, 'the only update')
  t.equal(parse(reader).updates[0]!.id, `${session.id}.1`)
})

t.test('nothing that a client sends gets into the stream or into a header', async (t) => {
  const server = await startLive(t, { live: { on: { say: (session, { text }) => { session.send('row', text) } } } })
  for (const text of hostile) {
    const encoded = encodeURIComponent(text)
    const reader = await openReader(server, `/live?last-event-id=${encoded}&tether-session=${encoded}&${encoded}=${encoded}`)
    await until(() => parse(reader).messages.length === 1, 'hello')
    const { messages, retries } = parse(reader)
    t.same(retries, [1_000])
    t.match(messages[0], { event: 'tether', id: `${reader.session}.0` })
    t.match(JSON.parse(messages[0]!.data), { type: 'hello', session: /^[\w-]{24}$/, seq: 0 })
    t.notOk(JSON.stringify(reader.headers).includes('evil'))

    t.equal((await post(server, reader.session, { event: 'say', data: { text } })).status, 202)
    await until(() => parse(reader).updates.length === 1, 'the echo')
    t.equal(parse(reader).updates[0]!.data, normal(text))
    t.equal(parse(reader).messages.length, 2)

    const refusal = await post(server, reader.session, { event: text, data: {}, [text]: 1 })
    t.equal(refusal.status, 400)
    t.same(Object.keys(refusal.headers).sort(), ['cache-control', 'connection', 'content-length', 'content-type', 'date'])
    t.type(refusal.json.errors, Array)
    const byUrl = await request(server, `/live/${encoded === '' ? '%20' : encoded}`, { method: 'POST', headers: { 'x-tether-session': reader.session }, body: undefined })
    t.equal(byUrl.status, 400)
    reader.destroy()
  }
  const answer = await readWhole(server, '/live', { accept: 'text/event-stream', ...exactly('evil'.repeat(6), 'evil') }, 'HEAD')
  t.notOk(JSON.stringify(answer.headers).includes('evil'))
})

t.test('fields of a plain transport', async (t) => {
  let transport!: Transport
  const server = await startLive(t, {
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade({ retryMs: 0 })
      app.get('/plain', async (request, reply) => { transport = await upgrade(request, reply) })
    }
  })
  const reader = await openReader(server, '/plain')
  await until(() => transport, 'the transport')
  for (const bad of ['\n', '\r', '\r\n', '\0', 'a\nb', 'a\n\nevent: evil', '\0a']) {
    t.throws(() => transport.send({ event: bad, data: 1 }), { code: 'FST_ERR_TETHER_FRAME' }, `event ${JSON.stringify(bad)}`)
    t.throws(() => transport.send({ id: bad, data: 1 }), { code: 'FST_ERR_TETHER_FRAME' }, `id ${JSON.stringify(bad)}`)
  }
  for (const retry of ['1\ndata: evil', 1.5, -1, Number.NaN, Infinity, 2 ** 60, {}]) {
    t.throws(() => transport.send({ retry: retry as number }), { code: 'FST_ERR_TETHER_FRAME' }, `retry ${String(retry)}`)
  }
  for (const wrong of [5, {}, null, ['a'], { toString: () => '\n\nevent: evil' }]) {
    t.throws(() => transport.send({ event: wrong as string, data: 1 }), { code: 'FST_ERR_TETHER_FRAME' })
    t.throws(() => transport.send({ id: wrong as string, data: 1 }), { code: 'FST_ERR_TETHER_FRAME' })
    t.throws(() => transport.send({ comment: wrong as string }), { code: 'FST_ERR_TETHER_FRAME' })
  }
  for (const text of hostile) {
    transport.send({ comment: text, data: text })
    transport.send({ comment: text })
    transport.send({ event: 'named', id: 'fine', data: { text } })
  }
  transport.send({ data: 'last' })
  await until(() => parse(reader).messages.at(-1)?.data === 'last', 'the last')
  t.same(parse(reader).messages.map(({ event, data }) => [event, data]), [
    ...hostile.flatMap((text) => [[undefined, normal(text)], ['named', JSON.stringify({ text })]]),
    [undefined, 'last']
  ])
  t.same(parse(reader).retries, [])
})
