import type { LinkFactory } from './link.ts'

/** Headers of every request: an object, or a function that is asked before each, so that a token can be fresh. */
export type HeadersOption = Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)

/** What concerns the requests themselves. */
export interface RequestOptions {
  headers?: HeadersOption
  /** As that of `fetch`: `'include'` sends cookies to another origin. Default `'same-origin'`. */
  credentials?: 'omit' | 'same-origin' | 'include'
  /** In place of the platform's own. */
  fetch?: typeof fetch
  /** Milliseconds within which the first frame of a stream, and each answer, must come. Default 15,000. */
  requestTimeoutMs?: number
}

/** The same, with defaults filled in. */
export interface LinkOptions extends RequestOptions {
  requestTimeoutMs: number
}

/** Where an earlier connection of this page, or of one before it, stopped. */
export interface ResumePoint {
  session: string
  /** Number of the last update that the page has; left out, all that are held come again. */
  seq?: number | undefined
  /** Events of that session known to be accepted. Default 0. */
  accepted?: number
  /** Of those emitted first, at once after `connect`, so many may have been accepted as well. Default 0. */
  doubtful?: number
}

/** Options of `connect`. Times are milliseconds. */
export interface ConnectOptions extends RequestOptions {
  /** Closes the connection when it is aborted. */
  signal?: AbortSignal
  /** A session to begin with: one that `prepare` made while the page was rendered, `{ session: claim }`; or one kept from before. */
  resume?: ResumePoint
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
  /** Gets what a listener throws. By default it is reported as an uncaught error. */
  onError?: (error: unknown) => void
  /** What carries the session, in place of fetch and server-sent events. */
  link?: LinkFactory
}

/** The same, with defaults filled in. */
export type Settings = ConnectOptions & LinkOptions & {
  retryMs: number
  retryMaxMs: number
  hiddenMs: number
  maxQueued: number
}
