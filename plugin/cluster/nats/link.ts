import { EngineError } from '../../../schemas/errors.ts'
import type { NatsConnection, NatsHeaders, NatsMessage, NatsStatus, NatsSubscription } from './connection.ts'
import { lastToken, type Names } from './names.ts'

/** A connection, or how to make one: whoever has more than one life needs the second. */
export type ConnectionSource = NatsConnection | (() => NatsConnection | Promise<NatsConnection>)

export interface LinkLimits {
  readonly deadlineMs: number
  readonly maxCalls: number
  readonly maxCallBytes: number
}

export interface LinkEvents {
  connected: () => void
  disconnected: () => void
  message: (from: string, data: Uint8Array) => void
  /** A call got no answer, or nobody listened to it. */
  unanswered: () => void
}

interface Pending {
  readonly bytes: number
  readonly timer: NodeJS.Timeout
  readonly resolve: (message: NatsMessage) => void
  readonly reject: (error: Error) => void
}

const firstRetryMs = 100
const lastRetryMs = 2_000
/** How long `close` waits for a connection to close. */
const closingMs = 1_000
/** Room for the headers that a message may have. */
const headerBytes = 256
/** The first server with consumers that have a name and end by themselves. */
const oldestServer = [2, 9] as const

/**
 * One node's connection: requests with a deadline, within bounds, and messages.
 *
 * The client keeps what it is given while it has no connection, and sends it later. So nothing is given to it
 * then: a call rejects at once, and a call under way rejects when the connection breaks.
 */
export class NatsLink {
  readonly #source: ConnectionSource
  readonly #limits: LinkLimits
  readonly #on: LinkEvents
  readonly #names: Names
  readonly #node: string
  readonly #pending = new Map<string, Pending>()
  #connection: NatsConnection | undefined
  #subscriptions: NatsSubscription[] = []
  #makeHeaders: (() => NatsHeaders) | undefined
  #isConnected = false
  #isClosed = false
  #lastRequest = 0
  #pendingBytes = 0
  /** Bytes of messages that the server has not yet taken, as far as is known. */
  #sentBytes = 0
  #isFlushing = false
  #retry: NodeJS.Timeout | undefined
  #ping: Promise<boolean> | undefined
  /** What the server refused last. */
  #refusal = { text: '', at: 0 }

  constructor (source: ConnectionSource, limits: LinkLimits, names: Names, node: string, on: LinkEvents) {
    this.#source = source
    this.#limits = limits
    this.#names = names
    this.#node = node
    this.#on = on
  }

  get isConnected (): boolean {
    return this.#isConnected
  }

