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
  /** Something that the operator should know, for the log of the application. */
  warn?: (message: string) => void
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

/** The application that an engine joins. */
export interface EngineApplication {
  /** Keeps the log, the messages and the nodes of one application apart from another's: letters, digits, `-` and `_`. */
  readonly name: string
  /** How long the log keeps an entry, in milliseconds. Its bounds by count and bytes may end it earlier. */
  readonly logMs: number
}

/** What the option `cluster` takes. One source may make the engines of several nodes. */
export interface EngineSource {
  /** Makes the engine of one node. It connects nowhere before `open`. */
  engineFor: (application: EngineApplication) => Engine
}

/**
 * What joins the nodes of one application: a log that all nodes read in one order, records that change by
 * compare-and-set, messages between nodes, and leases. Keys and names of nodes consist of letters, digits,
 * `-` and `_`.
 *
 * Each method rejects within its deadline when the engine does not answer, and at once when it would wait
 * beyond a bound of its queue. A write that rejects may still have happened. After `close` every method
 * rejects, and nothing is reported.
 */
export interface Engine {
  readonly can: EngineAbilities
  /** Joins as `node`, a name that no other process ever uses. Resolves before or after the first `up`. */
  open: (node: string, on: EngineEvents) => Promise<void>
  /** Adds an entry to the log, at least once: an entry may appear twice when its answer was lost. Calls keep their order. */
  append: (entry: Buffer) => Promise<void>
  /** The entries behind `after`, or from the oldest for null; at most `limit`. Fewer may come; none is the end of the log. */
  range: (after: Offset | null, limit: number) => Promise<LogEntry[]>
  /** Sends a message to a node, with best effort: it may also resolve when the message is lost, or when there is no such node. */
  send: (node: string, message: Buffer) => Promise<void>
  get: (key: string) => Promise<EngineRecord | null>
  /**
   * Writes a record if its revision is `ifRevision`; null means that no such record exists. A revision of
   * a key never comes again, not even when the record expired in between.
   *
   * @returns the new revision; null if the record has another revision
   */
  put: (key: string, value: Buffer, ifRevision: string | null, options: PutOptions) => Promise<string | null>
  /** Keeps this node in `nodes` for `leaseMs`, with what it tells the others. Replaces its card. */
  renew: (leaseMs: number, card: Buffer) => Promise<void>
  /** The cards of all nodes whose lease runs, by name; its own among them. */
  nodes: () => Promise<Map<string, Buffer>>
  /**
   * Keys of records whose `dueAt` is at or before `now`, the earliest first; at most `limit`. A key comes again
   * in each call until a `put` moves it; that of an expired record may come once more.
   */
  due?: (now: number, limit: number) => Promise<string[]>
  /** Adds an entry to a record's journal if its revision is `revision`. Returns whether it was. A `put` empties the journal. */
  journal?: (key: string, revision: string, entry: Buffer) => Promise<boolean>
  /** The journal of a record, oldest entry first. It ends with the record. */
  journalOf?: (key: string) => Promise<Buffer[]>
  /** Leaves: ends the lease and all connections that it opened. Resolves within the deadline, also when the engine does not answer. */
  close: () => Promise<void>
}
