import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { Audience } from '../../../plugin/delivery/audience.ts'
import type { BroadcastMember } from '../../../plugin/delivery/broadcast-member.ts'
import { ByteBudget } from '../../../plugin/delivery/byte-budget.ts'
import { FlushScheduler } from '../../../plugin/delivery/flush-scheduler.ts'
import type { Flushable } from '../../../plugin/delivery/flushable.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { defaults } from '../../../schemas/defaults.ts'

/** A scheduler, its broadcasts, and a promise for the next time that it is idle. */
function start () {
  let settle: (() => void) | null = null
  let idles = 0
  const scheduler = new FlushScheduler(new ByteBudget(Infinity), defaults.fixed, () => {
    idles++
    settle?.()
  })
  return {
    broadcasts: scheduler.broadcasts,
    scheduler,
    idle: () => new Promise<void>((resolve) => { settle = resolve }),
    get idles () { return idles }
  }
}

function flushable (flush: (now: number) => void): Flushable {
  return { scheduled: false, flush: (now) => { flush(now); return true } }
}

/** Holds the event loop. */
function burn (ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

t.test('flushes once a turn, however often it was asked', async (t) => {
  const { scheduler, idle } = start()
  const order: string[] = []
  const a = flushable(() => order.push('a'))
  const b = flushable(() => order.push('b'))
  scheduler.schedule(a)
  scheduler.schedule(b)
  scheduler.schedule(a)
  t.same(order, [], 'not before the turn has run')
  t.equal(a.scheduled, true)
  await Promise.resolve()
  scheduler.schedule(b)
  t.same(order, [], 'microtasks are a part of it')
  await idle()
  t.same(order, ['a', 'b'], 'in the order of the first call')
  t.equal(a.scheduled, false)
  scheduler.schedule(a)
  await idle()
  t.same(order, ['a', 'b', 'a'])
})

t.test('tells the flushed when the slice began', async (t) => {
  const { scheduler, idle } = start()
  const before = performance.now()
  const times: number[] = []
  scheduler.schedule(flushable((now) => { times.push(now); burn(1) }))
  scheduler.schedule(flushable((now) => times.push(now)))
  await idle()
  t.ok(times[0]! >= before)
  t.equal(times[1], times[0])
})

t.test('what is scheduled by a flush is flushed in a turn of its own', async (t) => {
  const { scheduler, idle } = start()
  const order: string[] = []
  const again = flushable(() => {
    order.push('again')
    if (order.length < 3) scheduler.schedule(again)
  })
  scheduler.schedule(again)
  const idleOnce = idle()
  await setImmediate()
  t.same(order, ['again'])
  await idleOnce
  t.same(order, ['again', 'again', 'again'])
})

t.test('many streams are flushed in slices, and others get their turn', async (t) => {
  const { scheduler, idle } = start()
  const count = 96
  let flushed = 0
  // Sixteen of them, after which the clock is looked at, take longer than a slice may.
  const each = defaults.fixed.flushSliceMs / 16 * 1.1
  for (let index = 0; index < count; index++) scheduler.schedule(flushable(() => { flushed++; burn(each) }))
  const seen: number[] = []
  const done = idle()
  for (let turn = 0; turn < count / 16; turn++) {
    await setImmediate()
    seen.push(flushed)
  }
  await done
  t.same(seen, [16, 32, 48, 64, 80, 96])
})

t.test('so long as there is time, they are flushed together', async (t) => {
  const attempt = async (): Promise<number> => {
    const { scheduler } = start()
    let flushed = 0
    for (let index = 0; index < 64; index++) scheduler.schedule(flushable(() => { flushed++ }))
    await setImmediate()
    return flushed
  }
  // A busy machine may take the time of some slices away, not of all.
  const attempts = await Promise.all(Array.from({ length: 20 }, attempt))
  t.equal(Math.max(...attempts), 64)
})

t.test('what comes while slices run waits for its turn, and is not forgotten', async (t) => {
  const { scheduler, idle } = start()
  const order: string[] = []
  for (let index = 0; index < 40; index++) scheduler.schedule(flushable(() => { order.push('early'); burn(0.5) }))
  const done = idle()
  await setImmediate()
  t.ok(order.length < 40)
  scheduler.schedule(flushable(() => order.push('late')))
  await done
  t.equal(order.length, 41)
  t.equal(order.at(-1), 'late')
})

t.test('is idle once, when nothing is left', async (t) => {
  const run = start()
  const later = flushable(() => {})
  run.scheduler.schedule(flushable(() => run.scheduler.schedule(later)))
  const idle = run.idle()
  await setImmediate()
  t.equal(run.idles, 0)
  await idle
  t.equal(run.idles, 1)
  await setImmediate()
  await setImmediate()
  t.equal(run.idles, 1, 'and runs no further')
})

t.test('broadcasts are delivered first, so that their frames leave in the same turn', async (t) => {
  const { scheduler, broadcasts, idle } = start()
  const order: string[] = []
  const member: BroadcastMember = {
    deliveredUpTo: 0,
    isInStep: false,
    leaveStep: () => {},
    append: (frame) => order.push(`append ${frame.text}`),
    writeAppended: () => scheduler.schedule(stream),
    scheduleAppended: () => scheduler.schedule(stream)
  }
  const audience = new Audience()
  audience.add(member)
  const stream = flushable(() => {
    order.push('flush')
    // What a flush leads to is delivered as well.
    if (order.length === 2) broadcasts.push(audience, null, new Frame('second'))
  })
  broadcasts.push(audience, null, new Frame('first'))
  await idle()
  t.same(order, ['append first', 'flush', 'append second', 'flush'])
})

t.test('a stream that needs more than one slice goes on in the next, before new broadcasts are delivered', async (t) => {
  const { scheduler, broadcasts, idle } = start()
  const order: string[] = []
  const audience = new Audience()
  audience.add({
    deliveredUpTo: 0,
    isInStep: false,
    leaveStep: () => {},
    append: (frame) => order.push(frame.text),
    writeAppended: () => {},
    scheduleAppended: () => {}
  })
  let slices = 0
  scheduler.schedule({
    scheduled: false,
    flush: () => {
      order.push(`slice ${++slices}`)
      if (slices === 1) broadcasts.push(audience, null, new Frame('broadcast'))
      return slices === 3
    }
  })
  await idle()
  t.same(order, ['slice 1', 'slice 2', 'slice 3', 'broadcast'])
})
