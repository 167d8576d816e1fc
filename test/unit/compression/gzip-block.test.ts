import { randomBytes } from 'node:crypto'
import { inflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { frameChunk } from '../../../plugin/carriers/http-chunk.ts'
import { deflateBlock, storeBlock } from '../../../plugin/compression/gzip-block.ts'

/** An empty last block, which makes a whole of what is not the last. */
const end = Buffer.from([3, 0])

t.test('blocks need nothing of what precedes them, and may stand in any order', async (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 400 }), fc.boolean()), { maxLength: 8 }), (texts) => {
    const blocks = texts.map(([text, isStored]) => isStored ? storeBlock(Buffer.from(text)) : deflateBlock(Buffer.from(text), 6))
    const order = [...blocks.keys()].reverse()
    const joined = inflateRawSync(Buffer.concat([...order.map((index) => blocks[index]!.bytes), end]))
    return joined.equals(Buffer.from(order.map((index) => texts[index]![0]).join('')))
  }), { numRuns: 25 })
  t.pass('for any texts')
})

t.test('what deflate makes no shorter is stored', async (t) => {
  for (const length of [0, 300, 1_000, 65_535, 65_536, 300_000]) {
    const noise = randomBytes(length)
    const block = deflateBlock(noise, 6)
    t.equal(block.isDeflated, false, `${length} bytes`)
    t.equal(block.bytes.length, length + 5 * Math.ceil(length / 65_535) + 5, 'as long as its stored blocks')
    t.ok(inflateRawSync(Buffer.concat([block.bytes, end])).equals(noise))
  }
})

t.test('what it makes shorter is not, however large', async (t) => {
  for (const length of [200, 16_320, 16_384, 65_536, 1_048_576]) {
    const text = Buffer.alloc(length, 'data: {"series":"cpu","value":0.25}\n')
    const block = deflateBlock(text, 6)
    t.equal(block.isDeflated, true)
    t.ok(block.bytes.length < length / 3, `${length} bytes became ${block.bytes.length}`)
    t.ok(inflateRawSync(Buffer.concat([block.bytes, end])).equals(text))
  }
})

t.test('ends where a byte ends, so that a chunk of its own carries it', async (t) => {
  const block = deflateBlock(Buffer.alloc(500, 'a word and another '), 6)
  t.equal(block.bytes.subarray(-4).toString('hex'), '0000ffff', 'the empty stored block of a flush')
  t.equal(block.as(frameChunk).toString('latin1'), `${block.bytes.length.toString(16)}\r\n${block.bytes.toString('latin1')}\r\n`)
  t.equal(block.as(frameChunk), block.as(frameChunk), 'framed once')
})

t.test('with a window it refers to what came before', async (t) => {
  const before = Buffer.from(Array.from({ length: 40 }, (_, index) => `data: {"host":"node-${index * 7919}","value":${index}}\n\n`).join(''))
  const text = before.subarray(400, 500)
  const alone = deflateBlock(text, 6)
  const block = deflateBlock(text, 6, before)
  t.ok(block.bytes.length < alone.bytes.length / 3, `${alone.bytes.length} bytes alone, ${block.bytes.length} behind it`)
  t.ok(inflateRawSync(Buffer.concat([storeBlock(before).bytes, block.bytes, end])).equals(Buffer.concat([before, text])))
  t.throws(() => inflateRawSync(Buffer.concat([block.bytes, end])), 'which it cannot be without')
})
