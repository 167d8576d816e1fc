import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { connect, type ConnectOptions } from '../../client/index.ts'
import { webSocketLink } from '../../client/websocket-link.ts'
import { fill } from '../e2e/harness/fill.ts'
import { startLive } from '../e2e/harness/live.ts'
import { isSettled, turns, until, within } from '../e2e/harness/until.ts'
import { connectLive, connectTo } from './harness.ts'
import { hello, open, startStreams } from './stream-server.ts'

const socketLink = () => webSocketLink({ WebSocket: WebSocket as never, openTimeoutMs: 10_000 })

for (const [transport, link] of [['sse', undefined], ['websocket', socketLink]] as const) {
  t.test(`${transport}: the way to the session and back, while events go their own way`, async (t) => {
    const ran: number[] = []
    const server = await startLive(t, { live: { mode: 'both', on: { count: (_session, { to }) => { ran.push(to) } } } })
    const { client, became } = connectTo(t, server, server.port, link ? { link: link() } : {})
    t.equal(client.transport, undefined, 'no stream yet')
    await became('open')
    t.equal(client.transport, transport)
    const emitted = [client.emit('count', { to: 1 }), client.emit('count', { to: 2 })]
    const startedAt = performance.now()
    const ms = await within(client.latency(), 'the answer')
    t.ok(ms > 0 && ms <= performance.now() - startedAt, `${ms} ms`)
    await Promise.all([...emitted, client.emit('count', { to: 3 })])
    t.strictSame(ran, [1, 2, 3])
    t.equal(client.state, 'open', 'the count of updates is right')
    client.close()
    t.equal(client.transport, undefined)
  })
}

t.test('calls at the same time share one ping', async (t) => {
  const { client, became, sent } = await connectLive(t)
  await became('open')
  const [first, second] = [client.latency(), client.latency()]
  t.equal(first, second)
  await within(first, 'the answer')
  const third = client.latency()
  t.not(third, first)
  await within(third, 'the next answer')
  const posts = sent.filter(({ method }) => method === 'POST')
  t.equal(posts.length, 2)
  t.match(posts[0]!.body, { event: 'tether.ping', data: { id: Number } })
  t.notOk('seq' in posts[0]!.body)
})

t.test('it counts what waits for the page', async (t) => {
  const { client, became, session, network } = await connectLive(t, { live: { queueFrames: 10_000, queueBytes: 100_000_000 } })
  await became('open')
  const live = await session()
  network.freeze()
  await fill(live)
  network.thaw()
  let rows = 0
  client.on('row', () => rows++)
  const sentBefore = live.stats.framesWritten + live.stats.queuedFrames
  await within(client.latency(), 'the answer')
  t.equal(rows, sentBefore, 'all updates before it came before')
})

t.test('without a stream, and when the stream ends first', async (t) => {
  const { client, became, network } = await connectLive(t, {}, { retryMs: 60_000, retryMaxMs: 60_000 })
  await t.rejects(client.latency(), { code: 'TETHER_NO_STREAM' })
  await became('open')
  network.freeze()
  const pinging = client.latency()
  await turns()
  t.notOk(await isSettled(pinging))
  network.cut()
  await t.rejects(within(pinging, 'the refusal'), { code: 'TETHER_NO_STREAM' })
  await t.rejects(client.latency(), { code: 'TETHER_NO_STREAM' })
  client.close()
  await t.rejects(client.latency(), { code: 'TETHER_NO_STREAM' })
})

t.test('close() ends it, and a rejection that nobody handles is no uncaught error', async (t) => {
  const { client, became, network } = await connectLive(t)
  await became('open')
  network.freeze()
  const pinging = client.latency()
  client.latency()
  client.close()
  await t.rejects(within(pinging, 'the end'), { code: 'TETHER_NO_STREAM' })
  await turns()
})

async function streams (t: Test, status: number, body: object, options: ConnectOptions) {
  const { url } = await startStreams(t, (response, method) => {
    if (method === 'GET') open(response, hello())
    else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  const client = connect(url, options)
  t.teardown(() => client.close())
  await until(() => client.state === 'open', 'the stream')
  return client
}

t.test('a server that never answers, and one that refuses', async (t) => {
  const silent = await streams(t, 202, { seq: 0 }, { requestTimeoutMs: 50 })
  await t.rejects(within(silent.latency(), 'the time-out'), { code: 'TETHER_TIMEOUT' })
  await t.rejects(within(silent.latency(), 'the next time-out'), { code: 'TETHER_TIMEOUT' })
  const refusing = await streams(t, 429, { code: 'FST_ERR_TETHER_PING_LIMIT' }, {})
  await t.rejects(within(refusing.latency(), 'the refusal'), { code: 'FST_ERR_TETHER_PING_LIMIT', status: 429 })
  t.equal(refusing.state, 'open', 'the stream goes on')
})
