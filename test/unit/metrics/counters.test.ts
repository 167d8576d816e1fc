import t from 'tap'
import { Counters, snapshot } from '../../../plugin/metrics/counters.ts'

t.test('counts from 0', async (t) => {
  for (const [name, value] of Object.entries(new Counters())) t.equal(value, 0, name)
})

t.test('a snapshot is a copy, in whole milliseconds', async (t) => {
  const counters = new Counters()
  counters.framesWritten = 3
  counters.stalledMs = 12.6
  const figures = snapshot(counters, 20)
  counters.framesWritten = 4
  t.same(figures, { ...new Counters(), framesWritten: 3, stalledMs: 33 }, 'with the stalls that go on')
  t.equal(counters.stalledMs, 12.6, 'nothing is lost by looking')
})

t.test('what is counted counts for the parent too', async (t) => {
  const totals = new Counters()
  const [one, other] = [new Counters(totals), new Counters(totals)]
  one.add('stalls')
  other.add('dropped', 3)
  one.addWrite(10)
  other.addWrite(20)
  one.addFrames(2)
  one.raiseHighWater(5)
  other.raiseHighWater(4)
  t.same(snapshot(totals, 0), { ...new Counters(), stalls: 1, dropped: 3, writes: 2, bytesWritten: 30, framesWritten: 2, queueHighWater: 5 })
  t.same(snapshot(one, 0), { ...new Counters(), stalls: 1, writes: 1, bytesWritten: 10, framesWritten: 2, queueHighWater: 5 })
  t.same(snapshot(other, 0), { ...new Counters(), dropped: 3, writes: 1, bytesWritten: 20, queueHighWater: 4 })
})

t.test('what the parent has counted before is adopted by one alone', async (t) => {
  const totals = new Counters()
  totals.addWrite(10)
  const late = new Counters(totals)
  late.adopt(1, 10)
  t.same([totals.writes, totals.bytesWritten], [1, 10])
  t.same([late.writes, late.bytesWritten], [1, 10])
})
