import { promisify } from 'node:util'
import Fastify from 'fastify'
import { listeningPort } from '../harness/listening-port.ts'
import { firstFrame, streamHeaders, type StreamServer } from './stream-server.ts'

/** Fastify with a hijacked reply: what a hand-written route costs, which keeps none of the reply's hooks. */
export async function startFastifyServer (): Promise<StreamServer> {
  const app = Fastify()
  app.get('/live', (request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, streamHeaders)
    reply.raw.write(firstFrame)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    port: listeningPort(app.server),
    openCount: () => promisify(app.server.getConnections.bind(app.server))()
  }
}
