import type { LogEntry, Offset } from './engine.ts'
import type { Clock } from './hub/clock.ts'
import type { LogPosition } from './log-position.ts'
import type { LogReader } from './log-reader.ts'
import type { TailEntry, TailLimits } from './log-tail.ts'

/** Entries of one read from the engine. */
const pageEntries = 256

export interface LogHistoryParts {
  readonly reader: LogReader
  readonly clock: Clock
  readonly limits: TailLimits & { readonly logRetryMs: number }
  readonly range: (after: Offset | null, limit: number) => Promise<LogEntry[]>
}

/** Lets sessions that come from other nodes wait for the log, and reads from the engine again what is before the tail. */
export class LogHistory {
  readonly #parts: LogHistoryParts
  readonly #waiting = new Set<{ readonly at: Offset, readonly resolve: () => void }>()
  /** The read in progress. One at a time: the next may need less. */
  #reading: Promise<unknown> = Promise.resolve()
  #isReading = false

  constructor (parts: LogHistoryParts) {
    this.#parts = parts
  }

  /** An entry was read. */
  advance (at: Offset): void {
    if (this.#waiting.size === 0) return
    for (const waiting of this.#waiting) {
      if (waiting.at > at) continue
      this.#waiting.delete(waiting)
      waiting.resolve()
    }
  }

  /**
   * Waits until this node has read past a position, and has every entry behind it in its tail. The tail keeps them for
   * the present turn of the event loop.
   *
   * @param from an entry from which on the tail should have all, if the log does; null for the position
   * @returns false if the log no longer holds all that is behind the position, or the time is over
   */
  async reach (position: LogPosition, from: Offset | null, deadlineMs: number): Promise<boolean> {
    const { clock, limits, reader } = this.#parts
    const { tail } = reader
    const until = clock.now() + deadlineMs
    if (!this.#hasPassed(position.at)) await this.#arrival(position.at, deadlineMs)
    if (!this.#hasPassed(position.at)) return false
    for (;;) {
      if (tail.covers(position.at) && (from === null || tail.covers(from))) return true
      if (this.#isReading) {
        await this.#reading
        continue
      }
      let found: 'all' | 'cut' | null = null
      this.#isReading = true
      const read = this.#readFrom(from ?? position.before, position.at).then((result) => { found = result }, () => {})
      this.#reading = read
      await read
      this.#isReading = false
      if (found !== null) return found === 'all' || tail.covers(position.at)
      if (clock.now() + limits.logRetryMs >= until) return tail.covers(position.at)
      await new Promise<void>((resolve) => { clock.setTimeout(resolve, limits.logRetryMs) })
    }
  }

  /**
   * Waits until this node has read past a position, at most for a time.
   *
   * @returns `late` if it has not, and the log has the entry there, or nobody can tell; `gone` if the log has it no longer, so that perhaps no node ever reads it
   */
  async arrive (position: LogPosition, withinMs: number): Promise<'passed' | 'late' | 'gone'> {
    if (await this.passes(position.at, withinMs)) return 'passed'
    let isThere: boolean
    try {
      isThere = await this.#holds(position)
    } catch {
      return 'late'
    }
    return this.#hasPassed(position.at) ? 'passed' : isThere ? 'late' : 'gone'
  }

  /** Whether the log has the entry of a position. Rejects if the engine does not answer. */
  async #holds ({ at, before }: LogPosition): Promise<boolean> {
    for (let next = before; ;) {
      const page = await this.#parts.range(next, pageEntries)
      if (page.some((entry) => entry.at === at)) return true
      next = page.at(-1)?.at ?? null
      if (next === null || next > at) return false
    }
  }

  /** Waits until this node has read past a place, at most for a time. Returns whether it has. */
  async passes (at: Offset, withinMs: number): Promise<boolean> {
    if (!this.#hasPassed(at)) await this.#arrival(at, withinMs)
    return this.#hasPassed(at)
  }

  #hasPassed (at: Offset): boolean {
    const { passed } = this.#parts.reader
    return passed !== null && passed >= at
  }

  #arrival (at: Offset, withinMs: number): Promise<void> {
    const { clock } = this.#parts
    return new Promise((resolve) => {
      const waiting = {
        at,
        resolve: () => {
          clock.clearTimeout(timer)
          resolve()
        }
      }
      const timer = clock.setTimeout(() => {
        this.#waiting.delete(waiting)
        resolve()
      }, withinMs)
      this.#waiting.add(waiting)
    })
  }

  /** Reads the entries behind `after`, up to those of the tail. Returns whether the entry at `at` is still there. */
  async #readFrom (after: Offset | null, at: Offset): Promise<'all' | 'cut'> {
    const { reader, limits, range } = this.#parts
    const { tail } = reader
    const older: TailEntry[] = []
    let bytes = 0
    let hasPosition = false
    for (let next = after; ;) {
      const page = await range(next, pageEntries)
      const { first } = tail
      const before = page.filter((entry) => first === null || entry.at < first)
      hasPosition ||= page.some((entry) => entry.at === at)
      older.push(...reader.older(before))
      for (const entry of before) bytes += entry.bytes.length
      if (page.length === 0 || before.length < page.length) break
      if (older.length > limits.logTailEntries || bytes > limits.logTailBytes) return 'cut'
      next = page.at(-1)!.at
    }
    const seen = new Set<string>()
    tail.prepend(older.filter(({ node, counter }) => {
      const key = `${node} ${counter}`
      return !tail.has(node, counter) && !seen.has(key) && seen.add(key)
    }))
    return hasPosition ? 'all' : 'cut'
  }
}
