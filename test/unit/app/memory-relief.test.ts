import fc from 'fast-check'
import t from 'tap'
import { levelOf } from '../../../plugin/app/memory-relief.ts'

t.test('the level to which the largest come down', async (t) => {
  t.equal(levelOf([100, 10, 10], 120, 50), 30)
  t.equal(levelOf([50, 50, 10], 110, 60), 25)
  t.equal(levelOf([10, 10], 20, 0), 0)
  t.equal(levelOf([10, 10], 20, -5), 0)
  t.equal(levelOf([], 0, 10), 0)
  fc.assert(fc.property(fc.array(fc.nat({ max: 1_000 }), { minLength: 1, maxLength: 30 }), fc.double({ min: 0, max: 1, noNaN: true }), (weights, share) => {
    const descending = [...weights].sort((left, right) => right - left)
    const sum = descending.reduce((total, weight) => total + weight, 0)
    const room = sum * share
    const level = levelOf(descending, sum, room)
    const left = descending.reduce((total, weight) => total + Math.min(weight, level), 0)
    return level >= 0 && Math.abs(left - room) < 1e-6
  }))
})
