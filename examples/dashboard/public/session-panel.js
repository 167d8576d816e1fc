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

  /** The line is there, for the first time or again. */
  greet ({ verdict, session, awayMs }) {
    if (verdict === 'new' || verdict === 'expired') this.#lastSeq = this.#missing = 0
    this.#showVerdict(verdict)
    write(element('session-id'), `${session.slice(0, 6)}…`)
    if (awayMs > 0) write(element('session-away'), `${duration(awayMs)}, back at ${clock(Date.now())}`)
  }

  /** An update came; their numbers are dense. */
  count () {
    this.#lastSeq++
  }

  /** Updates up to number `seq` were lost. */
  skip (seq) {
    this.#missing += Math.max(0, seq - this.#lastSeq)
    this.#lastSeq = seq
    this.#showVerdict('gap')
  }

  /** The server's own figures. */
  tell ({ frames, queued, conflated, stalls, stalledMs }) {
    write(element('session-frames'), count(frames))
    write(element('session-queued'), queued === 1 ? '1 frame' : `${count(queued)} frames`)
    write(element('session-conflated'), count(conflated))
    write(element('session-blocked'), stalls === 0 ? '0' : `${count(stalls)} times, ${duration(stalledMs)}`)
    write(element('session-missing'), this.#missing === 0 ? 'none' : count(this.#missing))
    element('session-queued').classList.toggle('raised', queued > 0)
    element('session-blocked').classList.toggle('raised', stalls > 0)
    element('session-missing').classList.toggle('raised', this.#missing > 0)
  }

  /** @param {import('./line.js').Line} line */
  showLine ({ state, since, reason }) {
    const lasted = duration(Math.max(0, Date.now() - since))
    const words = { connecting: 'connecting', live: `live since ${clock(since)}`, lost: `lost for ${lasted}` }
    write(element('state-detail'), state === 'lost' ? `for ${lasted}` : '')
    write(element('session-connection'), words[state])
    element('session-connection').title = reason
  }

  #showVerdict (verdict) {
    write(element('session-verdict'), verdictInWords(verdict))
    element('session-verdict').dataset.verdict = verdict
  }
}
