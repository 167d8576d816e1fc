import websocket from '@fastify/websocket'
import { Type } from '@sinclair/typebox'
import t from 'tap'
import { connect } from '../../client/index.ts'
import { defineContract, EventError, request as requestOf } from '../../plugin/index.ts'
import { documented } from '../proxies/harness/documented.ts'
import { counting, exactly } from './harness/claim.ts'
import { repliesOf, startOrders, type Orders } from './harness/orders.ts'
import { post, request, type RequestOptions } from './harness/request.ts'
import { startServer } from './harness/server.ts'
import { until } from './harness/until.ts'
import { openSocket } from './harness/web-socket.ts'

const order = (seq: number, article = 'book', count?: number) => ({ event: 'order', data: { article, ...count === undefined ? {} : { count } }, seq })

/** Posts one event to its own URL. */
const ask = (server: Orders, session: string, article: string, headers: RequestOptions['headers'] = { prefer: 'wait=10' }) =>
  request(server, '/live/order', { headers: { 'x-tether-session': session, ...headers }, body: { article } })

t.test('a handler\'s return value is the reply, and names the number of its request', async (t) => {
  const server = await startOrders(t)
  const reader = await server.open()
  t.same((await post(server, reader.session, [order(1), { event: 'hello', data: {}, seq: 2 }, { event: 'ping', data: {}, seq: 3 }, order(4, 'slow')])).json, { seq: 4 })
  await until(() => server.gates.length === 1, 'the slow one')
  server.gates[0]!('at last')
  await until(() => repliesOf(reader).length === 3, 'all replies')
  t.same(repliesOf(reader), [
    { seq: 1, data: { order: 1 } },
    { seq: 2, data: 'hello "you"' },
    { seq: 4, data: { order: 3, note: 'at last' } }
  ], 'keys that the schema does not know are left out')
  t.same(server.failures, [])
})

t.test('an EventError is an answer; anything else is TETHER_FAILED, and says no more', async (t) => {
  const server = await startOrders(t)
  const reader = await server.open()
  const refused = ['sold out', 'sold out later', 'by update']
  const failed = ['broken', 'broken later', 'circular', 'no reply', 'wrong type', 'wrong number', 'wrong note']
  await post(server, reader.session, [...refused, ...failed].map((article, index) => order(index + 1, article)))
  await until(() => repliesOf(reader).length === refused.length + failed.length, 'all replies')
  t.same(repliesOf(reader), [
    { seq: 1, code: 'SOLD_OUT', message: 'There is none left', data: { left: 0 } },
    { seq: 2, code: 'SOLD_OUT', message: 'SOLD_OUT' },
    { seq: 3, code: 'SOLD_OUT', message: 'SOLD_OUT' },
    ...failed.map((_, index) => ({ seq: index + 4, code: 'TETHER_FAILED', message: 'The request failed' }))
  ])
  t.same(server.failures.map(([command]) => command), failed.map(() => 'order'), 'no refusal is an error')
  t.match(server.failures.map(([, message]) => message), ['a secret of the server', 'a secret of the server', /circular/i, /the reply to event "order" cannot be serialised: it is undefined/, /order must be integer/, /order must be integer/, /note must match pattern/])
  t.equal(server.errors().length, failed.length)
  t.equal(server.app.tether.stats().handlerErrors, failed.length)
})

t.test('a request needs a number, and is refused without one by name', async (t) => {
  const server = await startOrders(t)
  const reader = await server.open()
  const { seq, ...unnumbered } = order(1)
  const both = await post(server, reader.session, [{ event: 'ping', data: {} }, unnumbered])
  t.equal(both.status, 400)
  t.match(both.json.errors, [{ path: '/1/seq', message: /^is required: "order" is a request/ }])
  const own = await ask(server, reader.session, 'book', {})
  t.equal(own.status, 400)
  t.match(own.json, { code: 'FST_ERR_VALIDATION', errors: [{ path: '', message: /"Prefer: wait=…": "order" is a request/ }] })
  t.same(server.taken, [])
})

t.test('a request that is sent again runs once, and has one reply', async (t) => {
  const server = await startOrders(t)
  const reader = await server.open()
  for (let time = 0; time < 3; time++) t.same((await post(server, reader.session, order(1))).json, { seq: 1 })
  await post(server, reader.session, order(2))
  await until(() => repliesOf(reader).length === 2, 'both replies')
  t.same(repliesOf(reader).map(({ seq }) => seq), [1, 2])
  t.same(server.taken, ['book', 'book'])
})

