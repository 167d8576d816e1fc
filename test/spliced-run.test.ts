import { crc32, inflateRawSync } from 'node:zlib'
import t from 'tap'
import { Compression } from '../plugin/compression.ts'
import { combineCrc32 } from '../plugin/crc32.ts'
import { SplicedRun } from '../plugin/spliced-run.ts'
import { defaults } from '../schemas/defaults.ts'

const text = Buffer.alloc(2_000, 'event: sample\ndata: {"series":"cpu","value":0.5}\n\n')

function exhausted (): Compression {
  const compression = new Compression(0)
  while (compression.allowance.has()) compression.allowance.spend(performance.now() - 10_000)
  return compression
}

t.test('is deflated once for all', async (t) => {
  const compression = new Compression(0)
  const run = new SplicedRun(text)
  const block = run.block(compression)
  t.equal(block.isDeflated, true)
  t.ok(inflateRawSync(Buffer.concat([block.bytes, Buffer.from([3, 0])])).equals(text))
  for (let taker = 0; taker < 5; taker++) t.equal(run.block(compression), block)
  t.match(compression.stats, { runs: 1, runBytesBefore: 2_000, runBytesAfter: block.bytes.length })
})

t.test('beyond the allowance the first to want it gets it stored, the second has it deflated', async (t) => {
  const compression = exhausted()
  const run = new SplicedRun(text)
  t.equal(run.block(compression).isDeflated, false)
  t.equal(compression.stats.runs, 0)
  const block = run.block(compression)
  t.equal(block.isDeflated, true)
  t.equal(run.block(compression), block)
  t.equal(compression.stats.runs, 1)
})

t.test('a short one is stored, whoever wants it', async (t) => {
  const compression = new Compression(0)
  const run = new SplicedRun(text.subarray(0, defaults.fixed.storedBelowBytes - 1))
  const block = run.block(compression)
  t.equal(block.isDeflated, false)
  t.equal(run.block(compression), block)
  t.equal(compression.stats.runs, 0)
})

t.test('tells what a trailer needs', async (t) => {
  const run = new SplicedRun(text)
  const before = Buffer.from('something else')
  t.equal(run.length, text.length)
  t.equal(combineCrc32(crc32(before), run.crc, run.shift), crc32(Buffer.concat([before, text])))
})
