import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Acceptance } from './acceptance.ts'
import type { Endpoint } from './endpoint.ts'

/** One way to carry sessions. Its folder exports it; `routes/transport-choice.ts` lists it. */
export interface SessionTransport<Options> {
  /** The function of `app.tether` that makes the upgrades; errors use this name. */
  readonly maker: string
  /** The options of an upgrade that this function made; null for any other value. */
  readonly optionsOf: (upgrade: unknown) => Options | null
  /**
   * Checks the instance before any route is made.
   *
   * @throws if the transport cannot work there and is the only one
   */
  readonly check: (instance: Pick<FastifyInstance, 'initialConfig'> & { log: FastifyBaseLogger }, mode: string, isAlone: boolean) => void
  /** Prepares the instance that gets the route `GET url`. */
  readonly mount: (routes: FastifyInstance, options: Options, parts: TransportParts) => MountedTransport | Promise<MountedTransport>
}

/** What a transport needs to serve an endpoint. */
export interface TransportParts {
  readonly endpoint: Endpoint
  readonly acceptance: Acceptance
  readonly mode: string
  /** Whether this is the only transport of the route. */
  readonly isAlone: boolean
}

/** A transport's part of `GET url`. */
export interface MountedTransport {
  /** Options that the transport adds to the route. */
  readonly routeOptions: object
  /** Whether the transport takes requests for an upgrade. */
  readonly takesUpgrades: boolean
  /** Runs for each request, before hooks of the application that may take long. */
  readonly onRequest: (request: FastifyRequest) => void
  /**
   * Answers a request of the route.
   *
   * @returns false for a request that belongs to another transport
   * @throws the error for a request that belongs to no transport
   */
  readonly serve: (request: FastifyRequest, reply: FastifyReply) => boolean
}
