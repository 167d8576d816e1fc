import type { AnyContract } from '../schemas/contract.ts'
import type { Verdict } from '../schemas/verdict.ts'
import { mostMs } from './back-off.ts'
import type { Emit } from './emit.ts'
import type { Link } from './link.ts'

/** Headers of every request: an object, or a function that is asked before each, so that a token can be fresh. */
export type HeadersOption = Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)

/** What concerns the requests themselves. */
export interface RequestOptions {
  headers?: HeadersOption
  /** As that of `fetch`: `'include'` sends cookies to another origin. Default `'same-origin'`. */
  credentials?: 'omit' | 'same-origin' | 'include'
  /** In place of the platform's own. */
  fetch?: typeof fetch
  /** Milliseconds within which the first frame of a stream, and each answer, must come; at least 1. Default 15,000. */
  requestTimeoutMs?: number
}

/** The same, with defaults filled in. */
export interface LinkOptions extends RequestOptions {
  requestTimeoutMs: number
}

/** Makes the link of one connection. */
export type LinkFactory = (url: string, options: LinkOptions) => Link

/** Where an earlier connection of this page, or of one before it, stopped. */
export interface ResumePoint {
  session: string
  /** Number of the last update that the page has; left out, all that are held come again. */
  seq?: number | undefined
  /** Events of that session known to be accepted. Left out, the server's own number counts. */
  accepted?: number
  /** Of those emitted first, at once after `connect`, so many may have been accepted as well. Default 0. */
  doubtful?: number
  /** That `setup` has not come to its end in that session, and what it is told. */
  setupDue?: Verdict | undefined
}

/** What `setup` is called with, beside its `emit`. */
export interface SetupContext {
  /** Why it runs: there was no session before, or the one before is gone. */
  readonly verdict: Verdict
}

/** Sends an event within `setup`; of any contract, so that options without one can be handed on. */
type SetupEmit<Contract extends AnyContract> = string extends keyof Contract['events'] ? (name: any, data?: any) => Promise<void> : Emit<Contract>

/** Brings a new session to where the page needs it; see `ConnectOptions`. */
export type Setup<Contract extends AnyContract = AnyContract> = (emit: SetupEmit<Contract>, context: SetupContext) => unknown

/** Options of `connect`. Times are milliseconds, of which fractions are rounded up; more than 2,000,000,000 counts as that, about 23 days. */
export interface ConnectOptions<Contract extends AnyContract = AnyContract> extends RequestOptions {
  /** Closes the connection when it is aborted. */
  signal?: AbortSignal
  /** A session to begin with: one that `prepare` made while the page was rendered, `{ session: claim }`; or one kept from before. */
  resume?: ResumePoint
  /**
   * Runs in each session that knows nothing of the page yet: after the verdicts `new` and `expired`. Its
   * `emit` sends at once; what is emitted elsewhere waits until the promise that it returns has resolved and
   * its events are settled. Where it rejects, or the stream breaks before, the connection becomes `waiting`
   * with the reason `'setup'`, and it runs again on the next stream. Default: none.
   */
  setup?: Setup<Contract>
  /** Longest wait before the first retry; each is random, and may be 1.5 times longer than the one before. Default 500. */
  retryMs?: number
  /** What that grows to. A stream that lasted longer starts again from `retryMs`. Default 10,000. */
  retryMaxMs?: number
  /** Closes the stream of a tab that has been hidden for so long; it resumes when shown. 0: never. Default 0. */
  hiddenMs?: number
  /** Tells the server when the page goes away, so that its session ends at once. Default false. */
  leaveOnHide?: boolean
  /** Events that may wait to be accepted; beyond, `emit` rejects. 0: it always does. Default 10,000. */
  maxQueued?: number
  /** Characters of one update. A stream that brings more without an end of it is given up, and tried again. Default 16,777,216. */
  maxUpdateLength?: number
  /** Gets what a listener throws. By default it is reported as an uncaught error. */
  onError?: (error: unknown) => void
  /** What carries the session, in place of fetch and server-sent events. */
  link?: LinkFactory
}

/** What other entries of this package add. */
export interface InnerOptions {
  /** `setup` has come to its end. */
  onReady?: () => void
}

/** The same, with defaults filled in. */
export type Settings<Contract extends AnyContract = AnyContract> = ConnectOptions<Contract> & InnerOptions & LinkOptions & Record<'retryMs' | 'retryMaxMs' | 'hiddenMs' | 'maxQueued' | 'maxUpdateLength', number>

/**
 * Fills in defaults, and makes of each number what timers and counters can do.
 *
 * @throws `RangeError` for what is no number, or too small.
 */
export function resolveNumbers<Options extends object> (options: Options, defaults: Readonly<Record<string, number>>): Options {
  const resolved: any = { ...options }
  for (const name in defaults) {
    const value = resolved[name] ?? defaults[name]
    // Where 0 would mean that nothing ever comes.
    const least = +/^(request|open)Timeout|Length/.test(name)
    const whole = typeof value === 'number' ? Math.ceil(value) : NaN
    if (!(value >= 0 && whole >= least)) throw new RangeError(`${name} must be a number, at least ${least}`)
    resolved[name] = Math.min(mostMs, whole)
  }
  return resolved
}
