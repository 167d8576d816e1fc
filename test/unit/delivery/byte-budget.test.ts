import t from 'tap'
import { EncodedBatch } from '../../../plugin/carriers/encoded-batch.ts'
import { ByteBudget } from '../../../plugin/delivery/byte-budget.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { defaults } from '../../../schemas/defaults.ts'

const { frameWeight } = defaults.fixed

/** A frame of ASCII that weighs as much. */
function weighing (weight: number): Frame {
  return new Frame('x'.repeat(weight - frameWeight))
}

t.test('counts each frame once, as long as anybody holds it', async (t) => {
  const budget = new ByteBudget(10_000)
  const shared = new Frame('äöü')
  const own = new Frame('x')
  budget.hold(shared)
  budget.hold(shared)
  budget.hold(own)
  t.equal(budget.used, 7)
  t.equal(budget.weight, shared.weight + own.weight)
  t.equal(budget.shareOf(shared), shared.weight / 2)
  t.equal(shared.holders, 2)
  t.same([shared.isShared, own.isShared], [true, false])
  budget.release(shared)
  t.equal(budget.used, 7)
  budget.release(own)
  t.equal(budget.used, 6)
  t.equal(shared.isShared, true, 'with one holder left, too')
  budget.release(shared)
  t.same([budget.used, budget.weight], [0, 0])
  budget.hold(shared)
  t.equal(budget.used, 6, 'a frame may come back')
})

t.test('asks for room no more where none can be made, until less is held', async (t) => {
  const budget = new ByteBudget(2_000)
  const frames = Array.from({ length: 30 }, () => weighing(200))
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
  const more = weighing(200)
  budget.hold(more)
  t.equal(budget.isExceeded, true, 'more than a hundredth above what is left')
  budget.release(more)
  release(15, 30)
  t.equal(budget.weight, 3_000)
  budget.hold(more)
  t.equal(budget.isExceeded, true, 'as well once a part of it has gone')
  budget.release(more)
  release(0, 15)
  t.equal(budget.weight, 0)
  t.equal(asked(30), 20, 'and from the limit on, once all of it has')
})

t.test('what is heavier than the limit passes alone, one at a time', async (t) => {
  const budget = new ByteBudget(1_000)
  const first = weighing(1_001)
  const second = weighing(5_000)
  budget.hold(first)
  budget.hold(first)
  t.same([budget.weight, budget.isExceeded, budget.shareOf(first)], [0, false, 0], 'nobody else is to make room')
  t.equal(budget.used, first.bytes)
  budget.hold(second)
  t.equal(budget.isExceeded, true)
  budget.shed()
  t.equal(budget.isExceeded, false, 'it cannot be had')
  budget.release(first)
  budget.release(first)
  t.same(budget.alone, [second])
  budget.hold(first)
  t.equal(budget.isExceeded, true)
  budget.release(first)
  budget.release(second)
  t.same([budget.alone, budget.used], [[], 0])
})

t.test('a batch that streams have in hand counts once', async (t) => {
  const budget = new ByteBudget(1_000)
  const batch = new EncodedBatch('x'.repeat(100))
  budget.holdBatch(batch)
  budget.holdBatch(batch)
  t.equal(budget.weight, 200, 'its text and its bytes')
  t.equal(budget.shareOfBatch(batch), 100)
  budget.releaseBatch(batch)
  t.equal(budget.weight, 200)
  budget.releaseBatch(batch)
  t.equal(budget.weight, 0)
  const large = new EncodedBatch('x'.repeat(1_000))
  budget.holdBatch(large)
  t.equal(budget.weight, 0)
  budget.releaseBatch(large)
  t.equal(budget.weight, 0)
})

t.test('events have half of it, and one session the less the less is free', async (t) => {
  const budget = new ByteBudget(8_000)
  t.equal(budget.admitsCommands(0, 100_000), true, 'where none waits, one passes')
  budget.takeCommand(800)
  t.equal(budget.weight, 800)
  t.equal(budget.admitsCommands(0, 3_200), true)
  t.equal(budget.admitsCommands(0, 3_201), false)
  t.equal(budget.admitsCommands(500, 300), true)
  t.equal(budget.admitsCommands(500, 301), false, 'more than a quarter of what is free')
  budget.giveCommand(800)
  t.same([budget.weight, budget.commands], [0, 0])
})
