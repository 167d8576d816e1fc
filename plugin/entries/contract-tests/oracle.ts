import type { Observation, SentSoFar } from './observation.ts'

/** The server's final knowledge of a session. */
export interface Truth extends SentSoFar {
  /** Number of the last event that the session ran. */
  readonly ran: number
  /** Events that the session ran twice, out of order, or while another ran. */
  readonly faults: readonly string[]
}

const mostFaults = 20

/**
 * Judges the updates that one client received: none lost, none twice, none out of order, and
 * every gap announced and followed by a snapshot.
 *
 * The test numbers the session's own updates from 1 without a hole, and broadcasts in the same
 * way. Each update names the last number of the other kind sent before it. So the oracle judges
 * the order by the application's numbers, and judges the ids separately.
 */
export class Oracle {
  readonly faults: string[] = []
  updates = 0
  hellos = 0
  resumed = 0
  gaps = 0
  session: string | null = null
  /** Number of the last update, by its id or by counting. */
  seq = 0
  #own = 0
  #all = 0
  readonly #values: Record<string, number> = {}
  /** After a gap, one jump of each kind is no loss. */
  #ownMayJump = false
  // A session gets broadcasts from the moment it joins, so the first number may be any.
  #allMayJump = true
  #owesSnapshot = false

  /** Whether the client has everything that was sent up to that moment. */
  hasAll ({ own, all, values }: SentSoFar): boolean {
    return this.#own === own && this.#all === all && !this.#owesSnapshot &&
      Object.entries(values).every(([series, v]) => this.#values[series] === v)
  }

  observe (observation: Observation): void {
    switch (observation.type) {
      case 'hello': return this.#hello(observation)
      case 'gap': return this.#gap(observation.seq, 'a gap frame')
      case 'goodbye': return this.#fault(`goodbye: ${observation.reason}`)
      case 'gaveUp': return this.#fault(`gave up: ${observation.why}`)
    }
    this.updates++
    this.#number(observation.id)
    switch (observation.type) {
      case 'own': {
        const { n, all } = observation
        if (n <= this.#own) this.#fault(`own ${n} after ${this.#own}: twice or out of order`)
        else if (n > this.#own + 1 && !this.#ownMayJump) this.#fault(`own ${n} after ${this.#own}: lost without a word`)
        this.#own = n
        this.#ownMayJump = false
        this.#behind('all', all)
        break
      }
      case 'all': {
        const { n } = observation
        if (n <= this.#all) this.#fault(`all ${n} after ${this.#all}: twice or out of order`)
        else if (n > this.#all + 1 && !this.#allMayJump) this.#fault(`all ${n} after ${this.#all}: lost without a word`)
        this.#all = n
        this.#allMayJump = false
        break
      }
      case 'value': {
        const { series, v, own, all } = observation
        const before = this.#values[series] ?? 0
        if (v <= before) this.#fault(`${series} ${v} after ${before}: twice or out of order`)
        this.#values[series] = v
        this.#behind('own', own)
        this.#behind('all', all)
        break
      }
      case 'snapshot': {
        const { own, all, values } = observation
        this.#behind('own', own)
        this.#behind('all', all)
        Object.assign(this.#values, values)
        this.#ownMayJump = this.#allMayJump = false
        this.#owesSnapshot = false
      }
    }
  }

  /** Compares the client's view with the server's, when everything is over. */
  finish (truth: Truth | undefined, events: number): void {
    if (truth === undefined) return this.#fault('its session is gone')
    if (this.#own !== truth.own) this.#fault(`own: ${truth.own} were sent, the last that came is ${this.#own}`)
    if (this.#all !== truth.all) this.#fault(`all: ${truth.all} were sent, the last that came is ${this.#all}`)
    for (const [series, v] of Object.entries(truth.values)) {
      if (this.#values[series] !== v) this.#fault(`${series}: its last value is ${v}, the last that came is ${this.#values[series]}`)
    }
    if (this.#owesSnapshot) this.#fault('a gap without a snapshot')
    if (truth.ran !== events) this.#fault(`${events} events were triggered, the last that ran is ${truth.ran}`)
    for (const fault of truth.faults) this.#fault(fault)
  }

  #hello ({ session, verdict, seq }: { session: string, verdict: string, seq: number }): void {
    this.hellos++
    if (this.session === null) {
      if (verdict !== 'new' || seq !== 0) this.#fault(`the first hello says ${verdict}, ${seq}`)
      this.session = session
      return
    }
    if (session !== this.session) return this.#fault(`another session: ${verdict}`)
    if (verdict === 'gap') this.#gap(seq, 'a hello')
    else if (verdict !== 'resumed') this.#fault(`hello says ${verdict}`)
    else if (seq !== this.seq) this.#fault(`resumed from ${seq}, not from ${this.seq}`)
    else this.resumed++
  }

  #gap (seq: number, where: string): void {
    if (seq <= this.seq) this.#fault(`${where} tells of a gap up to ${seq}, where ${this.seq} was there already`)
    this.seq = seq
    this.gaps++
    this.#ownMayJump = this.#allMayJump = true
    this.#owesSnapshot = true
  }

  #number (id: string | null): void {
    if (id === null) {
      this.seq++
      return
    }
    const dot = id.lastIndexOf('.')
    const number = Number(id.slice(dot + 1))
    if (id.slice(0, dot) !== this.session) this.#fault(`id ${id} in session ${this.session}`)
    if (number <= this.seq) this.#fault(`id ${number} after ${this.seq}: twice or out of order`)
    else if (number > this.seq + 1) this.#fault(`id ${number} after ${this.seq}: lost without a word`)
    this.seq = number
  }

  /** Updates that were sent before this one must have arrived before it, unless a gap took them. */
  #behind (kind: 'own' | 'all', sentBefore: number): void {
    const came = kind === 'own' ? this.#own : this.#all
    if (sentBefore === came) return
    const mayJump = kind === 'own' ? this.#ownMayJump : this.#allMayJump
    if (sentBefore < came) this.#fault(`came after ${kind} ${came}, was sent before ${sentBefore + 1}`)
    else if (!mayJump) this.#fault(`came after ${kind} ${came}, was sent after ${sentBefore}`)
    if (kind === 'own') {
      this.#own = sentBefore
      this.#ownMayJump = false
    } else {
      this.#all = sentBefore
      this.#allMayJump = false
    }
  }

  #fault (fault: string): void {
    if (this.faults.length < mostFaults) this.faults.push(fault)
  }
}
