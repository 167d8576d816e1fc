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

  /** A hello came: `seq` is the last update that this page is taken to have. */
  greet ({ verdict, session, seq, awayMs }) {
    if (verdict === 'gap') this.#missing += Math.max(0, seq - this.#lastSeq)
    if (verdict === 'new' || verdict === 'expired') this.#missing = 0
    this.#lastSeq = seq
    this.#showVerdict(verdict)
    write(element('session-id'), `${session.slice(0, 6)}…`)
    if (awayMs > 0) write(element('session-away'), `${duration(awayMs)}, back at ${clock(Date.now())}`)
  }

  /** Updates up to `seq` were dropped. */
  skip (seq) {
    this.#missing += Math.max(0, seq - this.#lastSeq)
    this.#lastSeq = Math.max(this.#lastSeq, seq)
    this.#showVerdict('gap')
  }

  /** Numbers are dense: any that is left out is an update missed. */
  count (seq) {
    if (!(seq > this.#lastSeq)) return
    this.#missing += seq - this.#lastSeq - 1
    this.#lastSeq = seq
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

  /** @param {import('./stream.js').Stream} stream */
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