t.test('a reply that was on its way when the line broke comes again', async (t) => {
  const server = await startOrders(t)
  const first = await server.open()
  const { session } = first
  await post(server, session, order(1, 'slow'))
  await until(() => server.gates.length === 1, 'the handler')
  first.destroy()
  await until(() => server.live.get(session)?.connected === false, 'the disconnect')
  server.gates[0]!('while it was away')
  await post(server, session, order(2))
  const second = await server.open(counting(session, 0))
  await until(() => repliesOf(second).length === 2, 'both replies')
  t.equal(second.controls[0]!.verdict, 'resumed')
  t.same(repliesOf(second).map(({ seq }) => seq), [1, 2])

  const exact = await server.open(exactly(session, 1))
  await until(() => repliesOf(exact).length === 1, 'the reply after the one that it has')
  t.match(exact.updates, [{ id: `${session}.2`, event: 'tether.reply' }])
})

for (const replay of [{ replayFrames: 0 }, { replayBytes: 40 }, { queueFrames: 1, onOverflow: 'dropOldest' }, { queueFrames: 1 }] as const) {
  t.test(`a reply that a gap covers comes again under a new number: ${JSON.stringify(replay)}`, async (t) => {
    const server = await startOrders(t, { live: replay })
    const first = await server.open()
    const { session } = first
    await post(server, session, [order(1), order(2)])
    await until(() => repliesOf(first).length === 2, 'both replies')
    first.destroy()
    await until(() => server.live.get(session)?.connected === false, 'the disconnect')
    await post(server, session, [order(3), order(4)])
    server.live.broadcast('row', 'a')
    server.live.broadcast('row', 'b')
    // Its client has none of them.
    const second = await server.open(counting(session, 0))
    await until(() => new Set(repliesOf(second).map(({ seq }) => seq)).size === 4, 'all four replies')
    t.equal(second.controls[0]!.verdict, 'gap')
    t.same(repliesOf(second).map(({ data }) => data.order).sort(), [1, 2, 3, 4])
    t.equal(server.taken.length, 4)
  })
}

t.test('a gap in mid-stream: the replies in it come once the stream takes them', async (t) => {
  const server = await startOrders(t, { live: { queueFrames: 3, onOverflow: 'dropOldest', commandBuffer: 1_000 }, upgrade: { writeBuffer: 10_000 } })
  const reader = await server.open()
  const { session } = reader
  const live = server.live.get(session)!
  reader.pause()
  // Until the kernel takes no more.
  await until(() => {
    if (live.stats.dropped > 0) return true
    for (let count = 0; count < 20; count++) live.send('row', 'x'.repeat(100_000))
    return false
  }, 'a full line')
  await post(server, session, [1, 2, 3, 4, 5, 6].map((seq) => order(seq)))
  await until(() => server.taken.length === 6, 'the handlers')
  for (let count = 0; count < 10; count++) live.send('row', 'y')
  reader.resume()
  await until(() => repliesOf(reader).length === 6, 'all replies')
  t.same(repliesOf(reader).map(({ seq }) => seq).sort(), [1, 2, 3, 4, 5, 6])
  t.ok(reader.controls.some(({ type }) => type === 'gap'))
})

t.test('a client that has lost count gets all replies that it has not acknowledged', async (t) => {
  const server = await startOrders(t)
  const first = await server.open()
  const { session } = first
  await post(server, session, order(1))
  await until(() => repliesOf(first).length === 1, 'the reply')
  await request(server, '/live', { headers: counting(session, 9e14), body: { event: 'ping', data: {}, seq: 2 } })
  const second = await server.open(counting(session, 9e14))
  await until(() => repliesOf(second).length === 1, 'the reply')
  t.equal(second.controls[0]!.verdict, 'gap')
})

t.test('beyond maxRequests a POST gets 429, until replies are acknowledged', async (t) => {
  const server = await startOrders(t, { live: { maxRequests: 3 } })
  const reader = await server.open()
  const { session } = reader
  t.equal(reader.controls[0]!.maxBatch, 3, 'a batch that can never fit is refused')
  t.match((await post(server, session, [1, 2, 3, 4].map((seq) => order(seq)))).json, { errors: [{ message: 'must hold 1 to 3 events, holds 4' }] })
  await post(server, session, [order(1), order(2, 'slow'), { event: 'ping', data: {}, seq: 3 }])
  await post(server, session, order(4))
  const refused = await post(server, session, [{ event: 'ping', data: {}, seq: 5 }, order(6)])
  t.match([refused.status, refused.headers['retry-after'], refused.json.code, refused.json.message], [429, '1', 'FST_ERR_TETHER_BUSY', /too many requests/])
  t.equal((await ask(server, session, 'book')).status, 429, 'whoever waits for the reply counts, too')
  server.gates[0]!('done')
  await until(() => repliesOf(reader).length === 3, 'the replies')
  t.equal((await post(server, session, order(5))).status, 429, 'unacknowledged ones count')
  t.equal((await post(server, session, { event: 'ping', data: {}, seq: 5 })).status, 202, 'other events do not')
  t.equal((await request(server, '/live', { headers: counting(session, 1), body: order(6) })).status, 202, 'the same POST makes room')
  await until(() => repliesOf(reader).length === 4, 'its reply')
  t.equal((await post(server, session, order(7))).status, 429)
  t.equal((await request(server, '/live', { headers: counting(session, 4), body: [order(7), order(8), order(9)] })).status, 202)
})

