/** Buckets of a distribution: each is 2 % wider than the one below. */
export const bucketGrowth = 1.02
const scale = Math.log(bucketGrowth)
/** Enough for 17 minutes in microseconds. */
const bucketCount = 1_050

/** Counts by duration. Only ever grows, so that two readings can be subtracted. */
class Durations {
  readonly #counts = new Uint32Array(bucketCount)

  add (milliseconds: number): void {
    const microseconds = milliseconds * 1_000
    const bucket = microseconds < 1 ? 0 : Math.min(bucketCount - 1, Math.floor(Math.log(microseconds) / scale))
    this.#counts[bucket]! += 1
  }

  /** The buckets that are not empty. */
  get buckets (): Array<[bucket: number, count: number]> {
    return Array.from(this.#counts, (count, bucket): [number, number] => [bucket, count]).filter(([, count]) => count > 0)
  }
}

/** One event on its way through a session. */
export interface TimedEvent {
  /** Its handler begins. */
  begin: () => void
  /** Its handler has settled, or the event was dropped with its session. */
  settle: () => void
}

/** Totals since the start. */
export interface EventTimesReading {
  readonly accepted: number
  readonly settled: number
  /** Events in the command channels, and in handlers that have not settled. */
  readonly waiting: number
  readonly running: number
  /** Integral of `waiting + running` over time, in event milliseconds. */
  readonly presenceMs: number
  /** Of `presenceMs`, the part of sessions that stood still because their write buffer was full. */
  readonly heldMs: number
  /** Sum of the milliseconds from acceptance to the handler's end. */
  readonly totalMs: number
  /** Sum of the milliseconds from the handler's start to its end. */
  readonly runMs: number
  /** From acceptance to the handler's end: `[bucket, count]`; bucket `b` begins at `1.02 ** b` microseconds. */
  readonly total: Array<[bucket: number, count: number]>
  /** From the handler's start to its end, in the same buckets. */
  readonly run: Array<[bucket: number, count: number]>
}

/** Times of all events, from acceptance until their handlers have settled. Exists only where the option `tuning` is given. */
export class EventTimes {
  readonly #total = new Durations()
  readonly #run = new Durations()
  #accepted = 0
  #settled = 0
  #running = 0
  #presenceMs = 0
  #heldMs = 0
  #totalMs = 0
  #runMs = 0
  #changedAt = performance.now()

  /** Counts an accepted event. */
  accept (): TimedEvent {
    const acceptedAt = this.#pass()
    let begunAt = 0
    let isSettled = false
    this.#accepted += 1
    return {
      begin: () => {
        this.#running += 1
        begunAt = performance.now()
      },
      settle: () => {
        if (isSettled) return
        isSettled = true
        const now = this.#pass()
        this.#settled += 1
        if (begunAt === 0) return
        this.#running -= 1
        this.#totalMs += now - acceptedAt
        this.#runMs += now - begunAt
        this.#total.add(now - acceptedAt)
        this.#run.add(now - begunAt)
      }
    }
  }

  /** Events have waited for room in a session's write buffer: milliseconds of each, added up. */
  hold (eventMs: number): void {
    this.#heldMs += eventMs
  }

  /** @param heldMs the same of sessions that still stand still */
  read (heldMs = 0): EventTimesReading {
    this.#pass()
    return {
      accepted: this.#accepted,
      settled: this.#settled,
      waiting: this.#accepted - this.#settled - this.#running,
      running: this.#running,
      presenceMs: this.#presenceMs,
      heldMs: this.#heldMs + heldMs,
      totalMs: this.#totalMs,
      runMs: this.#runMs,
      total: this.#total.buckets,
      run: this.#run.buckets
    }
  }

  #pass (): number {
    const now = performance.now()
    this.#presenceMs += (now - this.#changedAt) * (this.#accepted - this.#settled)
    this.#changedAt = now
    return now
  }
}
