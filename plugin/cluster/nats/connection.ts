/**
 * What the engine uses of a connection to NATS. The connections of `@nats-io/transport-node` and of the older package
 * `nats` have all of it.
 */
export interface NatsConnection {
  /** What the server said of itself when the connection was made. */
  readonly info?: { readonly version: string, readonly max_payload: number } | undefined
  publish (subject: string, payload?: Uint8Array, options?: { readonly reply?: string, readonly headers?: any }): void
  subscribe (subject: string, options: { readonly callback: (error: Error | null, message: NatsMessage) => void }): NatsSubscription
  status (): AsyncIterable<NatsStatus>
  flush (): Promise<void>
  reconnect (): Promise<void>
  isClosed (): boolean
  closed (): Promise<void | Error>
  close (): Promise<void>
}

export interface NatsStatus {
  readonly type: string
  /** What the server refused, in `@nats-io/transport-node`. */
  readonly error?: Error
  /** What the server refused, in `nats`: the operation and the subject. */
  readonly permissionContext?: { readonly operation: string, readonly subject: string } | undefined
}

export interface NatsSubscription {
  unsubscribe (): void
}

export interface NatsMessage {
  readonly subject: string
  readonly reply?: string | undefined
  readonly data: Uint8Array
  readonly headers?: NatsHeaders | undefined
}

export interface NatsHeaders {
  /** The status of a message without data: 100 for heartbeats and flow control, 503 where nobody listens. */
  readonly code: number
  get (name: string): string
  set (name: string, value: string): void
}
