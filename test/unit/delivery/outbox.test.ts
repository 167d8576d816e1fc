import { deepStrictEqual, equal, ok } from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { ByteBudget } from '../../../plugin/delivery/byte-budget.ts'
import { Outbox, type ReplayLimits } from '../../../plugin/delivery/outbox.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'

const unlimited: ReplayLimits = { replayFrames: 1000, replayBytes: 1e9, replayAgeMs: 0 }

function outboxOf (...texts: Array<string | [text: string, key: string]>): Outbox {
  const outbox = new Outbox(unlimited, new ByteBudget(Infinity))
  for (const text of texts) outbox.append(typeof text === 'string' ? new Frame(text) : new Frame(...text))
  return outbox
}

/** All that is held, in order. */
function textsOf (outbox: Outbox): string[] {
  return Array.from({ length: outbox.next - outbox.first }, (_, index) => outbox.at(outbox.first + index).text)
}

t.test('a new outbox is empty', async (t) => {
  t.match(outboxOf(), { first: 1, cursor: 1, next: 1, waiting: 0, waitingBytes: 0, heldBytes: 0, replaying: false, hasUnwritten: false })
})

t.test('conflation', async (t) => {
  t.test('replaces a waiting frame in its place', async (t) => {
    const outbox = outboxOf(['a1', 'a'], ['b1', 'b'])
    t.equal(outbox.append(new Frame('a2', 'a')), true)
    t.same(textsOf(outbox), ['a2', 'b1'])
  })

  t.test('never past a frame that every reader gets', async (t) => {
    const outbox = outboxOf(['a1', 'a'], 'all')
    t.equal(outbox.append(new Frame('a2', 'a')), false)
    t.same(textsOf(outbox), ['a1', 'all', 'a2'])
    t.equal(outbox.append(new Frame('a3', 'a')), true)
    t.same(textsOf(outbox), ['a1', 'all', 'a3'])
  })

  t.test('never a frame that was written', async (t) => {
    const outbox = outboxOf(['a1', 'a'])
    outbox.wrote(2, 0)
    t.equal(outbox.append(new Frame('a2', 'a')), false)
    t.same(textsOf(outbox), ['a1', 'a2'])
  })

  t.test('never a frame that is being replayed', async (t) => {
    const outbox = outboxOf(['a1', 'a'])
    outbox.wrote(2, 0)
    outbox.detach(0)
    outbox.resume(0, 0)
    t.equal(outbox.replaying, true)
    t.equal(outbox.append(new Frame('a2', 'a')), false)
    t.same(textsOf(outbox), ['a1', 'a2'])
  })
})

t.test('a batch', async (t) => {
  const outbox = outboxOf('four', 'four', 'four', 'long enough')
  t.equal(outbox.batchEnd(8, 0), 3, 'takes what fits')
  t.equal(outbox.batchEnd(11, 0), 3)
  t.equal(outbox.batchEnd(12, 0), 4)
  t.equal(outbox.batchEnd(11, 2), 2, 'counts the overhead of each')
  t.equal(outbox.batchEnd(1, 0), 2, 'takes one at least')
  t.equal(outbox.batchEnd(1000, 0), 5, 'ends with the last')
  t.equal(outbox.bytesBetween(outbox.cursor, 3), 8)
  outbox.wrote(4, 0)
  t.equal(outbox.batchEnd(1, 0), 5)
  t.equal(outbox.bytesBetween(outbox.cursor, 5), 11)
  outbox.wrote(5, 0)
  t.equal(outbox.batchEnd(1000, 0), 5, 'is empty when nothing waits')
})

t.test('a gap', async (t) => {
  const outbox = outboxOf('1', '2', '3', '4')
  outbox.wrote(2, 0)
  t.equal(outbox.dropOldest(1, 1000), 2)
  t.same(textsOf(outbox), ['4'], 'everything before is forgotten, the replay log included')
  t.equal(outbox.hasUnwritten, true)
  t.equal(outbox.takeGap(), 3, 'is told up to which number')
  t.equal(outbox.takeGap(), 0, 'and told once')
  outbox.wrote(5, 0)
  t.equal(outbox.hasUnwritten, false)

  outbox.append(new Frame('5'))
  outbox.append(new Frame('6'))
  outbox.dropOldest(1, 1000)
  outbox.detach(0)
  t.equal(outbox.takeGap(), 0, 'is not told to the next reader, whose number tells it')
  t.equal(outbox.resume(4, 0), 5)
})

