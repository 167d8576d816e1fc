import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ByteBudget } from '../../../plugin/delivery/byte-budget.ts'
import { Counters } from '../../../plugin/metrics/counters.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { SessionFeed, type FeedLimits, type FeedOwner } from '../../../plugin/sessions/session-feed.ts'
import type { DisconnectReason } from '../../../plugin/streams/stream.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { systemTime } from '../../../schemas/time-source.ts'
import { ManualScheduler, ManualStream } from './manual-stream.ts'

const wide: FeedLimits = { replayFrames: 1_000, replayBytes: 1e9, replayAgeMs: 0, queueFrames: 1_000, queueBytes: 1e9, onOverflow: 'disconnect', minIntervalMs: 0 }

/** A session that is in no cohort. */
class Owner implements FeedOwner {
  feed!: SessionFeed
  readonly cohort = null
  readonly place = -1
  readonly isInStep = false
  deliveredUpTo = 0
  caughtUp = 0
  readonly shortId = 'AbCdEf…'
  isOpen = true
  rooms = 0
  trims = 0
  readonly stalls: Array<[since: number, now: number]> = []
  readonly ends: DisconnectReason[] = []
  readonly drops: Array<[from: number, end: number]> = []

  get outbox () { return this.feed.outbox }
  get counters () { return this.feed.counters }
  get idPrefix () { return this.feed.idPrefix }
  get idleCarrier () { return this.feed.idleCarrier }
  append (): void {}
  writeAppended (): void {}
  scheduleAppended (): void {}
  leaveStep (): void {}
  onFull (): void {}
  onLeftStep (): void {}
  onCaughtUp (): void { this.caughtUp++ }
  onTrimDue (): void { this.trims++ }
  onStallOver (since: number, now: number): void { this.stalls.push([since, now]) }
  onDropped (from: number, end: number): void { this.drops.push([from, end]) }
  onRoom (): void { this.rooms++ }
  onStreamGone (reason: DisconnectReason): void { this.ends.push(reason) }
}

function start (limits: Partial<FeedLimits> = {}, budget = new ByteBudget(Infinity)) {
  const owner = new Owner()
  const scheduler = new ManualScheduler()
  const feed = new SessionFeed(owner, { ...wide, ...limits }, { budget, scheduler, limits: defaults.fixed, time: systemTime }, new Counters())
  owner.feed = feed
  const attach = (stream: ManualStream, seq = 0, now = 0) => {
    const from = feed.resume(seq, now)
    feed.attach(stream, `hello ${from}`, null)
    return stream
  }
  return { owner, scheduler, budget, feed, attach }
}

const send = (feed: SessionFeed, ...texts: string[]) => texts.map((text) => feed.send(new Frame(text)))

t.test('updates wait for a stream, and leave together at the end of the turn', async (t) => {
  const { feed, attach, scheduler } = start()
  t.same(await Promise.all(send(feed, 'a', 'b')), [true, true], 'nobody waits without a stream')
  const { got } = attach(new ManualStream())
  scheduler.run(1)
  t.same(got, ['hello 0'], 'a stream schedules itself')
  send(feed, 'c')
  t.same(got, ['hello 0'])
  scheduler.run(1)
  t.same(got, ['hello 0', '1 a', '2 b', '3 c'])
})

t.test('appended frames are written at once or scheduled', async (t) => {
  const { feed, attach, scheduler } = start()
  const { got } = attach(new ManualStream())
  feed.append(new Frame('a'))
  feed.append(new Frame('b'))
  t.same(got, ['hello 0'])
  feed.writeAppended(1)
  t.same(got, ['hello 0', '1 a', '2 b'])
  feed.append(new Frame('c'))
  feed.scheduleAppended()
  t.same(got, ['hello 0', '1 a', '2 b'])
  scheduler.run(1)
  t.same(got, ['hello 0', '1 a', '2 b', '3 c'])
  t.equal(feed.counters.queueHighWater, 2)
})

