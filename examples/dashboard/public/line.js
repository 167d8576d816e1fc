const goodbyes = ['draining', 'shutdown']

/**
 * State of the connection, as the page shows it.
 *
 * Dispatches `state` whenever `state` changes.
 */
export class Line extends EventTarget {
  /** @type {'connecting' | 'live' | 'lost'} */
  state = 'connecting'
  /** Since when it has been in this state, milliseconds of this machine's clock. */
  since = Date.now()
  /** How long it was lost before it came back, 0 if it was not. */
  awayMs = 0
  /** What the server made of the session when the line came. */
  verdict = ''
  /** Why the line was lost, in words for a person. */
  reason = ''

  /** @param {import('fastify-tether/client').Connection} live */
  constructor (live) {
    super()
    live.onState((state, { verdict, reason }) => {
      if (state === 'open') {
        this.awayMs = this.state === 'lost' ? Date.now() - this.since : 0
        this.verdict = verdict
        this.#enter('live')
      } else if (state === 'closed' || (state === 'waiting' && this.state === 'live')) {
        // Of several failed tries in a row, the first has the reason. A page that never was connected has lost nothing.
        this.reason = reasonInWords(state, reason)
        this.#enter('lost')
      }
    })
  }

  #enter (state) {
    this.state = state
    this.since = Date.now()
    this.dispatchEvent(new Event('state'))
  }
}

function reasonInWords (state, reason) {
  if (state === 'closed') return 'The server has ended the session. Reload the page for another'
  if (goodbyes.includes(reason)) return 'The server is going away'
  if (reason === 'silent') return 'The line went silent'
  return 'The server cannot be reached'
}
