import { equal } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { DetachedPool, type Owned } from '../../../plugin/sessions/detached-pool.ts'

t.test('who goes next is the oldest of whoever has most, as a model has it that counts each time', async (t) => {
  const step = fc.record({ what: fc.constantFrom('add', 'add', 'delete', 'next'), owner: fc.constantFrom(null, 'a', 'b', 'c'), which: fc.nat(30) })
  fc.assert(fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
    const pool = new DetachedPool<Owned>()
    const model: Owned[] = []
    const keyOf = (session: Owned) => session.owner ?? session
    const countOf = (session: Owned) => model.filter((each) => keyOf(each) === keyOf(session)).length
    for (const { what, owner, which } of steps) {
      const session = model[which % Math.max(1, model.length)]
      if (what === 'add') {
        const added = { owner }
        pool.add(added)
        pool.add(added)
        model.push(added)
      } else if (what === 'delete' && session !== undefined) {
        equal(pool.delete(session), true)
        equal(pool.delete(session), false)
        model.splice(model.indexOf(session), 1)
      } else if (what === 'next') {
        const most = Math.max(0, ...model.map(countOf))
        const candidates = model.filter((each) => countOf(each) === most)
        const next = pool.next(owner)
        if (candidates.length === 0) equal(next, undefined)
        else {
          equal(countOf(next!), most)
          equal(model.find((each) => keyOf(each) === keyOf(next!)), next, 'the oldest of its owner')
          if (owner !== null && candidates.some((each) => each.owner === owner)) equal(next!.owner, owner, 'of several, whose turn it is')
        }
      }
      equal(pool.size, model.length)
      equal(pool.owners, new Set(model.map(keyOf)).size)
    }
  }))
  t.pass('they agree')
})

t.test('without owners, the oldest', async (t) => {
  const pool = new DetachedPool<Owned>()
  const [a, b, c] = [{ owner: null }, { owner: null }, { owner: null }]
  for (const session of [a, b, c]) pool.add(session)
  t.equal(pool.next(null), a)
  pool.delete(a)
  pool.add(a)
  t.equal(pool.next(null), b)
})
