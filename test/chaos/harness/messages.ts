import type { Truth } from '../../../plugin/entries/contract-tests.ts'

/** What a server speaks: HTTP/2 in clear text and by TLS speak nothing else. */
export type ServerProtocol = 'http/1.1' | 'h2c' | 'h2'

/** What the runner tells the server's process. */
export type Order =
  /** Sends so many updates, counted once for each session that gets them, to all who joined, within so many milliseconds. */
  | { readonly type: 'send', readonly updates: number, readonly withinMs: number, readonly seed: number }
  | { readonly type: 'report' }
  | { readonly type: 'stop' }

/** What the server's process tells the runner. */
export type Notice =
  | { readonly type: 'listening', readonly ports: Readonly<Record<ServerProtocol, number>>, readonly cert: string }
  | { readonly type: 'report', readonly report: ServerReport }

/** What a stream was: a WebSocket, or an event stream as it was encoded. */
export const streamKinds = ['websocket', 'identity', 'gzip', 'br'] as const

export type StreamKind = typeof streamKinds[number]

export interface ServerReport {
  /** Sessions that joined. */
  readonly sessions: Record<string, Truth>
  /** By session: how many streams of each kind it had. */
  readonly streams: Record<string, Record<StreamKind, number>>
  /** Blocks that were deflated once for many, written to one. */
  readonly sharedBlocks: number
  /** Updates sent so far, counted once for each session that gets them. */
  readonly updates: number
  /** Whether all that were asked for are sent. */
  readonly isDone: boolean
  /** Rejections and exceptions that nobody handled, and what was logged as an error. */
  readonly complaints: string[]
  readonly conflated: number
  readonly dropped: number
  readonly overflowDisconnects: number
  readonly stalls: number
}
