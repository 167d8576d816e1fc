import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

/** A server whose limit is known. */
export interface LimitedServer {
  /** Processor time of a handler. */
  readonly cpuMs?: number
  /** Time that a handler waits, in a place of a pool that all share. */
  readonly waitMs?: number
  readonly pool?: number
  /** Bytes that stay of each event. */
  readonly leakBytes?: number
  /** Updates that a handler sends, one awaited after the other. */
  readonly updates?: number
  readonly updateBytes?: number
  readonly writeBuffer?: number
  /** Whether a handler keeps its place in the pool until its updates are sent. */
  readonly sendsWithin?: boolean
  /** Time that each write to a socket takes, as on a long line. */
  readonly lineMs?: number
  /** Bytes that stay of each session. */
  readonly leakBytesPerSession?: number
  /** Megabytes of the heap, all of which small objects fill but for a few; each event makes more of them. */
  readonly fullHeapMegabytes?: number
  /** Processor time of a handler for each session that is there. */
  readonly cpuMsPerSession?: number
  readonly maxSessions?: number
  readonly maxSessionsPerOwner?: number
  readonly commandBuffer?: number
  readonly broadcastsPerSecond?: number
  /** Whether the plugin has the option `tuning`. Default true. */
  readonly hasFigures?: boolean
  /** POSTs before it answers 500. */
  readonly failAfter?: number
  /** Of how many POSTs one is answered with 500. */
  readonly failEvery?: number
  /** Events after which handlers take ten seconds. */
  readonly hangAfter?: number
  /** POSTs after which a rate limit answers 429. */
  readonly rateLimitAfter?: number
  /** What `authorization` must be. */
  readonly token?: string
  readonly swagger?: boolean
  readonly mode?: 'sse' | 'websocket'
  readonly http2?: boolean
}

/** Starts it, until the test ends. Returns the URL of its stream. */
export async function startLimited (t: Test, settings: LimitedServer): Promise<string> {
  const child = fork(fileURLToPath(new URL('server.ts', import.meta.url)), [JSON.stringify(settings)], { execArgv: ['--import', 'tsx', ...settings.fullHeapMegabytes === undefined ? [] : [`--max-old-space-size=${settings.fullHeapMegabytes}`]] })
  t.teardown(() => { child.kill('SIGKILL') })
  const died = new AbortController()
  child.once('exit', () => died.abort())
  const [{ origin }] = await once(child, 'message', { signal: died.signal }) as [{ origin: string }]
  return `${origin}/live`
}
