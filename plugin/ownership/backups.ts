import type { Clock } from '../cluster/hub/clock.ts'
import type { RecordStore } from '../cluster/record-store.ts'
import { BusyError, UnavailableError } from '../../schemas/errors.ts'
import type { Limits } from '../../schemas/limits.ts'
import type { EventJournal, SessionBackup } from '../sessions/backup.ts'
import { encodeEntry, type JournalEntry, type SessionSnapshot } from '../sessions/snapshot.ts'
import type { HeldSession } from './held-session.ts'

/** Most milliseconds until a backup is tried again that the engine did not take. */
const mostRetryMs = 10_000

export interface BackupsParts {
  readonly clock: Clock
  readonly limits: Pick<Limits, 'backupWrites' | 'backupBytes' | 'journalEntries' | 'journalBytes' | 'journalWaits' | 'journalWaitBytes' | 'journalMs' | 'recordRetryMs'>
  readonly records: Pick<RecordStore, 'journal'>
  /** Whether a record may be written now: the lease runs. */
  readonly mayWrite: () => boolean
  /** Whether this node has the session, which does not leave it. */
  readonly isHere: (held: HeldSession) => boolean
  /**
   * Writes a snapshot into the record. Gives its bytes at once, and whether it is there, later. Rejects if the engine does not take it.
   *
   * @param onWritten is called when it is there, before the next write begins
   */
  readonly put: (held: HeldSession, snapshot: SessionSnapshot, onWritten: () => void) => { readonly bytes: number, readonly isWritten: Promise<boolean> }
  /** The record has another revision than this node knows. */
  readonly verify: (held: HeldSession) => Promise<void>
  readonly report: (error: unknown, held: HeldSession) => void
}

/**
 * The backups of this node's sessions, with `persist: 'command'` and `'event'`. What a session does makes it due; its
 * snapshot is taken when its turn comes, so that all that happened until then shares one write. One write at a time for each
 * session, and a limited number of them for all.
 */
export class Backups {
  readonly parts: BackupsParts
  readonly #due = new Set<LiveBackup>()
  /** Those whose journal can wait. */
  readonly #later = new Set<LiveBackup>()
  readonly #timers = new Set<unknown>()
  #running = 0
  #bytes = 0
  /** Events of all sessions that wait for their journals. */
  #waits = 0
  #waitBytes = 0
  #isScheduled = false
  #isClosed = false

  constructor (parts: BackupsParts) {
    this.parts = parts
  }

  /**
   * Begins to keep a session.
   *
   * @param durableSeq number of the last event in the snapshot that its record has; null for a record without a snapshot
   */
  keep (held: HeldSession, durableSeq: number | null): void {
    const backup = new LiveBackup(this, held, held.endpoint.limits.persist === 'event', durableSeq)
    held.backup = backup
    held.onFree = () => { backup.onFree() }
    held.session.keepBy(backup)
  }

  get hasRoom (): boolean {
    const { backupWrites, backupBytes } = this.parts.limits
    return this.#running < backupWrites && this.#bytes < backupBytes
  }

  /** A backup is due behind the present turn of the event loop. */
  soon (backup: LiveBackup): void {
    this.#later.delete(backup)
    this.#due.add(backup)
    this.#schedule()
  }

