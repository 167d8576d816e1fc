import t from 'tap'
import { ByteBudget } from '../../../plugin/delivery/byte-budget.ts'
import { Outbox } from '../../../plugin/delivery/outbox.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { FrameBatches } from '../../../plugin/delivery/frame-batches.ts'
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

t.test('readers of the very same batch share its bytes', async (t) => {
  const [a, b, c] = framesOf('a', 'b', 'c') as [Frame, Frame, Frame]
  const batches = new FrameBatches(defaults.fixed.sharedRuns)
  const first = outboxOf(a, b, c)
  const second = outboxOf(new Frame('own'), a, b, c)
  const batch = batches.shared(first, 1, 4)
  t.equal(batch?.bytes.toString(), 'abc')
  t.equal(batches.shared(second, 2, 5), batch, 'at whatever numbers they are')
  t.equal(batches.shared(second, 2, 5)?.bytes, batch?.bytes, 'the same Buffer')

  const shorter = batches.shared(second, 2, 4)
  t.equal(shorter?.bytes.toString(), 'ab', 'a batch of another length is another')
  t.equal(batches.shared(first, 2, 4)?.bytes.toString(), 'bc', 'so is one that begins elsewhere')
  t.equal(batches.shared(first, 1, 3), shorter)

  const others = outboxOf(a, c, b)
  t.equal(batches.shared(others, 1, 3)?.bytes.toString(), 'ac', 'and one with the same first frame')
})

t.test('a batch with a frame of its own is nobody else\'s', async (t) => {
  const [a, b] = framesOf('a', 'b') as [Frame, Frame]
  const batches = new FrameBatches(defaults.fixed.sharedRuns)
  const outbox = outboxOf(a, new Frame('own'), b)
  outboxOf(a, b)
  t.equal(batches.shared(outbox, 1, 4), null)
  t.equal(batches.shared(outbox, 2, 3), null)
  t.ok(batches.shared(outbox, 1, 2))
})

t.test('a reader that forgets its frames at once leaves the batch to the others', async (t) => {
  const [a, b] = framesOf('a', 'b') as [Frame, Frame]
  const batches = new FrameBatches(defaults.fixed.sharedRuns)
  const first = outboxOf(a, b)
  const second = outboxOf(a, b)
  const batch = batches.shared(first, 1, 3)
  first.clear()
  t.equal(batches.shared(second, 1, 3), batch)
})

t.test('what is cleared is made anew', async (t) => {
  const [a] = framesOf('a') as [Frame]
  const batches = new FrameBatches(defaults.fixed.sharedRuns)
  const outbox = outboxOf(a)
  outboxOf(a)
  const batch = batches.shared(outbox, 1, 2)
  t.ok(batch)
  batches.clear()
  t.not(batches.shared(outbox, 1, 2), batch)
})

t.test('only so many batches are kept', async (t) => {
  const count = defaults.fixed.sharedRuns
  const frames = framesOf(...Array.from({ length: count + 1 }, (_, index) => `${index};`))
  const outbox = outboxOf(...frames)
  outboxOf(...frames)
  const batches = new FrameBatches(defaults.fixed.sharedRuns)
  const first = batches.shared(outbox, 1, 2)
  for (let number = 2; number <= count; number++) batches.shared(outbox, number, number + 1)
  t.equal(batches.shared(outbox, 1, 2), first, 'as many as the limit allows')
  batches.shared(outbox, count + 1, count + 2)
  t.not(batches.shared(outbox, 1, 2), first)
})
