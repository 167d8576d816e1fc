import type { EventOrigin } from './session-inbox.ts'
import type { JournalEntry } from './snapshot.ts'

/** Keeps one session in the engine while it lives here, for the case that its node dies. */
export interface SessionBackup {
  /** Number of the last event that survives a crash of this node. */
  readonly durableSeq: number
  /** Keeps events before they are accepted; null where the snapshots have to do. */
  readonly journal: EventJournal | null
  /** Something has changed that a snapshot holds. Called often. */
  changed: () => void
  /** A command has settled, and the next one has not begun. Called often. */
  settled: () => void
}

/** The entry that an event is in. */
export interface JournalOrigin extends EventOrigin {
  readonly entry: JournalEntry
  /** Number of its events without a number. */
  readonly count: number
}

/** Keeps the events of one session in the engine from before they are accepted until a snapshot holds what they did. */
export interface EventJournal {
  /**
   * Writes an entry, behind those of earlier calls.
   *
   * @param bytes of memory while it waits
   * @param make gives the entry when its turn has come; null if there is nothing to keep
   * @param accept is called in the step in which the engine is known to have it
   * @returns what `accept` returns. Rejects with what the two functions throw, with `FST_ERR_TETHER_BUSY` if too much waits, and with
   * `FST_ERR_TETHER_UNAVAILABLE` if the engine does not take it.
   */
  write: <Result>(bytes: number, make: () => JournalEntry | null, accept: () => Result) => Promise<Result>
}
