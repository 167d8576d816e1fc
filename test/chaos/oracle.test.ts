import { deepStrictEqual, notDeepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Oracle, type Observation, type Truth } from '../../plugin/entries/contract-tests.ts'

const session = 's'

/** What the oracle has to say of a history. */
function faultsOf (history: readonly Observation[], truth: Truth, events = 0): string[] {
  const oracle = new Oracle()
  for (const observation of history) oracle.observe(observation)
  oracle.finish(truth, events)
  return oracle.faults
}

const hello = (verdict: string, seq: number, of = session): Observation => ({ type: 'hello', session: of, verdict, seq })
const own = (seq: number, n: number, all = 0): Observation => ({ type: 'own', id: `${session}.${seq}`, n, all })
const all = (seq: number, n: number): Observation => ({ type: 'all', id: `${session}.${seq}`, n })
const value = (seq: number, v: number, own: number, all = 0): Observation => ({ type: 'value', id: `${session}.${seq}`, series: 'a', v, own, all })
const snapshot = (seq: number, own: number, all = 0, values = {}): Observation => ({ type: 'snapshot', id: `${session}.${seq}`, own, all, values })
const truthOf = (own: number, all = 0, values = {}): Truth => ({ own, all, values, ran: 0, faults: [] })

t.test('what is right', async (t) => {
  t.same(faultsOf([hello('new', 0), own(1, 1), all(2, 40), own(3, 2, 40), value(4, 3, 2, 40)], truthOf(2, 40, { a: 3 })), [])
  t.same(faultsOf([hello('new', 0), hello('resumed', 0), own(1, 1), hello('resumed', 1), own(2, 2)], truthOf(2)), [], 'cuts')
  t.same(faultsOf([hello('new', 0), own(1, 1), hello('gap', 5), own(6, 4), snapshot(7, 4)], truthOf(4)), [], 'a gap, what is held, a snapshot')
  t.same(faultsOf([hello('new', 0), own(1, 1), { type: 'gap', seq: 3 }, own(4, 4), snapshot(5, 4)], truthOf(4)), [], 'a gap in mid-stream')
  t.same(faultsOf([hello('new', 0), own(1, 1), hello('gap', 3), snapshot(4, 3, 0, { a: 7 })], truthOf(3, 0, { a: 7 })), [], 'the snapshot tells of what is not held')
})

const wrong: Array<[string, Observation[], Truth, RegExp]> = [
  ['an update lost', [hello('new', 0), own(1, 1), own(3, 3)], truthOf(3), /id 3 after 1: lost/],
  ['an update lost, with ids as if it had not been', [hello('new', 0), own(1, 1), own(2, 3)], truthOf(3), /own 3 after 1: lost/],
  ['the last update lost', [hello('new', 0), own(1, 1)], truthOf(2), /2 were sent, the last that came is 1/],
  ['a broadcast lost', [hello('new', 0), all(1, 7), all(2, 9)], truthOf(0, 9), /all 9 after 7: lost/],
  ['the last broadcast lost', [hello('new', 0), all(1, 7)], truthOf(0, 8), /all: 8 were sent/],
  ['an update twice', [hello('new', 0), own(1, 1), own(1, 1)], truthOf(1), /twice or out of order/],
  ['an update twice, under another id', [hello('new', 0), own(1, 1), own(2, 1)], truthOf(1), /own 1 after 1: twice/],
  ['a broadcast twice', [hello('new', 0), all(1, 7), all(2, 7)], truthOf(0, 7), /all 7 after 7: twice/],
  ['two updates in the wrong order', [hello('new', 0), own(2, 2), own(1, 1)], truthOf(2), /out of order/],
  ['two kinds in the wrong order', [hello('new', 0), all(1, 6), own(2, 1, 7), all(3, 7)], truthOf(1, 7), /came after all 6, was sent after 7/],
  ['an older value after a newer', [hello('new', 0), value(1, 2, 0), value(2, 1, 0)], truthOf(0, 0, { a: 1 }), /a 1 after 2/],
  ['a value that overtook', [hello('new', 0), value(1, 1, 1), own(2, 1)], truthOf(1, 0, { a: 1 }), /came after own 0, was sent after 1/],
  ['a value that was overtaken', [hello('new', 0), own(1, 1), value(2, 1, 0)], truthOf(1, 0, { a: 1 }), /came after own 1, was sent before 1/],
  ['the last value lost', [hello('new', 0), value(1, 1, 0)], truthOf(0, 0, { a: 2 }), /its last value is 2/],
  ['a gap that nobody told', [hello('new', 0), own(1, 1), hello('resumed', 1), own(5, 5), snapshot(6, 5)], truthOf(5), /lost without a word/],
  ['a gap without a snapshot', [hello('new', 0), own(1, 1), hello('gap', 4), own(5, 5)], truthOf(5), /a gap without a snapshot/],
  ['a gap that hides a second', [hello('new', 0), own(1, 1), hello('gap', 4), own(5, 5), own(7, 7), snapshot(8, 7)], truthOf(7), /lost without a word/],
  ['a gap where nothing is lost', [hello('new', 0), own(1, 1), hello('gap', 1), snapshot(2, 1)], truthOf(1), /where 1 was there already/],
  ['resumed from too late', [hello('new', 0), own(1, 1), hello('resumed', 2), own(3, 3)], truthOf(3), /resumed from 2, not from 1/],
  ['another session', [hello('new', 0), hello('new', 0, 'other')], truthOf(0), /another session/],
  ['a session that expired', [hello('new', 0), hello('expired', 0)], truthOf(0), /hello says expired/],
  ['an id of another session', [hello('new', 0), { type: 'own', id: 'other.1', n: 1, all: 0 }], truthOf(1), /id other\.1 in session s/],
  ['a goodbye', [hello('new', 0), { type: 'goodbye', reason: 'replaced' }], truthOf(0), /goodbye: replaced/],
  ['a client that gave up', [hello('new', 0), { type: 'gaveUp', why: '204' }], truthOf(0), /gave up: 204/]
]

