import { EventEmitter } from 'node:events'
import type { FastifyReply } from 'fastify'
import { StreamPipedError } from '../../schemas/errors.ts'

/**
 * Headers of every event stream. `no-transform` and `X-Accel-Buffering` keep proxies from buffering it.
 * `no-store` keeps Chromium from reading into its cache while the page does not read. Without it,
 * no back-pressure would reach the server.
 */
export const eventStreamHeaders = Object.freeze({
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform, no-store',
  'x-accel-buffering': 'no'
})

/**
 * The payload for `reply.send()`. Fastify runs its onSend hooks, sets the headers and then calls
 * `pipe`; at that moment the response is ours. The class has only the members of a stream that
 * Fastify needs, at a fraction of a Readable's memory.
 */
export class EventStreamHead extends EventEmitter {
  readonly #reply: FastifyReply
  readonly #begin: (() => void) | null

  /**
   * @param reply the reply whose response Fastify pipes into
   * @param begin called when all hooks have run and the headers are set; null for `HEAD`, which has no body
   */
  constructor (reply: FastifyReply, begin: (() => void) | null) {
    super()
    this.#reply = reply
    this.#begin = begin
  }

  /** @throws `FST_ERR_TETHER_STREAM_PIPED` if a hook pipes the payload: frames would overtake the headers. */
  pipe<Destination> (destination: Destination): Destination {
    if (destination === this.#reply.raw as unknown) {
      this.#begin?.()
      return destination
    }
    // The error's body does not have the encoding that the hook set for the stream.
    this.#reply.removeHeader('content-encoding')
    throw new StreamPipedError()
  }

  /** Fastify calls this to drain the body of a HEAD request. */
  resume (): this {
    return this
  }

  /** Fastify calls this when the response has ended. There is nothing else to end. */
  destroy (): void {}
}
