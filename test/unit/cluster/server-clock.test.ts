import fc from 'fast-check'
import t from 'tap'
import { ServerClock } from '../../../plugin/cluster/nats/server-clock.ts'

const delays = fc.record({ there: fc.integer({ min: 0, max: 400 }), back: fc.integer({ min: 0, max: 400 }) })

t.test('what one node knows to be past, no other knows to be ahead', async (t) => {
  let certain = 0
  fc.assert(fc.property(delays, delays, fc.integer({ min: -1_000, max: 1_000 }), (first, second, from) => {
    const serverAhead = 5_000
    const [one, other] = [first, second].map(({ there, back }) => {
      const clock = new ServerClock()
      const askedAt = performance.now() - there - back
      clock.read(askedAt + there + serverAhead, askedAt, askedAt + there + back)
      return clock
    })
    const time = performance.now() + serverAhead + from
    const [isPast, isBefore] = [one!.isPast(time), other!.isBefore(time)]
    if (isPast || isBefore) certain++
    t.notOk(isPast && isBefore)
  }))
  t.ok(certain > 50)
})

t.test('a clock that was never read knows nothing', async (t) => {
  const clock = new ServerClock()
  t.same([clock.isPast(0), clock.isBefore(1e15)], [false, false])
})