t.test('resuming', async (t) => {
  const outbox = outboxOf('1', '2', '3', '4')
  outbox.wrote(5, 0)
  outbox.acknowledge(2)
  outbox.append(new Frame('5'))
  for (const [number, taken] of [[4, 4], [3, 3], [2, 2], [1, 2], [0, 2], [5, 2], [99, 2]] as const) {
    t.equal(outbox.resume(number, 0), taken, `from ${number}`)
    t.equal(outbox.cursor, taken + 1)
  }
})

t.test('a snapshot is plain JSON, and takes nothing with it', async (t) => {
  const outbox = outboxOf('1', ['2', 'a'], '3')
  outbox.wrote(3, 100)
  const snapshot = outbox.snapshot(130)
  t.strictSame(JSON.parse(JSON.stringify(snapshot)), snapshot)
  t.same(snapshot, {
    first: 1,
    cursor: 3,
    gap: 0,
    frames: [
      { text: '1', key: null, shared: false, writtenMsAgo: 30 },
      { text: '2', key: 'a', shared: false, writtenMsAgo: 30 },
      { text: '3', key: null, shared: false, writtenMsAgo: null }
    ]
  })
  t.same(textsOf(outbox), ['1', '2', '3'])
  const other = outboxOf('what it had')
  other.restore(snapshot, 1_000)
  t.match(other, { first: 1, cursor: 3, next: 4, waiting: 1, waitingBytes: 1, heldBytes: 3, oldestWrittenAt: 970 })
})

t.test('a gap moves along', async (t) => {
  const outbox = outboxOf('1', '2')
  outbox.dropOldest(1, 1000)
  const other = outboxOf()
  other.restore(outbox.snapshot(0), 0)
  t.equal(other.hasUnwritten, true)
  t.equal(other.takeGap(), 1)
})

t.test('the keys of frames that went are not kept', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const outbox = outboxOf()
  const heap = () => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = heap()
  // More than the few that are found without a map.
  for (let index = 0; index < 2000; index++) {
    outbox.append(new Frame('x', `${index}${'k'.repeat(20_000)}`))
    outbox.dropOldest(32, Infinity)
  }
  t.equal(outbox.waiting, 32)
  const grown = heap() - before
  t.ok(grown < 10_000_000, `40 MB of keys went through, ${grown} bytes stay`)
})

/** An outbox as one would write it without a thought for speed. */
class Model {
  entries: Array<{ readonly number: number, frame: Frame, writtenAt: number | null }> = []
  next = 1
  cursor = 1
  gap = 0
  readonly #limits: ReplayLimits

  constructor (limits: ReplayLimits) {
    this.#limits = limits
  }

  get waiting () { return this.entries.filter(({ writtenAt }) => writtenAt === null) }
  get written () { return this.entries.filter(({ writtenAt }) => writtenAt !== null) }
  get first () { return this.entries[0]?.number ?? this.next }
  get fresh () { return this.waiting[0]?.number ?? this.next }

  append (frame: Frame): boolean {
    for (const entry of frame.key === null ? [] : this.waiting.reverse()) {
      if (entry.frame.key === null) break
      if (entry.frame.key !== frame.key) continue
      entry.frame = frame
      return true
    }
    this.entries.push({ number: this.next++, frame, writtenAt: null })
    return false
  }

  batchEnd (bytes: number, overhead: number): number {
    let end = this.cursor
    let sum = 0
    for (const { frame } of this.entries.filter(({ number }) => number >= this.cursor)) {
      sum += frame.bytes + overhead
      if (sum > bytes && end > this.cursor) break
      end++
    }
    return end
  }

  wrote (end: number, now: number): void {
    for (const entry of this.entries) if (entry.number < end) entry.writtenAt ??= now
    this.cursor = end
    this.trim(now)
  }

