import fc from 'fast-check'
import t from 'tap'
import { SlidingWindow } from '../../../plugin/compression/sliding-window.ts'

t.test('holds the last bytes of all that was pushed', async (t) => {
  for (const limit of [1, 7, 64, 3_000]) {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: limit * 2 + 3 }), { maxLength: 12 }), (texts) => {
      const window = new SlidingWindow(limit)
      let all = Buffer.alloc(0)
      for (const text of texts) {
        window.push(Buffer.from(text))
        all = Buffer.concat([all, text])
        if (!window.bytes.equals(all.subarray(Math.max(0, all.length - limit)))) return false
      }
      return true
    }))
    t.pass(`of ${limit} bytes`)
  }
})

t.test('takes memory as it is needed, and no more than its limit', async (t) => {
  const window = new SlidingWindow(8_192)
  window.push(Buffer.alloc(100))
  t.ok(window.bytes.buffer.byteLength <= 1_024)
  for (let count = 0; count < 100; count++) window.push(Buffer.alloc(500, count))
  t.equal(window.bytes.buffer.byteLength, 8_192)
})
