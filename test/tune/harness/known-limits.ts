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
  // Below 1,000 ms / 25, since an event costs the server some time of its own.
  { name: '25 ms of CPU', server: { cpuMs: 25 }, words: [], limit: 'handler-cpu', perSecond: 38.5 },
  { name: '50 ms of waiting in a pool of 8', server: { waitMs: 50, pool: 8 }, words: [], limit: 'handler-wait', perSecond: 160 },
  { name: '12 ms of CPU, few fast clients', server: { cpuMs: 12 }, words: ['--rate', '10'], limit: 'handler-cpu', perSecond: 78 },
  { name: '30 ms of waiting in a pool of 3', server: { waitMs: 30, pool: 3 }, words: ['--rate', '2'], limit: 'handler-wait', perSecond: 100 },
  { name: 'a leak of 20 KB an event', server: { leakBytes: 20_000 }, words: ['--max-clients', '100'], limit: 'memory', perSecond: null },
  { name: 'a leak of 5 KB an event, up to 2,000 clients', server: { leakBytes: 5_000 }, words: [], limit: 'memory', perSecond: null },
  { name: 'writeBuffer 1, and handlers that keep a place in a pool of 4 while a slow line takes their updates', server: { updates: 8, updateBytes: 20_000, writeBuffer: 1, lineMs: 10, pool: 4, sendsWithin: true }, words: [], limit: 'write-buffer', perSecond: null },
  { name: 'writeBuffer 1 on a slow line', server: { updates: 8, updateBytes: 20_000, writeBuffer: 1, lineMs: 10 }, words: ['--rate', '30', '--max-clients', '50'], limit: 'write-buffer', perSecond: null },
  { name: 'writeBuffer 1 and slow readers', server: { updates: 10, updateBytes: 20_000, writeBuffer: 1 }, words: ['--rate', '10', '--readers', 'slow=1', '--max-clients', '20'], limit: 'write-buffer', perSecond: null },
  { name: 'maxSessions 50', server: { maxSessions: 50 }, words: [], limit: 'max-sessions', perSecond: 50 },
  { name: '30 sessions of one owner', server: { maxSessionsPerOwner: 30 }, words: [], limit: 'max-sessions', perSecond: 30 },
  { name: '10 ms of CPU', server: { cpuMs: 10 }, words: [], limit: 'handler-cpu', perSecond: 93 },
  { name: '80 ms of waiting in a pool of 3', server: { waitMs: 80, pool: 3 }, words: [], limit: 'handler-wait', perSecond: 37.3 },
  { name: 'a leak of 60 KB a session', server: { leakBytesPerSession: 60_000 }, words: ['--max-clients', '300'], limit: 'memory', perSecond: null },
  { name: 'commandBuffer 1, and handlers that wait 50 ms', server: { waitMs: 50, commandBuffer: 1 }, words: ['--rate', '5', '--max-clients', '100'], limit: 'command-buffer', perSecond: null },
  { name: 'a heap that is nearly full', server: { fullHeapMegabytes: 100 }, words: [], limit: 'memory', perSecond: null },
  // 0.05 ms a session and event: n sessions with an event a second each need n * n * 0.05 ms a second.
  { name: 'handlers that get slower with the number of sessions', server: { cpuMsPerSession: 0.05 }, words: [], limit: 'handler-cpu', perSecond: 136 }
]
