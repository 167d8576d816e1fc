import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Acceptance } from './acceptance.ts'
import type { Endpoint } from './endpoint.ts'

/** A way to carry sessions: what its folder exports, and `routes/transport-choice.ts` lists. */
export interface SessionTransport<Options> {
  /** The function of `app.tether` that makes its upgrades, as errors name it. */
  readonly maker: string
  /** The options of what that function returned; null for anything else. */
  readonly optionsOf: (upgrade: unknown) => Options | null
  /**
   * Looks at the instance before any route is made.
   *
   * @throws where the transport cannot work there and no other is beside it
   */
  readonly check: (instance: Pick<FastifyInstance, 'initialConfig'> & { log: FastifyBaseLogger }, mode: string, isAlone: boolean) => void
  /** Prepares the instance whose route `GET url` is going to be. */
  readonly mount: (routes: FastifyInstance, options: Options, parts: TransportParts) => MountedTransport | Promise<MountedTransport>
}

/** What a transport serves. */
export interface TransportParts {
  readonly endpoint: Endpoint
  readonly acceptance: Acceptance
  readonly mode: string
  /** Whether no other transport takes what this one passes on. */
  readonly isAlone: boolean
}

/** The part of a transport in `GET url`. */
export interface MountedTransport {
  /** Options that it adds to the route. */
  readonly routeOptions: object
  /** Whether it takes requests for an upgrade. */
  readonly takesUpgrades: boolean
  /** Sees each request before the hooks of the application that may take long. */
  readonly onRequest: (request: FastifyRequest) => void
  /**
   * Answers a request of the route.
   *
   * @returns false for one that is another transport's
   * @throws the error for one that is nobody's
   */
  readonly serve: (request: FastifyRequest, reply: FastifyReply) => boolean
}
