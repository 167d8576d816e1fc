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
