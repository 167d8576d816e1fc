interface Envelope {
  readonly event: string
  readonly data: unknown
  readonly seq: number
}

export interface UplinkStats {
  posts: number
  /** Tries that may or may not have arrived. */
  retries: number
  /** Answers for a full channel. */
  busy: number
  /** Violations of the protocol. */
  faults: string[]
}

const mostFaults = 20
const longestTimeoutMs = 20_000

/**
 * Sends events by the rules of docs/protocol.md: numbered, one request at a time, and
 * again with the same numbers until they are acknowledged. Runs in Node and in a page.
 */
export class Uplink {
  readonly stats: UplinkStats = { posts: 0, retries: 0, busy: 0, faults: [] }
  readonly #url: string
  readonly #timeoutMs: number
  readonly #random: () => number
  #session: string | null = null
  #seen: string | null = null
  #queue: Envelope[] = []
  #lastSeq = 0
  #isSending = false
  /** Tries since the last answer. */
  #failures = 0
  #isClosed = false

  /**
   * @param timeoutMs time before the first retry of a request
   * @param random decides the size of batches, and which of them acknowledge updates
   */
  constructor (url: string, timeoutMs: number, random: () => number) {
    this.#url = url
    this.#timeoutMs = timeoutMs
    this.#random = random
  }

  /** Number of events not acknowledged yet. */
  get unacknowledged (): number { return this.#queue.length }

  /** Sets the session for the events, from a hello. */
  attach (session: string): void {
    this.#session = session
    this.#pump()
  }

  /** Notes the id of the last update seen. */
  saw (id: string): void { this.#seen = id }

  emit (event: string, data: unknown): void {
    this.#queue.push({ event, data, seq: ++this.#lastSeq })
    this.#pump()
  }

  close (): void { this.#isClosed = true }

  async #pump (): Promise<void> {
    if (this.#isSending) return
    this.#isSending = true
    while (this.#queue.length > 0 && this.#session !== null && !this.#isClosed) {
      const batch = this.#queue.slice(0, 1 + Math.floor(this.#random() * 8))
      const waitMs = await this.#post(batch, this.#session)
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    }
    this.#isSending = false
  }

  /** Returns how long to wait before the next try. */
  async #post (batch: Envelope[], session: string): Promise<number> {
    this.stats.posts++
    const timeout = new AbortController()
    // Each try waits longer: on a very busy machine the first time limit might never suffice.
    const timer = setTimeout(() => timeout.abort(), Math.min(this.#timeoutMs * 1.5 ** this.#failures, longestTimeoutMs))
    try {
      const answer = await fetch(this.#url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-tether-session': session,
          ...this.#seen !== null && this.#random() < 0.3 ? { 'last-event-id': this.#seen } : {}
        },
        body: JSON.stringify(batch.length === 1 ? batch[0] : batch),
        signal: timeout.signal
      })
      const body = await answer.json() as { seq?: number }
      this.#failures = 0
      if (answer.status === 202) {
        this.#acknowledged(body.seq!, batch.at(-1)!.seq)
        return 0
      }
      if (answer.status !== 429) {
        this.#fault(`${answer.status} ${JSON.stringify(body)}`)
        return 200
      }
      this.stats.busy++
      return Number(answer.headers.get('retry-after')) * 1_000
    } catch {
      this.stats.retries++
      this.#failures++
      return 10 + this.#random() * 40
    } finally {
      clearTimeout(timer)
    }
  }

  #acknowledged (seq: number, sent: number): void {
    // An earlier try may have delivered more events than this one.
    if (!(seq >= sent && seq <= this.#lastSeq)) this.#fault(`the answer to ${sent} acknowledges ${seq} of ${this.#lastSeq}`)
    this.#queue = this.#queue.filter((envelope) => envelope.seq > seq)
  }

  #fault (fault: string): void {
    if (this.stats.faults.length < mostFaults) this.stats.faults.push(fault)
  }
}
