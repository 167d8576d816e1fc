import type { Reply } from './reply.ts'

/** One request or message of a client, as a transport reads it: events, or the page's leave. */
export interface Submission {
  /** Name of the event, or `tether.close`; the body is its data. Null if the body is one envelope or an array of them. */
  readonly event: string | null
  readonly body: unknown
  /** Whether the body holds the fields of a form. */
  readonly isForm: boolean
  /** Bytes of the body; null where the transport cannot tell. */
  readonly bytes: number | null
  /** The sender that numbers the events, from `X-Tether-Sender`. Null if the client names none, or if the transport never sends a body twice. */
  readonly sender: string | null
  /** The client's `Last-Event-ID`: the last update that it has. */
  readonly lastEventId: unknown
  /** Gets the reply to a request in place of the session's stream, which then needs no number; null if the session closed before. */
  readonly waiter?: ((reply: Reply | null) => void) | null
}

/** The outcome of a submission. A transport only writes it down. */
export type Outcome = Accepted | Refused

export interface Accepted {
  readonly isAccepted: true
  /** 202; 204 for a form, so that the browser keeps its page. */
  readonly status: number
  /** Last `seq` that the session has accepted. */
  readonly seq: number
  /** Number of events accepted before, up to the last one whose number another sender took. */
  readonly known: number
  /** Number of the last event that survives a crash of the session's node; undefined or absent where that is `seq`. */
  readonly durable?: number | undefined
}

export interface Refused {
  readonly isAccepted: false
  readonly status: number
  readonly error: unknown
  /** Seconds until the client may retry; undefined if a retry would not help. */
  readonly retryAfter: number | undefined
}
