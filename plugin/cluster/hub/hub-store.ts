import { EngineFullError } from '../../../schemas/errors.ts'
import type { EngineRecord, LogEntry, Offset } from '../engine.ts'
import { DueIndex } from './due-index.ts'

/** The bounds of what a hub keeps for one application. */
export interface StoreLimits {
  readonly logEntries: number
  readonly logBytes: number
  readonly logMs: number
  /** Of all records with their journals, and of all cards. */
  readonly recordBytes: number
}

/** Times are in milliseconds of the store's clock. */
export type Change =
  | readonly ['append', at: Offset, time: number, bytes: Buffer]
  | readonly ['put', key: string, revision: string, expiresAt: number, dueAt: number | null, value: Buffer]
  | readonly ['journal', key: string, entry: Buffer]
  | readonly ['renew', node: string, endsAt: number, card: Buffer]
  | readonly ['leave', node: string]

interface Entry extends LogEntry { readonly time: number }

interface StoredRecord {
  revision: string
  value: Buffer
  expiresAt: number
  dueAt: number | null
  journal: Buffer[]
  bytes: number
}

/** Memory of an entry, a record, a part of a journal or a card, in addition to its bytes. */
const weight = 200
/** Records that a write looks at, to drop what has expired: more than it adds. */
const looksPerWrite = 3
/** Least time between two looks at all records, when there is no room. */
const fullSweepMs = 1_000

/**
 * All that a hub keeps for one application. Each change is one value, so that a ledger can write
 * it down and another store can apply it.
 */
export class HubStore {
  readonly #limits: StoreLimits
  readonly #now: () => number
  readonly #record: (change: Change) => void
  /** Makes offsets and revisions of this store differ from those of each earlier one. */
  #epoch: string
  #made = 0
  #log: Entry[] = []
  /** Entries of `#log` that are dropped already. */
  #dropped = 0
  /** The number of the first entry of `#log`, counted from the start of the store. */
  #first = 0
  #logBytes = 0
  readonly #records = new Map<string, StoredRecord>()
  #sweeping: Iterator<[string, StoredRecord]> | undefined
  readonly #due = new DueIndex()
  readonly #leases = new Map<string, { card: Buffer, endsAt: number }>()
  #recordBytes = 0
  #sweptAt = -Infinity

  /**
   * @param epoch milliseconds of the wall clock; later than those of each earlier store of the application
   * @param record is called with each change before it takes effect
   */
  constructor (limits: StoreLimits, { now, epoch, record = () => {} }: { now: () => number, epoch: number, record?: (change: Change) => void }) {
    this.#limits = limits
    this.#now = now
    this.#record = record
    this.#epoch = numeral(epoch)
  }

