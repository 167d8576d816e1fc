import { WebSocket } from 'ws'
import { connect, ClientError, type Connection } from '../../../client/index.ts'
import { webSocketLink } from '../../../client/websocket-link.ts'
import { Http2Fetch } from '../harness/http2-fetch.ts'
import { seenUpdate, updateNames, type Outcome, type Page, type Seen, type TetherKind } from './page.ts'

/** A page with the library's client. */
export class TetherPage implements Page {
  readonly kind: TetherKind
  readonly seen: Seen[] = []
  readonly outcomes = new Map<number, Outcome>()
  readonly faults: string[] = []
  readonly #connection: Connection
  readonly #page: number
  /** The sessions so far. An event may be accepted or in doubt while the next one is there. */
  #session: string | null = null
  #acts = 0
  readonly #http2: Http2Fetch | null

  constructor (kind: TetherKind, url: string, page: number) {
    this.kind = kind
    this.#page = page
    this.#http2 = kind === 'tether-h2c' ? new Http2Fetch(undefined, {}) : null
    const connection = this.#connection = connect(url, {
      retryMs: 10,
      retryMaxMs: 150,
      requestTimeoutMs: 10_000,
      maxQueued: 100_000,
      ...this.#http2 && { fetch: this.#http2.fetch },
      ...kind === 'tether-websocket' && { link: webSocketLink({ mode: 'websocket', WebSocket }) }
    })
    let isGapOfHello = false
    connection.onState((state, { verdict, seq, reason, status }) => {
      if (state === 'open') {
        this.#session = connection.session!
        this.seen.push({ is: 'hello', session: this.#session, verdict: verdict!, seq: seq! })
        isGapOfHello = verdict === 'gap'
      }
      if (state === 'closed' && reason !== 'closed') this.seen.push({ is: 'gaveUp', why: `${reason} ${status}` })
    })
    connection.onGap((seq) => {
      if (isGapOfHello) isGapOfHello = false
      else this.seen.push({ is: 'gap', seq })
    })
    for (const name of updateNames) connection.on(name, (data) => { this.seen.push(seenUpdate(name, data, null)) })
  }

  get session (): string | null { return this.#session }

  get waiting (): number { return this.#acts - this.outcomes.size }

  act (count: number): void {
    for (let done = 0; done < count; done++) {
      const k = ++this.#acts
      const settled = (is: Outcome['is']) => { this.outcomes.set(k, { is, session: this.#session ?? '' }) }
      this.#connection.emit('act', { page: this.#page, k }).then(() => { settled('accepted') }, (error: unknown) => {
        if (!(error instanceof ClientError && error.code === 'TETHER_IN_DOUBT')) this.faults.push(`event ${k} was rejected: ${String(error)}`)
        settled('doubt')
      })
    }
  }

  close (): void {
    this.#connection.close()
    this.#http2?.close()
  }
}