t.test('a handler that takes too long: the client learns that, and a late value is dropped', async (t) => {
  const server = await startOrders(t, { live: { handlerTimeoutMs: 60 } })
  const reader = await server.open()
  await post(server, reader.session, order(1, 'slow'))
  await until(() => repliesOf(reader).length === 1, 'the reply')
  server.gates[0]!('too late')
  await post(server, reader.session, order(2))
  await until(() => repliesOf(reader).length === 2, 'the next')
  t.match(repliesOf(reader), [{ seq: 1, code: 'TETHER_FAILED' }, { seq: 2, data: { order: 2 } }])
  t.match(server.failures, [['order', /did not settle within 60 ms/]])
})

t.test('replies are bounded in bytes, count in maxBufferedBytes, and what is kept no longer is in doubt', async (t) => {
  const server = await startOrders(t, { live: { maxReplyBytes: 10_000, replayFrames: 0 } })
  const before = server.app.tether.stats().bufferedMemory
  const first = await server.open()
  const { session } = first
  await post(server, session, [1, 2, 3].map((seq) => order(seq, 'large', 6_000)))
  await until(() => repliesOf(first).length === 3, 'all replies')
  const { bufferedMemory } = server.app.tether.stats()
  t.ok(bufferedMemory - before > 6_000 && bufferedMemory - before < 10_000, `${bufferedMemory - before} bytes are held`)
  first.destroy()
  await until(() => server.live.get(session)?.connected === false, 'the disconnect')
  const second = await server.open(counting(session, 0))
  await until(() => repliesOf(second).length === 3, 'all replies')
  const lost = { code: 'TETHER_IN_DOUBT', message: 'The request has run; its reply is lost' }
  t.match(repliesOf(second), [{ seq: 1, ...lost }, { seq: 2, ...lost }, { seq: 3, data: { order: 3 } }])
  await request(server, '/live', { headers: counting(session, 6), body: { event: 'ping', data: {}, seq: 4 } })
  t.ok(server.app.tether.stats().bufferedMemory - before < 500, 'acknowledged ones are not held')
  await server.live.get(session)!.close()
  t.equal(server.app.tether.stats().bufferedMemory, before)
})

t.test('where memory is short, replies go as well', async (t) => {
  const server = await startOrders(t, { live: { maxReplyBytes: 1_000_000, replayFrames: 0 }, tether: { maxBufferedBytes: 60_000 } })
  const readers = []
  for (let number = 0; number < 4; number++) {
    const reader = await server.open()
    readers.push(reader)
    await post(server, reader.session, [1, 2, 3, 4].map((seq) => order(seq, 'large', 9_000)))
    await until(() => repliesOf(reader).length === 4, 'its replies')
    t.ok(server.app.tether.stats().bufferedMemory <= 60_000)
  }
  for (const reader of readers) t.same(repliesOf(reader).map(({ data }) => data.note.length), [9_000, 9_000, 9_000, 9_000], 'who reads has them all')
})

t.test('over a WebSocket it is the same, and an acknowledgement is a message', async (t) => {
  const server = await startOrders(t, { live: { mode: 'both', maxRequests: 2 }, setup: (app) => app.register(websocket) })
  const socket = await openSocket(server, '/live', { session: 'new' })
  await until(() => socket.controls.length > 0, 'the hello')
  t.match(await socket.ask([order(1), order(2, 'sold out')]), { status: 202, seq: 2 })
  await until(() => repliesOf(socket).length === 2, 'both replies')
  t.match(repliesOf(socket), [{ seq: 1, data: { order: 1 } }, { seq: 2, code: 'SOLD_OUT' }])
  t.match(await socket.ask(order(3)), { status: 429, retryAfter: 1 })
  socket.send({ lastEventId: `${socket.session}.2` })
  t.match(await socket.ask(order(3)), { status: 202 })
  await until(() => repliesOf(socket).length === 3, 'the third')
})

