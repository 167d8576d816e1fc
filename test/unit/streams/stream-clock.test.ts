import t from 'tap'
import { DeadlineQueue } from '../../../plugin/delivery/deadline-queue.ts'
import { StreamClock, type ClockOptions } from '../../../plugin/streams/stream-clock.ts'

/** Far enough in the future for the queue's own timer never to fire: the test turns the clock. */
const start = performance.now() + 1e6

/** A clock, and what it has told its stream: times count from `start`. */
function wind (options: Partial<ClockOptions> = {}) {
  const queue = new DeadlineQueue()
  const log: string[] = []
  let now = 0
  let wakes = 0
  const stream = {
    queuedBytes: 0,
    sharedWriteAt: 0,
    paceAt: Infinity,
    onQuiet: (at: number) => { log.push(`quiet at ${at - start}`); clock.wrote(at) },
    onPace: (at: number) => { log.push(`pace at ${at - start}`); stream.paceAt = Infinity },
    onStalled: () => { log.push(`stalled at ${now}`); clock.destroy() },
    onLate: () => { log.push(`late at ${now}`); clock.destroy() }
  }
  const clock = new StreamClock(queue, stream, { heartbeatMs: 0, stallTimeoutMs: 0, ...options }, start)
  return {
    clock,
    queue,
    stream,
    log,
    /** How often it was woken. */
    get wakes () { return wakes },
    /** Lets time pass up to a moment, as the queue would. */
    until (end: number): void {
      while (clock.heapIndex !== -1 && clock.dueAt <= start + end) {
        if (++wakes > 10_000) throw new Error('it is woken for ever')
        // A millisecond is the least that the queue's timer waits.
        now = Math.max(now + 1, clock.dueAt - start)
        queue.remove(clock)
        clock.due(start + now)
      }
      now = end
    }
  }
}

t.test('a stream without deadlines waits for nothing', async (t) => {
  const { queue, until, log } = wind()
  until(1e6)
  t.equal(queue.size, 0)
  t.same(log, [])
})

t.test('a heartbeat after each interval without a write', async (t) => {
  const { clock, until, log } = wind({ heartbeatMs: 100 })
  until(250)
  t.same(log, ['quiet at 100', 'quiet at 200'])
  clock.wrote(start + 250)
  until(349)
  t.same(log.length, 2, 'a write is a sign of life')
  until(350)
  t.same(log[2], 'quiet at 350')
})

t.test('a full carrier gets none, and one that has drained only after an interval', async (t) => {
  const { clock, until, log } = wind({ heartbeatMs: 100 })
  until(50)
  clock.filled(start + 50)
  until(500)
  t.same(log, [])
  clock.drained(start + 500)
  until(599)
  t.same(log, [])
  until(600)
  t.same(log, ['quiet at 600'])
})

t.test('a carrier whose peer takes nothing has stalled, which is noticed at most a quarter late', async (t) => {
  const { clock, stream, queue, until, log } = wind({ stallTimeoutMs: 400, heartbeatMs: 150 })
  until(10)
  stream.queuedBytes = 1_000
  clock.filled(start + 10)
  until(250)
  stream.queuedBytes = 900
  until(709)
  t.same(log, [], 'the look at 310 saw progress')
  until(1_000)
  t.same(log, ['stalled at 710'])
  t.equal(queue.size, 0)
})

t.test('a drain ends the stall', async (t) => {
  const { clock, stream, until, log } = wind({ stallTimeoutMs: 400 })
  stream.queuedBytes = 1_000
  clock.filled(start)
  until(390)
  clock.drained(start + 390)
  until(5_000)
  t.same(log, [])
  clock.filled(start + 5_000)
  until(5_399)
  t.same(log, [], 'the next counts from its own begin')
  until(5_400)
  t.same(log, ['stalled at 5400'])
})

t.test('without a stall timeout a full carrier may be full for ever', async (t) => {
  const { clock, until, log } = wind({ heartbeatMs: 100 })
  clock.filled(start)
  until(1e7)
  t.same(log, [])
})

t.test('of several deadlines for the close the earliest holds', async (t) => {
  const { clock, queue, until, log } = wind()
  clock.closeBy(start + 300)
  clock.closeBy(start + 200)
  clock.closeBy(start + 400)
  until(199)
  t.same(log, [])
  until(1_000)
  t.same(log, ['late at 200'])
  t.equal(queue.size, 0)
})

t.test('a stream that is being closed is woken for nothing but that, whether or not its carrier is full', async (t) => {
  for (const isFull of [false, true]) {
    const winding = wind({ heartbeatMs: 100 })
    const { clock, stream, until, log } = winding
    stream.paceAt = start + 50
    if (isFull) clock.filled(start)
    clock.closeBy(start + 10_000)
    until(20_000)
    t.same(log, ['late at 10000'])
    t.ok(winding.wakes <= 3, `${winding.wakes} times`)
  }
})

t.test('updates that wait for their pace leave in time, unless the carrier is full', async (t) => {
  const { clock, stream, until, log } = wind({ heartbeatMs: 1_000 })
  stream.paceAt = start + 100
  clock.paced()
  until(100)
  t.same(log, ['pace at 100'])
  clock.filled(start + 110)
  stream.paceAt = start + 200
  clock.paced()
  until(300)
  t.same(log, ['pace at 100'])
  clock.drained(start + 300)
  until(301)
  t.equal(log.length, 2)
})

t.test('once stopped, nothing is due, also in the same turn', async (t) => {
  const { clock, queue, until, log } = wind({ heartbeatMs: 100, stallTimeoutMs: 100 })
  clock.closeBy(start + 100)
  clock.destroy()
  t.equal(queue.size, 0)
  clock.due(start + 1e6)
  until(1e6)
  t.same(log, [])
  t.equal(queue.size, 0)
})
