import fc from 'fast-check'
import t from 'tap'
import { Outbox } from '../../../plugin/delivery/outbox.ts'
import { Counters } from '../../../plugin/metrics/counters.ts'
import { gapFrame } from '../../../plugin/protocol/control-frame.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { BatchWriter, type WrittenReader } from '../../../plugin/streams/batch-writer.ts'
import { createRuntime, type Runtime } from '../../../plugin/streams/runtime.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { RecordingCarrier } from './recording-carrier.ts'

const keepsNothing = { replayFrames: 0, replayBytes: 0, replayAgeMs: 0 }

interface Reader extends WrittenReader { isPressed: boolean }

function readerOf (runtime: Runtime, { idPrefix = null, paceMs = 0 }: { idPrefix?: string | null, paceMs?: number } = {}): Reader {
  return { outbox: new Outbox(keepsNothing, runtime.budget), counters: new Counters(runtime.totals), idPrefix, paceMs, isPressed: false }
}

/** A writer that has begun, over a carrier that has nothing of it yet. */
function start ({ carrier = new RecordingCarrier(), runtime = createRuntime(Infinity, 0), ...of }: { carrier?: RecordingCarrier, runtime?: Runtime, idPrefix?: string | null, paceMs?: number } = {}) {
  const reader = readerOf(runtime, of)
  const writer = new BatchWriter(carrier, runtime, '')
  writer.attach(reader, 'hello\n\n')
  writer.flush(0)
  carrier.writes.pop()
  return {
    carrier,
    runtime,
    reader,
    writer,
    append: (...texts: string[]) => { for (const text of texts) reader.outbox.append(new Frame(text)) },
    drain: (now = 0) => {
      carrier.isFull = false
      writer.isWritable = true
      writer.flush(now)
    }
  }
}

t.test('an opening alone ends its block, so that the head leaves', async (t) => {
  const runtime = createRuntime(Infinity, 0)
  const carrier = new RecordingCarrier()
  const writer = new BatchWriter(carrier, runtime, 'retry: 1000\n')
  t.equal(writer.flush(0), true)
  t.equal(writer.flush(0), false, 'there is nothing more')
  t.same(carrier.writes, [['text', 'retry: 1000\n\n']])
  t.equal(runtime.totals.writes, 1)

  const reader = readerOf(runtime)
  writer.attach(reader, 'hello\n\n')
  t.equal(reader.counters.writes, 1, 'what was written before counts for the reader too')
  t.equal(reader.counters.bytesWritten, 13)
  writer.flush(0)
  t.equal(carrier.text, 'retry: 1000\n\nhello\n\n')
  t.match(runtime.totals, { writes: 2, bytesWritten: 20 })
  t.match(reader.counters, { writes: 2, bytesWritten: 20 })
})

t.test('an opening and the first control text are one block', async (t) => {
  const runtime = createRuntime(Infinity, 0)
  const carrier = new RecordingCarrier()
  const writer = new BatchWriter(carrier, runtime, 'retry: 1000\n')
  writer.attach(readerOf(runtime), 'hello\n\n')
  writer.flush(0)
  t.same(carrier.writes, [['text', 'retry: 1000\nhello\n\n']])
})

t.test('control text goes before the updates that wait, in one write', async (t) => {
  const { carrier, writer, append, reader } = start()
  append('a\n\n', 'b\n\n')
  writer.control(':\n\n')
  writer.control('answer\n\n')
  t.equal(writer.flush(0), true)
  t.same(carrier.writes, [['text', ':\n\nanswer\n\na\n\nb\n\n']])
  t.match(reader.counters, { framesWritten: 2, writes: 2 })
})

t.test('an uncounted reader gets an id with each update', async (t) => {
  const { carrier, writer, append } = start({ idPrefix: 's.' })
  append('a\n\n', 'é\n\n')
  writer.flush(0)
  append('c\n\n')
  writer.flush(0)
  t.same(carrier.writes, [['text', 'id: s.1\na\n\nid: s.2\né\n\n'], ['text', 'id: s.3\nc\n\n']])
})

t.test('a gap is told before what follows it, with an id for who has ids', async (t) => {
  for (const idPrefix of [null, 's.']) {
    const { carrier, writer, append, reader: { outbox } } = start({ idPrefix })
    append('a\n\n', 'b\n\n', 'c\n\n')
    outbox.dropOldest(1, Infinity)
    writer.flush(0)
    t.same(carrier.writes, [['text', `${gapFrame(idPrefix, 2)}${idPrefix === null ? '' : 'id: s.3\n'}c\n\n`]])
    append('d\n\n')
    outbox.dropThrough(4)
    writer.flush(0)
    t.same(carrier.writes[1], ['text', gapFrame(idPrefix, 4)], 'also if nothing follows')
    t.equal(writer.flush(0), false, 'once')
  }
})