  trim (now: number): void {
    const { replayFrames, replayBytes, replayAgeMs } = this.#limits
    for (;;) {
      const { written, cursor } = this
      const oldest = written[0]
      if (oldest === undefined || oldest.number >= cursor) return
      const isOld = replayAgeMs > 0 && now - oldest.writtenAt! > replayAgeMs
      if (written.length <= replayFrames && bytesOf(written) <= replayBytes && !isOld) return
      this.entries.shift()
    }
  }

  acknowledge (number: number): void {
    const { cursor } = this
    this.entries = this.entries.filter((entry) => entry.number > number || entry.number >= cursor || entry.writtenAt === null)
  }

  dropOldest (frames: number, bytes: number): number {
    let rest = this.waiting
    const before = rest.length
    while (rest.length > 1 && (rest.length > frames || bytesOf(rest) > bytes)) rest = rest.slice(1)
    if (rest.length === before) return 0
    this.entries = rest
    this.cursor = this.first
    this.gap = this.first - 1
    return before - rest.length
  }

  takeGap (): number {
    const { gap } = this
    this.gap = 0
    return gap
  }

  detach (now: number): void {
    this.cursor = this.fresh
    this.gap = 0
    this.trim(now)
  }

  resume (number: number, now: number): number {
    this.detach(now)
    const isComplete = number < this.fresh && number >= this.first - 1
    this.cursor = isComplete ? number + 1 : this.first
    return this.cursor - 1
  }

  clear (): void {
    this.entries = []
    this.cursor = this.next
    this.gap = 0
  }
}

function bytesOf (entries: ReadonlyArray<{ frame: Frame }>): number {
  return entries.reduce((sum, { frame }) => sum + frame.bytes, 0)
}

/** One reader's session: an outbox, its model, and a record of what got to the reader. */
class Reader {
  outbox: Outbox
  readonly model: Model
  /** What was handed to it under each number, for good. */
  readonly #seen = new Map<number, Frame>()
  /** The number that it expects next. */
  #expected = 1
  connected = true

  readonly #renew: () => Outbox

  constructor (limits: ReplayLimits, budget: ByteBudget) {
    this.#renew = () => new Outbox(limits, budget)
    this.outbox = this.#renew()
    this.model = new Model(limits)
  }

