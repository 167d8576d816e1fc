import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import type { FrameFields } from '../protocol/frame.ts'
import type { DisconnectReason } from './stream.ts'

/** How streams are compressed for clients that accept it; see docs/compression.md. */
export interface CompressionOptions extends OptionsOf<typeof optionTable.compression> {}

export type ResolvedCompression = Readonly<Required<CompressionOptions>>

/** Options of `app.tether.sse.upgrade()`. */
export interface UpgradeOptions extends OptionsOf<typeof optionTable.stream> {
  /** Whether streams are compressed for clients that accept it, or how. Default true. */
  compression?: boolean | CompressionOptions
}

/** Options of a stream over any carrier. */
export type StreamOptions = Readonly<Required<Omit<UpgradeOptions, 'compression'>>>

export type ResolvedUpgradeOptions = StreamOptions & {
  /** Null for none. */
  readonly compression: ResolvedCompression | null
}

const resolvedOptions = Symbol('fastify-tether.sse')

/** A stream of server-sent events, made by `upgrade`. */
export interface Transport {
  /**
   * Queues one frame; it leaves with all others of this turn of the event loop.
   *
   * @returns a promise that never rejects. It resolves with `true` when there is room
   * for another frame: at once, or as soon as fewer than `writeBuffer` frames wait. It
   * resolves with `false` if the stream was closed first. A caller that ignores it may
   * queue up to 1,024 frames or 1 MiB; beyond that, the stream ends.
   * @throws `FST_ERR_TETHER_FRAME` for fields that cannot be written.
   */
  send: (fields: FrameFields) => Promise<boolean>
  /**
   * Writes everything that waits and ends the stream; destroys it if the client does
   * not take that in time. Resolves once the stream is gone; never rejects.
   */
  close: () => Promise<void>
  /** Resolves with the reason once either side has ended the stream and it is gone; never rejects. */
  readonly closed: Promise<DisconnectReason>
  /**
   * The client's last event id: the header `Last-Event-ID`, read as UTF-8. If that is absent or empty, the first
   * non-empty query parameter of `last-event-id`, `lastEventId` and `evs_last_event_id`, which polyfills send. Null
   * for none.
   */
  readonly lastEventId: string | null
}

/** A request of any route: over HTTP/1.1 or HTTP/2, with any type provider and generics. */
export type AnyRequest = FastifyRequest<any, any, any, any, any, any, any>
type AnyReply = FastifyReply<any, any, any, any, any, any, any>

/**
 * Turns a request into a stream. Only `app.tether.sse.upgrade()` makes such functions.
 *
 * @returns a promise that resolves once the response's head is complete, all hooks
 * included. It rejects with `FST_ERR_TETHER_STREAM_ABORTED` if the client left first,
 * or if a hook replaced the payload or ended the reply. There is nothing left to answer
 * then, and the rejection needs no handler. A HEAD request gets a closed transport.
 */
export interface Upgrade {
  (request: AnyRequest, reply: AnyReply): Promise<Transport>
  readonly [resolvedOptions]: ResolvedUpgradeOptions
}

/** Marks a function as a result of `app.tether.sse.upgrade()` with these options. */
export function asUpgrade (upgrade: (request: AnyRequest, reply: AnyReply) => Promise<Transport>, options: ResolvedUpgradeOptions): Upgrade {
  return Object.assign(upgrade, { [resolvedOptions]: options } as const)
}

/** The options of a result of `app.tether.sse.upgrade()`; null for anything else. */
export function eventStreamOptions (upgrade: unknown): ResolvedUpgradeOptions | null {
  return (upgrade as Partial<Upgrade> | null | undefined)?.[resolvedOptions] ?? null
}
