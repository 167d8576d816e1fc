import { answer } from '../harness/child-endpoint.ts'
import { readMemory, type MemoryReading } from '../harness/memory-reading.ts'
import type { StreamServer } from './stream-server.ts'

/** The modules are loaded only by those who need them: each would weigh on the others. */
const starters: Record<string, (streams: number) => Promise<StreamServer>> = {
  bare: async () => await (await import('./bare-server.ts')).startBareServer(),
  fastify: async () => await (await import('./fastify-server.ts')).startFastifyServer(),
  tether: async (streams) => await (await import('./tether-server.ts')).startTetherServer(streams)
}

/** A reading with the streams that were open. */
export interface StreamsReading extends MemoryReading {
  readonly openStreams: number
}

let server: StreamServer | undefined

function running (): StreamServer {
  if (server === undefined) throw new Error('the server has not been started')
  return server
}

const calls = {
  start: async ({ kind, streams }: { kind: string, streams: number }): Promise<number> => {
    const start = starters[kind]
    if (start === undefined) throw new Error(`there is no server of the kind '${kind}'`)
    server = await start(streams)
    return server.port
  },
  read: async (): Promise<StreamsReading> => {
    const openStreams = await running().openCount()
    return { ...await readMemory(), openStreams }
  }
}

export type ServerCalls = typeof calls

answer(calls)