t.test('updates that others get too are written by reference, framed once', async (t) => {
  const runtime = createRuntime(Infinity, 0)
  const writings = [start({ runtime }), start({ runtime }), start({ runtime, idPrefix: 's.' })]
  for (const text of ['a\n\n', 'b\n\n']) {
    const frame = new Frame(text)
    for (const { reader } of writings) reader.outbox.append(frame)
  }
  for (const { writer } of writings) writer.flush(0)
  const [one, two, withIds] = writings.map(({ carrier }) => carrier) as [RecordingCarrier, RecordingCarrier, RecordingCarrier]
  t.same(one.writes, [['batch', 'a\n\nb\n\n']])
  t.equal(one.batches[0], two.batches[0])
  t.same(withIds.writes, [['text', 'id: s.1\na\n\nid: s.2\nb\n\n']])
  for (const { reader } of writings) t.match(reader.counters, { framesWritten: 2, writes: 2 })
})

t.test('with control text before them, shared updates are a text of the reader alone', async (t) => {
  const runtime = createRuntime(Infinity, 0)
  const [one, two] = [start({ runtime }), start({ runtime })]
  const frame = new Frame('a\n\n')
  one.reader.outbox.append(frame)
  two.reader.outbox.append(frame)
  one.writer.control(':\n\n')
  one.writer.flush(0)
  t.same(one.carrier.writes, [['text', ':\n\na\n\n']])
})

t.test('one write takes as many updates as fit, and always one', async (t) => {
  const { carrier, writer, append } = start({ carrier: new RecordingCarrier(10) })
  append('1234\n\n', '12\n\n', '1\n\n', '123456\n\n')
  writer.flush(0)
  t.same(carrier.writes.map(([, text]) => text), ['1234\n\n12\n\n', '1\n\n', '123456\n\n'])
})

t.test('what is too large for one write leaves in parts, and nothing comes between', async (t) => {
  const { carrier, writer, append, drain, runtime: { budget }, reader } = start({ carrier: new RecordingCarrier(10) })
  const weightBefore = budget.weight
  carrier.isFull = true
  append(`${'é'.repeat(12)}\n\n`)
  writer.flush(0)
  t.equal(writer.isWritable, false)
  t.same(carrier.writes, [['part', 'é'.repeat(5)]], 'the first at once')
  t.ok(writer.heldWeight > 0)
  t.ok(budget.weight > weightBefore, 'the rest counts as held')
  append('b\n\n')
  writer.control(':\n\n')
  t.equal(writer.flush(0), false)
  drain()
  t.same(carrier.writes.slice(1), [['part', 'é'.repeat(5)], ['last part', 'éé\n\n'], ['text', ':\n\nb\n\n']])
  t.equal(writer.heldWeight, 0)
  t.match(reader.counters, { framesWritten: 2, bytesWritten: 7 + 26 + 6, writes: 5 })
})

t.test('a shared update in parts is cut once for all', async (t) => {
  const runtime = createRuntime(Infinity, 0)
  const [one, two] = [start({ runtime, carrier: new RecordingCarrier(10) }), start({ runtime, carrier: new RecordingCarrier(10) })]
  const frame = new Frame(`${'x'.repeat(30)}\n\n`)
  one.reader.outbox.append(frame)
  two.reader.outbox.append(frame)
  one.writer.flush(0)
  two.writer.flush(0)
  t.equal(one.carrier.parts.length, 4)
  one.carrier.parts.forEach((part, index) => t.equal(part, two.carrier.parts[index]))
})

t.test('destroyed with a large piece in hand, it holds nothing', async (t) => {
  const { carrier, writer, append, runtime: { budget }, reader: { outbox } } = start({ carrier: new RecordingCarrier(10) })
  carrier.isFull = true
  append('x'.repeat(100))
  writer.flush(0)
  outbox.clear()
  t.ok(budget.weight > 0)
  writer.destroy()
  t.equal(budget.weight, 0)
  t.equal(writer.isWritable, false)
  t.equal(writer.heldWeight, 0)
})

