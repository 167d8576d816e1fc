import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { Type } from '@sinclair/typebox'
import { defineContract } from '../../plugin/index.ts'
import { openReader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { post, request, type Answer } from './harness/request.ts'
import { startServer, type Server } from './harness/server.ts'
import { turns, until } from './harness/until.ts'

const Tree = Type.Recursive((This) => Type.Object({ name: Type.String(), children: Type.Array(This) }))

const contract = defineContract({
  events: {
    'range.set': Type.Object({ range: Type.Union([Type.Literal('1h'), Type.Literal('24h')]) }),
    pause: Type.Object({}),
    add: Type.Object({
      n: Type.Number({ minimum: 0 }),
      count: Type.Optional(Type.Integer()),
      on: Type.Optional(Type.Boolean()),
      list: Type.Optional(Type.Array(Type.String())),
      deep: Type.Optional(Type.Object({ a: Type.Object({ 'b/c~d': Type.Integer() }) })),
      unit: Type.String({ default: 'none' })
    }),
    shape: Type.Union([
      Type.Object({ kind: Type.Literal('circle'), r: Type.Number() }),
      Type.Object({ kind: Type.Literal('box'), w: Type.Number(), h: Type.Number() })
    ]),
    both: Type.Intersect([Type.Object({ a: Type.Integer() }), Type.Object({ b: Type.Integer() })]),
    any: Type.Object({ known: Type.String() }, { additionalProperties: true }),
    tree: Tree,
    forest: Type.Object({ left: Tree, right: Tree }),
    word: Type.String({ maxLength: 8 }),
    mail: Type.Object({ to: Type.String({ format: 'email' }) }),
    nothing: Type.Null(),
    total: Type.Number()
  }
})

interface Ingress extends Server {
  readonly id: string
  /** What the handlers were given since the last look. */
  ran: () => unknown[]
}

async function start (t: Parameters<typeof startServer>[0], config: { maxBatch?: number, maxEventBytes?: number } = {}, before: (app: FastifyInstance) => void = () => {}): Promise<Ingress> {
  const ran: unknown[] = []
  const handler = (name: string) => (_session: unknown, data: unknown) => { ran.push([name, data]) }
  const on = Object.fromEntries(Object.keys(contract.events).map((name) => [name, handler(name)])) as never
  const server = await startServer(t, {
    setup: (app) => {
      before(app)
      app.tether.stateful('/live', { contract, on, ...config })
    }
  })
  const reader = await openReader(server)
  await until(() => reader.controls.length, 'hello')
  return { ...server, id: reader.session, ran: () => ran.splice(0) }
}

function form (server: Ingress, event: string, body: string, headers: Record<string, string> = { 'x-tether-session': server.id }): Promise<Answer> {
  return request(server, `/live/${event}`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body })
}

t.test('POST url takes an envelope', async (t) => {
  const server = await start(t)
  const answer = await post(server, server.id, { event: 'range.set', data: { range: '1h' } })
  t.equal(answer.status, 202)
  t.match(answer.headers['content-type'], /^application\/json/)
  t.same(answer.json, { seq: 0 }, 'nothing was numbered yet')
  t.same(server.ran(), [['range.set', { range: '1h' }]])
  for (const [event, data] of [['word', 'eight ch'], ['nothing', null], ['total', 1.5], ['shape', { kind: 'box', w: 1, h: 2 }], ['both', { a: 1, b: 2 }], ['any', { known: 'x', other: [1] }]] as const) {
    t.equal((await post(server, server.id, { event, data })).status, 202, event)
    t.same(server.ran(), [[event, data]])
  }
  const tree = { name: 'a', children: [{ name: 'b', children: [] }, { name: 'c', children: [{ name: 'd', children: [] }] }] }
  t.equal((await post(server, server.id, [{ event: 'tree', data: tree }, { event: 'forest', data: { left: tree, right: tree } }])).status, 202, 'recursive schemas')
  t.same(server.ran(), [['tree', tree], ['forest', { left: tree, right: tree }]])
  t.equal((await post(server, server.id, { event: 'add', data: { n: 1 } })).status, 202)
  t.same(server.ran(), [['add', { n: 1, unit: 'none' }]], 'defaults are filled in')
})

