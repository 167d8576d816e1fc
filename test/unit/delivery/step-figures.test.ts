import fc from 'fast-check'
import t from 'tap'
import { StepFigures } from '../../../plugin/delivery/step-figures.ts'
import { Counters } from '../../../plugin/metrics/counters.ts'

interface Tallied {
  readonly counters: Counters
  frames: number
  writes: number
  bytes: number
  conflated: number
  highWater: number
}

const actions = fc.array(fc.oneof(
  fc.record({ kind: fc.constant('join' as const) }),
  fc.record({ kind: fc.constant('leave' as const), place: fc.nat({ max: 5 }) }),
  fc.record({ kind: fc.constant('settle' as const), place: fc.nat({ max: 5 }) }),
  fc.record({ kind: fc.constant('round' as const), frames: fc.integer({ min: 1, max: 9 }), bytes: fc.nat({ max: 99 }), conflated: fc.nat({ max: 3 }), waiting: fc.nat({ max: 20 }) })
), { maxLength: 60 })

t.test('each member has the figures of the rounds between its coming and its going', async (t) => {
  let settled = 0
  fc.assert(fc.property(actions, (actions) => {
    const figures = new StepFigures()
    const members: Tallied[] = []
    let totals = { position: 1, rounds: 0, bytes: 0, conflated: 0 }
    const settle = (place: number): void => {
      const { counters, ...expected } = members[place]!
      // An id line of three bytes.
      figures.settle(place, totals, counters, (from, to) => 3 * (to - from))
      const { framesWritten: frames, writes, bytesWritten, conflated, queueHighWater: highWater } = counters
      t.same({ frames, writes, bytes: bytesWritten, conflated, highWater }, { ...expected, bytes: expected.bytes + 3 * expected.frames })
      settled++
    }
    for (const action of actions) {
      if (action.kind === 'join') {
        members.push({ counters: new Counters(), frames: 0, writes: 0, bytes: 0, conflated: 0, highWater: 0 })
        figures.push(totals)
      } else if (action.kind === 'round') {
        const { frames, bytes, conflated, waiting } = action
        figures.note(totals.rounds + 1, waiting)
        totals = { position: totals.position + frames, rounds: totals.rounds + 1, bytes: totals.bytes + bytes, conflated: totals.conflated + conflated }
        for (const member of members) {
          member.frames += frames
          member.writes++
          member.bytes += bytes
          member.conflated += conflated
          member.highWater = Math.max(member.highWater, waiting)
        }
      } else if (members.length > 0) {
        const place = action.place % members.length
        settle(place)
        if (action.kind === 'settle') continue
        figures.move(members.length - 1, place)
        figures.pop()
        const last = members.pop()!
        if (place < members.length) members[place] = last
      }
    }
    for (const place of members.keys()) settle(place)
  }))
  t.ok(settled > 100)
})

t.test('frames that wait count before their round', async (t) => {
  const figures = new StepFigures()
  const counters = new Counters()
  const totals = { position: 1, rounds: 0, bytes: 0, conflated: 0 }
  figures.push(totals)
  figures.note(1, 7)
  figures.settle(0, totals, counters, () => 0)
  t.equal(counters.queueHighWater, 7)
})

t.test('the peaks stay few, and go with the last member', async (t) => {
  const figures = new StepFigures()
  const counters = new Counters()
  let totals = { position: 1, rounds: 0, bytes: 0, conflated: 0 }
  figures.push(totals)
  for (let round = 1; round <= 10_000; round++) {
    figures.note(round, round % 7)
    totals = { ...totals, rounds: round }
  }
  figures.settle(0, totals, counters, () => 0)
  t.equal(counters.queueHighWater, 6)
  figures.pop()
  figures.push(totals)
  const later = new Counters()
  figures.settle(0, { ...totals, rounds: totals.rounds + 1 }, later, () => 0)
  t.equal(later.queueHighWater, 0)
})
