import type { EventEmitter } from 'node:events'
import type { BroadcastQueue } from './broadcast-queue.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { Compression } from './compression.ts'
import type { Counters } from './counters.ts'
import type { DeadlineQueue } from './deadline-queue.ts'
import type { FlushScheduler } from './flush-scheduler.ts'
import type { FrameRuns } from './frame-runs.ts'
import type { Http2Connections } from './http2-connections.ts'
import type { Stream } from './stream.ts'

/** What all sessions and streams of one registered plugin share. */
export interface Runtime {
  readonly scheduler: FlushScheduler
  readonly deadlines: DeadlineQueue
  readonly budget: ByteBudget
  readonly broadcasts: BroadcastQueue
  readonly runs: FrameRuns
  readonly compression: Compression
  readonly totals: Counters
  readonly streams: Set<Stream>
  readonly http2Connections: Http2Connections
  /** Emits `end` when a stream or a session is gone. */
  readonly endings: EventEmitter
  /** Whether the server is about to stop: no new sessions. */
  draining: boolean
}
