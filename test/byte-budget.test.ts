import t from 'tap'
import { ByteBudget } from '../plugin/byte-budget.ts'
import { Frame } from '../plugin/frame.ts'

t.test('counts each frame once, as long as anybody holds it', async (t) => {
  const budget = new ByteBudget(100)
  const shared = new Frame('äöü')
  const own = new Frame('x')
  budget.hold(shared)
  budget.hold(shared)
  budget.hold(own)
  t.equal(budget.used, 7)
  t.equal(shared.holders, 2)
  t.same([shared.isShared, own.isShared], [true, false])
  budget.release(shared)
  t.equal(budget.used, 7)
  budget.release(own)
  t.equal(budget.used, 6)
  t.equal(shared.isShared, true, 'with one holder left, too')
  budget.release(shared)
  t.equal(budget.used, 0)
  budget.hold(shared)
  t.equal(budget.used, 6, 'a frame may come back')
})

t.test('tells its limit, which others enforce', async (t) => {
  const budget = new ByteBudget(1)
  budget.hold(new Frame('too long'))
  t.equal(budget.limit, 1)
  t.equal(budget.used, 8)
  t.doesNotThrow(() => budget.onExceeded(), 'nobody need listen')
})

t.test('asks for room no more where none can be made, until less is held', async (t) => {
  const budget = new ByteBudget(1_000)
  const frames = Array.from({ length: 30 }, () => new Frame('x'.repeat(100)))
  const asked = (count: number) => {
    let times = 0
    for (const frame of frames.slice(0, count)) {
      budget.hold(frame)
      if (budget.isExceeded) times++
    }
    return times
  }
  const release = (from: number, to: number) => { for (const frame of frames.slice(from, to)) budget.release(frame) }
  t.equal(asked(10), 0)
  release(0, 10)
  t.equal(asked(30), 20)
  budget.shed()
  t.equal(budget.isExceeded, false)
  const more = new Frame('x'.repeat(31))
  budget.hold(more)
  t.equal(budget.isExceeded, true, 'more than a hundredth above what is left')
  budget.release(more)
  release(15, 30)
  t.equal(budget.used, 1_500)
  budget.hold(more)
  t.equal(budget.isExceeded, true, 'as well once a part of it has gone')
  budget.release(more)
  release(0, 15)
  t.equal(budget.used, 0)
  t.equal(asked(30), 20, 'and from the limit on, once all of it has')
})