t.test('what is wrong', async (t) => {
  for (const [what, history, truth, fault] of wrong) t.match(faultsOf(history, truth).join('\n'), fault, what)
  const fine = [hello('new', 0), own(1, 1)]
  t.match(faultsOf(fine, { ...truthOf(1), ran: 4 }, 5), [/5 events were triggered, the last that ran is 4/])
  t.match(faultsOf(fine, { ...truthOf(1), ran: 5, faults: ['event 3 ran after 3'] }, 5), [/event 3 ran after 3/])
  const oracle = new Oracle()
  oracle.finish(undefined, 0)
  t.match(oracle.faults, [/its session is gone/])
})

/** A history that is right, with ids or, for a reader that counts, without. */
function historyOf (kinds: ReadonlyArray<'own' | 'all' | 'value'>, hasIds: boolean): { history: Observation[], truth: Truth } {
  const sent = { own: 0, all: 10, v: 0 }
  const history = kinds.map((kind, index): Observation => {
    const id = hasIds ? `${session}.${index + 1}` : null
    if (kind === 'own') return { type: 'own', id, n: ++sent.own, all: sent.all }
    if (kind === 'all') return { type: 'all', id, n: ++sent.all }
    return { type: 'value', id, series: 'a', v: ++sent.v, own: sent.own, all: sent.all }
  })
  return { history, truth: truthOf(sent.own, sent.all, sent.v === 0 ? {} : { a: sent.v }) }
}

t.test('whatever is lost, comes twice or changes places in a history that is right', async (t) => {
  // The first broadcast may have any number, so each history begins with one.
  const kinds = fc.array(fc.constantFrom('own' as const, 'all' as const, 'value' as const), { minLength: 2, maxLength: 20 }).map((rest) => ['all' as const, ...rest])
  fc.assert(fc.property(kinds, fc.nat(), fc.boolean(), (kinds, at, hasIds) => {
    const { history, truth } = historyOf(kinds, hasIds)
    const begin = hello('new', 0)
    deepStrictEqual(faultsOf([begin, ...history], truth), [])
    const index = 1 + at % (history.length - 1)
    const replaced = history[index]!
    // Of a series, only the newest value has to arrive; where there are ids, one that is missing shows all the same.
    const isReplaced = replaced.type === 'value' && !hasIds && history.slice(index + 1).some(({ type }) => type === 'value')
    if (!isReplaced) notDeepStrictEqual(faultsOf([begin, ...history.toSpliced(index, 1)], truth), [], 'lost')
    notDeepStrictEqual(faultsOf([begin, ...history.toSpliced(index, 0, replaced)], truth), [], 'twice')
    const swapped = history.with(index, history[index - 1]!).with(index - 1, replaced)
    if (index > 1) notDeepStrictEqual(faultsOf([begin, ...swapped], truth), [], 'out of order')
  }), { numRuns: 500 })
  t.pass('is found')
})
