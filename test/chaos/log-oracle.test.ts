import { deepStrictEqual, notDeepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { judge, type NodesTruth } from './nodes/log-oracle.ts'
import { LogOfUrl } from './nodes/log-watch.ts'
import { refOf } from './nodes/messages.ts'
import type { Outcome, Seen } from './nodes/page.ts'

const session = 's'

interface Facts {
  /** Broadcasts in the log; the n-th is sent at n. */
  length?: number
  /** Private updates. */
  own?: number
  /** How often each event ran. */
  ran?: number[]
  lost?: string[]
  last?: string
}

function judged (seen: readonly Seen[], { length = 0, own = 0, ran = [], lost = [], last = session }: Facts, outcomes: Array<[Outcome['is'], string?]> = [], events = outcomes.length) {
  const log = new LogOfUrl()
  for (let n = 1; n <= length; n++) log.add({ from: 'a', n, at: n, padding: '' })
  const truth: NodesTruth = {
    log,
    sessions: new Map([[refOf(last), { own }]]),
    timesRun: (k) => ran[k - 1] ?? 0,
    mayBeLost: (ref) => lost.some((id) => refOf(id) === ref)
  }
  return judge(seen, new Map(outcomes.map(([is, of = session], index) => [index + 1, { is, session: of }])), events, truth)
}

const hello = (verdict = 'new', seq = 0, of = session): Seen => ({ is: 'hello', session: of, verdict, seq })
const all = (n: number, seq: number | null = null): Seen => ({ is: 'all', from: 'a', n, seq })
const own = (n: number, seq: number | null = null): Seen => ({ is: 'own', n, seq })
const snapshot = (own = 0, at = 0, seq: number | null = null): Seen => ({ is: 'snapshot', own, at, seq })
const gap = (seq: number): Seen => ({ is: 'gap', seq })
const start = [hello(), snapshot()]

const right: Array<[string, Seen[], Facts, Array<[Outcome['is'], string?]>?]> = [
  ['all of the log, private updates between', [...start, all(1), own(1), all(2)], { length: 2, own: 1 }],
  ['a session that begins in the midst', [hello(), snapshot(0, 2), all(3), all(4)], { length: 4 }],
  ['one that begins at the end', [hello(), snapshot(0, 4)], { length: 4 }],
  ['broadcasts to all before the first snapshot, and some to the group missing', [hello(), all(1), all(3), snapshot(0, 3.5), all(4)], { length: 4 }],
  ['cuts', [...start, all(1), hello('resumed', 2), all(2)], { length: 2 }],
  ['exact numbers', [hello(), snapshot(0, 0, 1), all(1, 2), own(1, 3)], { length: 1, own: 1 }],
  ['a gap in a stream, what is held, a snapshot', [...start, all(1), gap(5), all(4), snapshot(0, 4), all(5)], { length: 5 }],
  ['a gap at a hello', [...start, own(1), hello('gap', 9), snapshot(7, 3), all(4)], { length: 4, own: 7 }],
  ['a gap that covers the end of the log', [...start, all(1), hello('gap', 9), snapshot(0, 4)], { length: 4 }],
  ['events that ran once', start, { ran: [1, 1] }, [['accepted'], ['accepted']]],
  ['a session lost with a node, its events in doubt or not run', [...start, all(1), hello('expired', 0, 'next'), snapshot(0, 1), all(2)], { length: 2, lost: [session], last: 'next', ran: [1, 0, 0, 1, 1] }, [['accepted'], ['accepted'], ['doubt'], ['doubt'], ['accepted', 'next']]]
]

t.test('what is right', async (t) => {
  for (const [what, seen, facts, outcomes] of right) t.match(judged(seen, facts, outcomes), { faults: [], isComplete: true }, what)
})

const wrong: Array<[string, Seen[], Facts, RegExp, Array<[Outcome['is'], string?]>?]> = [
  ['a broadcast lost', [...start, all(1), all(3)], { length: 3 }, /broadcast 2 of the log after 0: lost without a word/],
  ['the first broadcast lost', [...start, all(2)], { length: 2 }, /broadcast 1 of the log is the first one, and it got a snapshot before 0/],
  ['the last broadcast lost', [...start, all(1)], { length: 2 }, /1 broadcasts at the end of the log did not come/],
  ['all broadcasts lost', start, { length: 2 }, /2 broadcasts at the end/],
  ['a broadcast twice', [...start, all(1), all(1)], { length: 1 }, /twice or out of order/],
  ['two broadcasts in another order', [...start, all(1), all(3), all(2)], { length: 3 }, /broadcast 1 of the log after 2: twice or out of order/],
  ['a broadcast that is not in the log', [...start, all(1), all(2)], { length: 1 }, /is not in the log/],
  ['a private update lost', [...start, own(1), own(3)], { own: 3 }, /private update 3 after 1: lost/],
  ['the last private update lost', [...start, own(1)], { own: 2 }, /2 private updates were sent, the last that came is 1/],
  ['a private update twice', [...start, own(1), own(1)], { own: 1 }, /twice or out of order/],
  ['a number lost', [hello(), snapshot(0, 0, 1), own(1, 3)], { own: 1 }, /number 3 after 1: lost without a word/],
  ['a number twice', [hello(), snapshot(0, 0, 1), own(1, 1)], { own: 1 }, /number 1 after 1: twice/],
  ['resumed from elsewhere', [...start, own(1), hello('resumed', 3)], { own: 1 }, /resumed from 3, not from 2/],
  ['a second loss behind a gap', [...start, gap(9), all(3), all(5), snapshot(0, 5)], { length: 5 }, /broadcast 4 of the log after 2: lost without a word/],
  ['a loss behind the snapshot of a gap', [...start, all(1), gap(9), snapshot(0, 2), all(5)], { length: 5 }, /is the first one, and it got a snapshot before 2/],
  ['the end of the log lost behind the snapshot of a gap', [...start, all(1), gap(9), snapshot(0, 2)], { length: 4 }, /3 broadcasts at the end of the log did not come/],
  ['a gap without a snapshot', [...start, gap(3)], {}, /a gap without a snapshot/],
  ['a gap where nothing is missing', [...start, gap(1), snapshot()], {}, /where 1 was there already/],
  ['a session that is gone without a reason', [...start, hello('expired', 0, 'next'), snapshot()], { last: 'next' }, /is gone, and its node was not killed/],
  ['another session without a word', [...start, hello('new', 0, 'next'), snapshot()], { last: 'next', lost: [session] }, /another session: new/],
  ['a session that no node has', start, { last: 'other' }, /is at no node/],
  ['a page that gave up', [...start, { is: 'gaveUp', why: '204' }], {}, /gave up: 204/],
  ['an event that ran twice', start, { ran: [2] }, /event 1 ran 2 times/, [['accepted']]],
  ['an event in doubt that ran twice', [...start, hello('expired', 0, 'next'), snapshot()], { ran: [2], lost: [session], last: 'next' }, /event 1 ran 2 times/, [['doubt']]],
  ['an accepted event that did not run', start, { ran: [0] }, /event 1 was accepted, and did not run/, [['accepted']]],
  ['the same, of the session after a lost one', [...start, hello('expired', 0, 'next'), snapshot()], { ran: [0], lost: [session], last: 'next' }, /event 1 was accepted, and did not run/, [['accepted', 'next']]],
  ['an event in doubt though no node was killed', start, { ran: [1] }, /is in doubt, and no session was lost/, [['doubt']]]
]

t.test('what is wrong', async (t) => {
  for (const [what, seen, facts, fault, outcomes] of wrong) t.match(judged(seen, facts, outcomes).faults.join('\n'), fault, what)
  t.match(judged(start, {}, [], 1), { faults: [/1 events, and 0 outcomes/], isComplete: false })
})

t.test('whatever is lost, comes twice or changes places in a history that is right', async (t) => {
  const kinds = fc.array(fc.constantFrom('own' as const, 'all' as const), { minLength: 2, maxLength: 20 })
  fc.assert(fc.property(kinds, fc.nat(), fc.boolean(), (kinds, at, isCounted) => {
    const sent = { own: 0, all: 0 }
    const history = kinds.map((kind, index): Seen => {
      const seq = isCounted ? null : index + 2
      return kind === 'own' ? own(++sent.own, seq) : all(++sent.all, seq)
    })
    const faultsOf = (history: Seen[]) => judged([hello(), snapshot(0, 0, isCounted ? null : 1), ...history], { length: sent.all, own: sent.own }).faults
    deepStrictEqual(faultsOf(history), [])
    const index = at % history.length
    notDeepStrictEqual(faultsOf(history.toSpliced(index, 1)), [], 'lost')
    notDeepStrictEqual(faultsOf(history.toSpliced(index, 0, history[index]!)), [], 'twice')
    // A private update may change places with a broadcast, where no numbers tell.
    if (index > 0 && !(isCounted && kinds[index] !== kinds[index - 1])) {
      notDeepStrictEqual(faultsOf(history.with(index, history[index - 1]!).with(index - 1, history[index]!)), [], 'out of order')
    }
  }), { numRuns: 500 })
  t.pass('is found')
})
