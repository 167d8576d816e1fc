import { EventEmitter } from 'node:events'
import { defaults } from '../../schemas/defaults.ts'
import type { Limits } from '../../schemas/limits.ts'
import { systemTime, type TimeSource } from '../../schemas/time-source.ts'
import { Compression } from '../compression/compression.ts'
import type { BroadcastQueue } from '../delivery/broadcast-queue.ts'
import { ByteBudget } from '../delivery/byte-budget.ts'
import { DeadlineQueue } from '../delivery/deadline-queue.ts'
import { FlushScheduler } from '../delivery/flush-scheduler.ts'
import { Counters } from '../metrics/counters.ts'
import { FrameBatches } from '../delivery/frame-batches.ts'
import { Watch } from '../metrics/watch.ts'
import { Http2Connections } from './http2-connections.ts'
import type { Stream } from './stream.ts'

/** Shared by all sessions and streams of one registered plugin. */
export interface Runtime {
  /** The fixed limits. */
  readonly limits: Limits
  readonly time: TimeSource
  readonly scheduler: FlushScheduler
  readonly deadlines: DeadlineQueue
  readonly budget: ByteBudget
  readonly broadcasts: BroadcastQueue
  readonly batches: FrameBatches
  readonly compression: Compression
  readonly totals: Counters
  readonly streams: Set<Stream>
  readonly http2Connections: Http2Connections
  /** Answers to POSTs that wait for a reply. A server that closes gives up their waits. */
  readonly replyWaits: Set<{ giveUp: () => void }>
  /** Emits `end` after each end of a stream or a session. */
  readonly endings: EventEmitter
  /** Those who want to know what happens to sessions and streams. */
  readonly watch: Watch
  /** WebSockets that ended because of what their client sent. */
  socketFaults: number
  /** Whether the server is about to stop, and takes no new sessions. */
  draining: boolean
  /** Whether the server has ended its sessions and closes, so that no answer may wait. */
  closing: boolean
}

/**
 * @param maxBufferedBytes bytes of memory for all updates and events
 * @param maxCompressorBytes bytes of memory for all compressors of single streams
 * @param limits others than the fixed ones, for tests and benchmarks
 * @param time another than the system's, for tests
 */
export function createRuntime (maxBufferedBytes: number, maxCompressorBytes: number, limits: Limits = defaults.fixed, time: TimeSource = systemTime): Runtime {
  const budget = new ByteBudget(maxBufferedBytes, limits)
  const batches = new FrameBatches(limits.sharedRuns)
  const scheduler = new FlushScheduler(budget, limits, () => batches.clear(), time)
  return {
    limits,
    time,
    scheduler,
    deadlines: new DeadlineQueue(time),
    budget,
    broadcasts: scheduler.broadcasts,
    batches,
    compression: new Compression(maxCompressorBytes, limits),
    totals: new Counters(),
    streams: new Set(),
    http2Connections: new Http2Connections(),
    replyWaits: new Set(),
    endings: new EventEmitter(),
    watch: new Watch(),
    socketFaults: 0,
    draining: false,
    closing: false
  }
}
