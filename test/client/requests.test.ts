import websocket from '@fastify/websocket'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { connect, type ConnectOptions } from '../../client/index.ts'
import type { Emitter, Hold } from '../../client/emitter.ts'
import { webSocketLink, type WebSocketLinkOptions } from '../../client/websocket-link.ts'
import { startLink } from '../e2e/harness/link.ts'
import { startOrders, type contract, type OrderOptions } from '../e2e/harness/orders.ts'
import { range } from '../e2e/harness/rows.ts'
import { isSettled, until, within } from '../e2e/harness/until.ts'
import { effort } from '../harness/effort.ts'

type Links = Array<[name: string, options: () => ConnectOptions]>

const links: Links = [
  ['an event stream', () => ({})],
  ['a WebSocket', () => ({ link: webSocketLink({ WebSocket: WebSocket as unknown as NonNullable<WebSocketLinkOptions['WebSocket']> }) })]
]

async function start (t: Test, options: ConnectOptions = {}, server: OrderOptions = {}) {
  const orders = await startOrders(t, { upgrade: { retryMs: 10 }, ...server, live: { mode: 'both', ...server.live }, setup: (app) => app.register(websocket) })
  const network = await startLink(t, orders)
  const live = connect<typeof contract>(`http://127.0.0.1:${network.port}/live`, { retryMs: 10, retryMaxMs: 50, ...options })
  t.teardown(() => live.close())
  const verdicts: string[] = []
  live.onState((state, { verdict }) => { if (state === 'open') verdicts.push(verdict!) })
  return { orders, network, live, verdicts }
}

for (const [name, options] of links) {
  t.test(`over ${name}, a request gives its reply`, async (t) => {
    const { orders, live } = await start(t, options())
    const seen: string[] = []
    const iteration = (async () => { for await (const { name } of live) seen.push(name) })()
    t.same(await live.request('order', { article: 'book' }), { order: 1 })
    t.equal(await live.request('hello'), 'hello "you"')
    await t.rejects(live.request('order', { article: 'sold out' }), { name: 'Error', code: 'SOLD_OUT', message: 'There is none left', data: { left: 0 } })
    await t.rejects(live.request('order', { article: 'broken' }), { code: 'TETHER_FAILED', message: 'The request failed' })
    await t.rejects(live.request('order', { article: 5 } as never), { code: 'FST_ERR_VALIDATION', status: 400, errors: [{ path: '/data/article' }] })
    const [slow, next] = [live.request('order', { article: 'slow' }), live.request('order', { article: 'book' })]
    await live.emit('order', { article: 'nobody waits' })
    await until(() => orders.gates.length === 1, 'the slow one')
    t.notOk(await isSettled(slow))
    orders.gates[0]!('done')
    t.match(await slow, { note: 'done' })
    t.same(await next, { order: 5 })
    orders.live.broadcast('row', 'last')
    await until(() => seen.length > 0, 'the row')
    t.same(seen, ['row'], 'an iteration gets no replies')
    live.close()
    await iteration
  })

  t.test(`over ${name}, more requests than the server keeps at one time all get their replies`, async (t) => {
    const { orders, live } = await start(t, options(), { live: { maxRequests: 16 } })
    const replies = await within(Promise.all(range(1, 40).map(() => live.request('order', { article: 'book' }))), 'all replies')
    t.same(replies.map(({ order }) => order), range(1, 40))
    t.equal(orders.taken.length, 40)
  })

  t.test(`over ${name}, a line that breaks again and again loses no reply and runs nothing twice`, async (t) => {
    const { orders, live, network, verdicts } = await start(t, options(), { live: { replayFrames: 2 } })
    await until(() => live.state === 'open', 'a stream')
    let answered = 0
    const count = 60 * effort
    const all = range(1, count).map(async (number) => {
      await until(() => answered >= number - 12, 'a turn')
      const { order } = await live.request('order', { article: String(number) })
      answered++
      if (number % 10 === 0) network.cut()
      return order
    })
    const replies = await within(Promise.all(all), 'all replies', 120_000)
    t.equal(new Set(replies).size, count, 'each its own')
    t.equal(orders.taken.length, count)
    t.equal(new Set(orders.taken).size, count, 'each ran once')
    t.ok(verdicts.length > 3)
  })
}

