import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { TuningRefusedError } from '../../schemas/errors.ts'

type Authorize = (request: FastifyRequest, reply: FastifyReply) => unknown

/**
 * Mounts `GET url/tether.tuning`, which answers with figures as JSON. With `?collect` it collects garbage first.
 *
 * @param authorize allows a request by `true` or nothing; anything else refuses it, and what it throws is the answer
 * @param figures gives the figures; `collect` asks for a garbage collection before
 */
export function mountTuning (instance: FastifyInstance, url: string, authorize: Authorize, figures: (collect: boolean) => object): void {
  const path = `${url.endsWith('/') ? url.slice(0, -1) : url}/tether.tuning`
  instance.get(path, { schema: { hide: true } as object, logLevel: 'warn' }, async function answerTuning (request, reply) {
    const allowed = await authorize(request, reply)
    // An `authorize` that has answered by itself has refused.
    if (reply.sent) return reply
    if (allowed !== true && allowed !== undefined) throw new TuningRefusedError()
    reply.header('cache-control', 'no-store')
    return figures(Object.hasOwn(request.query as object, 'collect'))
  })
}
