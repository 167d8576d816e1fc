/** The part of autocannon that the benchmarks use; it brings no types of its own. */
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events'

  export interface Request {
    readonly method: 'GET' | 'POST'
    readonly path: string
    readonly headers: Record<string, string>
    readonly body: string
    /** Called for each request; what it returns is built into bytes then. */
    readonly setupRequest?: (request: Request) => Request
  }

  export interface Client extends EventEmitter {
    /** What this connection sends, over and over; built into bytes once. */
    setRequests (requests: readonly Request[]): void
  }

  export interface Options {
    readonly url: string
    readonly connections: number
    readonly duration: number
    /** Seconds until an unanswered request counts as an error. */
    readonly timeout?: number
    /** Requests a second of each connection, sent as fast as they are answered at the start of each second. */
    readonly connectionRate?: number
    /** Milliseconds between two samples; only at one does it notice that its time is up. */
    readonly sampleInt?: number
    readonly setupClient?: (client: Client) => void
  }

  export interface Result {
    readonly errors: number
    readonly timeouts: number
    readonly duration: number
  }

  export interface Instance extends PromiseLike<Result> {
    on (
      event: 'response',
      listener: (client: Client, statusCode: number, bytes: number, milliseconds: number) => void
    ): this
    stop (): void
  }

  export default function autocannon (options: Options): Instance
}
