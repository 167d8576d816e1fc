import type { Request } from 'autocannon'
import type { ChildProcess, Children } from '../harness/process/child-process.ts'
import { streamClient } from '../harness/streams/event-streams.ts'
import { countedHeaders } from '../harness/streams/socket-stream.ts'
import type { StreamClientCalls } from '../harness/streams/stream-client.ts'
import type { Kind } from './kind.ts'
import type { ServerCalls, ServerReading } from './server.ts'

const openTimeoutMs = 60_000

/** A server of one kind with its sessions. */
export class Contestant {
  readonly kind: Kind
  readonly port: number
  readonly server: ChildProcess<ServerCalls>
  /** Requests to send: an event for each session. */
  readonly requests: readonly Request[]
  readonly #streams: ChildProcess<StreamClientCalls> | null

  private constructor (kind: Kind, port: number, server: ChildProcess<ServerCalls>, streams: ChildProcess<StreamClientCalls> | null, sessions: readonly string[]) {
    this.kind = kind
    this.port = port
    this.server = server
    this.requests = sessions.map((session) => kind.request(session))
    this.#streams = streams
  }

  static async start (children: Children, kind: Kind, count: number): Promise<Contestant> {
    const server = await children.start<ServerCalls>(new URL('server.ts', import.meta.url), { name: `the server of '${kind.name}'` })
    const port = await server.call('start', { kind: kind.server, ...kind.library === undefined ? {} : { library: kind.library } })
    if (kind.server === 'bare') return new Contestant(kind, port, server, null, new Array<string>(count).fill(''))
    const streams = await children.start<StreamClientCalls>(streamClient, { name: `the reader of the streams of '${kind.name}'` })
    const sessions = await streams.call('open', { port, headers: countedHeaders, count }, openTimeoutMs)
    if (new Set(sessions).size !== count) throw new Error(`${count} streams named ${new Set(sessions).size} sessions`)
    return new Contestant(kind, port, server, streams, sessions)
  }

  /** Runs `use` and returns the server's readings of that time. */
  async watch (use: () => Promise<void>): Promise<ServerReading> {
    await this.server.call('beginSlice', undefined)
    await use()
    return await this.server.call('endSlice', undefined)
  }

  async requireOpenStreams (): Promise<void> {
    const open = await this.#streams?.call('openCount', undefined) ?? this.requests.length
    if (open !== this.requests.length) throw new Error(`${this.kind.name}: only ${open} of ${this.requests.length} streams are still open`)
  }
}
