import { EngineError, EngineFullError } from '../../schemas/errors.ts'
import type { Engine, PutOptions } from './engine.ts'
import type { Clock } from './hub/clock.ts'
import { packRecord, unpackRecord, type SessionRecord } from './session-record.ts'

/** A record, and the revision that the next write names. */
export interface StoredRecord {
  readonly revision: string
  readonly record: SessionRecord
}

export interface RecordStoreParts {
  readonly engine: Pick<Engine, 'get' | 'put' | 'due' | 'journal' | 'journalOf'>
  readonly clock: Clock
  /** Milliseconds until a write without an answer is tried again. */
  readonly retryMs: number
}

/** The records of sessions, changed by compare-and-set alone. A write without an answer is settled by reading, never guessed. */
export class RecordStore {
  readonly #parts: RecordStoreParts
  #isClosed = false

  constructor (parts: RecordStoreParts) {
    this.#parts = parts
  }

  /** @returns null for no record. Rejects if the engine does not answer, and for a record that this version cannot read */
  async read (ref: string): Promise<StoredRecord | null> {
    const found = await this.#parts.engine.get(ref)
    if (found === null) return null
    const record = unpackRecord(found.value)
    if (record === null) throw new EngineError('has a record that this version cannot read')
    return { revision: found.revision, record }
  }

  /**
   * Reads the record that stands in the way of a write, until the engine answers.
   *
   * @param mayGoOn whether to try again; if not, the read rejects
   * @returns null for no record; undefined for one that this version cannot read
   */
  async readAgain (ref: string, mayGoOn: () => boolean = () => true): Promise<StoredRecord | null | undefined> {
    for (;;) {
      try {
        const found = await this.#parts.engine.get(ref)
        if (found === null) return null
        const record = unpackRecord(found.value)
        return record === null ? undefined : { revision: found.revision, record }
      } catch (error) {
        if (this.#isClosed || !mayGoOn()) throw error
      }
      await this.#pause()
    }
  }

  /**
   * Writes a record if its revision is `ifRevision`; null means that there is none. A write without an answer is tried
   * again until its outcome is known.
   *
   * @param keep milliseconds until it expires, or these and when it comes due
   * @param mayGoOn whether to try again; if not, the write rejects, and may have happened all the same
   * @param onDoubt is called when nobody knows whether it has happened
   * @returns the new revision; null if the record has another revision
   */
  async write (ref: string, record: SessionRecord, ifRevision: string | null, keep: number | PutOptions, mayGoOn: () => boolean = () => true, onDoubt: () => void = () => {}): Promise<string | null> {
    const { engine } = this.#parts
    const value = packRecord(record)
    const options = typeof keep === 'number' ? { ttlMs: keep } : keep
    let isInDoubt = false
    for (;;) {
      try {
        const revision = await engine.put(ref, value, ifRevision, options)
        if (revision !== null || !isInDoubt) return revision
        const found = await engine.get(ref)
        return found?.value.equals(value) === true ? found.revision : null
      } catch (error) {
        if (error instanceof EngineFullError && !isInDoubt) throw error
        isInDoubt ||= !(error instanceof EngineFullError)
        if (isInDoubt) onDoubt()
        if (this.#isClosed || !mayGoOn()) throw error
      }
      await this.#pause()
    }
  }

  /** Whether the engine tells which records come due. */
  get hasDue (): boolean { return this.#parts.engine.due !== undefined }

  /** Refs of records that are due at a time of the wall clock, the earliest first; none where the engine cannot tell. */
  async due (now: number, limit: number): Promise<string[]> {
    return await this.#parts.engine.due?.(now, limit) ?? []
  }

  /**
   * Adds an entry to the journal of a record; the next write of the record empties it. Rejects if the engine does not answer, and then the
   * entry may be there all the same.
   *
   * @returns false if the record has another revision
   */
  async journal (ref: string, revision: string, entry: Buffer): Promise<boolean> {
    const { engine } = this.#parts
    if (engine.journal === undefined) throw new EngineError('has no journal')
    return await engine.journal(ref, revision, entry)
  }

  /** The journal of a record, the oldest entry first; empty where the engine has no journals. */
  async journalOf (ref: string): Promise<Buffer[]> {
    return await this.#parts.engine.journalOf?.(ref) ?? []
  }

  /** Tries no write again. */
  close (): void {
    this.#isClosed = true
  }

  #pause (): Promise<void> {
    return new Promise((resolve) => { this.#parts.clock.setTimeout(resolve, this.#parts.retryMs) })
  }
}
