import type { FastifyReply } from 'fastify'
import type { Runtime } from '../streams/runtime.ts'

/**
 * Ends the connection of an answer that comes while the server stops. The server has closed the idle connections by then, and would
 * wait for this one until the client closes it.
 */
export function endConnection (reply: FastifyReply, { draining }: Pick<Runtime, 'draining'>): void {
  if (draining && reply.raw.req.httpVersionMajor === 1) reply.header('connection', 'close')
}
