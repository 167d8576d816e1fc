import { refOf, type SessionTruth } from './messages.ts'
import type { Outcome, Seen } from './page.ts'

/** The broadcasts of an endpoint in the order of the log. */
export interface LogTruth {
  readonly length: number
  /** Undefined for a broadcast that is not in the log; null for one that pages may have at any place, or not at all. */
  placeOf: (told: { from: string, n: number }) => number | null | undefined
  firstAfter: (time: number) => number
}

/** What the nodes know. */
export interface NodesTruth {
  readonly log: LogTruth
  /** The sessions that live, by ref. */
  readonly sessions: ReadonlyMap<string, Pick<SessionTruth, 'own'> & Partial<Pick<SessionTruth, 'last'>>>
  /** How often an event of the page ran. */
  timesRun: (k: number) => number
  /**
   * Whether sessions survive the death of their node. Then none is lost. A gap may take the session back to where the engine had it: its
   * handlers run again, and its state counts each event once.
   */
  readonly survives?: boolean
  /** Whether a session was in the memory of a node that was killed, or taken for dead. */
  mayBeLost: (ref: string) => boolean
}

export interface Verdict {
  readonly faults: string[]
  /** Whether the page has all that it is to get. */
  readonly isComplete: boolean
  readonly resumed: number
  readonly gaps: number
  /** Sessions that were lost with their node. */
  readonly lost: number
  readonly updates: number
  readonly doubts: number
}

const mostFaults = 20

/**
 * Judges one page of a cluster. It saw every broadcast of the log from its session's first snapshot on, once and in the log's
 * order; and every private update once and in order; but for gaps that it was told, each followed by a snapshot. The numbers of
 * updates have no hole. A broadcast without a place came once at most. Each event that was accepted ran once, and the page was told where that is in doubt.
 */
export function judge (seen: readonly Seen[], outcomes: ReadonlyMap<number, Outcome>, events: number, { log, sessions, timesRun, mayBeLost, survives = false }: NodesTruth): Verdict {
  const faults: string[] = []
  const fault = (what: string) => { if (faults.length < mostFaults) faults.push(what) }
  const lost = new Set<string>()
  let session: string | null = null
  let [resumed, gaps, updates, doubts] = [0, 0, 0, 0]
  let [seq, own, place] = [0, 0, -1]
  let [ownMayJump, allMayJump, owesSnapshot] = [false, true, false]
  let ownMayReturn = false
  /** Whether the session has not had its first snapshot. Until then, broadcasts to its group may be missing. */
  let isNew = true
  /** From here on, the page gets all broadcasts: the next one is at most at this place. */
  let latest = Infinity
  /** Broadcasts without a place that its session has got. */
  let placeless = new Set<string>()

  const begin = (id: string) => {
    session = id
    seq = own = 0
    place = -1
    ownMayJump = false
    isNew = allMayJump = owesSnapshot = true
    latest = Infinity
    placeless = new Set()
  }
  const gap = (to: number, where: string) => {
    if (to < seq || (to === seq && !survives)) fault(`${where} tells of a gap up to ${to}, where ${seq} was there already`)
    seq = to
    gaps++
    ownMayJump = allMayJump = owesSnapshot = true
    ownMayReturn = survives
    // Its groups may have been lost as well.
    if (survives) isNew = true
    latest = Infinity
  }
  const number = (given: number | null) => {
    updates++
    if (given !== null && given !== seq + 1) fault(`number ${given} after ${seq}: ${given > seq ? 'lost without a word' : 'twice or out of order'}`)
    seq = given ?? seq + 1
  }
  for (const each of seen) {
    switch (each.is) {
      case 'hello': {
        const { verdict } = each
        if (session === null) {
          if (verdict !== 'new' || each.seq !== 0) fault(`the first hello says ${verdict}, ${each.seq}`)
          begin(each.session)
        } else if (each.session !== session) {
          if (verdict !== 'expired') fault(`another session: ${verdict}`)
          if (survives || !mayBeLost(refOf(session))) fault(`the session ${refOf(session)} is gone, and its node was not killed`)
          lost.add(session)
          begin(each.session)
        } else if (verdict === 'gap') gap(each.seq, 'a hello')
        else if (verdict !== 'resumed') fault(`hello says ${verdict}`)
        else if (each.seq !== seq) fault(`resumed from ${each.seq}, not from ${seq}`)
        else resumed++
        break
      }
      case 'gap':
        gap(each.seq, 'a gap frame')
        break
      case 'reply':
        number(each.seq)
        break
      case 'own':
        number(each.seq)
        if (each.n <= own && !ownMayReturn) fault(`private update ${each.n} after ${own}: twice or out of order`)
        else if (each.n > own + 1 && !ownMayJump) fault(`private update ${each.n} after ${own}: lost without a word`)
        own = each.n
        ownMayJump = false
        break
      case 'snapshot':
        number(each.seq)
        if ((each.own < own && !ownMayReturn) || (each.own > own && !ownMayJump)) fault(`a snapshot after private update ${own} was sent after ${each.own}`)
        own = each.own
        isNew = ownMayJump = ownMayReturn = owesSnapshot = false
        if (allMayJump) latest = log.firstAfter(each.at)
        break
      case 'all': {
        number(each.seq)
        const found = log.placeOf(each)
        if (found === undefined) {
          fault(`broadcast ${each.from} ${each.n} is not in the log`)
          break
        }
        if (found === null) {
          const name = `${each.from} ${each.n}`
          if (placeless.has(name)) fault(`broadcast ${name} came twice`)
          placeless.add(name)
          break
        }
        if (found <= place) fault(`broadcast ${found} of the log after ${place}: twice or out of order`)
        else if (found > place + 1 && !allMayJump) fault(`broadcast ${found} of the log after ${place}: lost without a word`)
        else if (found > latest) fault(`broadcast ${found} of the log is the first one, and it got a snapshot before ${latest}`)
        place = found
        if (!isNew) {
          allMayJump = false
          latest = Infinity
        }
        break
      }
      case 'gaveUp':
        fault(`gave up: ${each.why}`)
    }
  }

  const before = faults.length
  const truth = session === null ? undefined : sessions.get(refOf(session))
  if (truth === undefined) fault(`its session ${session === null ? '' : refOf(session)} is at no node`)
  else if (truth.own !== own) fault(`${truth.own} private updates were sent, the last that came is ${own}`)
  const missing = log.length - 1 - place
  // A gap, or the session's begin, may come after the end of the log.
  if (missing > 0 && !(allMayJump && latest >= log.length)) fault(`${missing} broadcasts at the end of the log did not come`)
  if (owesSnapshot) fault(`${gaps > 0 ? 'a gap' : 'a session'} without a snapshot`)
  let isSettled = outcomes.size === events
  if (!isSettled) fault(`${events} events, and ${outcomes.size} outcomes`)
  for (const [k, { is, session: of }] of outcomes) {
    const times = timesRun(k)
    if (is === 'doubt') doubts++
    if (times > 1 && !survives) fault(`event ${k} ran ${times} times`)
    if (is === 'doubt' && lost.size === 0) fault(`event ${k} is in doubt, and no session was lost`)
    if (is === 'accepted' && times === 0 && !lost.has(of)) {
      isSettled = false
      fault(`event ${k} was accepted, and did not run`)
    }
  }
  if (survives && truth !== undefined && truth.last !== outcomes.size) {
    isSettled = false
    fault(`${outcomes.size} events were accepted, and its state has ${truth.last}`)
  }
  return { faults, isComplete: isSettled && faults.length === before, resumed, gaps, lost: lost.size, updates, doubts }
}
