import type { BroadcastPlace, LogPosition } from '../cluster/log-position.ts'
import type { Offset } from '../cluster/engine.ts'

/**
 * Why a session leaves its node. Its stream, if one is open, says goodbye with this word.
 * `'draining'`: the node stops. `'replaced'`: its client is at another node. `'moved'`: the node gives it away unasked.
 */
export type FreezeReason = 'draining' | 'replaced' | 'moved'

/**
 * Where a restored session was before. `'moved'`: on another node, in memory. `'frozen'`: in the engine. `'crashed'`: on a
 * node that is dead; what happened after its snapshot is lost.
 */
export type RestoreFrom = 'moved' | 'frozen' | 'crashed'

export interface FreezeOptions {
  /** Milliseconds within which the commands that wait or run must settle. */
  readonly deadlineMs: number
  /** Milliseconds after which the client of an open stream may reconnect; absent: it chooses. */
  readonly retryMs?: number
}

export interface RestoreOptions {
  readonly from: RestoreFrom
  /** Milliseconds to wait for this node to read the log up to the snapshot's position. After that the session gets a gap. */
  readonly deadlineMs: number
}

/** An update that a snapshot holds: by its text, or by its place in the log. */
export type SnapshotFrame = InlineFrame | PlacedFrame

export interface InlineFrame {
  readonly text: string
  readonly key: string | null
  /** Whether other readers received it too. */
  readonly shared: boolean
  /** Milliseconds since it was written; null while it waits. */
  readonly writtenMsAgo: number | null
}

export interface PlacedFrame {
  readonly place: BroadcastPlace
  readonly writtenMsAgo: number | null
}

/**
 * All that a session is, apart from its id and its stream. Plain data. It needs no id: the engine must not learn
 * it, and who restores the session knows it.
 */
export interface SessionSnapshot {
  /** The state as JSON, made by `serialize`; null for a state that is undefined. */
  readonly state: string | null
  readonly stateVersion: number
  /** The owner by `bind`; null for nobody in particular. */
  readonly boundTo: string | null
  /** Counts against `maxSessionsPerOwner`; null for no owner. */
  readonly owner: string | null
  /** Whether it ever had a stream. */
  readonly everConnected: boolean
  /** Whether it ever posted an event or was resumed. */
  readonly proven: boolean
  /** Whether its latest client counts updates itself; null before the first. Its next client says so anew. */
  readonly counted: boolean | null
  /** Names of its groups. */
  readonly groups: readonly string[]
  /** The last `seq` accepted; 0 for none. All accepted events have run. */
  readonly acceptedSeq: number
  /** Changes of the sender that took event numbers, each with the first number; null for a sender without a name. */
  readonly takers: ReadonlyArray<{ readonly sender: string | null, readonly from: number }>
  /** Number of the first of `frames`; of the next update if there are none. */
  readonly first: number
  /** All held updates in order: the written ones, then the waiting ones. */
  readonly frames: readonly SnapshotFrame[]
  /** How far its node had read the log; null outside of a cluster, and where the node had read nothing. */
  readonly log: LogPosition | null
  /** An entry of the log before all that `frames` name; null for the beginning of the log. Only with placed frames. */
  readonly framesAfter: Offset | null
  /** When the snapshot was made, in milliseconds of the wall clock. */
  readonly takenAt: number
  /** Milliseconds since the session was made, then. */
  readonly ageMs: number
  /** Milliseconds since it lost its stream, then; 0 if one was open. */
  readonly detachedMs: number
  /** Milliseconds since its last event without a stream, then; at most `ageMs`. */
  readonly idleMs: number
  /** Milliseconds that were left of the grace after the page's goodbye; null while the page is there. */
  readonly leaveMs: number | null
}

/** Writes a snapshot for the engine. */
export function encodeSnapshot (_snapshot: SessionSnapshot): Buffer {
  throw new Error('not written yet')
}

/**
 * Reads what `encodeSnapshot` of this or a later version of the library wrote.
 *
 * @throws `FST_ERR_TETHER_SNAPSHOT`, and nothing else, for any other bytes
 */
export function decodeSnapshot (_bytes: Buffer): SessionSnapshot {
  throw new Error('not written yet')
}
