import { EventEmitter } from 'node:events'
import type { FastifyReply } from 'fastify'
import { StreamPipedError } from '../../schemas/errors.ts'

/**
 * Headers of every event stream. `no-transform` and `X-Accel-Buffering` keep proxies from holding it back.
 * `no-store` keeps Chromium from reading on into its cache while the page reads nothing: without it no
 * back-pressure reaches the server.
 */
export const eventStreamHeaders = Object.freeze({
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform, no-store',
  'x-accel-buffering': 'no'
})

/**
 * What is given to `reply.send()` in place of a body, so that Fastify runs its
 * onSend hooks and sets its headers and then hands over the response: `pipe` is
 * the moment. It is as much of a stream as Fastify asks for, at a fraction of a
 * Readable's memory.
 */
export class EventStreamHead extends EventEmitter {
  readonly #reply: FastifyReply
  readonly #begin: (() => void) | null

  /**
   * @param reply to whose response Fastify pipes it
   * @param begin called when all hooks have run and the headers are set; null for `HEAD`, which has no body
   */
  constructor (reply: FastifyReply, begin: (() => void) | null) {
    super()
    this.#reply = reply
    this.#begin = begin
  }

  /** @throws `FST_ERR_TETHER_STREAM_PIPED` when it is a hook that pipes it: frames would overtake the headers. */
  pipe<Destination> (destination: Destination): Destination {
    if (destination === this.#reply.raw as unknown) {
      this.#begin?.()
      return destination
    }
    // What the hook would have made of the stream is not what the error is made of.
    this.#reply.removeHeader('content-encoding')
    throw new StreamPipedError()
  }

  /** Fastify drains the body of a HEAD request so. */
  resume (): this {
    return this
  }

  /** Fastify calls it when the response has ended; the response is all there is to end. */
  destroy (): void {}
}
