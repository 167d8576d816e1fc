import t from 'tap'
import { DueWatch } from '../../../plugin/ownership/due-watch.ts'
import { FrozenSessions } from '../../../plugin/ownership/frozen-sessions.ts'
import { VirtualClock } from '../cluster/virtual-clock.ts'

const limits = { dueMs: 1_000, dueKeys: 4, dueWrites: 2 }

function start (due: string[], isOwn: (ref: string) => boolean = () => true) {
  const clock = new VirtualClock()
  const state = { mayAct: true, running: 0, most: 0, looks: 0, ended: [] as string[] }
  const watch = new DueWatch({
    clock,
    limits,
    mayAct: () => state.mayAct,
    due: async (limit) => {
      state.looks++
      return due.slice(0, limit)
    },
    end: async (ref) => {
      state.most = Math.max(state.most, ++state.running)
      await new Promise<void>((resolve) => { clock.setTimeout(resolve, 1) })
      state.running--
      if (!isOwn(ref)) return false
      due.splice(due.indexOf(ref), 1)
      state.ended.push(ref)
      return true
    }
  })
  watch.start()
  return { clock, state, watch }
}

const refs = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index}`)

t.test('all that is due ends at one look, a few at a time', async (t) => {
  const { clock, state, watch } = start(refs('a', 10))
  await clock.pass(1_600)
  t.strictSame(state.ended.toSorted(), refs('a', 10))
  t.equal(state.most, limits.dueWrites)
  watch.stop()
  const { looks } = state
  await clock.pass(10_000)
  t.equal(state.looks, looks)
  t.equal(clock.pending, 0)
})

t.test('what is for other nodes does not hide the rest', async (t) => {
  const { clock, state, watch } = start([...refs('other', 30), ...refs('own', 3)], (ref) => ref.startsWith('own'))
  await clock.pass(10_000)
  t.strictSame(state.ended.toSorted(), refs('own', 3))
  t.ok(state.looks < 20, 'it does not look all the time')
  watch.stop()
})

t.test('without a lease it takes nothing', async (t) => {
  const { clock, state, watch } = start(refs('a', 2))
  state.mayAct = false
  await clock.pass(5_000)
  t.equal(state.looks, 0)
  state.mayAct = true
  await clock.pass(2_000)
  t.equal(state.ended.length, 2)
  watch.stop()
})

t.test('frozen sessions make room when they are taken out, or when their time is over', async (t) => {
  const frozen = new FrozenSessions(2)
  t.equal(frozen.hasRoom(0), true)
  frozen.set('a', 500)
  frozen.set('b', 5_000)
  t.equal(frozen.hasRoom(100), false)
  frozen.delete('b')
  t.equal(frozen.hasRoom(100), true)
  frozen.set('c', Infinity)
  t.equal(frozen.hasRoom(1_200), true)
  t.equal(frozen.size, 1)
  t.equal(new FrozenSessions(0).hasRoom(0), false)
})
