import t from 'tap'
import { StampScanner } from '../../benchmarks/buffer-sizing/stamp-scanner.ts'

const update = (at: number) => `event: sample\ndata: ${JSON.stringify({ at, text: 'x'.repeat(60) })}\n\n`
const updateBytes = update(1234567890123).length

t.test('finds each time once, wherever the bytes are cut', async (t) => {
  const times = [1234567890123, 0, 987654321, 5]
  const bytes = Buffer.from(times.map(update).join(''))
  for (let first = 0; first <= bytes.length; first += 1) {
    for (const second of [first, first + 1, first + 3, bytes.length]) {
      const found: number[] = []
      const scanner = new StampScanner(updateBytes)
      for (const piece of [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)]) {
        scanner.scan(piece, piece.length, (at) => found.push(at))
      }
      t.strictSame(found, [1234567890123, 987654321, 5], `cut at ${first} and ${second}`)
    }
  }
})

t.test('finds them byte by byte, and looks at no more than it is told', async (t) => {
  const found: number[] = []
  const scanner = new StampScanner(updateBytes)
  for (const byte of Buffer.from(update(42) + update(43))) scanner.scan(Buffer.from([byte]), 1, (at) => found.push(at))
  scanner.scan(Buffer.from(update(44)), 0, (at) => found.push(at))
  t.strictSame(found, [42, 43])
})
