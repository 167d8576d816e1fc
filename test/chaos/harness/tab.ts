import type { Observation } from '../../../plugin/entries/contract-tests.ts'
import { observeUpdate, updateNames } from './observation.ts'
import { Random } from './random.ts'
import { Uplink, type UplinkStats } from './uplink.ts'

/** The parts that all kinds of EventSource have. */
export interface EventSourceLike {
  readonly readyState: number
  addEventListener: (name: string, listener: (event: any) => void) => void
  close: () => void
}

/** A client of a chaos run, in Node or in a page. */
export interface TabLike {
  /** Number of events not acknowledged yet. */
  readonly unacknowledged: number
  readonly uplinkStats: UplinkStats
  /** Returns the observations since the last call. */
  take: () => Observation[]
  /** Triggers `count` events. */
  act: (count: number) => void
  close: () => void
}

const closedState = 2
const postTimeoutMs = 1_000

/** A client with an EventSource of any kind. It notes what arrives and sends events. Runs in Node and in a page. */
export class Tab implements TabLike {
  readonly #source: EventSourceLike
  readonly #uplink: Uplink
  #observations: Observation[] = []
  #acts = 0

  constructor (source: EventSourceLike, url: string, seed: number) {
    const random = new Random(seed)
    this.#source = source
    const uplink = this.#uplink = new Uplink(url, postTimeoutMs, () => random.next())
    uplink.emit('join', {})
    source.addEventListener('tether', (event: { data: string }) => {
      const { type, ...frame } = JSON.parse(event.data)
      if (type === 'hello') uplink.attach(frame.session)
      // After a gap within the stream, `onConnect` does not run. The client must ask for the snapshot.
      if (type === 'gap') uplink.emit('ask', {})
      this.#observations.push({ type, ...frame })
    })
    for (const name of updateNames) {
      source.addEventListener(name, (event: { data: string, lastEventId: string }) => {
        uplink.saw(event.lastEventId)
        this.#observations.push(observeUpdate(name, name === 'line' ? event.data : JSON.parse(event.data), event.lastEventId))
      })
    }
    source.addEventListener('error', (event: { message?: string }) => {
      if (source.readyState === closedState) this.#observations.push({ type: 'gaveUp', why: event.message ?? 'no reason given' })
    })
  }

  get unacknowledged (): number { return this.#uplink.unacknowledged }
  get uplinkStats (): UplinkStats { return this.#uplink.stats }

  take (): Observation[] {
    return this.#observations.splice(0)
  }

  act (count: number): void {
    for (let done = 0; done < count; done++) this.#uplink.emit('act', { k: ++this.#acts })
  }

  close (): void {
    this.#uplink.close()
    this.#source.close()
  }
}
