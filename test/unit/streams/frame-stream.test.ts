import type { FastifyBaseLogger } from 'fastify'
import t from 'tap'
import { Outbox } from '../../../plugin/delivery/outbox.ts'
import { Counters } from '../../../plugin/metrics/counters.ts'
import { heartbeatComment, heartbeatFrame } from '../../../plugin/protocol/control-frame.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { FrameStream } from '../../../plugin/streams/frame-stream.ts'
import { createRuntime } from '../../../plugin/streams/runtime.ts'
import type { DisconnectReason, StreamReader } from '../../../plugin/streams/stream.ts'
import type { StreamOptions } from '../../../plugin/streams/transport.ts'
import { turns, until } from '../../e2e/harness/until.ts'
import { RecordingCarrier } from './recording-carrier.ts'

function open (options: Partial<StreamOptions> = {}, carrier = new RecordingCarrier()) {
  const runtime = createRuntime(Infinity, 0)
  const lines: Array<Record<string, unknown>> = []
  const log = { info: (line: Record<string, unknown>) => { lines.push(line) } } as unknown as FastifyBaseLogger
  const stream = new FrameStream(carrier, { writeBuffer: 4, heartbeatMs: 0, retryMs: 0, stallTimeoutMs: 0, goodbye: false, ...options }, runtime, '', log)
  return { stream, carrier, runtime, lines }
}

/** A reader that remembers what it is told. */
function readerOf ({ runtime }: ReturnType<typeof open>, reader: Partial<StreamReader> = {}) {
  const told: string[] = []
  return {
    told,
    shortId: 'abc',
    outbox: new Outbox({ replayFrames: 0, replayBytes: 0, replayAgeMs: 0 }, runtime.budget),
    counters: new Counters(runtime.totals),
    idPrefix: null,
    counted: false,
    paceMs: 0,
    isPressed: false,
    sharedWriteAt: 0,
    get lastWritten (): number { return this.outbox.cursor - 1 },
    leaveStep: () => {},
    onControl: () => {},
    onFlushed: () => { told.push('flushed') },
    onGone: (reason: DisconnectReason) => { told.push(`gone: ${reason}`) },
    ...reader
  }
}

t.test('writes its reader\'s updates in the turn after they came', async (t) => {
  const opened = open()
  const { stream, carrier, runtime } = opened
  const reader = readerOf(opened)
  stream.attach(reader, 'hello\n\n')
  reader.outbox.append(new Frame('a\n\n'))
  stream.control(':\n\n')
  t.equal(carrier.text, '')
  await turns()
  t.equal(carrier.text, 'hello\n\n:\n\na\n\n')
  t.same(reader.told, ['flushed'])
  t.equal(stream.writable, true)
  t.ok(runtime.streams.has(stream))
})

t.test('closed, it writes what waits and the goodbye, and tells its reader once the carrier is closed', async (t) => {
  const opened = open()
  const { stream, carrier, runtime, lines } = opened
  const reader = readerOf(opened)
  stream.attach(reader, 'hello\n\n')
  reader.outbox.append(new Frame('a\n\n'))
  t.equal(stream.closing, false)
  stream.close('bye\n\n', 1_000, 'closed', 1001)
  t.equal(carrier.text, 'hello\n\na\n\nbye\n\n', 'at once')
  t.same(carrier.events, ['close 1001'])
  t.equal(stream.closing, true)
  t.equal(stream.gone, false)
  stream.close('another\n\n', 1_000, 'failed')
  stream.flush(0)
  t.equal(carrier.text, 'hello\n\na\n\nbye\n\n', 'only the first says goodbye')
  carrier.owner!.closed()
  carrier.owner!.closed()
  t.equal(stream.gone, true)
  t.same(reader.told.slice(-1), ['gone: closed'])
  t.equal(reader.told.filter((word) => word.startsWith('gone')).length, 1)
  t.match(lines, [{ session: 'abc', reason: 'closed', protocol: 'http/1.1', updates: 1, bytes: 15 }])
  t.equal(lines.length, 1)
  t.equal(runtime.streams.size, 0)
  t.equal(runtime.deadlines.size, 0)
})

t.test('a close waits for a full carrier, within its time', async (t) => {
  const opened = open({ stallTimeoutMs: 60_000 })
  const { stream, carrier } = opened
  const reader = readerOf(opened)
  stream.attach(reader, 'hello\n\n')
  carrier.isFull = true
  stream.flush(performance.now())
  t.equal(stream.writable, false)
  t.same(carrier.events, ['watchDrain'])
  stream.close('bye\n\n', 60_000, 'closed')
  t.equal(carrier.text, 'hello\n\n')
  stream.close('', 20, 'closed')
  await until(() => stream.gone, 'the earlier of two deadlines')
  t.same(carrier.events, ['watchDrain', 'destroy'])
  t.same(reader.told.slice(-1), ['gone: closed'])
})

