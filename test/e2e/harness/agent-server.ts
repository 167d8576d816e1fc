// Watches all writes to responses, like a monitoring agent that is loaded before all other code.
// `agent-server.ts <class>` prints the bytes of one stream's body, as received and as seen.
import http from 'node:http'
import type { AddressInfo } from 'node:net'

let seen = 0
const { prototype } = http[process.argv[2] as 'ServerResponse' | 'OutgoingMessage']
const { write } = prototype
prototype.write = function (this: http.OutgoingMessage, ...args: [chunk: string, encoding: BufferEncoding]) {
  seen += Buffer.byteLength(...args)
  return write.apply(this, args)
} as typeof write

const { default: Fastify } = await import('fastify')
const { default: tether } = await import('../../../plugin/index.ts')
const app = Fastify()
await app.register(tether, {})
const upgrade = app.tether.sse.upgrade({ compression: false })
app.get('/', async (request, reply) => {
  const transport = await upgrade(request, reply)
  for (let number = 0; number < 20; number++) {
    transport.send({ data: 'x'.repeat(1_000) })
    await new Promise((resolve) => setImmediate(resolve))
  }
  await transport.close()
})
await app.listen({ host: '127.0.0.1', port: 0 })
http.get({ host: '127.0.0.1', port: (app.server.address() as AddressInfo).port, agent: false }, (response) => {
  let received = 0
  response.on('data', (bytes: Buffer) => { received += bytes.length })
  response.on('end', () => {
    console.log(`${received} ${seen}`)
    app.close()
  })
})