  /** The number of the oldest entry that is kept. */
  get head (): number { return this.#first + this.#dropped }
  /** The number of the next entry. */
  get tail (): number { return this.#first + this.#log.length }

  append (bytes: Buffer): Offset {
    const at = `${this.#epoch}-${numeral(++this.#made)}`
    this.#commit(['append', at, this.#now(), bytes])
    return at
  }

  /** The entry of a number from `head` to below `tail`. */
  entry (number: number): LogEntry {
    return this.#log[number - this.#first]!
  }

  /** The number of the first entry behind `after`; of the oldest for null. */
  numberAfter (after: Offset | null): number {
    if (after === null) return this.head
    let low = this.#dropped
    let high = this.#log.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#log[middle]!.at > after) high = middle
      else low = middle + 1
    }
    return this.#first + low
  }

  range (after: Offset | null, limit: number): LogEntry[] {
    this.#trim()
    const from = this.numberAfter(after) - this.#first
    return this.#log.slice(from, from + limit)
  }

  get (key: string): EngineRecord | null {
    const record = this.#find(key)
    return record === undefined ? null : { revision: record.revision, value: record.value }
  }

  put (key: string, value: Buffer, ifRevision: string | null, ttlMs: number, dueAt: number | null): string | null {
    const before = this.#find(key)
    if ((before?.revision ?? null) !== ifRevision) return null
    this.#admit(weight + key.length + value.length - (before?.bytes ?? 0))
    const revision = `${this.#epoch}-${numeral(++this.#made)}`
    this.#commit(['put', key, revision, this.#now() + ttlMs, dueAt, value])
    for (let looked = 0; looked < looksPerWrite; looked++) this.#sweep()
    return revision
  }

  journal (key: string, revision: string, entry: Buffer): boolean {
    if (this.#find(key)?.revision !== revision) return false
    this.#admit(weight + entry.length)
    this.#commit(['journal', key, entry])
    return true
  }

  journalOf (key: string): Buffer[] {
    return this.#find(key)?.journal ?? []
  }

  due (now: number, limit: number): string[] {
    return this.#due.until(now, limit, (key) => this.#find(key) !== undefined)
  }

  renew (node: string, leaseMs: number, card: Buffer): void {
    this.#endLeases()
    const before = this.#leases.get(node)
    this.#admit(weight + card.length - (before === undefined ? 0 : weight + before.card.length))
    this.#commit(['renew', node, this.#now() + leaseMs, card])
  }

  nodes (): Array<[node: string, card: Buffer]> {
    this.#endLeases()
    return [...this.#leases].map(([node, { card }]) => [node, card])
  }

  leave (node: string): void {
    if (this.#leases.has(node)) this.#commit(['leave', node])
  }

  /** Drops what has expired, of records at most `count` looked at. */
  sweep (count: number): void {
    this.#trim()
    this.#endLeases()
    for (let looked = 0; looked < count; looked++) this.#sweep()
  }

  /** Takes a change of an earlier store of the same application. */
  apply (change: Change): void {
    switch (change[0]) {
      case 'append': {
        const [, at, time, bytes] = change
        this.#log.push({ at, time, bytes })
        this.#logBytes += weight + bytes.length
        this.#trim()
        break
      }
      case 'put': {
        const [, key, revision, expiresAt, dueAt, value] = change
        this.#drop(key)
        const bytes = weight + key.length + value.length
        this.#records.set(key, { revision, value, expiresAt, dueAt, journal: [], bytes })
        this.#recordBytes += bytes
        if (dueAt !== null) this.#due.add(dueAt, key)
        break
      }
      case 'journal': {
        const [, key, entry] = change
        const record = this.#records.get(key)
        if (record === undefined) break
        record.journal.push(entry)
        record.bytes += weight + entry.length
        this.#recordBytes += weight + entry.length
        break
      }
      case 'renew': {
        const [, node, endsAt, card] = change
        this.#endLease(node)
        this.#leases.set(node, { card, endsAt })
        this.#recordBytes += weight + card.length
        break
      }
      case 'leave':
        this.#endLease(change[1])
    }
  }

  /** The changes that make another store like this one. */
  * changes (): Generator<Change> {
    this.sweep(0)
    for (const { at, time, bytes } of this.#log.slice(this.#dropped)) yield ['append', at, time, bytes]
    for (const [key, { revision, expiresAt, dueAt, value, journal }] of this.#records) {
      if (expiresAt <= this.#now()) continue
      yield ['put', key, revision, expiresAt, dueAt, value]
      for (const entry of journal) yield ['journal', key, entry]
    }
    for (const [node, { endsAt, card }] of this.#leases) yield ['renew', node, endsAt, card]
  }

  #commit (change: Change): void {
    this.#record(change)
    this.apply(change)
  }

  #admit (more: number): void {
    if (more <= 0 || this.#recordBytes + more <= this.#limits.recordBytes) return
    const now = this.#now()
    if (now - this.#sweptAt >= fullSweepMs) {
      this.#sweptAt = now
      for (const key of [...this.#records.keys()]) this.#find(key)
      this.#endLeases()
    }
    if (this.#recordBytes + more > this.#limits.recordBytes) throw new EngineFullError(`recordBytes is ${this.#limits.recordBytes}`)
  }

  #trim (): void {
    const { logEntries, logBytes, logMs } = this.#limits
    const oldest = this.#now() - logMs
    while (this.#dropped < this.#log.length) {
      const { time, bytes } = this.#log[this.#dropped]!
      const isLast = this.#dropped === this.#log.length - 1
      const isWithin = this.#log.length - this.#dropped <= logEntries && this.#logBytes <= logBytes && time > oldest
      // The newest entry passes, however large: its readers must see it.
      if (isWithin || (isLast && time > oldest)) break
      this.#logBytes -= weight + bytes.length
      this.#dropped++
    }
    if (this.#dropped > 1_024 && this.#dropped > this.#log.length / 2) {
      this.#log = this.#log.slice(this.#dropped)
      this.#first += this.#dropped
      this.#dropped = 0
    }
  }

  #find (key: string): StoredRecord | undefined {
    const record = this.#records.get(key)
    if (record === undefined || record.expiresAt > this.#now()) return record
    this.#drop(key)
    return undefined
  }

  #drop (key: string): void {
    const record = this.#records.get(key)
    if (record === undefined) return
    if (record.dueAt !== null) this.#due.delete(record.dueAt, key)
    this.#recordBytes -= record.bytes
    this.#records.delete(key)
  }

  /** Looks at one more record, and begins anew after the last. */
  #sweep (): void {
    this.#sweeping ??= this.#records.entries()
    const { done, value } = this.#sweeping.next()
    if (done === true) this.#sweeping = undefined
    else if (value[1].expiresAt <= this.#now()) this.#drop(value[0])
  }

  #endLeases (): void {
    for (const [node, { endsAt }] of this.#leases) if (endsAt <= this.#now()) this.#endLease(node)
  }

  #endLease (node: string): void {
    const lease = this.#leases.get(node)
    if (lease === undefined) return
    this.#recordBytes -= weight + lease.card.length
    this.#leases.delete(node)
  }
}

/** A number as text of one length, which sorts like the number. */
function numeral (number: number): string {
  return number.toString(36).padStart(9, '0')
}
