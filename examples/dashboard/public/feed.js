import { faultOf } from './faults.js'

/**
 * Subscribes to the series that this tab shows, at its pace.
 *
 * Dispatches `change` when a subscription has its outcome, and `fault` with the series and a message when it is refused.
 */
export class Feed extends EventTarget {
  #live
  #recorder
  /** By series. @type {Map<string, { perSecond: number, topic: import('fastify-tether/client').Subscription, isReady: boolean }>} */
  #topics = new Map()
  /** Series that this page has shown before. */
  #known = new Set()
  #count

  /**
   * @param {import('fastify-tether/client').Connection} live
   * @param {import('./recorder.js').Recorder} recorder
   * @param {() => void} count called for each update
   */
  constructor (live, recorder, count) {
    super()
    this.#live = live
    this.#recorder = recorder
    this.#count = count
  }

  /** Whether the server has not heard of a choice yet. */
  get isWaiting () {
    return [...this.#topics.values()].some(({ isReady }) => !isReady)
  }

  /** @param {import('./settings.js').Chosen} chosen */
  show ({ perSecond, series, paused }) {
    const wanted = paused ? [] : series
    for (const [name, { topic, perSecond: before }] of this.#topics) {
      if (before === perSecond && wanted.includes(name)) continue
      topic.close()
      this.#topics.delete(name)
    }
    for (const name of wanted) if (!this.#topics.has(name)) this.#subscribe(name, perSecond)
  }

  async #subscribe (name, perSecond) {
    const topic = this.#live.subscribe('series', { name, perSecond })
    const own = { perSecond, topic, isReady: false }
    this.#topics.set(name, own)
    // A chart that was switched off keeps its hole. A cut line leaves none: its readings come under this subscription.
    const since = this.#known.has(name) ? this.#recorder.now : 0
    this.#known.add(name)
    topic.on('sample', ({ t, v }) => {
      this.#count()
      this.#recorder.sample(name, t, v)
    })
    topic.on('kept', ({ t, v }) => {
      this.#count()
      if (t >= since) this.#recorder.add(name, t, v)
    })
    try {
      await topic.ready
      own.isReady = true
    } catch (error) {
      if (this.#topics.get(name) === own && error.code !== 'TETHER_CLOSED') this.dispatchEvent(new CustomEvent('fault', { detail: { name, fault: faultOf(error) } }))
    }
    this.dispatchEvent(new Event('change'))
  }
}
