import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import type { EngineSource } from './engine.ts'

/** The option `cluster` of `app.register(tether)`, if it is an object. */
export interface ClusterOptions extends OptionsOf<typeof optionTable.cluster> {
  /** The engine that joins the nodes, such as `local()` of `fastify-tether/local`. */
  engine: EngineSource
  /**
   * Names the application: nodes with the same name and engine belong together. 1 to 64 letters, digits, `-` and `_`.
   * Default `'tether'`.
   */
  name?: string
}

/** One node of the application. */
export interface ClusterMember {
  /** The node's name, which is new at each start. */
  readonly name: string
  /** Whether it is this node. */
  readonly isSelf: boolean
  /** Its sessions. */
  readonly sessions: number
  /** When it started, in milliseconds of its wall clock. */
  readonly startedAt: number
  /** Whether it drains. */
  readonly draining: boolean
}

/**
 * How a node stands to the others. `'ready'`: all is well. `'degraded'`: the engine does not answer, or is late, and
 * the lease still runs. `'isolated'`: the lease has run out, so that other nodes take this one for dead.
 */
export type ClusterStatus = 'ready' | 'degraded' | 'isolated'

/** Figures of a node's log. Totals count from the start. */
export interface ClusterStats {
  /** Milliseconds from a write into the log until it came back: of the oldest write that is still away, or of the last one. */
  lagMs: number
  /** Broadcasts of this node that are not back from the log. */
  queuedFrames: number
  /** Approximate bytes of memory for these. */
  queuedBytes: number
  /** Broadcasts that this node called. */
  published: number
  /** Broadcasts of all nodes that were delivered here. */
  delivered: number
  /** Broadcasts of this node that were dropped: over `queueFrames` or `queueBytes`, or too large for the engine. */
  dropped: number
  /** Entries of the log that came again, and were skipped. */
  duplicates: number
  /** Entries and broadcasts of other nodes that were refused. */
  rejected: number
  /** Times that broadcasts were lost, so that all sessions here got a gap. */
  losses: number
}

/** Gets an event of the bus. An error that it throws, or rejects with, is logged. */
export type BusListener<Data = any> = (data: Data, origin: EventOrigin) => unknown

/** Where an event of the bus comes from. */
export interface EventOrigin {
  /** The name of the node that called `emit`. */
  readonly node: string
  /** Whether it is this node. */
  readonly isSelf: boolean
}

export interface BusListenerOptions {
  /** Called when events were lost on their way to this node, perhaps of this name: nobody knows. */
  onLost?: () => void
}

/** A value that all nodes share: it changes on each of them in the order of the log. */
export interface ClusterValue<Value = unknown> {
  readonly name: string
  /** Gives the value as this node knows it, at once; the first value while nobody has changed it. An object is a copy. */
  readonly get: () => Value
  /**
   * Replaces the value.
   *
   * @returns a promise that never rejects: `true` when this node has applied the change; `false` if the change is lost, or refused
   * because another took the room of `maxValues` or `maxValueBytes`. The caller may ignore it.
   * @throws `FST_ERR_TETHER_ARGUMENT` for what JSON cannot hold, and beyond `maxValues` or `maxValueBytes`.
   */
  readonly set: (value: Value) => Promise<boolean>
  /**
   * Adds to a number. Additions of several nodes all count.
   *
   * @returns the same as `set` does; also `false` if a change before it has put something else in the number's place.
   * @throws the errors of `set`, and `FST_ERR_TETHER_ARGUMENT` for a value that is no number.
   */
  readonly add: Value extends number ? (by: number) => Promise<boolean> : never
}

/** The nodes of the application: `app.tether.cluster`. */
export interface Cluster {
  /** This node's name, which is new at each start. */
  readonly node: string
  readonly status: ClusterStatus
  /** All nodes as last told, this one first. A node that was killed stays until its lease has run out. */
  nodes: () => ClusterMember[]
  /** The current figures. */
  stats: () => ClusterStats
  /**
   * Sends an event to the listeners of all nodes, this one's too. It never blocks. It counts among the broadcasts of
   * `queueFrames` and `queueBytes`, and keeps their order.
   *
   * @throws `FST_ERR_TETHER_ARGUMENT` for a wrong name, and for data that JSON cannot hold.
   */
  emit: (name: string, data?: unknown) => void
  /**
   * Listens to the events of a name, in the order of the log. Events that this node emits come back to it as copies.
   *
   * @returns a function that ends it
   * @throws `FST_ERR_TETHER_ARGUMENT` for a wrong name, listener or option.
   */
  on: <Data = any>(name: string, listener: BusListener<Data>, options?: BusListenerOptions) => () => void
  /**
   * Gives a value that all nodes share, for as long as any node lives. Each call of a name gives the same value.
   *
   * @param initial the value while nobody has changed it; the same on all nodes
   * @throws `FST_ERR_TETHER_ARGUMENT` for a wrong name, and for a value that JSON cannot hold.
   */
  value: <Value>(name: string, initial: Value) => ClusterValue<Value>
}