t.test('a request whose answer is lost: its reply comes with the next stream', async (t) => {
  const { orders, live, network } = await start(t)
  await until(() => live.state === 'open', 'a stream')
  network.loseAnswer()
  t.same(await live.request('order', { article: 'book' }), { order: 1 })
  t.same(orders.taken, ['book'])
})

t.test('in another session an accepted request is in doubt, and one that waits is sent', async (t) => {
  const { orders, live } = await start(t)
  const first = live.request('order', { article: 'slow' })
  await until(() => orders.gates.length === 1, 'the handler')
  orders.live.get(live.session!)!.close('moved', { reconnect: true })
  const next = live.request('order', { article: 'book' })
  await t.rejects(first, { code: 'TETHER_IN_DOUBT' })
  orders.gates[0]!('late')
  t.match(await next, { order: 2 })
})

t.test('a connection that is closed: what may have run is in doubt, and what was not sent is closed', async (t) => {
  const { orders, live } = await start(t)
  const first = live.request('order', { article: 'slow' })
  await until(() => orders.gates.length === 1, 'the handler')
  await live.emit('ping')
  live.close()
  await t.rejects(first, { code: 'TETHER_IN_DOUBT' })
  await t.rejects(live.request('order', { article: 'book' }), { code: 'TETHER_CLOSED' })
})

t.test('timeoutMs and signal', async (t) => {
  const { orders, live } = await start(t)
  await live.emit('ping')
  await t.rejects(live.request('order', { article: 'slow' }, { timeoutMs: 1_000 }), { code: 'TETHER_TIMEOUT' })
  orders.gates[0]!('too late')
  const controller = new AbortController()
  const aborted = live.request('order', { article: 'slow' }, { signal: controller.signal })
  await until(() => orders.gates.length === 2, 'the handler')
  controller.abort(new Error('no longer needed'))
  await t.rejects(aborted, { message: 'no longer needed' })
  orders.gates[1]!('too late')
  await t.rejects(live.request('order', { article: 'book' }, { signal: controller.signal }), { message: 'no longer needed' })
  for (const timeoutMs of [-1, NaN, '5' as never]) await t.rejects(live.request('order', { article: 'book' }, { timeoutMs }), { name: 'RangeError', message: /^timeoutMs must be/ })
  t.same(await live.request('order', { article: 'book' }, { timeoutMs: 10_000, signal: new AbortController().signal }), { order: 4 })
  t.same(orders.taken, ['ping', 'slow', 'slow', 'book'])
})

t.test('a request that has not left is taken back by its signal', async (t) => {
  const { orders, live } = await start(t)
  const controller = new AbortController()
  const [first, second, third] = [live.request('order', { article: '1' }), live.request('order', { article: '2' }, { signal: controller.signal }), live.request('order', { article: '3' })]
  controller.abort()
  await t.rejects(second, { name: 'AbortError' })
  t.same([await first, await third], [{ order: 1 }, { order: 2 }])
  t.same(orders.taken, ['1', '3'])
})

t.test('an event that is taken back before it leaves settles, so that who stores it can forget it', async (t) => {
  const { orders, live } = await start(t, { autoConnect: false })
  const emit = live.emit as unknown as Emitter
  let takeBack: () => unknown = () => t.fail('no function that takes it back')
  const hold: Hold = (given) => { takeBack = given }
  const [taken, kept] = [emit('order', { article: '1' }, hold), live.emit('order', { article: '2' })]
  t.ok(takeBack())
  t.notOk(takeBack(), 'it has gone')
  await t.rejects(within(taken, 'the end'), { code: 'TETHER_CLOSED' })
  live.open()
  await kept
  t.same(orders.taken, ['2'])
  const sent = emit('order', { article: '3' }, hold)
  await until(() => orders.taken.length === 2, 'the event')
  t.notOk(takeBack(), 'it has left')
  await within(sent, 'the answer')
})