t.test('POST url takes an array, in order, all or nothing', async (t) => {
  const server = await start(t, { maxBatch: 4 })
  const pause = { event: 'pause', data: {} }
  const good = [{ event: 'total', data: 1 }, pause, { event: 'total', data: 2 }, pause]
  t.equal((await post(server, server.id, good)).status, 202)
  t.same(server.ran(), [['total', 1], ['pause', {}], ['total', 2], ['pause', {}]])
  t.equal((await post(server, server.id, [pause])).status, 202, 'an array of one')
  server.ran()

  const faulty: Array<[string, unknown[], Array<{ path: string, message: string | RegExp }>]> = [
    ['bad data in one', [pause, { event: 'range.set', data: { range: '2h' } }, pause], [{ path: '/1/data/range', message: 'must be one of "1h", "24h"' }]],
    ['bad data in two', [{ event: 'total', data: 'x' }, pause, { event: 'word', data: 'nine char' }], [{ path: '/0/data', message: 'must be number' }, { path: '/2/data', message: /more than 8 characters/ }]],
    ['an unknown event', [pause, { event: 'nope', data: {} }], [{ path: '/1/event', message: /^must be one of "range\.set", / }]],
    ['no envelope', [pause, 5, null, 'pause', []], [{ path: '', message: 'must hold 1 to 4 events, holds 5' }]],
    ['no envelopes', [5, null, 'pause', []], [0, 1, 2, 3].map((index) => ({ path: `/${index}`, message: 'must be an object with "event" and "data"' }))],
    ['arrays within', [[pause]], [{ path: '/0', message: 'must be an object with "event" and "data"' }]],
    ['none at all', [], [{ path: '', message: 'must hold 1 to 4 events, holds 0' }]],
    ['too many', [pause, pause, pause, pause, pause], [{ path: '', message: 'must hold 1 to 4 events, holds 5' }]],
    ['a bad seq', [pause, { ...pause, seq: 0 }], [{ path: '/1/seq', message: 'must be a whole number from 1' }]]
  ]
  for (const [what, batch, errors] of faulty) {
    const answer = await post(server, server.id, batch)
    refused(t, answer, 400, 'FST_ERR_VALIDATION', what)
    t.match(answer.json.errors, errors, `${what}: every fault, by its place`)
    t.equal(answer.json.errors.length, errors.length)
    await turns()
    t.same(server.ran(), [], `${what}: nothing of it was applied`)
  }
})