t.test('the goodbye is last, and counts for the reader even if that has left', async (t) => {
  const { carrier, writer, append, drain, reader } = start()
  carrier.isFull = true
  writer.control(':\n\n')
  writer.flush(0)
  append('a\n\n')
  t.equal(writer.isEnding, false)
  writer.close('bye\n\n')
  t.equal(writer.isEnding, true)
  t.equal(writer.isEnded, false)
  drain()
  t.same(carrier.writes.slice(1).map(([, text]) => text), ['a\n\n', 'bye\n\n'])
  t.equal(writer.isEnded, true)
  t.equal(reader.counters.writes, 4)

  const other = start()
  other.append('a\n\n')
  other.writer.detach()
  other.writer.close('bye\n\n')
  other.writer.flush(0)
  t.same(other.carrier.writes, [['text', 'bye\n\n']], 'a reader that left gets no more updates')
  t.match(other.reader.counters, { framesWritten: 0, writes: 2 })
})

t.test('a carrier that compresses gets the text of each audience as a piece of its own', async (t) => {
  const runtime = createRuntime(Infinity, 0)
  const [one, two] = [start({ runtime, carrier: new RecordingCarrier(1_000, true) }), start({ runtime, carrier: new RecordingCarrier(1_000, true) })]
  const third = start({ runtime })
  const appendToAll = (text: string) => {
    const frame = new Frame(text)
    for (const { reader } of [one, two, third]) reader.outbox.append(frame)
  }
  appendToAll('a\n\n')
  appendToAll('b\n\n')
  one.append('own 1\n\n', 'own 2\n\n')
  appendToAll('c\n\n')
  one.writer.control(':\n\n')
  one.writer.flush(0)
  t.same(one.carrier.writes, [['text', ':\n\n'], ['batch', 'a\n\nb\n\n'], ['deflatable', 'own 1\n\nown 2\n\n'], ['batch', 'c\n\n']])
  t.same(one.carrier.events, ['together'], 'as one write')
  t.match(one.reader.counters, { writes: 2, framesWritten: 5 })
  two.writer.flush(0)
  t.same(two.carrier.writes, [['batch', 'a\n\nb\n\nc\n\n']])
  two.append('own\n\n')
  two.writer.flush(0)
  t.same(two.carrier.writes[1], ['deflatable', 'own\n\n'])
  t.same(two.carrier.events, [], 'one piece needs no such thing')
})

t.test('with ids, only a large update is a piece of its own', async (t) => {
  const runtime = createRuntime(Infinity, 0)
  const { splicedBytes } = defaults.fixed
  const { carrier, writer, append } = start({ runtime, carrier: new RecordingCarrier(10_000, true), idPrefix: 's.' })
  const [large, small] = ['x'.repeat(splicedBytes), 'y'.repeat(splicedBytes - 1)]
  append(small, large, 'a\n\n')
  writer.flush(0)
  t.same(carrier.writes, [['text', `id: s.1\n${small}id: s.2\n`], ['deflatable', large], ['text', 'id: s.3\na\n\n']])
})

t.test('huge control text takes nothing away from the updates behind it', async (t) => {
  const { carrier, writer, append } = start({ carrier: new RecordingCarrier(10, true) })
  append('a\n\n', 'b\n\n')
  writer.control(`${'x'.repeat(25)}\n\n`)
  writer.flush(0)
  t.equal(carrier.text, `\nhello\n\n${'x'.repeat(25)}\n\na\n\nb\n\n`.slice(1))
})

t.test('other limits than the fixed ones come with the runtime', async (t) => {
  const runtime = createRuntime(Infinity, 0, { ...defaults.fixed, splicedBytes: 2 })
  const { carrier, writer, append } = start({ runtime, carrier: new RecordingCarrier(100, true), idPrefix: 's.' })
  append('a\n\n')
  writer.flush(0)
  t.same(carrier.writes, [['text', 'id: s.1\n'], ['deflatable', 'a\n\n']])
})