t.test('with too many waiting, a write does not wait for the end of the turn', async (t) => {
  const { feed, attach } = start()
  const { got } = attach(new ManualStream())
  for (let count = 1; count <= 256; count++) send(feed, 'x')
  t.equal(got.length, 1)
  send(feed, 'x')
  t.equal(got.length, 258)
})

t.test('a full write buffer stalls senders until there is room', async (t) => {
  const { feed, owner, attach, scheduler } = start()
  const stream = attach(new ManualStream({ room: 0, writeBuffer: 2 }))
  const [first, second, third] = send(feed, 'a', 'b', 'c') as [Promise<boolean>, Promise<boolean>, Promise<boolean>]
  t.equal(await first, true)
  t.equal(feed.isBlocked, true)
  t.equal(second, third, 'waiting senders share a promise')
  t.equal(feed.isStalled, true)
  t.equal(feed.counters.stalls, 1)
  t.ok(feed.stallMs(performance.now() + 1) > 0)
  const { rooms } = owner
  stream.drain(1, 0)
  t.equal(feed.isStalled, true, 'two still wait')
  t.equal(owner.rooms, rooms)
  stream.drain(1, 0)
  t.equal(await second, true)
  t.equal(feed.isStalled, false)
  t.equal(owner.stalls.length, 1)
  t.equal(feed.counters.stalledMs, owner.stalls[0]![1] - owner.stalls[0]![0])
  t.ok(owner.rooms > rooms)
  scheduler.run(0)
  t.same(stream.got, ['hello 0', '1 a', '2 b'])
})

t.test('a stream that goes ends the stall', async (t) => {
  const { feed, owner, attach } = start()
  const stream = attach(new ManualStream({ room: 0, writeBuffer: 1 }))
  const [sent] = send(feed, 'a')
  stream.destroy('client')
  t.equal(await sent, true, 'the update waits for the client to reconnect')
  t.same(owner.ends, ['client'])
  t.equal(feed.stream, null)
  const next = attach(new ManualStream({ room: 0, writeBuffer: 1 }))
  const [last] = send(feed, 'b')
  owner.isOpen = false
  next.destroy('client')
  t.equal(await last, false, 'of a closing session it never will')
})

t.test('over its limits', async (t) => {
  t.test('the stream is cut, and the oldest updates are dropped', async (t) => {
    const { feed, owner, attach } = start({ queueFrames: 2 })
    attach(new ManualStream({ room: 0 }))
    send(feed, 'a', 'b')
    t.same(owner.ends, [])
    send(feed, 'c')
    t.same(owner.ends, ['overflow'])
    t.match(feed.counters, { overflowDisconnects: 1, dropped: 1 })
    const { got } = attach(new ManualStream())
    feed.stream!.flush(0)
    t.same(got, ['hello 1', '2 b', '3 c'])
  })

  t.test('or the oldest are dropped, and the client learns of the gap', async (t) => {
    const { feed, owner, attach } = start({ queueFrames: 2, onOverflow: 'dropOldest' })
    const stream = attach(new ManualStream({ room: 0 }))
    send(feed, 'a', 'b', 'c', 'd')
    t.same(owner.ends, [])
    stream.drain(9, 0)
    t.same(stream.got, ['hello 0', 'gap 2', '3 c', '4 d'])
    t.equal(feed.counters.dropped, 2)
  })

  t.test('one update passes, however large', async (t) => {
    const { feed } = start({ queueBytes: 1 })
    send(feed, 'large')
    t.equal(feed.counters.dropped, 0)
  })
})

t.test('conflation counts', async (t) => {
  const { feed, attach, scheduler } = start()
  const { got } = attach(new ManualStream())
  feed.send(new Frame('a1', 'a'))
  feed.send(new Frame('a2', 'a'))
  scheduler.run(0)
  t.same(got, ['hello 0', '1 a2'])
  t.equal(feed.counters.conflated, 1)
})

