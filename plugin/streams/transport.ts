import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import type { FrameFields } from '../protocol/frame.ts'
import type { FrameSource, SendAllOptions } from './send-all.ts'
import type { DisconnectReason } from './stream.ts'

/** Options of compression, for clients that accept it; see docs/compression.md. */
export interface CompressionOptions extends OptionsOf<typeof optionTable.compression> {}

export type ResolvedCompression = Readonly<Required<CompressionOptions>>

/** Options of `app.tether.sse.upgrade()`. */
export interface UpgradeOptions extends OptionsOf<typeof optionTable.stream> {
  /** Whether streams are compressed for clients that accept it, or how. Default true. */
  compression?: boolean | CompressionOptions
}

/** Options of a stream of any transport. */
export type StreamOptions = Readonly<Required<Omit<UpgradeOptions, 'compression'>>>

export type ResolvedUpgradeOptions = StreamOptions & {
  /** Null for none. */
  readonly compression: ResolvedCompression | null
}

const resolvedOptions = Symbol('fastify-tether.sse')

/** A stream of server-sent events, without a session. An `upgrade` makes it. */
export interface Transport {
  /**
   * Queues one frame, and never blocks. All frames of one turn of the event loop leave together.
   *
   * @returns a promise that never rejects. It resolves to `true` when there is room for the next
   * frame: at once, or when fewer than `writeBuffer` frames wait. It resolves to `false` when the
   * stream closes first. A caller that ignores the promise may queue up to 1,024 frames or 1 MiB;
   * beyond that, the stream ends.
   * @throws `FST_ERR_TETHER_FRAME` for fields that an event stream cannot carry. Nothing is queued then.
   */
  send: (fields: FrameFields) => Promise<boolean>
  /**
   * Sends each item of a source as a frame, in order. It takes the next item when there is room, as `send` says it, so a slow
   * client slows the source. It does not close the stream at the end.
   *
   * @param source a list, a generator, a `Readable`, a `ReadableStream`, or anything else to iterate
   * @returns a promise that resolves to `true` when the source has ended and all of it is queued. It resolves to `false`
   * when the stream ends or closes first; then the source is closed (by `return()`, a `Readable` by `destroy()`). It
   * rejects with what the source throws or rejects with, what `map` throws, or `FST_ERR_TETHER_FRAME` for fields that an event
   * stream cannot carry; the source is then closed, and the stream stays open. It rejects with `FST_ERR_TETHER_ARGUMENT` for a
   * value that cannot be iterated, for a string, and for options that it does not have.
   * @see docs/chat.md
   */
  sendAll: <Item>(source: FrameSource<Item>, options?: SendAllOptions<Item>) => Promise<boolean>
  /**
   * Writes the waiting frames and ends the stream. A client that does not read them within
   * `stallTimeoutMs` is cut (with 0, within its default). The promise never rejects; it resolves
   * when the stream is gone.
   */
  close: () => Promise<void>
  /** A promise that never rejects. It resolves with the reason when the stream is gone, whichever side ended it. */
  readonly closed: Promise<DisconnectReason>
  /** Aborts, with the reason, when the stream is gone. It is for work that feeds the stream, such as a request to another server. */
  readonly signal: AbortSignal
  /**
   * The last event id that the client named, in UTF-8; null for none. The first non-empty value
   * counts: of the header `Last-Event-ID`, or of the query's `last-event-id`, `lastEventId` or
   * `evs_last_event_id` (from polyfills).
   */
  readonly lastEventId: string | null
}

/** A request of any route, over HTTP/1.1 or HTTP/2, with any type provider and generics. */
export type AnyRequest = FastifyRequest<any, any, any, any, any, any, any>
type AnyReply = FastifyReply<any, any, any, any, any, any, any>

/**
 * Turns a request into a stream. Only `app.tether.sse.upgrade()` makes this function.
 *
 * @returns a promise that resolves when all hooks have run and the response's head is complete.
 * It rejects with `FST_ERR_TETHER_STREAM_ABORTED` if the client leaves first, or if a hook
 * replaces the payload or ends the reply. Then there is nothing left to answer, and the caller
 * may ignore the promise. A HEAD request gets a closed transport.
 */
export interface Upgrade {
  (request: AnyRequest, reply: AnyReply): Promise<Transport>
  readonly [resolvedOptions]: ResolvedUpgradeOptions
}

/** Marks a function as a result of `app.tether.sse.upgrade()` with these options. */
export function asUpgrade (upgrade: (request: AnyRequest, reply: AnyReply) => Promise<Transport>, options: ResolvedUpgradeOptions): Upgrade {
  return Object.assign(upgrade, { [resolvedOptions]: options } as const)
}

/** The options of an upgrade by `app.tether.sse.upgrade()`; null for any other value. */
export function eventStreamOptions (upgrade: unknown): ResolvedUpgradeOptions | null {
  return (upgrade as Partial<Upgrade> | null | undefined)?.[resolvedOptions] ?? null
}
