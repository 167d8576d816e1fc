import type { EventEmitter } from 'node:events'
import type { BroadcastQueue } from '../delivery/broadcast-queue.ts'
import type { ByteBudget } from '../delivery/byte-budget.ts'
import type { Compression } from '../compression/compression.ts'
import type { Counters } from '../metrics/counters.ts'
import type { DeadlineQueue } from '../delivery/deadline-queue.ts'
import type { FlushScheduler } from '../delivery/flush-scheduler.ts'
import type { FrameRuns } from './frame-batches.ts'
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