t.test('with a pace', async (t) => {
  const flush = ({ writer }: ReturnType<typeof start>, now: number) => writer.mayFlush(now) && writer.flush(now)

  t.test('updates that wait leave at once, later ones after the interval', async (t) => {
    const writing = start({ paceMs: 100 })
    const { carrier, writer, append } = writing
    t.equal(writer.paceAt, Infinity, 'nothing waits')
    append('a\n\n')
    t.equal(flush(writing, 1_000), true)
    append('b\n\n')
    t.equal(writer.paceAt, 1_100)
    t.equal(flush(writing, 1_099), false)
    append('c\n\n')
    t.equal(flush(writing, 1_100), true)
    t.same(carrier.writes.map(([, text]) => text), ['a\n\n', 'b\n\nc\n\n'])
    t.equal(writer.paceAt, Infinity)
  })

  t.test('a flush takes what waited as it began, and nothing else, however many writes that needs', async (t) => {
    const writing = start({ paceMs: 100, carrier: new RecordingCarrier(10) })
    const { carrier, writer, append } = writing
    carrier.isFull = true
    append('12345678\n\n', '1\n\n')
    flush(writing, 1_000)
    append('later\n\n')
    carrier.isFull = false
    writer.isWritable = true
    t.equal(flush(writing, 1_001), true)
    t.equal(flush(writing, 1_100), false, 'the interval counts from the last write')
    t.equal(flush(writing, 1_101), true)
    t.same(carrier.writes.map(([, text]) => text), ['12345678\n\n', '1\n\n', 'later\n\n'])
  })

  t.test('control text, a close and too much that waits take the updates along', async (t) => {
    for (const urge of ['control', 'close', 'pressed']) {
      const writing = start({ paceMs: 100 })
      const { carrier, writer, append, reader } = writing
      append('a\n\n')
      flush(writing, 1_000)
      append('b\n\n')
      if (urge === 'control') writer.control(':\n\n')
      if (urge === 'close') writer.close('bye\n\n')
      if (urge === 'pressed') reader.isPressed = true
      t.equal(flush(writing, 1_001), true, urge)
      t.match(carrier.text, /b\n\n/, urge)
    }
  })

  t.test('a gap is told in time, also if no update follows it', async (t) => {
    const writing = start({ paceMs: 100 })
    const { carrier, writer, append, reader: { outbox } } = writing
    append('a\n\n')
    flush(writing, 1_000)
    append('b\n\n')
    outbox.dropThrough(2)
    t.equal(flush(writing, 1_050), false)
    t.equal(writer.paceAt, 1_100)
    t.equal(flush(writing, 1_100), true)
    t.same(carrier.writes[1], ['text', gapFrame(null, 2)])
    t.equal(writer.paceAt, Infinity)
  })
})

/** What a writer is to write, decided piece by piece over a list. */
class Model {
  text = ''
  isWritable = true
  isFull = false
  control = 'hello\n\n'
  goodbye = ''
  #waiting: Array<{ number: number, frame: Frame }> = []
  #next = 1
  #gap = 0
  readonly #pieceBytes: number
  readonly #idPrefix: string | null

  constructor (pieceBytes: number, idPrefix: string | null) {
    this.#pieceBytes = pieceBytes
    this.#idPrefix = idPrefix
  }

  append (frame: Frame): void {
    this.#waiting.push({ number: this.#next++, frame })
  }

  dropOldest (frames: number): void {
    while (this.#waiting.length > Math.max(frames, 1)) this.#gap = this.#waiting.shift()!.number
  }

  flush (): void {
    while (this.isWritable) {
      const piece = this.#piece()
      if (piece === '') return
      this.text += piece
      if (this.isFull) this.isWritable = false
    }
  }

  #piece (): string {
    let piece = this.control
    this.control = ''
    if (this.#waiting.length === 0) {
      piece += this.goodbye
      this.goodbye = ''
      return piece
    }
    if (this.#gap !== 0) piece += gapFrame(this.#idPrefix, this.#gap)
    this.#gap = 0
    let room = this.#pieceBytes - piece.length
    for (let isFirst = true; this.#waiting.length > 0; isFirst = false) {
      const { number, frame } = this.#waiting[0]!
      room -= frame.bytes + (this.#idPrefix === null ? 0 : this.#idPrefix.length + 15)
      if (room < 0 && !isFirst) break
      if (this.#idPrefix !== null) piece += `id: ${this.#idPrefix}${number}\n`
      piece += frame.text
      this.#waiting.shift()
    }
    return piece
  }
}

function drain ({ carrier, writer, model }: { carrier: RecordingCarrier, writer: BatchWriter, model: Model }): void {
  carrier.isFull = false
  model.isFull = false
  writer.isWritable = true
  model.isWritable = true
  writer.flush(0)
  model.flush()
}

const text = fc.tuple(fc.constantFrom('x', 'é', '世', 'y\n'), fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 12 }) }, fc.integer({ min: 20, max: 150 })))
  .map(([unit, count]) => `${unit.repeat(count)}\n\n`)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('broadcast' as const), text }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('send' as const), to: fc.nat(3), text }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('control' as const), to: fc.nat(3), text }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fill' as const), to: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drain' as const), to: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), to: fc.nat(3), keep: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('flush' as const) }) }
)

