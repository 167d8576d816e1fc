import process from 'node:process'
import { answer } from '../../tune/process/child-endpoint.ts'
import { Profile } from '../harness/process/profile.ts'
import type { EventServer } from './event-server.ts'

export interface ServerReading {
  readonly handled: number
  /** Processor time of the whole process, garbage collection included. */
  readonly processorMicroseconds: number
}

export type ServerKind = 'bare' | 'tether' | 'tether eyes' | 'tether websocket'

let server: EventServer | undefined
let handledBefore = 0
let processorBefore = process.cpuUsage()
let recording: Profile | undefined

function handledCount (): number {
  if (server === undefined) throw new Error('the server has not been started')
  return server.handledCount()
}

const calls = {
  start: async ({ kind, library }: { kind: ServerKind, library?: string }): Promise<number> => {
    server = kind === 'bare'
      ? await (await import('./bare-server.ts')).startBareServer()
      : await (await import('./tether-server.ts')).startTetherServer(library, kind === 'tether websocket' ? 'websocket' : 'sse', kind === 'tether eyes')
    return server.port
  },
  beginSlice: async ({ profile }: { profile: boolean }): Promise<void> => {
    recording = profile ? await Profile.start() : undefined
    handledBefore = handledCount()
    processorBefore = process.cpuUsage()
  },
  /** @param options `profile`: file for the profile that `beginSlice` began */
  endSlice: async ({ profile }: { profile?: string }): Promise<ServerReading> => {
    const { user, system } = process.cpuUsage(processorBefore)
    if (profile !== undefined) await recording?.write(profile)
    return { handled: handledCount() - handledBefore, processorMicroseconds: user + system }
  }
}

export type ServerCalls = typeof calls

answer(calls)
