import t from 'tap'
import { startLive } from '../e2e/harness/live.ts'
import { turns, until } from '../e2e/harness/until.ts'
import { connectLive, connectTo } from './harness.ts'

t.test('with autoConnect: false nothing happens before open()', async (t) => {
  const ran: string[] = []
  const server = await startLive(t, { live: { on: { say: (_session, { text }) => { ran.push(text) } } } })
  const { client, states, sent, became, session } = connectTo(t, server, server.port, { autoConnect: false })
  const emitted = client.emit('say', { text: 'early' })
  await turns()
  t.equal(client.state, 'idle')
  t.equal(client.transport, undefined)
  t.strictSame([states, sent, server.live.stats.sessions], [[], [], 0])
  client.open()
  t.equal(client.state, 'connecting')
  client.open()
  await became('open')
  t.equal(client.transport, 'sse')
  client.open()
  await emitted
  t.strictSame(ran, ['early'])
  await session()
  await turns()
  t.equal(server.live.stats.sessions, 1, 'one session for all calls')
  t.strictSame(states.map(([state]) => state), ['connecting', 'open'])
})

t.test('a page that is hidden, shown or online does not open an idle connection', async (t) => {
  const page = globalThis as { document?: unknown, addEventListener?: unknown }
  const own = { document: page.document, addEventListener: page.addEventListener }
  t.teardown(() => Object.assign(page, own))
  const listened: string[] = []
  page.addEventListener = (type: string) => listened.push(type)
  page.document = { hidden: true }
  const server = await startLive(t)
  const { client } = connectTo(t, server, server.port, { autoConnect: false, hiddenMs: 1 })
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.strictSame(listened, [], 'it holds on to nothing')
  t.equal(client.state, 'idle')
  page.document = { hidden: false }
  client.open()
  t.ok(listened.includes('pagehide'))
  await until(() => client.state === 'open', 'the stream')
})

t.test('close() before open() is final', async (t) => {
  const server = await startLive(t)
  const { client, states, sent } = connectTo(t, server, server.port, { autoConnect: false })
  const emitted = client.emit('say', { text: 'never' })
  client.close()
  client.open()
  await t.rejects(emitted, { code: 'TETHER_CLOSED' })
  await turns()
  t.equal(client.state, 'closed')
  t.strictSame([states.map(([state]) => state), sent], [['closed'], []])
})

t.test('a signal closes an idle connection', async (t) => {
  const server = await startLive(t)
  const controller = new AbortController()
  const { client } = connectTo(t, server, server.port, { autoConnect: false, signal: controller.signal })
  controller.abort()
  t.equal(client.state, 'closed')
  t.equal(connectTo(t, server, server.port, { autoConnect: false, signal: AbortSignal.abort() }).client.state, 'closed')
})

t.test('open() tries at once while the connection waits', async (t) => {
  const { client, became, network, session } = await connectLive(t, {}, { retryMs: 2e9, retryMaxMs: 2e9 })
  await became('open')
  const live = await session()
  network.cut()
  await became('waiting')
  client.open()
  t.equal((await became('open', 2)).verdict, 'resumed')
  t.equal(client.session, live.id)
})
