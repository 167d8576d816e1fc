import type { Offset } from '../cluster/engine.ts'
import type { Broadcast } from '../cluster/log-entry.ts'
import type { BroadcastPlace, LogPosition } from '../cluster/log-position.ts'
import type { LogSubscriber } from '../cluster/log-reader.ts'
import type { MissedBroadcasts } from '../cluster/log-tail.ts'
import type { Frame } from '../protocol/frame.ts'

/** The log that joins the nodes, as an endpoint and its sessions see it. */
export interface BroadcastLog {
  /** The name of this node. */
  readonly node: string
  /** Whether a node lives, as last told. */
  hasNode: (name: string) => boolean
  subscribe: (url: string, subscriber: LogSubscriber) => void
  publish: (broadcast: Broadcast) => void
  synced: () => Promise<void>
  /** How far this node has read, after it has told all losses; null before the first entry. */
  position: () => LogPosition | null
  /** Where the log has a frame, and the entry before; null where that is not known. */
  placeOf: (frame: Frame) => { readonly place: BroadcastPlace, readonly after: Offset } | null
  /** The frame at a place; null if it is not here. */
  frameAt: (place: BroadcastPlace) => Frame | null
  /** Waits until this node has read past a position: `late` if it has not in time, `gone` if it perhaps never will, since the log has lost that. */
  arrive: (position: LogPosition, withinMs: number) => Promise<'passed' | 'late' | 'gone'>
  /** Waits until this node has read all that is in the log now, at most for a time. Resolves to whether it has. */
  caughtUp: (withinMs: number) => Promise<boolean>
  /** Waits until this node has read past a position. Resolves to whether it then has all that came since, in the present turn. */
  reach: (position: LogPosition, from: Offset | null, deadlineMs: number) => Promise<boolean>
  /** Goes through what a node at a position had not read. What that one had read and this one has not is not delivered here later. */
  replay: (position: LogPosition, missed: MissedBroadcasts) => void
}
