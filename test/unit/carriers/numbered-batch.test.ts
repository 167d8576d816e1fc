import fc from 'fast-check'
import t from 'tap'
import { idBytesBetween, NumberedBatch } from '../../../plugin/carriers/numbered-batch.ts'

/** The text by the shortest way that gives it. */
function plain (texts: readonly string[], prefix: string, first: number): string {
  return texts.map((text, index) => `id: ${prefix}${first + index}\n${text}`).join('')
}

function chunkOf (text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

t.test('exact bytes', async (t) => {
  const batch = new NumberedBatch(['data: é\n\n', 'data: 2\n\n'])
  t.equal(batch.textFor('s.', 8), 'id: s.8\ndata: é\n\nid: s.9\ndata: 2\n\n')
  t.equal(batch.chunkFor('s.', 8).toString(), '23\r\nid: s.8\ndata: é\n\nid: s.9\ndata: 2\n\n\r\n')
  t.equal(batch.chunkFor('s.', 9).toString(), '24\r\nid: s.9\ndata: é\n\nid: s.10\ndata: 2\n\n\r\n', 'one more digit within the batch')
  t.equal(batch.chunkFor('s.', 10).toString(), '25\r\nid: s.10\ndata: é\n\nid: s.11\ndata: 2\n\n\r\n')
})

t.test('a chunk is filled in again, unless it is kept', async (t) => {
  const batch = new NumberedBatch(['data: x\n\n'])
  const first = batch.chunkFor('a.', 1)
  t.equal(batch.chunkFor('b.', 2), first, 'the same memory')
  t.equal(first.toString(), chunkOf('id: b.2\ndata: x\n\n'))
  batch.keepChunk()
  t.not(batch.chunkFor('c.', 3), first)
  t.equal(first.toString(), chunkOf('id: b.2\ndata: x\n\n'), 'it is as it was')
})

t.test('streams with ids of any lengths get their own bytes, and what is kept does not change', async () => {
  const numbers = fc.oneof(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 999_990, max: 1_000_010 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 20 }))
  const streams = fc.array(fc.record({ prefix: fc.constantFrom('a.', 'b.', 'session.', `${'x'.repeat(32)}.`), first: numbers, isKept: fc.boolean() }), { minLength: 1, maxLength: 30 })
  const texts = fc.array(fc.oneof(fc.string({ unit: 'binary', maxLength: 50 }), fc.constant('data: ' + 'é'.repeat(3_000))), { minLength: 1, maxLength: 12 })
  fc.assert(fc.property(texts, streams, (texts, streams) => {
    const batch = new NumberedBatch(texts)
    const kept: Array<[Buffer, string]> = []
    for (const { prefix, first, isKept } of streams) {
      const text = plain(texts, prefix, first)
      if (batch.textFor(prefix, first) !== text) return false
      const chunk = batch.chunkFor(prefix, first)
      if (!chunk.equals(Buffer.from(chunkOf(text)))) return false
      if (!isKept) continue
      batch.keepChunk()
      kept.push([chunk, text])
    }
    return kept.every(([chunk, text]) => chunk.equals(Buffer.from(chunkOf(text))))
  }), { numRuns: 2_000 })
})

t.test('the bytes of lines are counted without them', async () => {
  fc.assert(fc.property(fc.constantFrom('a.', 'session.'), fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 0, max: 1_200 }), (prefix, from, count) => {
    const lines = Array.from({ length: count }, (_, index) => `id: ${prefix}${from + index}\n`).join('')
    return idBytesBetween(prefix, from, from + count) === lines.length
  }))
})
