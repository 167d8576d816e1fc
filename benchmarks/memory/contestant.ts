import { withChildren, type ChildProcess } from '../harness/process/child-process.ts'
import { streamClient } from '../harness/streams/event-streams.ts'
import type { StreamTarget } from '../harness/streams/socket-stream.ts'
import type { StreamClientCalls } from '../harness/streams/stream-client.ts'
import type { Kind } from './kind.ts'
import type { ServerCalls } from './server.ts'
import type { StreamServerOptions } from './stream-server.ts'

/** A server of one kind, and the process that opens its streams. */
export interface Contestant {
  readonly server: ChildProcess<ServerCalls>
  readonly client: ChildProcess<StreamClientCalls>
  readonly target: StreamTarget
}

/** A fresh one, that ends after `use`. */
export async function withContestant<Result> (
  kind: Kind, options: Omit<StreamServerOptions, 'library'>, use: (contestant: Contestant) => Promise<Result>
): Promise<Result> {
  return await withChildren(async (children) => {
    const server = await children.start<ServerCalls>(new URL('server.ts', import.meta.url), { name: `the server of '${kind.name}'` })
    const client = await children.start<StreamClientCalls>(streamClient, { name: 'the client' })
    const library = kind.library === undefined ? {} : { library: kind.library }
    const port = await server.call('start', { kind: kind.server, options: { ...options, ...library } })
    return await use({ server, client, target: { port, headers: kind.headers } })
  })
}

/** Whether a bound that is no ratio holds. */
export interface Outcome {
  readonly name: string
  readonly met: boolean
  readonly text: string
}

export function describeOutcome ({ name, met, text }: Outcome): string {
  return `${met ? 'MET' : 'MISSED'}: ${name}: ${text}`
}
