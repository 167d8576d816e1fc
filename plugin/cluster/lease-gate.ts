import type { Clock } from './hub/clock.ts'

/** The sessions that a lease is about. */
export interface Tenant {
  /** Reads the records of all its sessions again. Rejects if it cannot. */
  verify: () => Promise<void>
  /** The lease ran out long ago. */
  isolated: () => void
}

export interface LeaseGateParts {
  readonly clock: Clock
  readonly isolatedMs: number
  /** Until when the lease runs surely; 0 before the first. */
  readonly leaseUntil: () => number
}

/**
 * Whether a node may serve its sessions: only while its lease runs. Other nodes may have taken a session after its end, so that a new
 * lease counts only when the records of all sessions were read again.
 */
export class LeaseGate {
  readonly #parts: LeaseGateParts
  #tenant: Tenant | null = null
  #isVerified = true
  #isVerifying = false
  #mustVerify = false
  #isolation: unknown
  #isClosed = false
  readonly #waiting = new Set<() => void>()
  /** Counts the leases that began. */
  term = 0

  constructor (parts: LeaseGateParts) {
    this.#parts = parts
  }

  /** Sets whose sessions the lease is about. */
  serve (tenant: Tenant): void {
    this.#tenant = tenant
  }

  /** A node that never had a lease serves, too: no other node knows its sessions. */
  get isOpen (): boolean {
    if (this.#isClosed) return false
    const until = this.#parts.leaseUntil()
    return until === 0 || (this.#isVerified && this.#parts.clock.now() < until)
  }

  /** Until when the lease runs surely; 0 before the first. */
  get until (): number { return this.#parts.leaseUntil() }

  /** Waits until it is open, at most for a time; null if there is nothing to wait for. */
  whenOpen (withinMs: number): Promise<void> | null {
    if (this.#isClosed || this.isOpen) return null
    return new Promise((resolve) => {
      const wake = () => {
        this.#parts.clock.clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = this.#parts.clock.setTimeout(wake, withinMs)
      this.#waiting.add(wake)
    })
  }

  #wake (): void {
    if (this.#isClosed || this.isOpen) for (const wake of [...this.#waiting]) wake()
  }

  /** A lease begins that is no renewal. Called before {@link LeaseGateParts.leaseUntil} says so. */
  began (): void {
    if (this.#parts.leaseUntil() > 0) this.#isVerified = false
    this.term++
    this.recheck()
  }

  /** Reads all records again, though the lease runs: the engine has lost its memory. */
  recheck (): void {
    this.#mustVerify = true
    this.#verify()
  }

  /** The lease was renewed. */
  renewed (): void {
    // A renewal may be on its way while the node leaves.
    if (this.#isClosed) return
    const { clock, isolatedMs, leaseUntil } = this.#parts
    this.#verify()
    this.#wake()
    clock.clearTimeout(this.#isolation)
    if (isolatedMs === 0 || this.#tenant === null) return
    this.#isolation = clock.setTimeout(() => { this.#tenant?.isolated() }, leaseUntil() + isolatedMs - clock.now())
  }

  #verify (): void {
    if (!this.#mustVerify || this.#isVerifying || this.#isClosed) return
    if (this.#tenant === null) {
      this.#isVerified = true
      return
    }
    this.#isVerifying = true
    this.#mustVerify = false
    const { term } = this
    this.#tenant.verify().then(() => {
      if (term !== this.term) return
      this.#isVerified = true
      this.#wake()
    }, () => {
      // The next renewal tries again.
      this.#mustVerify = true
    }).then(() => {
      this.#isVerifying = false
      if (term !== this.term) this.#verify()
    })
  }

  close (): void {
    this.#isClosed = true
    this.#wake()
    this.#parts.clock.clearTimeout(this.#isolation)
  }
}
