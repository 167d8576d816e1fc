import type { AnyContract } from '../schemas/contract.ts'
import type { Verdict } from '../schemas/verdict.ts'
import { mostMs } from './back-off.ts'
import type { Emit } from './emit.ts'
import type { Emitter } from './emitter.ts'
import type { Link } from './link.ts'

/** Headers of every request: an object, or a function called before each request, so that a token can be fresh. */
export type HeadersOption = Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)

/** Options of the requests themselves. */
export interface RequestOptions {
  headers?: HeadersOption
  /** Same as in `fetch`: `'include'` sends cookies to another origin. Default `'same-origin'`. */
  credentials?: 'omit' | 'same-origin' | 'include'
  /** Replaces the platform's `fetch`. */
  fetch?: typeof fetch
  /** Longest wait, in milliseconds, for the first frame of a stream and for each answer; at least 1. Default 15,000. */
  requestTimeoutMs?: number
}

/** Options of the requests, with defaults filled in. */
export interface LinkOptions extends RequestOptions {
  requestTimeoutMs: number
}

/** Makes the link of one connection. */
export type LinkFactory = (url: string, options: LinkOptions) => Link

/** The point at which an earlier connection, of this page or one before it, stopped. */
export interface ResumePoint {
  session: string
  /** Number of the last update that the page has. Absent: all updates that the server still holds come again. */
  seq?: number | undefined
  /** Number of the session's last event known to be accepted. Absent: the server's own number counts. */
  accepted?: number
  /** How many of the first events, emitted at once after `connect`, the session may have accepted already. Default 0. */
  doubtful?: number
  /** The verdict for `setup`, where `setup` has not finished in that session. */
  setupDue?: Verdict | undefined
}

/** Second argument of `setup`. */
export interface SetupContext {
  /** Why `setup` runs: the page had no session (`new`), or its session is gone (`expired`). */
  readonly verdict: Verdict
}

/** Sends an event within `setup`. Without a contract it takes any event, so that such options can be passed on. */
type SetupEmit<Contract extends AnyContract> = string extends keyof Contract['events'] ? (name: any, data?: any) => Promise<void> : Emit<Contract>

/** Prepares a new session for the page; see `ConnectOptions`. */
export type Setup<Contract extends AnyContract = AnyContract> = (emit: SetupEmit<Contract>, context: SetupContext) => unknown

/** Options of `connect`. Times are milliseconds. Fractions are rounded up; the maximum is 2,000,000,000, about 23 days. */
export interface ConnectOptions<Contract extends AnyContract = AnyContract> extends RequestOptions {
  /** Whether to connect at once. With false, the connection does nothing before `open()`; events wait. Default true. */
  autoConnect?: boolean
  /** Closes the connection on abort. */
  signal?: AbortSignal
  /** A session to begin with: `{ session: claim }` for one that `prepare` made while the page was rendered, or one kept from before. */
  resume?: ResumePoint
  /**
   * Runs in each session that knows nothing of the page yet: after the verdicts `new` and `expired`. Its
   * `emit` sends at once. All other events wait until its promise has resolved and its own events are settled.
   * If it rejects, or the stream breaks first, the connection becomes `waiting` with the reason `'setup'`, and
   * it runs again on the next stream. Default: none.
   */
  setup?: Setup<Contract>
  /** Longest wait before the first retry. Each wait is random; its maximum grows 1.5 times with each retry. Default 500. */
  retryMs?: number
  /** Limit of that growth. After a stream that lasted longer than this, waits start from `retryMs` again. Default 10,000. */
  retryMaxMs?: number
  /** Closes the stream of a tab that was hidden for this long; the session resumes when the tab is shown. 0: never. Default 0. */
  hiddenMs?: number
  /** Tells the server that the page goes away, so that the session ends at once. Default false. */
  leaveOnHide?: boolean
  /** Most events that wait to be accepted; beyond, `emit` rejects. 0: it always rejects. Default 10,000. */
  maxQueued?: number
  /** Most characters of one update. A longer one ends the stream, which is then tried again. Default 16,777,216. */
  maxUpdateLength?: number
  /** Gets each error that a listener throws. Default: an uncaught error. */
  onError?: (error: unknown) => void
  /** Transport of the session. Default: server-sent events over `fetch`. */
  link?: LinkFactory
}

/** Options for the other entries of this package. */
export interface InnerOptions {
  /** Called when `setup` has finished, and the subscriptions of a new session are accepted. */
  onReady?: () => void
  /** Sends subscriptions in a session that is not new. Default: `emit`. */
  emitTopic?: Emitter
}

/** Options of `connect`, with defaults filled in. */
export type Settings<Contract extends AnyContract = AnyContract> = ConnectOptions<Contract> & InnerOptions & LinkOptions & Record<'retryMs' | 'retryMaxMs' | 'hiddenMs' | 'maxQueued' | 'maxUpdateLength', number>

/**
 * Fills in defaults, rounds each number up, and limits it to what timers can do.
 *
 * @throws `RangeError` for a value that is no number or is too small
 */
export function resolveNumbers<Options extends object> (options: Options, defaults: Readonly<Record<string, number>>): Options {
  const resolved: any = { ...options }
  for (const name in defaults) {
    const value = resolved[name] ?? defaults[name]
    // With 0, nothing would ever come.
    const least = +/[nt]Timeout|Length/.test(name)
    if (!(typeof value === 'number' && value >= 0 && Math.ceil(value) >= least)) throw new RangeError(`${name} must be a number >= ${least}`)
    resolved[name] = Math.min(mostMs, Math.ceil(value))
  }
  return resolved
}
