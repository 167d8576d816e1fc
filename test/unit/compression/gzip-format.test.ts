import { randomBytes } from 'node:crypto'
import { crc32, gunzipSync } from 'node:zlib'
import t from 'tap'
import { gzipHead, gzipTrailer, storedBlocks, storedHead } from '../../../plugin/compression/gzip-format.ts'

function member (...texts: Buffer[]): Buffer {
  const text = Buffer.concat(texts)
  return Buffer.concat([
    Buffer.from(gzipHead, 'latin1'), ...texts.map(storedBlocks), Buffer.from(gzipTrailer(crc32(text), text.length), 'latin1')
  ])
}

t.test('exact bytes', async (t) => {
  t.equal(Buffer.from(gzipHead, 'latin1').toString('hex'), '1f8b08000000000000ff')
  t.equal(Buffer.from(storedHead(3), 'latin1').toString('hex'), '000300fcff')
  t.equal(Buffer.from(storedHead(65_535), 'latin1').toString('hex'), '00ffff0000')
  t.equal(Buffer.from(gzipTrailer(0xdeadbeef, 0x01020304), 'latin1').toString('hex'), '0300efbeadde04030201')
})

t.test('the length in the trailer is modulo 2³²', async (t) => {
  for (const [length, hex] of [[2 ** 32 - 1, 'ffffffff'], [2 ** 32, '00000000'], [2 ** 32 + 5, '05000000'], [3 * 2 ** 40 + 2, '02000000']] as const) {
    t.equal(Buffer.from(gzipTrailer(0, length), 'latin1').subarray(6).toString('hex'), hex, `${length}`)
  }
})

t.test('zlib reads stored blocks of any size', async (t) => {
  t.equal(gunzipSync(member()).length, 0, 'none at all')
  for (const length of [1, 2, 65_534, 65_535, 65_536, 131_070, 131_071, 1_048_576]) {
    const text = randomBytes(length)
    const blocks = storedBlocks(text)
    t.equal(blocks.length, length + 5 * Math.ceil(length / 65_535) + 5, `${length} bytes, 5 for each block, and the mark behind them`)
    t.equal(blocks.subarray(-5).toString('hex'), '000000ffff', 'without which some decoders keep the text back')
    t.ok(gunzipSync(member(text)).equals(text), `${length} bytes`)
  }
  const pieces = [randomBytes(10), randomBytes(70_000), randomBytes(1)]
  t.ok(gunzipSync(member(...pieces)).equals(Buffer.concat(pieces)), 'one after another')
})
