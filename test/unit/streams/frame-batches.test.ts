import t from 'tap'
import { ByteBudget } from '../../../plugin/delivery/byte-budget.ts'
import { Outbox } from '../../../plugin/delivery/outbox.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { FrameBatches } from '../../../plugin/streams/frame-batches.ts'
import { defaults } from '../../../schemas/defaults.ts'

const budget = new ByteBudget(Infinity)
const limits = { replayFrames: 100, replayBytes: 1e6, replayAgeMs: 0 }

function outboxOf (...frames: Frame[]): Outbox {
  const outbox = new Outbox(limits, budget)
  for (const frame of frames) outbox.append(frame)
  return outbox
}

function framesOf (...texts: string[]): Frame[] {
  return texts.map((text) => new Frame(text))
}

t.test('readers of the very same run share its bytes', async (t) => {
  const [a, b, c] = framesOf('a', 'b', 'c') as [Frame, Frame, Frame]
  const runs = new FrameBatches(defaults.fixed.sharedRuns)
  const first = outboxOf(a, b, c)
  const second = outboxOf(new Frame('own'), a, b, c)
  const run = runs.shared(first, 1, 4)
  t.equal(run?.bytes.toString(), 'abc')
  t.equal(runs.shared(second, 2, 5), run, 'at whatever numbers they are')
  t.equal(runs.shared(second, 2, 5)?.bytes, run?.bytes, 'the same Buffer')

  const shorter = runs.shared(second, 2, 4)
  t.equal(shorter?.bytes.toString(), 'ab', 'a run of another length is another')
  t.equal(runs.shared(first, 2, 4)?.bytes.toString(), 'bc', 'so is one that begins elsewhere')
  t.equal(runs.shared(first, 1, 3), shorter)

  const others = outboxOf(a, c, b)
  t.equal(runs.shared(others, 1, 3)?.bytes.toString(), 'ac', 'and one with the same first frame')
})

t.test('a run with a frame of its own is nobody else\'s', async (t) => {
  const [a, b] = framesOf('a', 'b') as [Frame, Frame]
  const runs = new FrameBatches(defaults.fixed.sharedRuns)
  const outbox = outboxOf(a, new Frame('own'), b)
  outboxOf(a, b)
  t.equal(runs.shared(outbox, 1, 4), null)
  t.equal(runs.shared(outbox, 2, 3), null)
  t.ok(runs.shared(outbox, 1, 2))
})

t.test('a reader that forgets its frames at once leaves the run to the others', async (t) => {
  const [a, b] = framesOf('a', 'b') as [Frame, Frame]
  const runs = new FrameBatches(defaults.fixed.sharedRuns)
  const first = outboxOf(a, b)
  const second = outboxOf(a, b)
  const run = runs.shared(first, 1, 3)
  first.clear()
  t.equal(runs.shared(second, 1, 3), run)
})

t.test('what is cleared is made anew', async (t) => {
  const [a] = framesOf('a') as [Frame]
  const runs = new FrameBatches(defaults.fixed.sharedRuns)
  const outbox = outboxOf(a)
  outboxOf(a)
  const run = runs.shared(outbox, 1, 2)
  t.ok(run)
  runs.clear()
  t.not(runs.shared(outbox, 1, 2), run)
})

t.test('only so many runs are kept', async (t) => {
  const count = defaults.fixed.sharedRuns
  const frames = framesOf(...Array.from({ length: count + 1 }, (_, index) => `${index};`))
  const outbox = outboxOf(...frames)
  outboxOf(...frames)
  const runs = new FrameBatches(defaults.fixed.sharedRuns)
  const first = runs.shared(outbox, 1, 2)
  for (let number = 2; number <= count; number++) runs.shared(outbox, number, number + 1)
  t.equal(runs.shared(outbox, 1, 2), first, 'as many as the limit allows')
  runs.shared(outbox, count + 1, count + 2)
  t.not(runs.shared(outbox, 1, 2), first)
})