t.test('faults name their place relative to the body, each of them, once', async (t) => {
  const server = await start(t)
  const cases: Array<[unknown, Array<{ path: string, message: string | RegExp }>]> = [
    [{}, [{ path: '/data', message: 'is required' }, { path: '/event', message: 'is required' }]],
    [{ event: 'pause' }, [{ path: '/data', message: 'is required' }]],
    [{ data: {} }, [{ path: '/event', message: 'is required' }]],
    [{ event: 5, data: {} }, [{ path: '/event', message: 'must be string' }]],
    [{ event: 'pause', data: {}, extra: 1, 'a/b~': 2 }, [{ path: '/extra', message: 'is not known here' }, { path: '/a~1b~0', message: 'is not known here' }]],
    ...[0, -1, 1.5, '1', null, 2 ** 53].map((seq) => [{ event: 'pause', data: {}, seq }, [{ path: '/seq', message: 'must be a whole number from 1' }]] as [unknown, Array<{ path: string, message: string }>]),
    [{ event: 'pause', data: { x: 1 } }, [{ path: '/data/x', message: 'is not known here' }]],
    [{ event: 'pause', data: [] }, [{ path: '/data', message: 'must be object' }]],
    [{ event: 'add', data: { n: -1, count: 1.5, on: 'yes', list: ['a', 5, null], deep: { a: { 'b/c~d': 'x' } }, more: 1 } }, [
      { path: '/data/more', message: 'is not known here' },
      { path: '/data/n', message: 'must be >= 0' },
      { path: '/data/count', message: 'must be integer' },
      { path: '/data/on', message: 'must be boolean' },
      { path: '/data/list/1', message: 'must be string' },
      { path: '/data/list/2', message: 'must be string' },
      { path: '/data/deep/a/b~1c~0d', message: 'must be integer' }
    ]],
    [{ event: 'add', data: { deep: { a: {} } } }, [{ path: '/data/n', message: 'is required' }, { path: '/data/deep/a/b~1c~0d', message: 'is required' }]],
    [{ event: 'add', data: { n: '5' } }, [{ path: '/data/n', message: 'must be number' }]],
    [{ event: 'shape', data: { kind: 'circle', r: 'x' } }, [{ path: '/data/r', message: 'must be number' }]],
    [{ event: 'shape', data: { kind: 'box', w: 1, r: 1 } }, [{ path: '/data/h', message: 'is required' }, { path: '/data/r', message: 'is not known here' }]],
    [{ event: 'shape', data: { kind: 'star' } }, [{ path: '/data/kind', message: 'must be one of "circle", "box"' }]],
    [{ event: 'shape', data: 5 }, [{ path: '/data', message: 'must be object' }]],
    [{ event: 'both', data: { a: 1, c: 3 } }, [{ path: '/data/b', message: 'is required' }, { path: '/data/c', message: 'is not known here' }]],
    [{ event: 'tree', data: { name: 'a', children: [{ name: 5, children: [] }, { name: 'b', children: [], leaf: true }] } }, [
      { path: '/data/children/0/name', message: 'must be string' },
      { path: '/data/children/1/leaf', message: 'is not known here' }
    ]],
    [{ event: 'forest', data: { left: { name: 'a', children: [] }, right: { name: 'b' } } }, [{ path: '/data/right/children', message: 'is required' }]],
    [{ event: 'mail', data: { to: 'nobody' } }, [{ path: '/data/to', message: 'must match format "email"' }]],
    [{ event: 'nothing', data: {} }, [{ path: '/data', message: 'must be null' }]],
    ['pause', [{ path: '', message: 'must be an object with "event" and "data"' }]],
    [5, [{ path: '', message: 'must be an object with "event" and "data"' }]]
  ]
  for (const [body, errors] of cases) {
    const what = JSON.stringify(body)
    const answer = await post(server, server.id, typeof body === 'string' ? Buffer.from(what) : body)
    // A string as a body goes out as it is, so it needs its type beside it.
    const checked = typeof body === 'string' ? await request(server, '/live', { headers: { 'x-tether-session': server.id, 'content-type': 'application/json' }, body: what }) : answer
    refused(t, checked, 400, 'FST_ERR_VALIDATION', what)
    const byPath = (left: { path: string }, right: { path: string }) => left.path < right.path ? -1 : 1
    t.same([...checked.json.errors].sort(byPath), [...errors].sort(byPath), what)
    t.equal(checked.json.statusCode, 400)
    t.equal(checked.json.error, 'Bad Request')
  }
  await turns()
  t.same(server.ran(), [])

  const many = await post(server, server.id, { event: 'add', data: { n: 1, list: Array.from({ length: 10_000 }, () => 5) } })
  refused(t, many, 400, 'FST_ERR_VALIDATION', 'ten thousand faults')
  t.equal(many.json.errors.length, 128, 'their number is bounded')
  const body = [{ event: 'add', data: { n: 1, list: [] } }].concat(Array.from({ length: 31 }, (_, index) => ({ event: 'add', data: { n: 1, list: [], [`${index}${'k'.repeat(1_800)}`]: 1 } })))
  const long = await post(server, server.id, body)
  refused(t, long, 400, 'FST_ERR_VALIDATION', 'keys as long as a body may be')
  t.ok(long.text.length < 24_000, 'an answer is bounded')
  t.ok(long.json.message.length < 3_000)
  const data = { [`k${'k'.repeat(60_000)}`]: 1, list: Array.from({ length: 200 }, () => 'x') }
  for (const answer of [await post(server, server.id, { event: 'add', data }), await post(server, server.id, data, '/live/add'), await request(server, '/live/add', { headers: { 'x-tether-session': server.id, 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams({ [`k${'k'.repeat(60_000)}`]: '1' }).toString() })]) {
    refused(t, answer, 400, 'FST_ERR_VALIDATION', 'one key as long as a body may be')
    t.ok(answer.text.length < 24_000)
  }
})

t.test('POST url/:event takes the data as JSON', async (t) => {
  const server = await start(t)
  const cases: Array<[string, unknown]> = [['range.set', { range: '24h' }], ['pause', {}], ['any', { known: 'a', b: 1 }], ['word', 'eight'], ['nothing', null], ['total', 5]]
  for (const [event, data] of cases) {
    const answer = await request(server, `/live/${event}`, { headers: { 'x-tether-session': server.id, 'content-type': 'application/json' }, body: JSON.stringify(data) })
    t.equal(answer.status, 202, event)
    t.same(answer.json, { seq: 0 })
    t.same(server.ran(), [[event, data]])
  }
  const encoded = await post(server, server.id, { range: '1h' }, '/live/range%2Eset')
  t.equal(encoded.status, 202, 'an encoded name')
  t.same(server.ran(), [['range.set', { range: '1h' }]])

  const bare = await request(server, '/live/pause', { method: 'POST', headers: { 'x-tether-session': server.id } })
  t.equal(bare.status, 202, 'no body at all means no fields, as from a button or from curl -X POST')
  t.same(server.ran(), [['pause', {}]])

  for (const [path, body, errors] of [
    ['range.set', { range: 'x', y: 1 }, [{ path: '/y', message: 'is not known here' }, { path: '/range', message: 'must be one of "1h", "24h"' }]],
    ['range.set', {}, [{ path: '/range', message: 'is required' }]],
    ['range.set', [], [{ path: '', message: 'must be object' }]],
    ['pause', { event: 'pause', data: {} }, [{ path: '/event', message: 'is not known here' }, { path: '/data', message: 'is not known here' }]],
    ['pause', { 'tether-session': server.id }, [{ path: '/tether-session', message: 'is not known here' }]],
    ['total', 'x', [{ path: '', message: 'must be number' }]]
  ] as const) {
    const answer = await request(server, `/live/${path}`, { headers: { 'x-tether-session': server.id, 'content-type': 'application/json' }, body: JSON.stringify(body) })
    refused(t, answer, 400, 'FST_ERR_VALIDATION', `${path} ${JSON.stringify(body)}`)
    t.same(answer.json.errors, errors, `${path} ${JSON.stringify(body)}`)
  }
  for (const event of ['nope', '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'range.set%0A', 'RANGE.SET', '%00', 'tether', 'message', 'x'.repeat(64)]) {
    const answer = await post(server, server.id, {}, `/live/${event}`)
    refused(t, answer, 400, 'FST_ERR_VALIDATION', `event ${event}`)
    t.match(answer.json.errors, [{ path: '', message: /^the event of the URL must be one of "range\.set", "pause"/ }])
  }
  await turns()
  t.same(server.ran(), [])
})

t.test('POST url/:event takes a form', async (t) => {
  const server = await start(t)
  const answer = await form(server, 'range.set', 'range=24h')
  t.equal(answer.status, 204, 'which leaves the page alone')
  t.equal(answer.text, '')
  t.same(server.ran(), [['range.set', { range: '24h' }]])

  t.equal((await form(server, 'add', 'n=1.5&count=-3&on=true&list=a&list=b&unit=s')).status, 204)
  t.same(server.ran(), [['add', { n: 1.5, count: -3, on: true, list: ['a', 'b'], unit: 's' }]], 'fields become what the schema says')
  t.equal((await form(server, 'add', 'n=0&on=false&list=only+one%21')).status, 204)
  t.same(server.ran(), [['add', { n: 0, on: false, list: ['only one!'], unit: 'none' }]])
  t.equal((await form(server, 'pause', '')).status, 204, 'a form without fields')
  t.same(server.ran(), [['pause', {}]])

  const named = await form(server, 'range.set', `range=1h&tether-session=${server.id}`, {})
  t.equal(named.status, 204, 'a field may name the session')
  t.same(server.ran(), [['range.set', { range: '1h' }]], 'and is none of the data')
  t.equal((await form(server, 'range.set', `range=1h&tether-session=${'x'.repeat(24)}`)).status, 204, 'a header goes before it')
  server.ran()

  for (const [event, body, errors] of [
    ['range.set', 'range=x&other=1', [{ path: '/other', message: 'is not known here' }, { path: '/range', message: 'must be one of "1h", "24h"' }]],
    ['add', 'n=abc', [{ path: '/n', message: 'must be number' }]],
    ['add', 'n=', [{ path: '/n', message: 'must be number' }]],
    ['add', 'n=-1', [{ path: '/n', message: 'must be >= 0' }]],
    ['add', 'n=1e999', [{ path: '/n', message: 'must be number' }]],
    ['add', 'n=Infinity', [{ path: '/n', message: 'must be number' }]],
    ['add', 'n=NaN', [{ path: '/n', message: 'must be number' }]],
    ['add', 'n=1&count=1.5', [{ path: '/count', message: 'must be integer' }]],
    ['add', 'n=1&n=2', [{ path: '/n', message: 'must be number' }]],
    ['pause', '__proto__=1', [{ path: '/__proto__', message: 'is not known here' }]],
    ['pause', 'constructor=1&toString=2', [{ path: '/constructor', message: 'is not known here' }, { path: '/toString', message: 'is not known here' }]]
  ] as const) {
    const bad = await form(server, event, body)
    refused(t, bad, 400, 'FST_ERR_VALIDATION', `${event} ${body}`)
    t.same(bad.json.errors, errors, `${event} ${body}`)
  }
  refused(t, await form(server, 'pause', '', {}), 400, 'FST_ERR_VALIDATION', 'a form that names no session')
  refused(t, await form(server, 'pause', 'tether-session=a&tether-session=b', {}), 400, 'FST_ERR_VALIDATION', 'a form that names two')
  refused(t, await form(server, 'pause', `tether-session=${'x'.repeat(24)}`, {}), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'a form that names another')
  await turns()
  t.same(server.ran(), [])
})

t.test('POST url/:event takes a multipart form as the application\'s parser reads it', async (t) => {
  const body = '--x\r\nContent-Disposition: form-data; name="n"\r\n\r\n1\r\n--x--\r\n'
  for (const [fields, status, ran] of [[{ n: '1' }, 204, [['add', { n: 1, unit: 'none' }]]], [undefined, 400, []]] as const) {
    const server = await start(t, {}, (app) => {
      app.addContentTypeParser('multipart/form-data', (_request, payload, done) => {
        payload.resume().on('end', () => done(null, fields && { ...fields }))
      })
    })
    const headers = { 'content-type': 'multipart/form-data; boundary=x', 'x-tether-session': server.id }
    const answer = await request(server, '/live/add', { method: 'POST', headers, body })
    t.equal(answer.status, status)
    // An event that needs no field would have run without those that were sent.
    const another = await request(server, '/live/pause', { method: 'POST', headers, body })
    if (fields === undefined) refused(t, another, 400, 'FST_ERR_VALIDATION', 'fields that nobody reads')
    await turns()
    t.same(server.ran(), ran)
  }
})

t.test('maxEventBytes', async (t) => {
  const server = await start(t, { maxEventBytes: 200 })
  const padded = (bytes: number) => JSON.stringify({ event: 'pause', data: {} }).padEnd(bytes)
  const json = { 'x-tether-session': server.id, 'content-type': 'application/json' }
  t.equal((await request(server, '/live', { headers: json, body: padded(200) })).status, 202, 'as many bytes')
  refused(t, await request(server, '/live', { headers: json, body: padded(201) }), 413, 'FST_ERR_CTP_BODY_TOO_LARGE', 'one more')
  refused(t, await request(server, '/live/pause', { headers: json, body: '{}'.padEnd(201) }), 413, 'FST_ERR_CTP_BODY_TOO_LARGE', 'by POST url/pause')
  refused(t, await form(server, 'pause', `tether-session=${server.id}&x=${'x'.repeat(200)}`, {}), 413, 'FST_ERR_CTP_BODY_TOO_LARGE', 'as a form')
  t.same(server.ran(), [['pause', {}]])
})
