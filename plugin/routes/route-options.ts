import type { FastifyReply, FastifyRequest, RouteShorthandOptions, onRequestHookHandler } from 'fastify'
import { OriginError, UpgradeRefusedError } from '../../schemas/errors.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import { wantsWebSocket } from '../websocket/handshake.ts'
import { writeAnswer } from './answer.ts'
import { originAllowed } from './origin.ts'
import type { RouteConfig } from './stateful-config.ts'

/** Makes the options of each route of an endpoint. */
export class RouteOptions {
  readonly #bodyLimit: number
  readonly #checkOrigin: onRequestHookHandler
  readonly #shared: RouteConfig

  /** @param shared the application's options for all routes */
  constructor ({ limits, trustedOrigins }: Endpoint, shared: RouteConfig = {}) {
    this.#bodyLimit = limits.maxEventBytes
    this.#shared = shared
    this.#checkOrigin = function checkOrigin (request, _reply, done) {
      done(originAllowed(request, trustedOrigins) ? undefined : new OriginError())
    }
  }

  /**
   * @param schema for the API document
   * @param before hooks ahead of the check of the origin
   * @param after hooks behind it
   */
  for (schema: Readonly<Record<string, unknown>>, { before = [], after = [] }: { before?: onRequestHookHandler[], after?: onRequestHookHandler[] } = {}): RouteShorthandOptions {
    const hooks = [...before, this.#checkOrigin, ...after]
    const { schema: shared, ...others } = this.#shared
    return {
      ...others,
      bodyLimit: this.#bodyLimit,
      // The schemas are for the API document only. The rules for a body depend on more than its
      // route, and an application's own error handler may answer in any form.
      validatorCompiler: () => undefined as never,
      serializerCompiler: () => writeAnswer,
      onRequest: hooks.length === 1 ? hooks[0]! : hooks,
      onSend: keepOut,
      schema: { ...schema, ...shared, ...schema.hide === true ? { hide: true } : {} } as object
    }
  }
}

/** Keeps answers out of caches, which may otherwise keep a 204 or a 404 for any time. The application's hooks run before this one. */
function keepOut (_request: FastifyRequest, reply: FastifyReply, _payload: unknown, done: () => void): void {
  if (!reply.hasHeader('cache-control') && !reply.raw.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  done()
}

/** Refuses a WebSocket if the sessions do not use them. An application's own `@fastify/websocket` would accept it, and close it without a reason. */
export function refuseUpgrade (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  done(wantsWebSocket(request.headers) ? new UpgradeRefusedError() : undefined)
}
