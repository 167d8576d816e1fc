import type { Truth } from '../../../plugin/entries/contract-tests.ts'

/** A server's protocol. A server of `h2c` or `h2` speaks no other protocol. */
export type ServerProtocol = 'http/1.1' | 'h2c' | 'h2'

/** A message from the runner to the server's process. */
export type Order =
  /** Sends `updates` updates (counted once per receiving session) to all joined sessions, within `withinMs` milliseconds. */
  | { readonly type: 'send', readonly updates: number, readonly withinMs: number, readonly seed: number }
  | { readonly type: 'report' }
  | { readonly type: 'stop' }

/** A message from the server's process to the runner. */
export type Notice =
  | { readonly type: 'listening', readonly ports: Readonly<Record<ServerProtocol, number>>, readonly cert: string }
  | { readonly type: 'report', readonly report: ServerReport }

/** The kind of a stream: a WebSocket, or the encoding of an event stream. */
export const streamKinds = ['websocket', 'identity', 'gzip', 'br'] as const

export type StreamKind = typeof streamKinds[number]

export interface ServerReport {
  /** The joined sessions. */
  readonly sessions: Record<string, Truth>
  /** Number of streams of each kind, by session. */
  readonly streams: Record<string, Record<StreamKind, number>>
  /** Blocks written to one stream, but deflated once for many. */
  readonly sharedBlocks: number
  /** Updates sent so far, counted once per receiving session. */
  readonly updates: number
  /** Whether all requested updates are sent. */
  readonly isDone: boolean
  /** Unhandled rejections and exceptions, and logged errors. */
  readonly complaints: string[]
  readonly conflated: number
  readonly dropped: number
  readonly overflowDisconnects: number
  readonly stalls: number
}
