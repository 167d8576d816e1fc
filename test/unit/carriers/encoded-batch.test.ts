import fc from 'fast-check'
import t from 'tap'
import { chunkHead, frameChunk } from '../../../plugin/carriers/http-chunk.ts'
import { EncodedRun } from '../../../plugin/carriers/encoded-batch.ts'

t.test('exact bytes', async (t) => {
  const run = new EncodedRun('data: é\n\n')
  t.equal(run.bytes.toString(), 'data: é\n\n')
  t.equal(run.as(frameChunk).toString(), 'a\r\ndata: é\n\n\r\n', 'a chunk tells its length in bytes, hexadecimal')
  t.equal(chunkHead(65_536), '10000\r\n')
})

t.test('each form is made once', async (t) => {
  const run = new EncodedRun('xy')
  t.equal(run.bytes, run.bytes)
  const other = (bytes: Buffer) => Buffer.from(bytes).reverse()
  const [chunk, reversed] = [run.as(frameChunk), run.as(other)]
  t.same([chunk.toString(), reversed.toString()], ['2\r\nxy\r\n', 'yx'])
  t.equal(run.as(frameChunk), chunk)
  t.equal(run.as(other), reversed)
})

t.test('a chunk holds the bytes and nothing else', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }), (text) => {
    const run = new EncodedRun(text)
    const { bytes } = run
    const chunk = run.as(frameChunk)
    const head = chunk.indexOf('\r\n')
    const length = Number.parseInt(chunk.toString('latin1', 0, head), 16)
    return length === bytes.length && chunk.subarray(head + 2, head + 2 + length).equals(bytes) && chunk.subarray(head + 2 + length).toString() === '\r\n'
  }))
  t.pass('for any text')
})
