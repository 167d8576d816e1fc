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

/** Options of a stream, whatever carries it. */
export type StreamOptions = Readonly<Required<Omit<UpgradeOptions, 'compression'>>>

export type ResolvedUpgradeOptions = StreamOptions & {
  /** Null for none. */
  readonly compression: ResolvedCompression | null
}

const resolvedOptions = Symbol('fastify-tether.sse')

/** A stream of server-sent events, as `upgrade` gives it. */
export interface Transport {
  /**
   * Queues one frame; it leaves with all others of this turn of the event loop.
   *
   * @returns a promise that never rejects: `true` when there is room behind the
   * frame, at once or as soon as the reader has caught up to less than
   * `writeBuffer` waiting frames; `false` when the stream was closed first. A caller
   * that ignores it may queue up to 1,024 frames or 1 MiB; beyond, the stream ends.
   * @throws `FST_ERR_TETHER_FRAME` for fields that cannot be written.
   */
  send: (fields: FrameFields) => Promise<boolean>
  /**
   * Writes what waits and ends the stream; destroys it when the reader does not
   * take that in time. Resolves, never rejects, once the stream is gone.
   */
  close: () => Promise<void>
  /** Resolves, never rejects, with the reason when the stream is gone, whoever ended it. */
  readonly closed: Promise<DisconnectReason>
  /**
   * What the client sent as `Last-Event-ID`, in UTF-8, or in the query as `last-event-id`,
   * `lastEventId` or `evs_last_event_id`, as polyfills do; the first of them that is not empty. Null for none.
   */
  readonly lastEventId: string | null
}

/** A request of any route: over HTTP/1.1 or HTTP/2, with whatever type provider and generics. */
export type AnyRequest = FastifyRequest<any, any, any, any, any, any, any>
type AnyReply = FastifyReply<any, any, any, any, any, any, any>

/**
 * Turns a request into a stream; made by `app.tether.sse.upgrade()`, and by nothing else.
 *
 * @returns a promise that resolves once the response's head is complete, all hooks
 * included. It rejects with `FST_ERR_TETHER_STREAM_ABORTED` when the client left
 * first, or a hook replaced the payload or ended the reply; there is nothing left
 * to answer then, and nobody need listen. For a HEAD request it gives a transport that is closed.
 */
export interface Upgrade {
  (request: AnyRequest, reply: AnyReply): Promise<Transport>
  readonly [resolvedOptions]: ResolvedUpgradeOptions
}

/** Marks a function as what `app.tether.sse.upgrade()` returns for these options. */
export function asUpgrade (upgrade: (request: AnyRequest, reply: AnyReply) => Promise<Transport>, options: ResolvedUpgradeOptions): Upgrade {
  return Object.assign(upgrade, { [resolvedOptions]: options } as const)
}

/** The options of what `app.tether.sse.upgrade()` returned; null for anything else. */
export function eventStreamOptions (upgrade: unknown): ResolvedUpgradeOptions | null {
  return (upgrade as Partial<Upgrade> | null | undefined)?.[resolvedOptions] ?? null
}
