// Replies to requests that are posted at another node than their session's, over real sockets.
import { existsSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { EngineSource } from '../../plugin/cluster/engine.ts'
import { local } from '../../plugin/entries/local.ts'
import { memory } from '../../plugin/entries/memory.ts'
import { redis } from '../../plugin/entries/redis.ts'
import { startOrders, type OrderOptions, type Orders } from '../e2e/harness/orders.ts'
import { counting } from '../e2e/harness/claim.ts'
import type { Json, Reader } from '../e2e/harness/reader.ts'
import { post, request, type Answer } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { openSocket, type SocketReader } from '../e2e/harness/web-socket.ts'
import { makeDirectory } from './harness/local-under-test.ts'
import { clientKinds } from './harness/redis-clients.ts'
import { program, startRedis } from './harness/redis-process.ts'

/** Posts a request, and is willing to wait for the reply. */
const ask = (server: Orders, session: string, data: object, wait = 10): Promise<Answer> =>
  request(server, '/live/order', { headers: { 'x-tether-session': session, prefer: `wait=${wait}` }, body: data })

async function startPair (t: Test, engine: () => EngineSource, options: OrderOptions = {}, cluster: object = {}): Promise<[Orders, Orders]> {
  const start = () => startOrders(t, { ...options, tether: { cluster: { engine: engine(), ...cluster } } })
  const nodes = [await start(), await start()] as [Orders, Orders]
  for (const { app } of nodes) await until(() => app.tether.cluster!.nodes().length === 2 && app.tether.cluster!.status === 'ready', 'both nodes')
  return nodes
}

async function waitElsewhere (t: Test, engine: () => EngineSource): Promise<void> {
  const [one, two] = await startPair(t, engine)
  const { session } = await one.open()
  t.match(await ask(two, session, { article: 'book' }), { status: 200, json: { order: 1 }, headers: { 'preference-applied': 'wait=10' } })
  t.match(await ask(two, session, { article: 'sold out' }), { status: 422, json: { code: 'SOLD_OUT', message: 'There is none left', data: { left: 0 } } })
  t.match(await ask(two, session, { article: 'broken' }), { status: 500, json: { code: 'TETHER_FAILED' } })
  t.match(await ask(two, session, { article: 5 }), { status: 400, json: { code: 'FST_ERR_VALIDATION' } })
  const held = ask(two, session, { article: 'slow' })
  await until(() => one.gates.length === 1, 'the slow one')
  one.gates[0]!('at last')
  t.match(await held, { status: 200, json: { order: 4, note: 'at last' } })
  const late = await ask(two, session, { article: 'slow' }, 0)
  t.match(late, { status: 202, json: { seq: 0 } }, 'not in time: it is accepted, and runs on')
  await until(() => one.gates.length === 2, 'the second slow one')
  one.gates[1]!('too late')
  t.match(await ask(two, session, { article: 'large', count: 200_000 }), { status: 200, json: { note: 'x'.repeat(200_000) } })
  t.strictSame(two.taken, [], 'all ran at the node of the session')
}

t.test('a request that is posted at another node waits for its reply', async (t) => {
  const hub = memory()
  await waitElsewhere(t, () => hub)
})

t.test('the same over the local hub', async (t) => {
  const directory = makeDirectory({ after: (end) => { t.teardown(end) } })
  await waitElsewhere(t, () => local({ directory }))
})

t.test('the same over Redis', { skip: existsSync(program) ? false : `no ${program}` }, async (t) => {
  const server = await startRedis({ after: (end: () => unknown) => { t.teardown(end) } })
  const client = clientKinds[0]!.client(server.port)
  await waitElsewhere(t, () => redis(client))
})

t.test('a reply that is lost on its way is sent again', async (t) => {
  let messages = 0
  let lost = 0
  const hub = memory({ weather: ({ what }) => what === 'message' && ++messages === lost ? 'lost' : 0 })
  const [one, two] = await startPair(t, () => hub, {})
  const { session } = await one.open()
  messages = 0
  const held = ask(two, session, { article: 'slow' }, 30)
  await until(() => one.gates.length === 1 && messages === 2, 'the handler runs, and the other node knows')
  lost = 3
  one.gates[0]!('again')
  t.match(await held, { status: 200, json: { note: 'again' } })
})

t.test('a node that closes does not wait for the reply of another, and its client gets an answer', async (t) => {
  const hub = memory()
  const [one, two] = await startPair(t, () => hub, {})
  const { session } = await one.open()
  const held = ask(two, session, { article: 'slow' }, 60)
  await until(() => one.gates.length === 1, 'the handler')
  const startedAt = performance.now()
  await two.app.close()
  t.ok(performance.now() - startedAt < 10_000, 'well before the wait is over')
  t.match(await held, { status: 202 })
  one.gates[0]!('for nobody')
})

/** The replies among what a reader got: by the number of their requests, what each says. */
function repliesOf (reader: Reader): Map<number, object> {
  const replies = reader.blocks.flatMap(({ event, data }) => event === 'tether.reply' ? [JSON.parse(data!) as { seq: number }] : [])
  return new Map(replies.map(({ seq, ...reply }) => [seq, reply]))
}

const order = (article: string, seq: number) => ({ event: 'order', data: { article }, seq })

for (const [persist, carrier] of (['command', 'event'] as const).flatMap((persist) => [[persist, 'an event stream'], [persist, 'a WebSocket']] as const)) {
  t.test(`persist: '${persist}': the crash of a node loses no reply over ${carrier}`, async (t) => {
    const hub = memory({ deadlineMs: 1_000 })
    const [one, two] = await startPair(t, () => hub, { live: { persist, mode: 'both' } }, { leaseMs: 1_500, handoverMs: 3_000, forwardMs: 3_000 })
    const open = async (server: Orders, id = 'new'): Promise<Reader> => {
      if (carrier === 'an event stream') return await server.open(id === 'new' ? {} : counting(id, 0))
      const socket = await openSocket(server, '/live', id === 'new' ? { session: id } : { session: id, lastEventId: `${id}.0` })
      await until(() => socket.controls.length > 0, 'the hello')
      return socket
    }
    const tell = async (reader: Reader, server: Orders, events: unknown): Promise<Json> =>
      carrier === 'an event stream' ? await post(server, reader.session, events) : await (reader as SocketReader).ask(events)
    const reader = await open(one)
    const { session } = reader
    t.match(await tell(reader, one, [order('book', 1), order('sold out', 2), order('broken', 3)]), { status: 202 })
    // What the engine does not have yet, a client of 'command' sends again.
    if (persist === 'command') await until(async () => !('durable' in (await post(one, session, order('book', 3))).json), 'it is durable')
    hub.cut(one.app.tether.cluster!.node)
    for (const reader of one.readers) reader.destroy()
    one.app.server.closeAllConnections()
    // A node that was not up for a lease yet cannot tell who is dead, and refuses. A client asks again; these readers do not.
    await until(async () => (await post(two, session, order('book', 3))).status === 202, 'the other node has the session')
    const again = await open(two, session)
    t.match(again.controls[0], { verdict: 'gap', accepted: 3 })
    await until(() => repliesOf(again).size === 3, 'all replies')
    const [book, soldOut, broken] = [1, 2, 3].map((seq) => repliesOf(again).get(seq))
    t.match(book, { data: { order: 1 } })
    t.strictSame(soldOut, { code: 'SOLD_OUT', message: 'There is none left', data: { left: 0 } })
    t.match(broken, { code: 'TETHER_FAILED' })
    if (persist === 'command') t.strictSame(two.taken, [], 'none ran again')
    t.match(await tell(again, two, order('book', 3)), { status: 202 }, 'their numbers are taken')
    t.match(await ask(two, session, { article: 'pen' }), { status: 200 })
  })
}