t.test('a drain writes what came meanwhile', async (t) => {
  const opened = open()
  const { stream, carrier } = opened
  const reader = readerOf(opened)
  stream.attach(reader, 'hello\n\n')
  carrier.isFull = true
  stream.flush(performance.now())
  reader.outbox.append(new Frame('a\n\n'))
  stream.flush(performance.now())
  t.equal(carrier.text, 'hello\n\n')
  carrier.isFull = false
  carrier.owner!.drained()
  t.equal(carrier.text, 'hello\n\na\n\n')
  t.equal(stream.writable, true)
  carrier.owner!.filled()
  t.equal(stream.writable, false, 'a carrier may fill after the write')
  t.same(carrier.events, ['watchDrain'], 'watched once')
  carrier.owner!.drained()
  t.equal(stream.writable, true)
})

t.test('destroyed, it is gone at once, whenever its carrier closes', async (t) => {
  const opened = open({ heartbeatMs: 1_000 })
  const { stream, carrier, runtime } = opened
  const reader = readerOf(opened)
  stream.attach(reader, 'hello\n\n')
  stream.destroy('overflow')
  t.same(reader.told, ['gone: overflow'])
  stream.destroy('stalled')
  carrier.owner!.closed()
  carrier.owner!.drained()
  carrier.owner!.filled()
  stream.flush(performance.now())
  stream.close('bye\n\n', 10, 'closed')
  t.equal(carrier.text, '')
  t.same(reader.told, ['gone: overflow'])
  t.same(carrier.events, ['destroy'])
  t.equal(stream.reason, 'overflow')
  t.equal(stream.writable, false)
  t.equal(runtime.deadlines.size, 0)
})

t.test('a reader whose place another took hears no more of it', async (t) => {
  const opened = open()
  const { stream, carrier, lines } = opened
  const reader = readerOf(opened)
  stream.attach(reader, 'hello\n\n')
  await turns()
  reader.outbox.append(new Frame('a\n\n'))
  stream.detach()
  stream.close('bye\n\n', 1_000, 'replaced', 4409)
  t.equal(carrier.text, 'hello\n\nbye\n\n')
  t.same(carrier.events, ['close 4409'])
  carrier.owner!.closed()
  t.same(reader.told, ['flushed'])
  t.match(lines, [{ session: 'abc', reason: 'replaced', updates: 0 }])
})

t.test('a carrier that its peer gives up as it is attached', async (t) => {
  const carrier = new RecordingCarrier()
  carrier.attach = (owner) => {
    carrier.owner = owner
    owner.filled()
  }
  const opened = open({ stallTimeoutMs: 1_000 }, carrier)
  t.equal(opened.stream.writable, false)
  await turns()
  t.equal(carrier.text, '')
  carrier.owner!.aborted()
  t.equal(opened.stream.gone, true)
})

t.test('a heartbeat says how far a counting reader is', async (t) => {
  for (const counted of [true, false]) {
    const opened = open({ heartbeatMs: 20 })
    const { stream, carrier } = opened
    const reader = readerOf(opened, { counted })
    stream.attach(reader, 'hello\n\n')
    reader.outbox.append(new Frame('a\n\n'))
    await until(() => carrier.writes.length === 2, 'a heartbeat')
    t.equal(carrier.writes[1]![1], counted ? heartbeatFrame(1) : heartbeatComment)
    t.ok(carrier.events.includes('beat'))
    stream.destroy('client')
  }
})

t.test('a peer that owes a sign of life has stalled', async (t) => {
  const opened = open({ heartbeatMs: 20 })
  const { stream, carrier, runtime } = opened
  carrier.answers = false
  await until(() => stream.gone, 'the end')
  t.equal(stream.reason, 'stalled')
  t.equal(runtime.totals.stallDisconnects, 1)
})

t.test('a stream that waits for its peer to close wakes the process for nothing else', async (t) => {
  for (const paceMs of [0, 20]) {
    const { stream, runtime, ...opened } = open({ heartbeatMs: 20 })
    const reader = readerOf({ stream, runtime, ...opened }, { paceMs })
    stream.attach(reader, 'hello\n\n')
    let looks = 0
    const { set } = runtime.deadlines
    runtime.deadlines.set = function (deadline, at) {
      looks++
      set.call(this, deadline, at)
    }
    stream.close('bye\n\n', 300, 'closed')
    reader.outbox.append(new Frame('too late\n\n'))
    await until(() => stream.gone, 'the end of its time')
    t.ok(looks < 20, `${looks} looks at its deadlines`)
  }
})

t.test('with a pace, a gap that no update follows is told', async (t) => {
  const opened = open()
  const { stream, carrier, runtime } = opened
  const reader = readerOf(opened, { paceMs: 20 })
  stream.attach(reader, 'hello\n\n')
  reader.outbox.append(new Frame('a\n\n'))
  stream.flush(performance.now())
  reader.outbox.append(new Frame('b\n\n'))
  reader.outbox.dropThrough(2)
  runtime.scheduler.schedule(stream)
  await until(() => /"type":"gap","seq":2/.test(carrier.text), 'the gap')
  t.equal(reader.outbox.hasUnwritten, false)
  stream.destroy('client')
})

t.test('control text of more than one write does not take an update away', async (t) => {
  const opened = open({}, new RecordingCarrier(10, true))
  const reader = readerOf(opened)
  opened.stream.attach(reader, `${'x'.repeat(30)}\n\n`)
  reader.outbox.append(new Frame('a\n\n'))
  opened.stream.flush(performance.now())
  t.equal(opened.carrier.text, `${'x'.repeat(30)}\n\na\n\n`)
})