t.test('shedding: written updates go first, then waiting ones with their stream', async (t) => {
  const { feed, owner, attach } = start()
  const stream = attach(new ManualStream({ room: 1 }))
  send(feed, 'a', 'b')
  stream.flush(0)
  const weight = feed.heldWeight
  feed.shed(weight / 2)
  t.same(owner.ends, [], 'a was written')
  t.equal(feed.heldWeight, weight / 2)
  feed.shed(0)
  t.same(owner.ends, ['overflow'])
  t.equal(feed.heldWeight, 0)
  t.equal(feed.counters.dropped, 1)
})

t.test('one update can be let go', async (t) => {
  const { feed, owner, attach } = start()
  const stream = attach(new ManualStream({ room: 1 }))
  const [written, waiting] = [new Frame('a'), new Frame('b')]
  for (const frame of [written, waiting]) feed.send(frame)
  stream.flush(0)
  feed.letGo(new Frame('of another'))
  feed.letGo(written)
  t.equal(feed.outbox.first, 2)
  t.same(owner.ends, [])
  feed.letGo(waiting)
  t.same(owner.ends, ['overflow'])
  t.equal(feed.outbox.first, 3)
})

t.test('the age of written updates is watched, whether or not anything else happens', async (t) => {
  const { feed, owner, attach } = start({ replayAgeMs: 800 })
  const stream = attach(new ManualStream())
  t.equal(feed.trimAt, Infinity)
  send(feed, 'a')
  stream.flush(1_000)
  t.equal(owner.trims, 1)
  t.equal(feed.trimAt, 1_800)
  send(feed, 'b')
  stream.flush(1_500)
  t.equal(feed.trimAt, 1_800, 'is set once')
  feed.trim(1_801)
  t.equal(feed.outbox.first, 2)
  t.equal(feed.trimAt, 2_300)
  feed.trim(2_290)
  t.equal(feed.trimAt, 2_390, 'at most eight times in the time')
  feed.trim(2_301)
  t.equal(feed.trimAt, Infinity, 'nothing is left')
})

t.test('a released stream gets its goodbye, and no more', async (t) => {
  const { feed, owner, attach } = start()
  const stream = attach(new ManualStream())
  send(feed, 'a')
  feed.replace('replaced', 0)
  t.same(stream.got, ['hello 0', 'replaced'])
  t.same(owner.ends, [])
  const { got } = attach(new ManualStream())
  feed.stream!.flush(0)
  t.same(got, ['hello 0', '1 a'])
})

t.test('closing ends the stream behind what waits', async (t) => {
  const { feed, owner, attach } = start()
  const stream = attach(new ManualStream({ room: 0, writeBuffer: 9, stallTimeoutMs: 70 }))
  send(feed, 'a')
  t.equal(feed.patienceMs, 70)
  const closed = feed.close('goodbye', 1000)
  t.equal(await feed.send(new Frame('late')), false)
  t.same(owner.ends, [])
  stream.drain(9, 0)
  await closed
  t.same(owner.ends, ['closed'])
  t.ok(stream.got.includes('1 a'))
  t.notOk(stream.got.some((text) => text.includes('late')))
  t.equal(feed.close('goodbye', 1000), null, 'without a stream it is over at once')
})

t.test('destroying cuts the stream, and gives all memory back', async (t) => {
  const { feed, owner, attach, budget } = start({ replayAgeMs: 10 })
  const stream = attach(new ManualStream({ room: 1, writeBuffer: 1 }))
  send(feed, 'a')
  stream.flush(0)
  const [sent] = send(feed, 'b')
  t.not(feed.trimAt, Infinity)
  owner.isOpen = false
  feed.destroy()
  t.same(owner.ends, ['closed'])
  t.equal(await sent, false)
  t.equal(budget.weight, 0)
  t.equal(feed.trimAt, Infinity)
  feed.append(new Frame('c'))
  feed.writeAppended(0)
  feed.scheduleAppended()
  t.equal(await feed.send(new Frame('d')), false)
  t.equal(budget.weight, 0)
})

