/**
 * A place in the log of one application. Opaque: only its engine knows its parts. Offsets of one
 * application sort like the entries that they name, compared with `<` as strings.
 */
export type Offset = string

/** An entry of the log. */
export interface LogEntry {
  readonly at: Offset
  readonly bytes: Buffer
}

/** A record, and the revision that a conditional write names. */
export interface EngineRecord {
  readonly revision: string
  readonly value: Buffer
}

/** What an engine reports to the node that opened it. No listener throws. */
export interface EngineEvents {
  /** An entry of the log, in its order. An entry may come more than once. */
  entry: (at: Offset, bytes: Buffer) => void
  /** A message from another node. Messages of one sender keep their order; one may be lost. */
  message: (from: string, bytes: Buffer) => void
  /** The engine answers, and every entry from now on will be reported. */
  up: () => void
  /** The engine does not answer, is loading, or is read-only. */
  down: () => void
  /** The engine has lost its memory: log, records and nodes are empty. Comes before `up`. */
  forgot: () => void
}

/** What an engine can do beyond the least that a cluster needs. */
export interface EngineAbilities {
  /** Whether acknowledged writes survive a crash of the engine's process. */
  readonly durable: boolean
  /** Whether it has `due`. */
  readonly due: boolean
  /** Whether it has `journal` and `journalOf`. */
  readonly journal: boolean
}

export interface PutOptions {
  /** Milliseconds until the record expires, from the time of this write. */
  readonly ttlMs: number
  /** Time of the wall clock, in milliseconds, from which `due` names the record; absent for never. */
  readonly dueAt?: number
}

/**
 * What joins the nodes of one application: a log that all nodes read in one order, records that change by
 * compare-and-set, messages between nodes, and leases.
 *
 * Each method rejects within its deadline when the engine does not answer. A write that rejects may still
 * have happened.
 */
export interface Engine {
  readonly can: EngineAbilities
  /** Joins as `node`, a name that no other process ever uses. Resolves before or after the first `up`. */
  open: (node: string, on: EngineEvents) => Promise<void>
  /** Adds an entry to the log, at least once: an entry may appear twice when its answer was lost. Calls keep their order. */
  append: (entry: Buffer) => Promise<void>
  /** The entries behind `after`, or from the oldest for null; at most `limit`. */
  range: (after: Offset | null, limit: number) => Promise<LogEntry[]>
  /** Sends a message to a node, with best effort. */
  send: (node: string, message: Buffer) => Promise<void>
  get: (key: string) => Promise<EngineRecord | null>
  /**
   * Writes a record if its revision is `ifRevision`; null means that no such record exists.
   *
   * @returns the new revision; null if the record has another revision
   */
  put: (key: string, value: Buffer, ifRevision: string | null, options: PutOptions) => Promise<string | null>
  /** Keeps this node in `nodes` for `leaseMs`, with what it tells the others. */
  renew: (leaseMs: number, card: Buffer) => Promise<void>
  /** The cards of all nodes whose lease runs, by name. */
  nodes: () => Promise<Map<string, Buffer>>
  /** Keys of records whose `dueAt` is at or before `now`, the earliest first; at most `limit`. A key may come more than once. */
  due?: (now: number, limit: number) => Promise<string[]>
  /** Adds an entry to a record's journal if its revision is `revision`. Returns whether it was. A `put` empties the journal. */
  journal?: (key: string, revision: string, entry: Buffer) => Promise<boolean>
  /** The journal of a record, oldest entry first. */
  journalOf?: (key: string) => Promise<Buffer[]>
  /** Leaves: ends the lease and all connections that it opened. */
  close: () => Promise<void>
}
