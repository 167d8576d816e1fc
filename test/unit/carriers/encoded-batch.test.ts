import fc from 'fast-check'
import t from 'tap'
import { chunkHead } from '../../../plugin/carriers/http-chunk.ts'
import { EncodedRun } from '../../../plugin/carriers/encoded-batch.ts'

t.test('exact bytes', async (t) => {
  const run = new EncodedRun('data: é\n\n')
  t.equal(run.bytes.toString(), 'data: é\n\n')
  t.equal(run.chunk.toString(), 'a\r\ndata: é\n\n\r\n', 'a chunk tells its length in bytes, hexadecimal')
  t.equal(chunkHead(65_536), '10000\r\n')
})

t.test('each form is made once', async (t) => {
  const run = new EncodedRun('x')
  t.equal(run.bytes, run.bytes)
  t.equal(run.chunk, run.chunk)
})

t.test('a chunk holds the bytes and nothing else', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }), (text) => {
    const { bytes, chunk } = new EncodedRun(text)
    const head = chunk.indexOf('\r\n')
    const length = Number.parseInt(chunk.toString('latin1', 0, head), 16)
    return length === bytes.length && chunk.subarray(head + 2, head + 2 + length).equals(bytes) && chunk.subarray(head + 2 + length).toString() === '\r\n'
  }))
  t.pass('for any text')
})
