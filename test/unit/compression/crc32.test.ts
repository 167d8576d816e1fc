import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { combineCrc32, crc32Shift } from '../../../plugin/compression/crc32.ts'

t.test('the CRC of two pieces joined follows from that of each', async (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (first, second) => {
    const joined = Buffer.concat([first, second])
    return combineCrc32(crc32(first), crc32(second), crc32Shift(second.length)) === crc32(joined)
  }), { numRuns: 500 })
  t.pass('for any two')
})

t.test('pieces of every magnitude', async (t) => {
  const first = Buffer.from('what came before')
  for (let exponent = 0; exponent <= 24; exponent++) {
    for (const length of [2 ** exponent - 1, 2 ** exponent, 2 ** exponent + 1]) {
      const second = Buffer.alloc(length, exponent + 1)
      t.equal(combineCrc32(crc32(first), crc32(second), crc32Shift(length)), crc32(second, crc32(first)), `${length} bytes`)
    }
  }
})

t.test('a length beyond 32 bits is its two halves, one after the other', async (t) => {
  const half = 2 ** 32 + 12_345
  const once = combineCrc32(0x12345678, 0, crc32Shift(half))
  t.equal(combineCrc32(once, 0, crc32Shift(half)), combineCrc32(0x12345678, 0, crc32Shift(2 * half)))
})

t.test('nothing joined changes nothing', async (t) => {
  t.equal(combineCrc32(0xdeadbeef, 0, crc32Shift(0)), 0xdeadbeef)
  t.equal(combineCrc32(0, 0xdeadbeef, crc32Shift(5)), 0xdeadbeef)
})