t.test('a snapshot keeps apart what others received too', async (t) => {
  const budget = new ByteBudget(Infinity)
  const [one, other] = [start({}, budget).feed, start({}, budget).feed]
  const shared = new Frame('shared')
  for (const feed of [one, other]) feed.send(shared)
  send(one, 'own')
  other.destroy()
  const { feed } = start()
  feed.restore(JSON.parse(JSON.stringify(one.snapshot(0))), 0)
  t.same([1, 2].map((number) => feed.outbox.at(number).isShared), [true, false])
})

/** The clock of a property, in place of the real one: times are compared. */
class VirtualClock {
  now = 1_000
  readonly #real = performance.now

  run (body: () => void): void {
    performance.now = () => this.now
    try {
      body()
    } finally {
      performance.now = this.#real
    }
  }
}

/** One feed, driven by steps; what its clients see goes into a log. */
class Run {
  readonly budget = new ByteBudget(Infinity)
  readonly #parts: ReturnType<typeof start>
  log: unknown[] = []
  #stream: ManualStream | null = null

  readonly #replayAgeMs: number

  constructor (limits: FeedLimits) {
    this.#replayAgeMs = limits.replayAgeMs
    this.#parts = start(limits, this.budget)
  }

  get feed (): SessionFeed { return this.#parts.feed }

  cut (): void {
    this.#stream?.destroy('client')
    this.#note()
  }

  attach (behind: number, isNew: boolean, room: number, now: number): void {
    const { feed } = this
    if (feed.stream !== null) feed.replace('replaced', now)
    this.#note()
    const from = feed.resume(isNew ? 0 : Math.max(0, feed.outbox.next - behind), now)
    if (isNew && from > 0) feed.outbox.announceGap()
    this.#stream = new ManualStream({ room })
    feed.attach(this.#stream, `from ${from}`, null)
    this.#stream.flush(now)
  }

  drain (room: number, now: number): void {
    if (this.#stream?.gone === false) this.#stream.drain(room, now)
  }

  turn (now: number): void {
    this.#parts.scheduler.run(now)
  }

  #note (): void {
    if (this.#stream !== null) this.log.push(...this.#stream.got.splice(0))
  }

  /** All that can be observed; the log begins anew. */
  observe (): unknown {
    this.#note()
    const { feed, feed: { outbox } } = this
    const { first, cursor, next, waiting, waitingBytes, heldBytes, replaying, hasUnwritten, oldestWrittenAt } = outbox
    const log = this.log
    this.log = []
    return {
      log,
      ends: this.#parts.owner.ends.splice(0),
      isConnected: feed.stream !== null,
      isBlocked: feed.isBlocked,
      isStalled: feed.isStalled,
      // The time itself may be that of an update which is gone.
      isWatched: oldestWrittenAt === null || this.#replayAgeMs === 0 || feed.trimAt !== Infinity,
      heldWeight: feed.heldWeight,
      outbox: { first, cursor, next, waiting, waitingBytes, heldBytes, replaying, hasUnwritten, oldestWrittenAt }
    }
  }
}

type Step = (run: Run, now: number) => void
const size = fc.integer({ min: 1, max: 20 })
const key = fc.option(fc.constantFrom('a', 'b', 'c'), { nil: null, freq: 2 })
const room = fc.oneof(fc.nat({ max: 6 }), fc.constant(1e9))
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.tuple(size, key).map(([bytes, key]): Step => (run) => { run.feed.send(new Frame('x'.repeat(bytes), key)) }), weight: 8 },
  {
    arbitrary: fc.array(fc.tuple(size, fc.nat({ max: 40 })), { maxLength: 40 }).map((frames): Step => (run, now) => {
      for (const [bytes, key] of frames) run.feed.append(new Frame('y'.repeat(bytes), `${key}`))
      run.feed.writeAppended(now)
    }),
    weight: 1
  },
  { arbitrary: fc.constant<Step>((run, now) => run.turn(now)), weight: 5 },
  { arbitrary: room.map((room): Step => (run, now) => run.drain(room, now)), weight: 3 },
  { arbitrary: fc.tuple(fc.nat({ max: 12 }), fc.boolean(), room).map(([behind, isNew, room]): Step => (run, now) => run.attach(behind, isNew, room, now)), weight: 3 },
  { arbitrary: fc.constant<Step>((run) => run.cut()), weight: 1 },
  { arbitrary: fc.nat({ max: 12 }).map((behind): Step => (run) => run.feed.outbox.acknowledge(run.feed.outbox.next - behind)), weight: 1 },
  { arbitrary: fc.nat({ max: 600 }).map((weight): Step => (run) => run.feed.shed(weight)), weight: 1 },
  { arbitrary: fc.constant<Step>((run, now) => run.feed.trim(now)), weight: 2 }
)

const limits = fc.record({
  replayFrames: fc.nat({ max: 20 }),
  replayBytes: fc.nat({ max: 300 }),
  replayAgeMs: fc.nat({ max: 30 }),
  queueFrames: fc.integer({ min: 1, max: 30 }),
  queueBytes: fc.integer({ min: 1, max: 400 }),
  onOverflow: fc.constantFrom('disconnect' as const, 'dropOldest' as const),
  minIntervalMs: fc.constant(0)
})
const history = fc.array(fc.tuple(step, fc.nat({ max: 9 })), { maxLength: 40, size: 'max' })

t.test('a restored feed continues as if nothing had happened', async (t) => {
  fc.assert(fc.property(limits, history, history, (limits, before, after) => {
    const clock = new VirtualClock()
    clock.run(() => {
      const original = new Run(limits)
      for (const [step, elapsed] of before) {
        clock.now += elapsed
        step(original, clock.now)
      }
      // A stream does not move.
      original.cut()
      original.observe()
      const restored = new Run(limits)
      restored.feed.restore(JSON.parse(JSON.stringify(original.feed.snapshot(clock.now))), clock.now)
      deepStrictEqual(restored.observe(), original.observe())
      for (const [step, elapsed] of after) {
        clock.now += elapsed
        step(original, clock.now)
        step(restored, clock.now)
        deepStrictEqual(restored.observe(), original.observe())
      }
      restored.feed.destroy()
      deepStrictEqual([restored.budget.used, restored.budget.weight], [0, 0])
    })
  }), { numRuns: 400 })
  t.pass('for any history')
})

t.test('a snapshot of a feed whose stream is in use has all that its client is still to get', async (t) => {
  fc.assert(fc.property(limits, history, fc.nat({ max: 12 }), (limits, before, behind) => {
    const clock = new VirtualClock()
    clock.run(() => {
      const original = new Run(limits)
      for (const [step, elapsed] of before) {
        clock.now += elapsed
        step(original, clock.now)
      }
      const restored = new Run(limits)
      restored.feed.restore(JSON.parse(JSON.stringify(original.feed.snapshot(clock.now))), clock.now)
      // The client loses its connection, and comes to the one or the other.
      original.cut()
      original.observe()
      for (const run of [original, restored]) run.attach(behind, false, 1e9, clock.now)
      deepStrictEqual(restored.observe(), original.observe())
    })
  }), { numRuns: 200 })
  t.pass('for any history')
})

t.test('it tells which updates no reader had when they were dropped', async (t) => {
  const { feed, owner, attach, scheduler } = start({ queueFrames: 2, onOverflow: 'dropOldest' })
  const stream = attach(new ManualStream())
  scheduler.run(1)
  send(feed, 'a', 'b')
  scheduler.run(1)
  stream.room = 0
  send(feed, 'c', 'd')
  t.same(owner.drops, [])
  send(feed, 'e')
  t.same(owner.drops.splice(0), [[3, 4]], 'a and b were written')
  feed.lose()
  t.same(owner.drops, [[4, 7]], 'the lost one among them')
})
