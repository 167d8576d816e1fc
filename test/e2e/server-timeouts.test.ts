import t from 'tap'
import type { Transport } from '../../plugin/index.ts'
import { startLive } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { protocols } from './harness/server.ts'
import { until, within } from './harness/until.ts'

/** Starts a server with a plain route and a session's, and opens a stream of each. */
async function open (t: Parameters<typeof startLive>[0], protocol: typeof protocols[number], fastify: object, heartbeatMs = 0) {
  const transports: Transport[] = []
  const server = await startLive(t, {
    protocol,
    fastify,
    upgrade: { heartbeatMs },
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade({ heartbeatMs })
      app.get('/plain', async (request, reply) => {
        const transport = await upgrade(request, reply)
        transports.push(transport)
        await transport.closed
      })
    }
  })
  const plain = await openReader(server, '/plain')
  const { reader } = await server.connect()
  return { server, plain, ofSession: reader, transport: await until(() => transports[0], 'the transport') }
}

const pass = (ms: number) => new Promise((resolve) => { setTimeout(resolve, ms) })

for (const protocol of protocols) {
  t.test(`${protocol}: handlerTimeout cuts the stream of a plain route, and no session's`, async (t) => {
    const { server, plain, ofSession, transport } = await open(t, protocol, { handlerTimeout: 300 })
    t.equal(await within(transport.closed, 'closed'), 'client')
    await until(() => plain.closed, 'its end')
    t.equal(plain.ended, false, 'cut off')
    await pass(300)
    t.equal(ofSession.closed, false)
    t.equal(server.app.tether.stats().streams, 1)
  })

  t.test(`${protocol}: requestTimeout and keepAliveTimeout end no stream`, async (t) => {
    const { server, plain, ofSession } = await open(t, protocol, { requestTimeout: 200, keepAliveTimeout: 200 })
    await pass(1_000)
    t.same([plain.closed, ofSession.closed], [false, false])
    t.equal(server.app.tether.stats().streams, 2)
  })
}

t.test('connectionTimeout ends streams that are silent for longer', async (t) => {
  const { plain, ofSession, transport } = await open(t, 'http/1.1', { connectionTimeout: 300 })
  t.equal(await within(transport.closed, 'closed'), 'client')
  await until(() => plain.closed && ofSession.closed, 'their ends')
  t.same([plain.ended, ofSession.ended], [false, false], 'cut off')
})

t.test('connectionTimeout ends none whose heartbeats come sooner', async (t) => {
  const { plain, ofSession } = await open(t, 'http/1.1', { connectionTimeout: 600 }, 100)
  await pass(1_500)
  t.same([plain.closed, ofSession.closed], [false, false])
})
