import { once } from 'node:events'
import { Server, type AddressInfo } from 'node:net'

/** A server that is not bound to a port yet: Node's, or an application of Fastify. */
type Listener = Server | { readonly server: Server, listen (options: { port: number, host: string, backlog?: number }): Promise<unknown> }

export const loopback = '127.0.0.1'
/** Connections that may wait to be accepted. */
const backlog = 4_096

/** Listens on a free port of the loopback address, and gives the port. */
export async function listen (listener: Listener): Promise<number> {
  const options = { port: 0, host: loopback, backlog }
  if (listener instanceof Server) await once(listener.listen(options), 'listening')
  else await listener.listen(options)
  const server = listener instanceof Server ? listener : listener.server
  return (server.address() as AddressInfo).port
}
