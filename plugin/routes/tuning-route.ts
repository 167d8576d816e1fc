import type { FastifyInstance, FastifyRequest } from 'fastify'
import { TuningRefusedError } from '../../schemas/errors.ts'

type Authorize = (request: FastifyRequest) => unknown

/**
 * Mounts `GET url/tether.tuning`, which answers with figures as JSON. With `?collect` it collects garbage first.
 *
 * @param authorize allows a request by a truthy value
 * @param figures gives the figures; `collect` asks for a garbage collection before
 */
export function mountTuning (instance: FastifyInstance, url: string, authorize: Authorize, figures: (collect: boolean) => object): void {
  const path = `${url.endsWith('/') ? url.slice(0, -1) : url}/tether.tuning`
  instance.get(path, { schema: { hide: true } as object, logLevel: 'warn' }, async function answerTuning (request, reply) {
    if (!await mayRead(authorize, request)) throw new TuningRefusedError()
    reply.header('cache-control', 'no-store')
    return figures(Object.hasOwn(request.query as object, 'collect'))
  })
}

async function mayRead (authorize: Authorize, request: FastifyRequest): Promise<boolean> {
  try {
    return Boolean(await authorize(request))
  } catch (error) {
    // Strangers can cause this at will.
    request.log.debug({ err: error }, 'authorize of the option tuning threw')
    return false
  }
}
