import { connect, type Connection, type LinkFactory } from '../../../client/index.ts'
import type { Observation } from '../../../plugin/entries/contract-tests.ts'
import { observeUpdate, updateNames } from './observation.ts'
import type { TabLike } from './tab.ts'
import type { UplinkStats } from './uplink.ts'

const mostFaults = 20

/** The library's own client in place of an EventSource. It counts updates and sends events itself. */
export class TetherTab implements TabLike {
  readonly uplinkStats: UplinkStats = { posts: 0, retries: 0, busy: 0, faults: [] }
  readonly #connection: Connection
  #observations: Observation[] = []
  #acts = 0
  #unacknowledged = 0

  /**
   * @param link the session's transport; by default an event stream
   * @param fetchOver replaces the `fetch` of Node or the page
   */
  constructor (url: string, link?: LinkFactory, fetchOver: typeof fetch = fetch) {
    // The same short waits that `retry:` gives the other clients here.
    const connection = this.#connection = connect(url, {
      retryMs: 20,
      retryMaxMs: 100,
      requestTimeoutMs: 6_000,
      fetch: (input, init) => {
        if (init?.method === 'POST') this.uplinkStats.posts++
        return fetchOver(input, init)
      },
      ...link && { link }
    })
    let helloGap = false
    connection.onState((state, { verdict, seq, reason, status }) => {
      if (state === 'open') {
        this.#observations.push({ type: 'hello', session: connection.session!, verdict: verdict!, seq: seq! })
        helloGap = verdict === 'gap'
      }
      if (state === 'closed' && reason !== 'closed') this.#observations.push({ type: 'gaveUp', why: `${reason} ${status}` })
    })
    connection.onGap((seq) => {
      // The gap of a hello is known already, and its snapshot is on its way.
      if (helloGap) helloGap = false
      else {
        this.#observations.push({ type: 'gap', seq })
        this.#emit('ask', {})
      }
    })
    for (const name of updateNames) {
      connection.on(name, (data) => { this.#observations.push(observeUpdate(name, data, null)) })
    }
    this.#emit('join', {})
  }

  get unacknowledged (): number { return this.#unacknowledged }

  take (): Observation[] {
    return this.#observations.splice(0)
  }

  act (count: number): void {
    for (let done = 0; done < count; done++) this.#emit('act', { k: ++this.#acts })
  }

  close (): void { this.#connection.close() }

  #emit (name: string, data: object): void {
    this.#unacknowledged++
    this.#connection.emit(name, data).then(() => { this.#unacknowledged-- }, (error: unknown) => {
      if (this.uplinkStats.faults.length < mostFaults) this.uplinkStats.faults.push(`${name} was rejected: ${String(error)}`)
    })
  }
}
