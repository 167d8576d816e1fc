import type { Request } from 'autocannon'
import type { ChildProcess, Children } from '../harness/process/child-process.ts'
import type { Load } from '../harness/load/load.ts'
import type { Connection } from '../harness/load/generator.ts'
import type { LoadReading } from '../harness/load/recorder.ts'
import type { Cores } from '../harness/process/cores.ts'
import { streamClient } from '../harness/streams/event-streams.ts'
import { countedHeaders } from '../harness/streams/socket-stream.ts'
import type { StreamClientCalls } from '../harness/streams/stream-client.ts'
import type { Kind } from './kind.ts'
import type { ServerCalls, ServerReading } from './server.ts'
import type { SocketLoadCalls } from './socket-load.ts'

const openTimeoutMs = 60_000
/** Time that a drive may take beyond its duration. */
const slackMs = 20_000

interface Parts {
  readonly kind: Kind
  readonly port: number
  readonly server: ChildProcess<ServerCalls>
  /** Generator of requests. */
  readonly load: Load
  /** Number of sessions. */
  readonly count: number
  readonly core: number | undefined
}

/** A server of one kind with its sessions. */
export abstract class Contestant {
  readonly kind: Kind
  readonly #server: ChildProcess<ServerCalls>

  protected constructor ({ kind, server }: Parts) {
    this.kind = kind
    this.#server = server
  }

  /** @param count number of sessions */
  static async start (children: Children, kind: Kind, load: Load, count: number, cores: Cores | null): Promise<Contestant> {
    const server = await children.start<ServerCalls>(new URL('server.ts', import.meta.url), { name: `the server of '${kind.name}'`, core: cores?.measured })
    const port = await server.call('start', { kind: kind.server, ...kind.library === undefined ? {} : { library: kind.library } })
    const parts = { kind, port, server, load, count, core: cores?.load }
    return kind.request === null ? await SocketContestant.open(children, parts) : await PostContestant.open(children, parts)
  }

  /**
   * Sends events: at a fixed rate, over a connection for each session, or else each after the answer to the last.
   *
   * @param connections of the closed loop
   */
  abstract drive (seconds: number, connections: number, perSecond?: number): Promise<void>
  /** The answers since the last call. */
  abstract take (): Promise<LoadReading>
  /** Number of streams that the server has not closed, and number of those that were opened. */
  protected abstract streams (): Promise<{ open: number, all: number }>

  /** Runs `use` and returns the server's readings of that time. */
  async watch (use: () => Promise<void>, profile?: string): Promise<ServerReading> {
    await this.#server.call('beginSlice', { profile: profile !== undefined })
    await use()
    return await this.#server.call('endSlice', profile === undefined ? {} : { profile })
  }

  async requireOpenStreams (): Promise<void> {
    const { open, all } = await this.streams()
    if (open !== all) throw new Error(`${this.kind.name}: only ${open} of ${all} streams are still open`)
  }
}

class PostContestant extends Contestant {
  readonly #load: Load
  readonly #port: number
  /** An event for each session. */
  readonly #requests: readonly Request[]
  readonly #streams: ChildProcess<StreamClientCalls> | null

  private constructor (parts: Parts, request: (session: string) => Request, sessions: readonly string[], streams: ChildProcess<StreamClientCalls> | null) {
    super(parts)
    this.#load = parts.load
    this.#port = parts.port
    this.#requests = sessions.map(request)
    this.#streams = streams
  }

  static async open (children: Children, parts: Parts): Promise<PostContestant> {
    const { kind, port, count, core } = parts
    const { request } = kind
    if (request === null) throw new Error(`${kind.name} has no requests`)
    if (kind.server === 'bare') return new PostContestant(parts, request, new Array<string>(count).fill(''), null)
    const streams = await children.start<StreamClientCalls>(streamClient, { name: `the reader of the streams of '${kind.name}'`, core })
    const sessions = await streams.call('open', { port, headers: countedHeaders, count }, openTimeoutMs)
    if (new Set(sessions).size !== count) throw new Error(`${count} streams named ${new Set(sessions).size} sessions`)
    return new PostContestant(parts, request, sessions, streams)
  }

  async drive (seconds: number, connections: number, perSecond?: number): Promise<void> {
    const sessions = this.#requests.length
    // Many connections with a small share each keep the rate even.
    const pace = perSecond === undefined ? {} : { requestsPerSecond: perSecond / sessions }
    await this.#load.drive({ port: this.#port, seconds, connections: this.#connections(perSecond === undefined ? connections : sessions), ...pace })
  }

  /** Spreads the requests over the connections: each gets its own part, or shares one when there are too few. */
  #connections (count: number): Connection[] {
    const record = this.kind.name
    return Array.from({ length: count }, (_, index) => {
      const own = this.#requests.filter((request, position) => position % count === index)
      return { record, requests: own.length > 0 ? own : [this.#requests[index % this.#requests.length]!] }
    })
  }

  async take (): Promise<LoadReading> {
    return await this.#load.take(this.kind.name)
  }

  protected async streams (): Promise<{ open: number, all: number }> {
    const all = this.#requests.length
    return { open: await this.#streams?.call('openCount', undefined) ?? all, all }
  }
}

class SocketContestant extends Contestant {
  readonly #sockets: ChildProcess<SocketLoadCalls>
  readonly #count: number

  private constructor (parts: Parts, sockets: ChildProcess<SocketLoadCalls>) {
    super(parts)
    this.#sockets = sockets
    this.#count = parts.count
  }

  static async open (children: Children, parts: Parts): Promise<SocketContestant> {
    const { kind, port, count, core } = parts
    const sockets = await children.start<SocketLoadCalls>(new URL('socket-load.ts', import.meta.url), { name: `the WebSockets of '${kind.name}'`, core })
    await sockets.call('open', { port, count }, openTimeoutMs)
    return new SocketContestant(parts, sockets)
  }

  async drive (seconds: number, connections: number, perSecond?: number): Promise<void> {
    const options = perSecond === undefined ? { seconds, connections } : { seconds, connections: this.#count, perSecond }
    await this.#sockets.call('drive', options, seconds * 1000 + slackMs)
  }

  async take (): Promise<LoadReading> {
    return await this.#sockets.call('take', undefined)
  }

  protected async streams (): Promise<{ open: number, all: number }> {
    return { open: await this.#sockets.call('openCount', undefined), all: this.#count }
  }
}
