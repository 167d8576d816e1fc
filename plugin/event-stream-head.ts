import { EventEmitter } from 'node:events'

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
  readonly #begin: (() => void) | null

  /** @param begin called when all hooks have run and the headers are set; null for `HEAD`, which has no body */
  constructor (begin: (() => void) | null) {
    super()
    this.#begin = begin
  }

  pipe<Destination> (destination: Destination): Destination {
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
