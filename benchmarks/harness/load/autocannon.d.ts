/** The part of autocannon that the benchmarks use; it brings no types of its own. */
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events'

  export interface Request {
    readonly method: 'GET' | 'POST'
    readonly path: string
    readonly headers: Record<string, string>
    readonly body: string
    /** Called for each request; its result is then built into bytes. */
    readonly setupRequest?: (request: Request) => Request
  }

  export interface Client extends EventEmitter {
    /** Requests that this connection sends again and again; built into bytes once. */
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
    /** Milliseconds between two samples; autocannon checks its duration only at a sample. */
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