t.test('who has no stream waits for the reply in its POST', async (t) => {
  for (const protocol of ['http/1.1', 'h2c'] as const) {
    const server = await startOrders(t, { protocol })
    const reader = await server.open()
    const { session } = reader
    const reply = await ask(server, session, 'book', { prefer: 'respond-async, wait=5' })
    t.match([reply.status, reply.headers['preference-applied'], reply.headers['content-type'], reply.headers['cache-control'], reply.json], [200, 'wait=5', /^application\/json/, 'no-store', { order: 1 }])
    const refused = await ask(server, session, 'sold out')
    t.equal(refused.status, 422)
    t.same(refused.json, { statusCode: 422, error: 'Unprocessable Entity', code: 'SOLD_OUT', message: 'There is none left', data: { left: 0 } })
    const failed = await ask(server, session, 'broken')
    t.equal(failed.status, 500)
    t.same(failed.json, { statusCode: 500, error: 'Internal Server Error', code: 'TETHER_FAILED', message: 'The request failed' })
    t.equal(server.errors().length, 1, 'logged once')
    const bad = await request(server, '/live/order', { headers: { 'x-tether-session': session, prefer: 'wait=5' }, body: { article: 1 } })
    t.equal(bad.status, 400)
    t.equal(bad.headers['preference-applied'], undefined)

    const late = await ask(server, session, 'slow', { prefer: 'wait=0' })
    t.match([late.status, late.headers['preference-applied'], late.json], [202, 'wait=0', { seq: 0 }], 'not in time: it is accepted, and runs on')
    t.match([(await ask(server, session, 'book', { prefer: 'wait=0' })).status], [202], 'also where the reply is there at once')
    const held = ask(server, session, 'slow', { prefer: 'wait="99999999999999"' })
    await until(() => server.gates.length === 1, 'the first')
    server.gates[0]!('the first')
    await until(() => server.gates.length === 2, 'the second')
    server.gates[1]!('the second')
    t.match([(await held).status, (await held).headers['preference-applied'], (await held).json], [200, 'wait=60', { note: 'the second' }], 'bounded')
    t.same(reader.updates, [], 'the stream has none of these')
  }
})

t.test('a form gets its reply as well, and an event that is no request takes no notice of the preference', async (t) => {
  const server = await startOrders(t)
  const { session } = await server.open()
  const headers = { prefer: 'wait=5', 'content-type': 'application/x-www-form-urlencoded' }
  const reply = await request(server, '/live/order', { headers, body: `tether-session=${session}&article=book&count=2` })
  t.match([reply.status, reply.json], [200, { order: 1 }])
  const event = await request(server, '/live/ping', { headers: { prefer: 'wait=5', 'x-tether-session': session }, body: {} })
  t.match([event.status, event.headers['preference-applied'], event.json], [202, undefined, { seq: 0 }])
})

t.test('a server that stops at once answers those who wait', async (t) => {
  const server = await startOrders(t)
  const reader = await server.open()
  const { session } = reader
  reader.destroy()
  await until(() => server.live.get(session)?.connected === false, 'the disconnect')
  const first = ask(server, session, 'slow')
  await until(() => server.gates.length === 1, 'the handler')
  const second = ask(server, session, 'book')
  await until(() => server.live.get(session)!.stats.queuedCommands === 1, 'the one that waits')
  await server.app.tether.drain({ timeoutMs: 0 })
  t.match([(await first).status, (await first).json.code], [500, 'TETHER_FAILED'], 'it does not wait for the handler that runs')
  t.match([(await second).status, (await second).json], [200, { order: 2 }], 'accepted requests run')
  server.gates[0]!('too late')
})

t.test('docs/api.md: a request', async (t) => {
  const code = documented('ts requests', 'api').replace(/^import .*$/m, '')
  const stock = { take: async (article: string) => article === 'book' }
  const orders = { add: async () => 7 }
  const server = await startServer(t, {
    // eslint-disable-next-line no-new-func -- as an application would run it
    setup: (app) => { new Function('Type', 'defineContract', 'EventError', 'request', 'app', 'stock', 'orders', code)(Type, defineContract, EventError, requestOf, app, stock, orders) }
  })
  const live = connect(`${server.origin}/live`)
  t.teardown(() => live.close())
  t.same(await live.request('order.place', { article: 'book' }), { order: 7 })
  await t.rejects(live.request('order.place', { article: 'pen' }), { code: 'SOLD_OUT', message: 'There is none left', data: { article: 'pen' } })
})

t.test('a server that closes does not wait for a reply', async (t) => {
  const server = await startOrders(t)
  const reader = await server.open()
  const held = request(server, '/live/order', { headers: { 'x-tether-session': reader.session, prefer: 'wait=60' }, body: { article: 'slow' } })
  await until(() => server.gates.length === 1, 'the handler')
  const startedAt = performance.now()
  await server.app.close()
  t.ok(performance.now() - startedAt < 10_000, 'well before the wait is over')
  t.match(await held, { status: 500, json: { code: 'TETHER_FAILED' } }, 'its session ended before the handler did')
  await until(() => reader.closed, 'the end of the stream')
  server.gates[0]!('for nobody')
})
