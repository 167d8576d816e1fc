import type { Request } from 'autocannon'
import type { Calls } from '../harness/child-endpoint.ts'
import { ChildProcess } from '../harness/child-process.ts'
import type { StreamClientCalls } from '../harness/stream-client.ts'
import type { Kind } from './kind.ts'
import type { LoadCalls } from './load.ts'
import type { Part } from './measurement.ts'
import type { ServerCalls, ServerReading } from './server.ts'

const openTimeoutMs = 60_000

/** A server of one kind with its sessions. */
export interface Contestant {
  readonly kind: Kind
  readonly server: ChildProcess<ServerCalls>
  readonly streams: ChildProcess<StreamClientCalls> | null
  readonly port: number
  readonly requests: readonly Request[]
  /** What its server used so far. */
  readonly served: Record<Part, ServerReading>
}

/** Starts one server of each kind and a load generator, and ends them all afterwards. */
export async function withContestants<Result> (
  chosen: readonly Kind[],
  sessionCount: number,
  use: (contestants: readonly Contestant[], load: ChildProcess<LoadCalls>) => Promise<Result>
): Promise<Result> {
  const children: Array<{ stop (): Promise<void> }> = []
  const start = async <Handlers extends Calls>(file: string, name: string): Promise<ChildProcess<Handlers>> => {
    const child = await ChildProcess.start<Handlers>(new URL(file, import.meta.url), { name })
    children.push(child)
    return child
  }
  try {
    const load = await start<LoadCalls>('load.ts', 'the load generator')
    const contestants: Contestant[] = []
    for (const kind of chosen) {
      const server = await start<ServerCalls>('server.ts', `the server of kind '${kind.name}'`)
      const port = await server.call('start', { kind: kind.server, ...kind.library === undefined ? {} : { library: kind.library } })
      const streams = kind.server === 'bare'
        ? null
        : await start<StreamClientCalls>('../harness/stream-client.ts', `the reader of the streams of '${kind.name}'`)
      const sessions = streams === null
        ? new Array<string>(sessionCount).fill('')
        : await openSessions(streams, port, sessionCount)
      const requests = sessions.map((session) => kind.request(session))
      contestants.push({ kind, server, streams, port, requests, served: { closedLoop: nothing(), fixedRate: nothing() } })
    }
    return await use(contestants, load)
  } finally {
    await Promise.all(children.map(async (child) => await child.stop()))
  }
}

function nothing (): ServerReading {
  return { handled: 0, processorMicroseconds: 0 }
}

async function openSessions (streams: ChildProcess<StreamClientCalls>, port: number, count: number): Promise<readonly string[]> {
  const headers = { Accept: 'text/event-stream', 'X-Tether-Session': 'new' }
  const sessions = await streams.call('open', { port, path: '/live', headers, count }, openTimeoutMs)
  if (new Set(sessions).size !== count) throw new Error(`${count} streams named ${new Set(sessions).size} sessions`)
  return sessions
}

export async function requireOpenStreams ({ kind, streams }: Contestant, count: number): Promise<void> {
  const open = await streams?.call('openCount', undefined) ?? count
  if (open !== count) throw new Error(`${kind.name}: only ${open} of ${count} streams are still open`)
}
