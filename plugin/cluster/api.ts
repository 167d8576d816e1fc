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

/** The nodes of the application: `app.tether.cluster`. */
export interface Cluster {
  /** This node's name, which is new at each start. */
  readonly node: string
  readonly status: ClusterStatus
  /** All nodes as last told, this one first. A node that was killed stays until its lease has run out. */
  nodes: () => ClusterMember[]
  /** The current figures. */
  stats: () => ClusterStats
}