t.test('any mixture of updates, control text, gaps and full carriers gives the bytes of the model', async (t) => {
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const runtime = createRuntime(Infinity, 0, { ...defaults.fixed, splicedBytes: 20 })
    const sides = [[null, false], ['s.', false], [null, true], ['s.', true]].map(([idPrefix, splices]) => {
      const carrier = new RecordingCarrier(64, splices as boolean)
      const reader = readerOf(runtime, { idPrefix: idPrefix as string | null })
      const writer = new BatchWriter(carrier, runtime, '')
      writer.attach(reader, 'hello\n\n')
      return { carrier, reader, writer, model: new Model(64, idPrefix as string | null) }
    })
    for (const step of steps) {
      if (step.do === 'broadcast') {
        const frame = new Frame(step.text)
        for (const { reader, model } of sides) {
          reader.outbox.append(frame)
          model.append(frame)
        }
      } else if (step.do === 'flush') {
        runtime.batches.clear()
        for (const { writer, model } of sides) {
          writer.flush(0)
          model.flush()
        }
      } else {
        const { reader, writer, carrier, model } = sides[step.to]!
        if (step.do === 'send') {
          const frame = new Frame(step.text)
          reader.outbox.append(frame)
          model.append(frame)
        } else if (step.do === 'control') {
          writer.control(step.text)
          model.control += step.text
        } else if (step.do === 'drop') {
          reader.outbox.dropOldest(step.keep, Infinity)
          model.dropOldest(step.keep)
        } else if (step.do === 'fill') {
          carrier.isFull = true
          model.isFull = true
        } else drain(sides[step.to]!)
      }
    }
    for (const { writer, carrier, model, reader } of sides) {
      writer.close('bye\n\n')
      model.goodbye = 'bye\n\n'
      drain({ writer, carrier, model })
      if (carrier.text !== model.text) throw new Error(`${JSON.stringify(carrier.text)}\nin place of\n${JSON.stringify(model.text)}`)
      if (!writer.isEnded || writer.heldWeight !== 0) return false
      if (reader.counters.bytesWritten !== Buffer.byteLength(model.text)) return false
      reader.outbox.clear()
    }
    // No piece in hand, no frame: nothing is held.
    return runtime.budget.weight === 0
  }), { numRuns: 400 })
  t.pass('for four kinds of readers')
})

t.test('text behind updates goes behind those that wait, and before later ones', async (t) => {
  for (const idPrefix of [null, 's.']) {
    const { carrier, writer, append, drain } = start({ idPrefix })
    const id = (number: number) => idPrefix === null ? '' : `id: s.${number}\n`
    carrier.isFull = true
    append('one\n\n')
    writer.flush(0)
    append('two\n\n', 'three\n\n')
    writer.controlBehind('behind three\n\n', 4)
    append('four\n\n')
    writer.controlBehind('behind four\n\n', 5)
    writer.controlBehind('behind four too\n\n', 5)
    append('five\n\n')
    t.equal(writer.waitingControls, 3)
    t.equal(writer.isIdle, false, 'nobody may share writes meanwhile')
    drain()
    t.equal(carrier.text, `hello\n\n${id(1)}one\n\n${id(2)}two\n\n${id(3)}three\n\nbehind three\n\n${id(4)}four\n\nbehind four\n\nbehind four too\n\n${id(5)}five\n\n`)
    t.equal(writer.waitingControls, 0)
    t.equal(writer.isIdle, true)
  }
})

t.test('text behind updates that are dropped, or whose reader is gone, is written all the same', async (t) => {
  const { carrier, reader, writer, append, drain } = start()
  writer.isWritable = false
  append('one\n\n', 'two\n\n', 'three\n\n')
  writer.controlBehind('behind two\n\n', 3)
  reader.outbox.dropOldest(1, 1_000)
  drain()
  t.equal(carrier.text, `hello\n\nbehind two\n\n${gapFrame(null, 2)}three\n\n`)
  writer.isWritable = false
  append('four\n\n')
  writer.controlBehind('behind four\n\n', 5)
  writer.detach()
  writer.close('bye\n\n')
  drain()
  t.match(carrier.text, /three\n\nbehind four\n\nbye\n\n$/)
})

t.test('text behind updates waits for the pace with them', async (t) => {
  const { carrier, writer, append } = start({ paceMs: 100 })
  append('one\n\n')
  t.ok(writer.mayFlush(0))
  writer.flush(0)
  append('two\n\n')
  writer.controlBehind('behind two\n\n', 3)
  t.notOk(writer.mayFlush(50))
  t.ok(writer.mayFlush(100))
  writer.flush(100)
  t.equal(carrier.text, 'hello\n\none\n\ntwo\n\nbehind two\n\n')
})
