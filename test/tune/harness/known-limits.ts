import type { Limit } from '../../../tune/decision/limit.ts'
import type { LimitedServer } from './limited-server.ts'

/** Servers whose limit is known, with words for the command. */
export interface KnownLimit {
  readonly name: string
  readonly server: LimitedServer
  readonly words: readonly string[]
  readonly limit: Limit
  /** Events a second that it can handle; null where only the word is known. */
  readonly perSecond: number | null
}

export const knownLimits: readonly KnownLimit[] = [
  { name: '5 ms of CPU', server: { cpuMs: 5 }, words: [], limit: 'handler-cpu', perSecond: 200 },
  { name: '50 ms of waiting in a pool of 8', server: { waitMs: 50, pool: 8 }, words: [], limit: 'handler-wait', perSecond: 160 },
  { name: '12 ms of CPU, few fast clients', server: { cpuMs: 12 }, words: ['--rate', '10'], limit: 'handler-cpu', perSecond: 83 },
  { name: '30 ms of waiting in a pool of 3', server: { waitMs: 30, pool: 3 }, words: ['--rate', '2'], limit: 'handler-wait', perSecond: 100 },
  { name: 'a leak of 20 KB an event', server: { leakBytes: 20_000 }, words: ['--max-clients', '100'], limit: 'memory', perSecond: null }
]