  async open (): Promise<void> {
    const connection = typeof this.#source === 'function' ? await this.#make(this.#source) : this.#source
    if (this.#isClosed) return
    if (connection.isClosed()) throw new EngineError('has a connection that is closed already')
    this.#makeHeaders ??= await loadHeaders(connection)
    this.#use(connection)
  }

  async #make (source: () => NatsConnection | Promise<NatsConnection>): Promise<NatsConnection> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => { reject(new EngineError('got no connection to NATS in time')) }, this.#limits.deadlineMs)
    })
    const making = (async () => source())()
    try {
      const connection = await Promise.race([making, late])
      if (this.#isClosed) throw closedError()
      return connection
    } catch (error) {
      making.then((connection) => connection.close()).catch(() => {})
      throw error instanceof EngineError ? error : new EngineError(`got no connection to NATS: ${error instanceof Error ? error.message : String(error)}`)
    } finally {
      clearTimeout(timer)
    }
  }

  #use (connection: NatsConnection): void {
    this.#connection = connection
    this.#subscriptions = [
      connection.subscribe(this.#names.answer(this.#node, '*'), { callback: (error, message) => { if (error === null) this.#settle(message) } }),
      connection.subscribe(this.#names.message(this.#node, '*'), {
        callback: (error, message) => { if (error === null && !this.#isClosed) this.#on.message(lastToken(message.subject), message.data) }
      })
    ]
    this.#isConnected = true
    this.#watch(connection)
    connection.closed().then(() => { this.#lose(connection) }, () => { this.#lose(connection) })
  }

  async #watch (connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (connection !== this.#connection || this.#isClosed) return
      const { type } = status
      const refusal = refusalOf(status)
      if (refusal !== null) this.#refusal = { text: refusal, at: performance.now() }
      if (type === 'disconnect') {
        this.#disconnect()
      } else if (type === 'reconnect') {
        this.#isConnected = true
        this.#on.connected()
      }
    }
  }

  #disconnect (): void {
    this.#isConnected = false
    this.#sentBytes = 0
    for (const [id, { reject }] of [...this.#pending]) {
      this.#forget(id)
      reject(new EngineError('lost its connection to NATS before the answer'))
    }
    this.#on.disconnected()
  }

  /** Makes another connection in place of one that will not come back. */
  #lose (connection: NatsConnection): void {
    if (connection !== this.#connection || this.#isClosed) return
    this.#connection = undefined
    this.#disconnect()
    if (typeof this.#source === 'function') this.#replace(this.#source, firstRetryMs)
  }

  #replace (source: () => NatsConnection | Promise<NatsConnection>, waitMs: number): void {
    this.#retry = setTimeout(() => {
      this.#make(source).then((connection) => {
        this.#use(connection)
        this.#on.connected()
      }).catch(() => {
        if (!this.#isClosed) this.#replace(source, Math.min(waitMs * 2, lastRetryMs))
      })
    }, waitMs)
  }

  /** @throws `FST_ERR_TETHER_ENGINE` if the server is too old. */
  checkServer (): void {
    const { version } = this.#connection?.info ?? {}
    if (version === undefined) return
    const [major = 0, minor = 0] = version.split('.').map(Number)
    if (major < oldestServer[0] || (major === oldestServer[0] && minor < oldestServer[1])) {
      throw new EngineError(`needs a NATS server of version ${oldestServer.join('.')} or later, and this one has ${version}`)
    }
  }

  /** Makes the headers of a message. */
  headers (name: string, value: string): NatsHeaders {
    const headers = this.#makeHeaders!()
    headers.set(name, value)
    return headers
  }

  /**
   * Sends a request; its message is on its way when this returns.
   *
   * @param until when to give up, on the clock of `performance.now()`
   * @throws `FST_ERR_TETHER_ENGINE` if there is no connection, too much waits, or no answer comes in time
   */
  request (subject: string, payload: Uint8Array | undefined, until: number, headers?: NatsHeaders): Promise<NatsMessage> {
    return new Promise((resolve, reject) => {
      const connection = this.#usable(payload)
      const bytes = payload?.byteLength ?? 0
      if (this.#pending.size >= this.#limits.maxCalls || this.#pendingBytes + bytes > this.#limits.maxCallBytes) {
        throw new EngineError(`does not keep up: ${this.#pending.size} calls wait, with ${this.#pendingBytes} bytes`)
      }
      const id = (++this.#lastRequest).toString(36)
      connection.publish(subject, payload, { reply: this.#names.answer(this.#node, id), ...headers && { headers } })
      const timer = setTimeout(() => {
        this.#forget(id)
        reject(new EngineError(`got no answer from NATS in time${this.#whyNot()}`))
        this.#on.unanswered()
      }, Math.max(1, until - performance.now()))
      this.#pendingBytes += bytes
      this.#pending.set(id, { bytes, timer, resolve, reject })
    })
  }

  /** The server refuses what an account may not do without an answer to the call. */
  #whyNot (): string {
    const { text, at } = this.#refusal
    return text !== '' && performance.now() - at < this.#limits.deadlineMs * 2 ? `; it refused: ${text}` : ''
  }

  #settle (message: NatsMessage): void {
    const id = lastToken(message.subject)
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#forget(id)
    if (message.data.byteLength === 0 && message.headers?.code === 503) {
      pending.reject(new EngineError('finds no JetStream: it is off, still loading, or lost its streams'))
      this.#on.unanswered()
    } else {
      pending.resolve(message)
    }
  }

  #forget (id: string): void {
    const { timer, bytes } = this.#pending.get(id)!
    clearTimeout(timer)
    this.#pendingBytes -= bytes
    this.#pending.delete(id)
  }

  /** Sends a message that nobody answers. */
  send (subject: string, payload: Uint8Array): void {
    const connection = this.#usable(payload)
    if (this.#sentBytes + payload.byteLength > this.#limits.maxCallBytes) throw new EngineError(`does not keep up: ${this.#sentBytes} bytes of messages wait`)
    connection.publish(subject, payload)
    this.#sentBytes += payload.byteLength
    if (!this.#isFlushing) this.#flush(connection)
  }

  async #flush (connection: NatsConnection): Promise<void> {
    this.#isFlushing = true
    try {
      while (this.#sentBytes > 0 && connection === this.#connection) {
        const bytes = this.#sentBytes
        await connection.flush()
        this.#sentBytes = Math.max(0, this.#sentBytes - bytes)
      }
    } catch {
      // The connection broke, and took what waited with it.
    } finally {
      this.#isFlushing = false
    }
  }

  /** Answers the server's question whether the node keeps up with its reader. */
  reply (subject: string): void {
    if (this.#isConnected) this.#connection!.publish(subject)
  }

  #usable (payload: Uint8Array | undefined): NatsConnection {
    if (this.#isClosed) throw closedError()
    const connection = this.#connection
    if (connection === undefined && typeof this.#source !== 'function') throw new EngineError('has a connection to NATS that is closed for good: give nats() a function that connects, or set maxReconnectAttempts to -1')
    if (connection === undefined || !this.#isConnected) throw new EngineError('has no connection to NATS')
    const most = connection.info?.max_payload
    if (payload !== undefined && most !== undefined && payload.byteLength + headerBytes > most) {
      throw new EngineError(`cannot send ${payload.byteLength} bytes: the max_payload of the NATS server is ${most}`)
    }
    return connection
  }

  /** Subscribes to what one reader of the log gets. */
  subscribe (subject: string, callback: (message: NatsMessage) => void): NatsSubscription {
    return this.#usable(undefined).subscribe(subject, { callback: (error, message) => { if (error === null) callback(message) } })
  }

  /** Whether the server answers a ping in time. */
  ping (timeoutMs: number): Promise<boolean> {
    return this.#ping ??= this.#askForPong(timeoutMs).finally(() => { this.#ping = undefined })
  }

  async #askForPong (timeoutMs: number): Promise<boolean> {
    if (!this.#isConnected) return false
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<boolean>((resolve) => { timer = setTimeout(() => { resolve(false) }, timeoutMs) })
    const pong = this.#connection!.flush().then(() => true, () => false)
    return Promise.race([pong, late]).finally(() => { clearTimeout(timer) })
  }

  /** Breaks a connection that is dead and does not know it. */
  reset (): void {
    if (!this.#isConnected) return
    const connection = this.#connection!
    this.#disconnect()
    connection.reconnect().catch(() => {})
  }

  /** Ends all calls, and the connection if it was made here. Never rejects. */
  async close (): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#retry)
    for (const [id, { reject }] of [...this.#pending]) {
      this.#forget(id)
      reject(closedError())
    }
    this.#isConnected = false
    const connection = this.#connection
    if (connection === undefined || connection.isClosed()) return
    for (const subscription of this.#subscriptions) subscription.unsubscribe()
    if (typeof this.#source !== 'function') return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => { timer = setTimeout(resolve, closingMs) })
    await Promise.race([connection.close().catch(() => {}), late])
    clearTimeout(timer)
  }
}

function refusalOf ({ type, error, permissionContext }: NatsStatus): string | null {
  if (type !== 'error') return null
  if (permissionContext !== undefined) return `permission for ${permissionContext.operation} to "${permissionContext.subject}"`
  return error === undefined ? null : error.message
}

export function closedError (): Error {
  return new EngineError('was left')
}

/** The maker of headers comes from the package that made the connection. */
async function loadHeaders (connection: NatsConnection): Promise<() => NatsHeaders> {
  const isOlder = 'jetstream' in connection
  try {
    const { headers } = isOlder ? await import('nats') : await import('@nats-io/transport-node')
    return headers
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new EngineError(`needs a package that is not installed: npm install ${isOlder ? 'nats' : '@nats-io/transport-node'}`)
  }
}
