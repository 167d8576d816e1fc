import { EventEmitter } from 'node:events'
import { StreamPipedError } from '../schemas/errors.ts'

/** Headers of every event stream. `no-transform` and `X-Accel-Buffering` keep proxies from holding it back. */
export const eventStreamHeaders = Object.freeze({
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no'
})

/**
 * What is given to `reply.send()` in place of a body, so that Fastify runs its
 * onSend hooks and sets its headers and then hands over the response: `pipe` is
 * the moment. It is as much of a stream as Fastify asks for, at a fraction of a
 * Readable's memory.
 */
export class EventStreamHead extends EventEmitter {
  readonly #response: unknown
  readonly #begin: (() => void) | null

  /**
   * @param response where Fastify pipes it to
   * @param begin called when all hooks have run and the headers are set; null for `HEAD`, which has no body
   */
  constructor (response: unknown, begin: (() => void) | null) {
    super()
    this.#response = response
    this.#begin = begin
  }

  /** @throws `FST_ERR_TETHER_STREAM_PIPED` when it is a hook that pipes it: frames would overtake the headers. */
  pipe<Destination> (destination: Destination): Destination {
    if (destination !== this.#response) throw new StreamPipedError()
    this.#begin?.()
    return destination
  }

  /** Fastify drains the body of a HEAD request so. */
  resume (): this {
    return this
  }

  /** Fastify calls it when the response has ended; the response is all there is to end. */
  destroy (): void {}
}
