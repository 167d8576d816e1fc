import t from 'tap'
import { DeadlineTable } from '../../../plugin/delivery/deadline-table.ts'

interface Owner {
  first: number
  second: number
  log: string[]
}

const table = new DeadlineTable<Owner>({
  first: { at: ({ first }) => first, act: (owner, now) => { owner.log.push(`first at ${now}`); owner.first = Infinity; owner.second += 10 } },
  second: { at: ({ second }) => second, act: (owner, now) => { owner.log.push(`second at ${now}`); owner.second = Infinity } }
})

t.test('tells the earliest of all', async (t) => {
  t.equal(table.next({ first: 3, second: 2, log: [] }), 2)
  t.equal(table.next({ first: 3, second: Infinity, log: [] }), 3)
  t.equal(table.next({ first: Infinity, second: Infinity, log: [] }), Infinity)
})

t.test('acts on what is due, in the order of the rows', async (t) => {
  const owner = { first: 5, second: 1, log: [] as string[] }
  table.run(owner, 4)
  t.same(owner.log, ['second at 4'])
  owner.second = 5
  table.run(owner, 5)
  t.same(owner.log.slice(1), ['first at 5'], 'a row is asked after those before it have acted')
  t.equal(table.next(owner), 15)
  table.run(owner, 15)
  table.run(owner, 1e9)
  t.same(owner.log.slice(2), ['second at 15'])
})