  /** Goes on with another outbox, made from a snapshot of the present one. */
  move (now: number): void {
    const old = this.outbox
    this.outbox = this.#renew()
    this.outbox.restore(JSON.parse(JSON.stringify(old.snapshot(now))), now)
    for (const entry of this.model.entries) {
      const { text, key, isShared } = entry.frame
      entry.frame = this.outbox.at(entry.number)
      deepStrictEqual([entry.frame.text, entry.frame.key, entry.frame.isShared], [text, key, isShared])
      if (this.#seen.has(entry.number)) this.#seen.set(entry.number, entry.frame)
    }
    old.clear()
  }

  both<Result> (call: (outbox: Outbox | Model) => Result): Result {
    const result = call(this.model)
    equal(call(this.outbox), result)
    return result
  }

  write (bytes: number, overhead: number, now: number): void {
    if (!this.connected) return
    const gap = this.both((outbox) => outbox.takeGap())
    if (gap !== 0) this.#expected = gap + 1
    const start = this.outbox.cursor
    equal(start, this.#expected, 'numbers are dense')
    const end = this.both((outbox) => outbox.batchEnd(bytes, overhead))
    for (let number = start; number < end; number++) {
      const frame = this.outbox.at(number)
      equal(this.#seen.get(number) ?? frame, frame, 'what was written once keeps its bytes and its number')
      this.#seen.set(number, frame)
    }
    this.both((outbox) => outbox.wrote(end, now))
    this.#expected = end
  }

  detach (now: number): void {
    this.connected = false
    this.both((outbox) => outbox.detach(now))
  }

  resume (number: number, now: number): void {
    if (this.connected) this.detach(now)
    this.connected = true
    this.#expected = this.both((outbox) => outbox.resume(number, now)) + 1
  }

  /** All that it ever got, by number. */
  get seen (): Frame[] {
    return [...this.#seen].sort(([left], [right]) => left - right).map(([, frame]) => frame)
  }

  check (): void {
    const { outbox, model } = this
    deepStrictEqual({
      first: outbox.first,
      cursor: outbox.cursor,
      next: outbox.next,
      waiting: outbox.waiting,
      waitingBytes: outbox.waitingBytes,
      heldBytes: outbox.heldBytes,
      replaying: outbox.replaying,
      hasUnwritten: outbox.hasUnwritten
    }, {
      first: model.first,
      cursor: model.cursor,
      next: model.next,
      waiting: model.waiting.length,
      waitingBytes: bytesOf(model.waiting),
      heldBytes: bytesOf(model.entries),
      replaying: model.cursor < model.fresh,
      hasUnwritten: model.cursor < model.next || model.gap !== 0
    })
    for (const { number, frame } of model.entries) equal(outbox.at(number), frame, 'the ring loses nothing')
  }
}

const key = fc.option(fc.constantFrom('a', 'b', 'c'), { nil: null, freq: 3 })
const wideKey = fc.option(fc.nat({ max: 60 }).map(String), { nil: null, freq: 30 })
const size = fc.integer({ min: 1, max: 20 })

type Step = (readers: Reader[], clock: { now: number }) => void

function make (bytes: number, key: string | null): Frame {
  return new Frame('x'.repeat(bytes), key)
}

function append (reader: Reader, frame: Frame): void {
  reader.both((outbox) => outbox.append(frame))
}

const one = fc.nat({ max: 1 })
const appendStep = fc.tuple(one, size, key).map(([index, bytes, key]): Step => (readers) => append(readers[index]!, make(bytes, key)))
const broadcastStep = fc.tuple(size, key).map(([bytes, key]): Step => (readers) => {
  const frame = make(bytes, key)
  for (const reader of readers) append(reader, frame)
})
const burstStep = fc.tuple(one, fc.array(fc.tuple(size, wideKey), { maxLength: 100, size: 'max' })).map(([index, frames]): Step => (readers) => {
  for (const [bytes, key] of frames) append(readers[index]!, make(bytes, key))
})
const writeStep = fc.tuple(one, fc.nat({ max: 200 }), fc.nat({ max: 3 })).map(([index, bytes, overhead]): Step => (readers, { now }) => readers[index]!.write(bytes, overhead, now))
const writeAllStep = one.map((index): Step => (readers, { now }) => readers[index]!.write(1e6, 0, now))
const detachStep = one.map((index): Step => (readers, { now }) => readers[index]!.detach(now))
const resumeStep = fc.tuple(one, fc.nat({ max: 12 })).map(([index, behind]): Step => (readers, { now }) => {
  const reader = readers[index]!
  reader.resume(Math.max(0, reader.outbox.next - behind), now)
})
const acknowledgeStep = fc.tuple(one, fc.nat({ max: 12 })).map(([index, behind]): Step => (readers) => {
  const reader = readers[index]!
  reader.both((outbox) => outbox.acknowledge(reader.outbox.next - behind))
})
const trimStep = fc.tuple(one, fc.nat({ max: 40 })).map(([index, elapsed]): Step => (readers, clock) => {
  clock.now += elapsed
  readers[index]!.both((outbox) => outbox.trim(clock.now))
})
const dropStep = fc.tuple(one, fc.nat({ max: 30 }), fc.nat({ max: 300 })).map(([index, frames, bytes]): Step => (readers) => {
  readers[index]!.both((outbox) => outbox.dropOldest(frames, bytes))
})
const forgetStep = one.map((index): Step => (readers) => {
  const { outbox, model } = readers[index]!
  outbox.forgetTo(0)
  model.acknowledge(model.fresh - 1)
})
const moveStep = one.map((index): Step => (readers, { now }) => readers[index]!.move(now))
const clearStep = one.map((index): Step => (readers) => {
  const reader = readers[index]!
  reader.both((outbox) => outbox.clear())
  // Only what is closed is cleared, and it has no reader afterwards.
  reader.connected = false
})

const limits = fc.record({
  replayFrames: fc.nat({ max: 20 }),
  replayBytes: fc.nat({ max: 300 }),
  replayAgeMs: fc.nat({ max: 60 })
})

t.test('does what its model does, whatever happens', async (t) => {
  const step = fc.oneof(
    { arbitrary: appendStep, weight: 6 }, { arbitrary: broadcastStep, weight: 4 }, { arbitrary: burstStep, weight: 1 },
    { arbitrary: writeStep, weight: 4 }, { arbitrary: writeAllStep, weight: 1 }, { arbitrary: detachStep, weight: 1 },
    { arbitrary: resumeStep, weight: 2 }, { arbitrary: acknowledgeStep, weight: 1 }, { arbitrary: trimStep, weight: 1 },
    { arbitrary: dropStep, weight: 1 }, { arbitrary: forgetStep, weight: 1 }, { arbitrary: clearStep, weight: 1 },
    { arbitrary: moveStep, weight: 1 }
  )
  fc.assert(fc.property(limits, limits, fc.array(step, { maxLength: 80, size: 'max' }), (first, second, steps) => {
    const budget = new ByteBudget(Infinity)
    const readers = [new Reader(first, budget), new Reader(second, budget)]
    const clock = { now: 0 }
    for (const step of steps) {
      step(readers, clock)
      for (const reader of readers) reader.check()
      const held = new Set(readers.flatMap(({ model }) => model.entries.map(({ frame }) => frame)))
      equal(budget.used, [...held].reduce((sum, { bytes }) => sum + bytes, 0), 'what is shared counts once')
    }
    for (const { outbox } of readers) outbox.clear()
    equal(budget.used, 0)
  }), { numRuns: 400 })
  t.pass('for any steps')
})

t.test('a reader gets every update in order, of conflated ones the newest', async (t) => {
  const step = fc.oneof(
    { arbitrary: appendStep, weight: 6 }, { arbitrary: burstStep, weight: 1 }, { arbitrary: writeStep, weight: 3 },
    { arbitrary: detachStep, weight: 1 }, { arbitrary: resumeStep, weight: 1 }
  )
  fc.assert(fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
    const appended: Frame[] = []
    const reader = new Reader(unlimited, new ByteBudget(Infinity))
    const { append } = reader.outbox
    reader.outbox.append = (frame) => {
      appended.push(frame)
      return append.call(reader.outbox, frame)
    }
    for (const step of steps) step([reader, reader], { now: 0 })
    reader.resume(0, 0)
    while (reader.outbox.hasUnwritten) reader.write(100, 0, 0)

    const { seen } = reader
    const order = new Map(appended.map((frame, index) => [frame, index]))
    deepStrictEqual(seen.filter(({ key }) => key === null), appended.filter(({ key }) => key === null), 'each that is not conflated arrives, in order')
    let latest = -1
    for (const frame of seen.toReversed()) {
      const at = order.get(frame)!
      if (frame.key === null) latest = at
      else ok(latest === -1 || at < latest, 'a newer value does not overtake')
    }
    for (const key of new Set(appended.map(({ key }) => key))) {
      equal(seen.findLast((frame) => frame.key === key), appended.findLast((frame) => frame.key === key), 'the newest of each key arrives, last of its key')
    }
  }), { numRuns: 300 })
  t.pass('for any steps')
})

t.test('a loss takes one number, behind all that was there', async (t) => {
  const outbox = outboxOf('a', 'b', 'c')
  outbox.wrote(3, 0)
  t.equal(outbox.lose(), 1, 'what waited is lost with it')
  t.match(outbox, { first: 5, cursor: 5, next: 5, waiting: 0, waitingBytes: 0, heldBytes: 0, hasUnwritten: true })
  outbox.append(new Frame('d'))
  t.equal(outbox.takeGap(), 4)
  t.same(textsOf(outbox), ['d'])
  outbox.detach(0)
  t.equal(outbox.resume(4, 0), 4, 'a reader that was told goes on')
  t.equal(outbox.resume(2, 0), 4, 'another gets the verdict gap')
  t.equal(outbox.lose(), 1)
  t.equal(outbox.lose(), 0)
  t.equal(outbox.takeGap(), 7, 'two in a row are one gap')
})

t.test('a loss in a log of keyed frames conflates nothing across it', async (t) => {
  const outbox = outboxOf(['a1', 'a'])
  outbox.lose()
  t.equal(outbox.append(new Frame('a2', 'a')), false)
  t.same(textsOf(outbox), ['a2'])
})
