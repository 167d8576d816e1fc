import { createHash } from 'node:crypto'

/** What a node is asked to do. Each gets one answer. */
export interface NodeCalls {
  /** Joins the cluster and listens. */
  start: Ports
  /** Sends until `stop`. */
  load: void
  /** Sends no more, and waits until all broadcasts are in the log. */
  stop: void
  /** Gives the sessions in memory. */
  truth: NodeTruth
  nodes: number
  /** Drains and closes, and ends the process. */
  close: void
}

/** The ports of a node: of HTTP/1.1 with WebSockets, and of HTTP/2 in clear text. */
export interface Ports {
  readonly http1: number
  readonly http2: number
}

export interface Load {
  readonly seed: number
  readonly broadcastsPerSecond: number
  readonly sendsPerSecond: number
  /** For how long at this rate. After that it sends a fifth, and no more than three times the whole. */
  readonly seconds: number
}

export interface NodeTruth {
  /** By ref. */
  readonly sessions: Readonly<Record<string, SessionTruth>>
  /** Unhandled rejections and exceptions, and logged errors. */
  readonly complaints: readonly string[]
  /** How its cluster is, for the report of a run that went wrong. */
  readonly status: string
}

/** A session's state. */
export interface SessionTruth {
  /** Private updates so far. */
  readonly own: number
  /** Number of the last event that ran. */
  readonly last: number
  readonly connected: boolean
  /** Its figures, for the report of a run that went wrong. */
  readonly stats: string
}

/** A broadcast's data. */
export interface Told {
  /** The node that sent it, and its number among those of that node to this endpoint. */
  readonly from: string
  readonly n: number
  /** When it was sent, by the clock of the machine. */
  readonly at: number
  readonly padding: string
}

/**
 * A line of the file that a node writes as it goes. A write to a file survives `kill -9`, a message to a parent does not.
 * `owns`: the session is in this node's memory now. `claims`: its record is about to say so, and a kill may come between the two. `ran`: an event of a page runs. `isolated`: its lease has run out.
 */
export type DiaryLine =
  | { readonly is: 'owns', readonly ref: string, readonly at: number, readonly from: string }
  | { readonly is: 'claims', readonly ref: string, readonly at: number }
  | { readonly is: 'ran', readonly ref: string, readonly page: number, readonly k: number }
  | { readonly is: 'isolated' }
  | { readonly is: 'fault', readonly what: string }

/** The endpoints: one whose limits suffice, and one whose pages get gaps. */
export const urls = ['/ample', '/tight'] as const

export type Url = typeof urls[number]

export const leaseMs = 3_000

/** The modes of `persist` that survive the death of a node. */
export const persistModes = ['command', 'event'] as const

export type Persist = typeof persistModes[number]

/** The name of a session that is no secret. */
export function refOf (id: string): string {
  return createHash('sha256').update(id).digest('base64url').slice(0, 22)
}
