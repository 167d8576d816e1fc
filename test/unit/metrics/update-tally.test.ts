import t from 'tap'
import { UpdateTally } from '../../../plugin/metrics/update-tally.ts'

t.test('names are apart up to the limit, and together beyond it', async (t) => {
  const tally = new UpdateTally(['a', 'b'])
  t.equal(tally.isOn, false)
  tally.start(3)
  t.equal(tally.isOn, true)
  t.same(Object.fromEntries(tally), { a: { written: 0, conflated: 0, dropped: 0 }, b: { written: 0, conflated: 0, dropped: 0 } }, 'those of the contract are there from the start')
  for (const name of ['a', 'c', 'd', 'e', 'c', 'other']) tally.add(`event: ${name}\ndata: 1\n\n`, 'written', 2)
  tally.add('event: d\ndata: 1\n\n', 'dropped')
  t.match(Object.fromEntries(tally), { a: { written: 2 }, c: { written: 4 }, other: { written: 6, dropped: 1 } })
  t.equal([...tally].length, 4)
})

t.test('more names than labels in the contract itself', async (t) => {
  const tally = new UpdateTally(Array.from({ length: 50 }, (_, index) => `n${index}`))
  tally.start(2)
  for (let index = 0; index < 50; index++) tally.add(`event: n${index}\ndata: 1\n\n`, 'conflated')
  t.match(Object.fromEntries(tally), { n0: { conflated: 1 }, n1: { conflated: 1 }, other: { conflated: 48 } })
  t.equal([...tally].length, 3)
})

t.test('parameters are no part of the name; an update without a name is a message', async (t) => {
  const tally = new UpdateTally([])
  tally.start(10)
  for (let id = 0; id < 1_000; id++) tally.add(`event: cpu@host?id=${id}\ndata: 1\n\n`, 'written')
  tally.add('data: 1\n\n', 'written')
  t.match(Object.fromEntries(tally), { 'cpu@host': { written: 1_000 }, message: { written: 1 } })
  t.equal([...tally].length, 2)
})
