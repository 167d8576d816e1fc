import websocket from '@fastify/websocket'
import { Type } from '@sinclair/typebox'
import { EventSource } from 'eventsource'
import t from 'tap'
import { WebSocket } from 'ws'
import { connect } from '../../client/index.ts'
import { webSocketLink, type WebSocketLinkOptions } from '../../client/websocket-link.ts'
import { conflate, defineContract, text } from '../../plugin/index.ts'
import { memory } from '../../plugin/entries/memory.ts'
import { openReader } from './harness/reader.ts'
import { startServer, type Server } from './harness/server.ts'
import { until } from './harness/until.ts'

const contract = defineContract({
  updates: { html: text({ unnamed: true }), row: text(), note: Type.Object({ text: Type.String() }) }
})

async function start (t: Parameters<typeof startServer>[0], tether = {}) {
  let live!: ReturnType<typeof mount>
  const mount = (app: Server['app']) => app.tether.stateful('/live', { contract, mode: 'both' })
  const server = await startServer(t, {
    tether,
    setup: async (app) => {
      await app.register(websocket)
      live = mount(app)
    }
  })
  return { server, live }
}

t.test('an unnamed update is written without its name, and a reader that counts learns the name', async (t) => {
  const { server, live } = await start(t)
  const exact = await openReader(server)
  const counting = await openReader(server, '/live', { headers: { 'x-tether-session': 'new' } })
  await until(() => live.stats.connected === 2, 'both streams')
  live.broadcast('html', '<p>one</p>\n<p>two</p>')
  live.broadcast('row', 'a')
  await until(() => exact.updates.length === 2 && counting.updates.length === 2, 'both updates')
  t.same(counting.updates.map(({ raw }) => raw), ['data: <p>one</p>\ndata: <p>two</p>', 'event: row\ndata: a'])
  t.same(exact.updates.map(({ raw }) => raw), [`id: ${exact.session}.1\ndata: <p>one</p>\ndata: <p>two</p>`, `id: ${exact.session}.2\nevent: row\ndata: a`])
  t.match(counting.controls[0], { unnamed: 'html', text: ['html', 'row'] })
  t.equal(exact.controls[0]!.unnamed, undefined)
})

t.test('an EventSource gets it as a message', async (t) => {
  const { server, live } = await start(t)
  const source = new EventSource(`${server.origin}/live`)
  t.teardown(() => source.close())
  const got: Array<[string, string]> = []
  source.onmessage = ({ data, lastEventId }) => { got.push([data, lastEventId.split('.')[1]!]) }
  await until(() => live.stats.connected === 1, 'the stream')
  live.broadcast('row', 'named')
  live.broadcast('html', '<p>one</p>')
  live.broadcast('html', '')
  await until(() => got.length === 2, 'both')
  t.same(got, [['<p>one</p>', '2'], ['', '3']])
})

t.test('the client of this package gets it under its name', async (t) => {
  const links = [{}, { link: webSocketLink({ WebSocket: WebSocket as unknown as NonNullable<WebSocketLinkOptions['WebSocket']> }) }]
  for (const options of links) {
    const { server, live } = await start(t)
    const client = connect<typeof contract>(`${server.origin}/live`, options)
    t.teardown(() => client.close())
    const got: unknown[] = []
    client.on('html', (html) => { got.push(html) })
    const all = client[Symbol.asyncIterator]()
    const first = all.next()
    await until(() => client.state === 'open', 'a stream')
    live.broadcast('html', '{"looks":"like JSON"}')
    live.broadcast('html', '')
    await until(() => got.length === 2, 'both')
    t.same(got, ['{"looks":"like JSON"}', ''])
    t.same((await first).value, { name: 'html', data: '{"looks":"like JSON"}' })
    await all.return()
  }
})

t.test('it conflates, and passes between nodes', async (t) => {
  const contract = defineContract({ updates: { html: conflate(text({ unnamed: true }), (html) => html[0]!) } })
  const hub = memory()
  const servers: Array<{ server: Server, live: any }> = []
  for (let node = 0; node < 2; node++) {
    let live: any
    const server = await startServer(t, { tether: { cluster: hub }, setup: (app) => { live = app.tether.stateful('/live', { contract }) } })
    servers.push({ server, live })
  }
  const reader = await openReader(servers[1]!.server, '/live', { headers: { 'x-tether-session': 'new' } })
  await until(() => servers[1]!.live.stats.connected === 1, 'the stream')
  await until(() => servers[0]!.server.app.tether.cluster!.nodes().length === 2, 'both nodes')
  for (const html of ['a1', 'b1', 'a2']) servers[0]!.live.broadcast('html', html)
  await until(() => reader.updates.length >= 2, 'the updates')
  t.same(reader.updates.map(({ raw }) => raw), ['data: a2', 'data: b1'])
})

t.test('one update of a contract may be unnamed', async (t) => {
  t.throws(() => defineContract({ updates: { a: text({ unnamed: true }), b: text(), c: conflate(text({ unnamed: true })) } }), { code: 'FST_ERR_TETHER_CONTRACT', message: 'update "c" cannot be unnamed: "a" is already' })
  t.throws(() => text({ unamed: true } as never), { code: 'FST_ERR_TETHER_CONTRACT', message: 'text() has no option "unamed". Did you mean "unnamed"?' })
  t.throws(() => text({ unnamed: 1 } as never), { code: 'FST_ERR_TETHER_CONTRACT', message: 'the option "unnamed" of text() must be true or false' })
  t.throws(() => text(null as never), { code: 'FST_ERR_TETHER_CONTRACT' })
})
