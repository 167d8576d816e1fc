import process from 'node:process'
import { answer } from '../harness/child-endpoint.ts'
import type { EventServer } from './event-server.ts'

const starters: Record<string, (library: string | undefined) => Promise<EventServer>> = {
  bare: async () => await (await import('./bare-server.ts')).startBareServer(),
  tether: async (library) => await (await import('./tether-server.ts')).startTetherServer(library)
}

export interface ServerReading {
  readonly handled: number
  /** Of the whole process, garbage collection included. */
  readonly processorMicroseconds: number
}

let server: EventServer | undefined
let handledBefore = 0
let processorBefore = process.cpuUsage()

function handledCount (): number {
  if (server === undefined) throw new Error('the server has not been started')
  return server.handledCount()
}

const calls = {
  start: async ({ kind, library }: { kind: string, library?: string }): Promise<number> => {
    const start = starters[kind]
    if (start === undefined) throw new Error(`there is no server of the kind '${kind}'`)
    server = await start(library)
    return server.port
  },
  beginSlice: (): void => {
    handledBefore = handledCount()
    processorBefore = process.cpuUsage()
  },
  endSlice: (): ServerReading => {
    const { user, system } = process.cpuUsage(processorBefore)
    return {
      handled: handledCount() - handledBefore,
      processorMicroseconds: user + system
    }
  }
}

export type ServerCalls = typeof calls

answer(calls)
