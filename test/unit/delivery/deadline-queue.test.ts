import { equal, ok } from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { type Deadline, DeadlineQueue } from '../../../plugin/delivery/deadline-queue.ts'

/** Timers of the queue do not keep the process running, so a test that waits for one does. */
const keepAlive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(keepAlive))

interface Entry extends Deadline {
  readonly name: string
  /** When it was looked at, each time. */
  readonly looks: number[]
}

function entry (name: string, onDue: (now: number) => void = () => {}): Entry {
  const looks: number[] = []
  return { name, looks, dueAt: 0, heapIndex: -1, due: (now) => { looks.push(now); onDue(now) } }
}

/** An entry, and a promise for the first time that it is looked at. */
function awaited (name: string): { deadline: Entry, due: Promise<number> } {
  let deadline!: Entry
  const due = new Promise<number>((resolve) => { deadline = entry(name, resolve) })
  return { deadline, due }
}

t.test('looks at a deadline when its time has come, not before', async (t) => {
  const queue = new DeadlineQueue()
  const { deadline, due } = awaited('a')
  const at = performance.now() + 12
  queue.set(deadline, at)
  t.equal(queue.size, 1)
  t.ok(await due >= at)
  t.equal(deadline.looks.length, 1)
  t.equal(queue.size, 0)
  t.equal(deadline.heapIndex, -1)
})

t.test('the earliest first, those of one time together', async (t) => {
  const queue = new DeadlineQueue()
  const order: string[] = []
  const start = performance.now()
  const done = new Promise((resolve) => {
    for (const [name, after] of [['c', 9], ['a', 3], ['d', 12], ['b', 6]] as const) {
      queue.set(entry(name, (now) => {
        t.ok(now >= start + after, `${name} not before its time`)
        if (order.push(name) === 4) resolve(null)
      }), start + after)
    }
  })
  await done
  t.same(order, ['a', 'b', 'c', 'd'])
})

t.test('moves to an earlier time, not to a later one', async (t) => {
  const queue = new DeadlineQueue()
  const { deadline, due } = awaited('a')
  const start = performance.now()
  queue.set(deadline, start + 1e6)
  queue.set(deadline, start + 5)
  queue.set(deadline, start + 1e6)
  t.equal(deadline.dueAt, start + 5)
  t.equal(queue.size, 1)
  t.ok(await due < start + 1e6)
})

t.test('may be set again while it is looked at', async (t) => {
  const queue = new DeadlineQueue()
  await new Promise((resolve) => {
    const deadline = entry('a', (now) => {
      if (deadline.looks.length === 3) resolve(null)
      // A time that has come already must not hold the event loop.
      else queue.set(deadline, now - 1)
    })
    queue.set(deadline, performance.now())
  })
  t.equal(queue.size, 0)
})

t.test('never, for an infinite time', async (t) => {
  const queue = new DeadlineQueue()
  const deadline = entry('a')
  queue.set(deadline, Infinity)
  t.equal(queue.size, 0)
  t.equal(deadline.heapIndex, -1)
  queue.remove(deadline)
  t.equal(queue.size, 0, 'removing what is in no queue does nothing')
})

/** Counts the timers that are made while it looks on and not done with. */
function watchTimers () {
  const live = new Set<number>()
  const hook = createHook({
    init: (id, type) => { if (type === 'Timeout') live.add(id) },
    destroy: (id) => { live.delete(id) }
  }).enable()
  t.teardown(() => hook.disable())
  return {
    stop: () => hook.disable(),
    /** What is destroyed is told a turn later. */
    async count () {
      await setImmediate()
      await setImmediate()
      return live.size
    }
  }
}

t.test('one timer for all, none for an empty queue', async (t) => {
  const queue = new DeadlineQueue()
  const timers = watchTimers()
  const entries = Array.from({ length: 100 }, (_, index) => entry(String(index)))
  const start = performance.now()
  for (const [index, deadline] of entries.entries()) queue.set(deadline, start + 60_000 - index * 100)
  t.equal(await timers.count(), 1)
  for (const deadline of entries) queue.remove(deadline)
  t.equal(await timers.count(), 0)

  const { deadline, due } = awaited('near')
  const later = entry('later')
  queue.set(deadline, performance.now() + 2)
  queue.set(later, performance.now() + 60_000)
  await due
  t.equal(await timers.count(), 1, 'which waits for the next when one has come')
  queue.remove(later)
  t.equal(await timers.count(), 0)

  const last = awaited('last')
  queue.set(last.deadline, performance.now() + 2)
  await last.due
  t.equal(await timers.count(), 0)

  const far = entry('far')
  const warnings: Error[] = []
  const onWarning = (warning: Error) => { warnings.push(warning) }
  process.on('warning', onWarning)
  queue.set(far, performance.now() + 1e12)
  t.equal(await timers.count(), 1, 'a time beyond what a timer can count')
  process.off('warning', onWarning)
  t.same(warnings, [], 'which Node would warn of, and take for none')
  t.same(far.looks, [])
  queue.remove(far)
  t.equal(await timers.count(), 0)
  timers.stop()
})

type Step = { readonly set: number, readonly after: number } | { readonly remove: number }

const entryIndex = fc.nat({ max: 23 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.record({ set: entryIndex, after: fc.integer({ min: -1000, max: 1000 }) }), weight: 2 },
  { arbitrary: fc.record({ remove: entryIndex }), weight: 1 }
)

/** Sets and removes, in a queue and in a map. */
function run (steps: Step[], base: number, deadlines: Deadline[]): { queue: DeadlineQueue, model: Map<Deadline, number> } {
  const queue = new DeadlineQueue()
  const model = new Map<Deadline, number>()
  for (const step of steps) {
    if ('set' in step) {
      const deadline = deadlines[step.set]!
      const at = base + step.after
      queue.set(deadline, at)
      model.set(deadline, Math.min(at, model.get(deadline) ?? Infinity))
    } else {
      const deadline = deadlines[step.remove]!
      queue.remove(deadline)
      model.delete(deadline)
    }
    equal(queue.size, model.size)
    for (const deadline of deadlines) equal(deadline.heapIndex !== -1, model.has(deadline))
    for (const [deadline, at] of model) equal(deadline.dueAt, at)
    equal(new Set([...model.keys()].map(({ heapIndex }) => heapIndex)).size, model.size, 'each has a heapIndex of its own')
  }
  return { queue, model }
}

t.test('any steps leave what was set and not removed', async (t) => {
  fc.assert(fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
    const deadlines = Array.from({ length: 24 }, (_, index) => entry(String(index)))
    const { queue } = run(steps, performance.now() + 1e6, deadlines)
    for (const deadline of deadlines) queue.remove(deadline)
    equal(queue.size, 0)
  }))
  t.pass('and an empty queue at the end')
})

t.test('what is due is looked at in the order of time', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 90, size: 'max' }), async (steps) => {
    const order: Deadline[] = []
    const deadlines = Array.from({ length: 24 }, (_, index) => {
      const deadline: Entry = entry(String(index), () => order.push(deadline))
      return deadline
    })
    const { queue, model } = run(steps, performance.now() - 2000, deadlines)
    const sentinel = awaited('sentinel')
    queue.set(sentinel.deadline, performance.now())
    await sentinel.due
    equal(order.length, model.size)
    for (const [index, deadline] of order.entries()) {
      ok(index === 0 || model.get(order[index - 1]!)! <= model.get(deadline)!)
    }
    equal(queue.size, 0)
  }), { numRuns: 80 })
  t.pass('for any steps')
})
