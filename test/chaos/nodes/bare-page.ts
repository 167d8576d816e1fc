import { setTimeout as sleep } from 'node:timers/promises'
import { createParser } from 'eventsource-parser'
import { seenUpdate, updateNames, type Outcome, type Page, type Seen } from './page.ts'

const waitMs = 20
const requestTimeoutMs = 10_000

/** A page without the library's client: it reads exact ids, and sends each event until it knows what became of it. */
export class BarePage implements Page {
  readonly kind = 'bare'
  readonly seen: Seen[] = []
  readonly outcomes = new Map<number, Outcome>()
  readonly faults: string[] = []
  readonly #url: string
  readonly #page: number
  readonly #closing = new AbortController()
  session: string | null = null
  #lastId: string | null = null
  #acts = 0
  #isSending = false
  /** The number of the session's last event. */
  #seq = 0

  constructor (url: string, page: number) {
    this.#url = url
    this.#page = page
    this.#read()
  }

  get waiting (): number { return this.#acts - this.outcomes.size }

  act (count: number): void {
    this.#acts += count
    this.#send()
  }

  close (): void { this.#closing.abort() }

  async #read (): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        const response = await fetch(this.#url, { headers: { accept: 'text/event-stream', ...this.#lastId === null ? {} : { 'last-event-id': this.#lastId } }, signal })
        if (response.status === 204) {
          this.seen.push({ is: 'gaveUp', why: '204' })
          return
        }
        if (response.status === 200) await this.#take(response.body!)
        else await response.body?.cancel()
      } catch {}
      if (!signal.aborted) await sleep(waitMs)
    }
  }

  async #take (body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = createParser({
      onEvent: ({ event = 'message', data, id }) => {
        if (id !== undefined) this.#lastId = id
        const seq = this.#lastId === null ? null : Number(this.#lastId.slice(this.#lastId.lastIndexOf('.') + 1))
        if (event === 'tether') return this.#control(JSON.parse(data))
        const name = updateNames.find((each) => each === event) ?? 'line'
        this.seen.push(seenUpdate(name, name === 'line' ? data : JSON.parse(data), seq))
      }
    })
    const decoder = new TextDecoder()
    for await (const bytes of body as unknown as AsyncIterable<Uint8Array>) parser.feed(decoder.decode(bytes, { stream: true }))
  }

  #control (control: { type: string, session: string, verdict: string, seq: number }): void {
    if (control.type === 'hello') {
      if (control.session !== this.session) this.#seq = 0
      this.session = control.session
      this.seen.push({ is: 'hello', session: control.session, verdict: control.verdict, seq: control.seq })
      this.#send()
    } else if (control.type === 'gap') this.seen.push({ is: 'gap', seq: control.seq })
  }

  async #send (): Promise<void> {
    if (this.#isSending) return
    this.#isSending = true
    while (this.waiting > 0 && this.session !== null && !this.#closing.signal.aborted) {
      const k = this.outcomes.size + 1
      const { session } = this
      const seq = ++this.#seq
      let outcome: Outcome['is'] | null = null
      while (outcome === null && !this.#closing.signal.aborted) {
        // What was sent to a session that is gone is not sent to the next one.
        outcome = this.session === session ? await this.#post(session, seq, k) : 'doubt'
        if (outcome === null) await sleep(waitMs)
      }
      if (outcome !== null) this.outcomes.set(k, { is: outcome, session })
    }
    this.#isSending = false
  }

  /** Gives null for an answer that does not settle it. */
  async #post (session: string, seq: number, k: number): Promise<'accepted' | null> {
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-tether-session': session },
        body: JSON.stringify({ event: 'act', data: { page: this.#page, k }, seq }),
        signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(requestTimeoutMs)])
      })
      const text = await response.text()
      if (response.status === 202) return 'accepted'
      if (![404, 410, 429].includes(response.status) && response.status < 500) this.faults.push(`event ${k} got ${response.status} ${text}`)
    } catch {}
    return null
  }
}
