import fc from 'fast-check'
import t from 'tap'
import { encodeFrame, FrameQueue, FrameReader, WireError, type WireValue } from '../../../plugin/cluster/local/wire.ts'
import { effort } from '../../harness/effort.ts'

const scalar = fc.oneof(fc.constant(null), fc.boolean(), fc.double({ noNaN: true }), fc.integer(), fc.string({ unit: 'grapheme' }), fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)))
const value: fc.Arbitrary<WireValue> = fc.array(fc.oneof(scalar, fc.array(fc.oneof(scalar, fc.array(scalar, { maxLength: 4 })), { maxLength: 4 })), { maxLength: 6 })

t.test('values come back as they were, in pieces of any size', async () => {
  fc.assert(fc.property(fc.array(value, { minLength: 1, maxLength: 6 }), fc.array(fc.nat(40), { maxLength: 30 }), (values, cuts) => {
    const bytes = Buffer.concat(values.map(encodeFrame))
    const reader = new FrameReader(1_000_000)
    const got: WireValue[] = []
    let at = 0
    for (const cut of [...cuts, bytes.length]) {
      got.push(...reader.read(bytes.subarray(at, at + cut)))
      at = Math.min(at + cut, bytes.length)
    }
    t.strictSame(got, values)
  }), { numRuns: 150 * effort })
})

t.test('bytes that are no frames are refused, whatever they are', async (t) => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (noise) => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(noise.length)
    try {
      Array.from(new FrameReader(100).read(Buffer.concat([head, noise])))
    } catch (error) {
      if (!(error instanceof WireError)) throw error
    }
  }), { numRuns: 500 * effort })
  const refuses = (bytes: Buffer, message: RegExp) => t.throws(() => [...new FrameReader(100).read(bytes)], message)
  refuses(Buffer.from([0, 0, 0, 101]), /a frame of 101 bytes, of at most 100/)
  refuses(Buffer.from([0, 0, 0, 0]), /a frame of 0 bytes/)
  refuses(Buffer.from([0, 0, 0, 2, 0, 0]), /goes on behind its value/)
  refuses(Buffer.from([0, 0, 0, 1, 9]), /unknown kind, 9/)
  refuses(Buffer.from([0, 0, 0, 5, 5, 255, 255, 255, 255]), /longer than its frame/)
  refuses(Buffer.from([0, 0, 0, 5, 6, 0, 255, 255, 255]), /a list longer than its frame/)
  const deep = encodeFrame([[[[[]]]]])
  refuses(deep, /lists too deep/)
})

t.test('a buffer that was read keeps nothing else alive, and does not change with what it came from', async (t) => {
  const bytes = encodeFrame([Buffer.from('kept')])
  const [[kept]] = [...new FrameReader(100).read(bytes)] as [[Buffer]]
  bytes.fill(0)
  t.equal(kept.toString(), 'kept')
})

t.test('small frames of a turn are joined, large ones are not copied', async (t) => {
  const queue = new FrameQueue()
  for (const text of ['a', 'b']) queue.add(Buffer.from(text))
  t.equal(queue.bytes, 2)
  t.same(queue.take(), [Buffer.from('ab')])
  t.equal(queue.bytes, 0)
  t.same(queue.take(), [])
  const large = Buffer.alloc(100_000)
  queue.add(large)
  queue.add(Buffer.from('c'))
  t.equal(queue.take()[0], large)
})