  /** A backup is due within `journalMs`. */
  later (backup: LiveBackup): void {
    if (this.#due.has(backup)) return
    this.#later.add(backup)
    if (this.#later.size > 1) return
    this.after(this.parts.limits.journalMs, () => {
      for (const one of this.#later) this.#due.add(one)
      this.#later.clear()
      this.#pump()
    })
  }

  /** Takes room for what waits for a journal. Returns false if all sessions together have too much. */
  reserve (bytes: number): boolean {
    const { journalWaits, journalWaitBytes } = this.parts.limits
    if (this.#waits >= journalWaits || (this.#waits > 0 && this.#waitBytes + bytes > journalWaitBytes)) return false
    this.#waits++
    this.#waitBytes += bytes
    return true
  }

  release (bytes: number): void {
    this.#waits--
    this.#waitBytes -= bytes
  }

  /** Runs something after some time, unless the node stops before. */
  after (ms: number, run: () => void): void {
    if (this.#isClosed) return
    const timer = this.parts.clock.setTimeout(() => {
      this.#timers.delete(timer)
      run()
    }, ms)
    this.#timers.add(timer)
  }

  #schedule (): void {
    if (this.#isScheduled || this.#isClosed) return
    this.#isScheduled = true
    // Behind the answers of this turn.
    this.parts.clock.defer(() => {
      this.#isScheduled = false
      this.#pump()
    })
  }

  #pump (): void {
    for (const backup of this.#due) {
      if (!this.hasRoom || this.#isClosed) return
      this.#due.delete(backup)
      backup.begin()
    }
  }

  /** Counts a write until it has settled. */
  count (bytes: number, written: Promise<unknown>): void {
    this.#running++
    this.#bytes += bytes
    written.finally(() => {
      this.#running--
      this.#bytes -= bytes
      if (this.#due.size > 0) this.#schedule()
    }).catch(() => {})
  }

  forget (backup: LiveBackup): void {
    this.#due.delete(backup)
    this.#later.delete(backup)
  }

  close (): void {
    this.#isClosed = true
    for (const timer of this.#timers) this.parts.clock.clearTimeout(timer)
    this.#timers.clear()
  }
}

/** What waits for the journal. */
interface Waiting {
  readonly bytes: number
  readonly make: () => JournalEntry | null
  readonly accept: () => unknown
  readonly resolve: (result: any) => void
  readonly reject: (error: unknown) => void
}

/** The backup of one session. */
export class LiveBackup implements SessionBackup, EventJournal {
  readonly journal: EventJournal | null
  durableSeq: number
  readonly #backups: Backups
  readonly #held: HeldSession
  /** Whether something has changed that no snapshot in the engine holds. */
  #isDirty = false
  /** Whether it waits for the end of the present command. */
  #isOverdue = false
  /** Whether it waits for the end of another write. */
  #isBlocked = false
  #isStopped = false
  #isRetrying = false
  #retryMs = 0
  readonly #waiting: Waiting[] = []
  #waitingBytes = 0
  /** Entries in the journal that no snapshot holds. */
  #entries = 0
  /** Whether the journal may hold what was not accepted, or lack what it needs. Then nothing is added to it before the next snapshot has emptied it. */
  #mustTrim = false

  constructor (backups: Backups, held: HeldSession, hasJournal: boolean, durableSeq: number | null) {
    this.#backups = backups
    this.#held = held
    this.journal = hasJournal ? this : null
    this.durableSeq = hasJournal ? Infinity : durableSeq ?? 0
    this.#mustTrim = hasJournal && durableSeq === null
  }

  // Snapshots

  changed (): void {
    if (this.#isDirty) return
    this.#isDirty = true
    if (this.journal === null || this.#mustTrim || this.#entries >= this.#backups.parts.limits.journalEntries) this.#backups.soon(this)
    else this.#backups.later(this)
  }

  settled (): void {
    this.changed()
    if (!this.#isOverdue) return
    // The next command may begin at once.
    if (this.#backups.hasRoom) this.begin()
    else this.#backups.soon(this)
  }

  resume (): void {
    if (this.#isDirty) this.#backups.soon(this)
    else this.changed()
  }

  distrust (): void {
    // An entry is worth nothing without the snapshot and the entries before it.
    if (this.journal !== null) this.#mustTrim = true
    this.resume()
  }

  /** Its turn has come. */
  begin (): void {
    const held = this.#held
    const { parts } = this.#backups
    if (!this.#isDirty || this.#isStopped || !held.session.isOpen || !parts.isHere(held)) return
    if (held.writing !== null) {
      this.#isBlocked = true
      return
    }
    if (!parts.mayWrite() || held.revision === null) return this.#retry()
    if (!held.session.inbox.isBetweenCommands) {
      this.#isOverdue = true
      return
    }
    this.#isOverdue = false
    this.#isDirty = false
    let snapshot: SessionSnapshot
    try {
      snapshot = held.session.backUp(false)
    } catch (error) {
      // What changes next tries again.
      held.session.reportState(error)
      return
    }
    const { bytes, isWritten } = parts.put(held, snapshot, () => {
      this.#retryMs = 0
      if (this.journal === null) this.durableSeq = Math.max(this.durableSeq, snapshot.acceptedSeq)
      this.#entries = 0
      this.#mustTrim = false
    })
    this.#backups.count(bytes, isWritten)
    isWritten.then((is) => {
      if (!is) this.changed()
    }, (error: unknown) => {
      if (this.#retryMs === 0 && parts.mayWrite()) parts.report(error, held)
      this.#isDirty = true
      this.#retry()
    })
  }

  #retry (): void {
    if (this.#isRetrying) return
    this.#isRetrying = true
    this.#retryMs = Math.min(mostRetryMs, Math.max(this.#backups.parts.limits.recordRetryMs, 2 * this.#retryMs))
    this.#backups.after(this.#retryMs, () => {
      this.#isRetrying = false
      if (!this.#isStopped) this.#backups.soon(this)
    })
  }

  /** No write of its record goes on. */
  onFree (): void {
    if (this.#isBlocked) {
      this.#isBlocked = false
      this.#backups.soon(this)
    }
    this.#next()
  }

  // The journal

  write<Result> (bytes: number, make: () => JournalEntry | null, accept: () => Result): Promise<Result> {
    const { journalBytes } = this.#backups.parts.limits
    return new Promise<Result>((resolve, reject) => {
      if (this.#isStopped) return reject(new UnavailableError())
      const isFull = this.#waiting.length >= this.#held.endpoint.limits.commandBuffer || this.#waitingBytes + bytes > journalBytes
      if ((isFull && this.#waiting.length > 0) || !this.#backups.reserve(bytes)) return reject(new BusyError())
      this.#waiting.push({ bytes, make, accept, resolve, reject })
      this.#waitingBytes += bytes
      this.#next()
    })
  }

  #next (): void {
    const { limits } = this.#backups.parts
    while (this.#held.writing === null && this.#waiting.length > 0) {
      if (this.#mustTrim || this.#entries >= limits.journalEntries) {
        this.#isDirty = true
        this.begin()
        if (this.#held.writing !== null) return
      }
      const first = this.#waiting.shift()!
      this.#waitingBytes -= first.bytes
      this.#backups.release(first.bytes)
      try {
        if (this.#mustTrim) throw new UnavailableError()
        const entry = first.make()
        if (entry === null) first.resolve(first.accept())
        else this.#held.write(() => this.#append(entry, first.accept)).then(first.resolve, first.reject)
      } catch (error) {
        first.reject(error)
      }
    }
  }

  async #append (entry: JournalEntry, accept: () => unknown): Promise<unknown> {
    const { records, mayWrite, isHere, verify } = this.#backups.parts
    const held = this.#held
    if (held.revision === null || !mayWrite() || !isHere(held)) throw new UnavailableError()
    // Until it is accepted, a crash may bring to life what was refused.
    this.#mustTrim = true
    let isWritten: boolean
    try {
      isWritten = await records.journal(held.ref, held.revision, encodeEntry(entry))
    } catch {
      this.#trim()
      throw new UnavailableError()
    }
    if (!isWritten) {
      this.#mustTrim = false
      await verify(held)
      throw new UnavailableError()
    }
    if (!isHere(held)) throw new UnavailableError()
    this.#entries++
    try {
      const accepted = accept()
      this.#mustTrim = false
      return accepted
    } catch (error) {
      this.#trim()
      throw error
    }
  }

  #trim (): void {
    this.#isDirty = true
    this.#backups.soon(this)
  }

  /** The session is no longer here. */
  stop (): void {
    this.#isStopped = true
    this.#backups.forget(this)
    this.#waitingBytes = 0
    for (const { bytes, reject } of this.#waiting.splice(0)) {
      this.#backups.release(bytes)
      reject(new UnavailableError())
    }
  }
}
