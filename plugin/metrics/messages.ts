// What the diagnostics channels publish: plain JSON, with the session shortened. docs/operations.md lists the fields.

/** `tether:session.open` */
export interface SessionOpenMessage {
  /** The first six characters of the session's id, and `…`. */
  readonly session: string
  /** The URL pattern of its `stateful`. */
  readonly url: string
  /** Whether `prepare` made it. */
  readonly prepared: boolean
}

/** `tether:session.close` */
export interface SessionCloseMessage {
  readonly session: string
  readonly url: string
  /** Why it closed, as for `onClose`. */
  readonly reason: string
  /** Milliseconds that it lived. */
  readonly ms: number
  /** Updates written to its streams, replays included. */
  readonly updates: number
  readonly conflated: number
  readonly dropped: number
  /** Bytes written, before compression. */
  readonly bytes: number
  /** Events accepted. */
  readonly events: number
  /** Handlers and hooks that failed. */
  readonly errors: number
  /** Milliseconds in which its write buffer was full. */
  readonly stalledMs: number
}

/** `tether:stream.open` */
export interface StreamOpenMessage {
  /** Null for a stream without a session. */
  readonly session: string | null
  /** The URL pattern of its route. */
  readonly url: string
  readonly protocol: string
  /** The verdict of its hello; null for a stream without a session. */
  readonly verdict: string | null
}

/** `tether:stream.close` */
export interface StreamCloseMessage {
  readonly session: string | null
  readonly url: string
  readonly protocol: string
  /** Why it ended, as for `onDisconnect`. */
  readonly reason: string
  /** Milliseconds that it was open. */
  readonly ms: number
  /** Updates or frames written. */
  readonly updates: number
  /** Bytes written, before compression. */
  readonly bytes: number
}

/** `tracing:tether:command:*`: one object for all messages of a command. */
export interface CommandMessage {
  readonly session: string
  readonly url: string
  /** Name of the event or hook, or `update`. */
  readonly command: string
  readonly kind: 'event' | 'update' | 'hook'
  /** Number of its event; null for none. */
  readonly seq: number | null
  /** Milliseconds that it waited for its turn; null if nobody listened when it was queued. */
  readonly waitedMs: number | null
  /** Milliseconds from its begin to its end; absent before. */
  ms?: number
  /** Absent before its end. */
  outcome?: CommandOutcome
  /** What it threw; absent where it threw nothing. */
  error?: { readonly name: string, readonly message: string, readonly code?: string, readonly stack?: string }
}

export type CommandOutcome = 'ok' | 'error' | 'timeout'
