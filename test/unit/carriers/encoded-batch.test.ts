import fc from 'fast-check'
import t from 'tap'
import { EncodedBatch } from '../../../plugin/carriers/encoded-batch.ts'
import { chunkHead, frameChunk } from '../../../plugin/carriers/http-chunk.ts'

t.test('exact bytes', async (t) => {
  const batch = new EncodedBatch('data: é\n\n')
  t.equal(batch.bytes.toString(), 'data: é\n\n')
  t.equal(batch.as(frameChunk).toString(), 'a\r\ndata: é\n\n\r\n', 'a chunk tells its length in bytes, hexadecimal')
  t.equal(chunkHead(65_536), '10000\r\n')
})

t.test('each form is made once', async (t) => {
  const batch = new EncodedBatch('xy')
  t.equal(batch.bytes, batch.bytes)
  const other = (bytes: Buffer) => Buffer.from(bytes).reverse()
  const [chunk, reversed] = [batch.as(frameChunk), batch.as(other)]
  t.same([chunk.toString(), reversed.toString()], ['2\r\nxy\r\n', 'yx'])
  t.equal(batch.as(frameChunk), chunk)
  t.equal(batch.as(other), reversed)
})

t.test('a chunk holds the bytes and nothing else', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }), (text) => {
    const batch = new EncodedBatch(text)
    const { bytes } = batch
    const chunk = batch.as(frameChunk)
    const head = chunk.indexOf('\r\n')
    const length = Number.parseInt(chunk.toString('latin1', 0, head), 16)
    return length === bytes.length && chunk.subarray(head + 2, head + 2 + length).equals(bytes) && chunk.subarray(head + 2 + length).toString() === '\r\n'
  }))
  t.pass('for any text')
})
