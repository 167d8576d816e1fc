import { element, write } from './elements.js'
import { clock, count, duration } from './format.js'

const verdicts = {
  new: 'new session',
  resumed: 'resumed, nothing missed',
  gap: 'resumed with a gap',
  expired: 'expired, new session'
}

/** @param {string} verdict */
export function verdictInWords (verdict) {
  return verdicts[verdict] ?? verdict
}

/** What the page and the server know of this tab's session. */
export class SessionPanel {
  #lastSeq = 0
  #missing = 0
  /** Updates since the stream was opened; null once the server has spoken anew. */
  #replayed = /** @type {number | null} */ (null)

  /** How many updates were lost. */
  get missing () {
    return this.#missing
  }

  /** The line is there, for the first time or again. */
  greet ({ verdict, session, awayMs }) {
    if (verdict === 'new' || verdict === 'expired') this.#lastSeq = this.#missing = 0
    this.#replayed = verdict === 'resumed' || verdict === 'gap' ? 0 : null
    if (this.#replayed === null) write(element('session-replayed'), 'none')
    this.#showVerdict(verdict)
    write(element('session-id'), `${session.slice(0, 6)}…`)
    if (awayMs > 0) write(element('session-away'), `${duration(awayMs)}, back at ${clock(Date.now())}`)
  }

  /** An update came; their numbers are dense. */
  count () {
    this.#lastSeq++
    if (this.#replayed !== null) this.#replayed++
  }

  /** The server has begun anew on this stream. Gives how many updates it had put by, null if it could have none. */
  arrived () {
    const replayed = this.#replayed
    this.#replayed = null
    if (replayed !== null) write(element('session-replayed'), replayed === 1 ? '1 update' : `${count(replayed)} updates`)
    return replayed
  }

  /** Updates up to number `seq` were lost. */
  skip (seq) {
    this.#missing += Math.max(0, seq - this.#lastSeq)
    this.#lastSeq = seq
    this.#showVerdict('gap')
  }

  /** The server's own figures. */
  tell ({ frames, queued, conflated, commands = 0, stalled = false, stalls, stalledMs }) {
    write(element('session-frames'), count(frames))
    write(element('session-queued'), queued === 1 ? '1 update' : `${count(queued)} updates`)
    write(element('session-commands'), count(commands))
    write(element('session-conflated'), count(conflated))
    write(element('session-blocked'), stalls === 0 ? 'never' : `${stalls === 1 ? 'once' : `${count(stalls)} times`}, ${duration(stalledMs)}`)
    write(element('session-missing'), this.#missing === 0 ? 'none' : count(this.#missing))
    element('session-queued').classList.toggle('raised', queued > 0)
    element('session-blocked').classList.toggle('raised', stalled)
    element('session-commands').classList.toggle('raised', commands > 0)
    element('session-missing').classList.toggle('raised', this.#missing > 0)
  }

  /**
   * @param {import('./line.js').Line} line
   * @param {import('./reader.js').Reader} reader
   */
  showLine ({ state, since, reason }, { isSlow, slowSince }) {
    const lasted = duration(Math.max(0, Date.now() - since))
    const words = { connecting: 'connecting', live: `live since ${clock(since)}`, lost: `lost for ${lasted}` }
    write(element('state-detail'), state === 'lost' ? `for ${lasted}` : isSlow ? `for ${duration(Date.now() - slowSince)}` : '')
    write(element('session-connection'), words[state])
    element('session-connection').title = reason
  }

  #showVerdict (verdict) {
    write(element('session-verdict'), verdictInWords(verdict))
    element('session-verdict').dataset.verdict = verdict
  }
}
