const reopenMs = 1000
const longestReopenMs = 15_000

// The server tells its figures twice a second; a line that says nothing for this
// long is dead even if the browser has not noticed (a laptop that slept, say).
const silenceMs = 8000
const hopelessMs = 30_000

/**
 * One tether session over the browser's own EventSource.
 *
 * The browser reconnects and resumes by itself. This adds what it leaves out:
 * telling how the line is, opening again when EventSource has given up, and
 * noticing a line that is silent.
 *
 * Dispatches `state` whenever `state` changes, `hello` with the hello frame and
 * how long the line was away, `gap`, and `update` with `name`, `data` and `seq`.
 */
export class Stream extends EventTarget {
  /** @type {'connecting' | 'live' | 'lost'} */
  state = 'connecting'
  /** Since when it has been in this state, milliseconds of this machine's clock. */
  since = Date.now()
  /** @type {{ session: string, verdict: string, seq: number, maxBatch: number } | null} */
  hello = null
  /** Why the line was lost, in words for a person. */
  reason = ''

  #url
  #names
  /** @type {EventSource | null} */
  #source = null
  #lastActivity = Date.now()
  #attempts = 0
  /** @type {number | undefined} */
  #reopenTimer

  /**
   * @param {string} url
   * @param {string[]} names of the updates
   */
  constructor (url, names) {
    super()
    this.#url = url
    this.#names = names
    setInterval(() => this.#watch(), 1000)
    addEventListener('online', () => this.#hurry())
    document.addEventListener('visibilitychange', () => this.#hurry())
    addEventListener('pagehide', () => this.#leave())
    // A page brought back from the browser's cache finds its stream cut.
    addEventListener('pageshow', (event) => { if (event.persisted) this.reopen() })
  }

  /** The session that events are posted to, null while there is none. */
  get session () {
    return this.state === 'live' && this.hello !== null ? this.hello.session : null
  }

  open () {
    clearTimeout(this.#reopenTimer)
    this.#reopenTimer = undefined
    this.#lastActivity = Date.now()
    const source = new EventSource(this.#url)
    this.#source = source
    source.addEventListener('tether', (event) => this.#control(JSON.parse(event.data)))
    for (const name of this.#names) {
      source.addEventListener(name, (event) => {
        this.#lastActivity = Date.now()
        this.dispatchEvent(new CustomEvent('update', { detail: { name, data: JSON.parse(event.data), seq: seqOf(event.lastEventId) } }))
      })
    }
    source.addEventListener('error', () => {
      if (source !== this.#source) return
      this.#lastActivity = Date.now()
      this.#lose('The server cannot be reached')
      if (source.readyState === EventSource.CLOSED) this.#reopenLater()
    })
  }

  /** Begins anew, with another session. */
  reopen () {
    this.#source?.close()
    this.#lose('Opening a new session')
    this.open()
  }

  // Otherwise the server keeps the session for a reader that will not come back.
  #leave () {
    if (this.hello === null) return
    navigator.sendBeacon(`${this.#url}/tether.close`, new URLSearchParams({ 'tether-session': this.hello.session }))
  }

  #control (frame) {
    this.#lastActivity = Date.now()
    if (frame.type === 'hello') {
      const awayMs = this.state === 'lost' ? Date.now() - this.since : 0
      this.#attempts = 0
      this.hello = frame
      this.reason = ''
      this.#enter('live')
      this.dispatchEvent(new CustomEvent('hello', { detail: { ...frame, awayMs } }))
    } else if (frame.type === 'goodbye') {
      this.#lose('The server is going away')
    } else if (frame.type === 'gap') {
      this.dispatchEvent(new CustomEvent('gap', { detail: frame }))
    }
  }

  #lose (reason) {
    // The first reason is the true one: after a goodbye comes an error as well.
    if (this.state !== 'lost') this.reason = reason
    this.#enter('lost')
  }

  #enter (state) {
    if (state === this.state) return
    // A page that never was connected has not lost anything yet.
    if (state === 'lost' && this.state === 'connecting') {
      this.dispatchEvent(new Event('state'))
      return
    }
    this.state = state
    this.since = Date.now()
    this.dispatchEvent(new Event('state'))
  }

  #reopenLater () {
    this.#source?.close()
    if (this.#reopenTimer !== undefined) return
    const wait = Math.min(longestReopenMs, reopenMs * 2 ** this.#attempts++)
    // Spread, so that all the tabs of a server that restarts do not come at once.
    this.#reopenTimer = setTimeout(() => this.open(), wait * (0.75 + Math.random() / 2))
  }

  #hurry () {
    if (document.visibilityState === 'visible' && this.#reopenTimer !== undefined) this.open()
  }

  #watch () {
    const silentMs = Date.now() - this.#lastActivity
    if (this.state === 'live' && silentMs > silenceMs) {
      this.#source?.close()
      this.#lose('The line went silent')
      this.open()
    } else if (this.state !== 'live' && this.#reopenTimer === undefined && silentMs > hopelessMs) {
      this.#source?.close()
      this.open()
    }
  }
}

// An id is `<session>.<number>`.
function seqOf (id) {
  return Number(id.slice(id.lastIndexOf('.') + 1))
}
