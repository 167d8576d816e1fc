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
