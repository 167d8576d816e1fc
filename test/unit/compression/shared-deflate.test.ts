import { crc32, inflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { Compression } from '../../../plugin/compression/compression.ts'
import { combineCrc32 } from '../../../plugin/compression/crc32.ts'
import { ChainPosition } from '../../../plugin/compression/deflate-chain.ts'
import { storeBlock } from '../../../plugin/compression/gzip-block.ts'
import { SharedDeflate } from '../../../plugin/compression/shared-deflate.ts'
import { defaults } from '../../../schemas/defaults.ts'

const text = Buffer.alloc(2_000, 'event: sample\ndata: {"series":"cpu","value":0.5}\n\n')

function exhausted (): Compression {
  const compression = new Compression(0, defaults.fixed)
  while (compression.allowance.has()) compression.allowance.spend(performance.now() - 10_000)
  return compression
}

t.test('is deflated once for all', async (t) => {
  const compression = new Compression(0, defaults.fixed)
  const run = new SharedDeflate(text)
  const block = run.take(new ChainPosition(), compression)
  t.equal(block.isDeflated, true)
  t.ok(inflateRawSync(Buffer.concat([block.bytes, Buffer.from([3, 0])])).equals(text))
  for (let taker = 0; taker < 5; taker++) t.equal(run.take(new ChainPosition(), compression), block)
  t.match(compression.stats, { runs: 1, runBytesBefore: 2_000, runBytesAfter: block.bytes.length })
})

t.test('beyond the allowance the first to want it gets it stored, the second has it deflated', async (t) => {
  const compression = exhausted()
  const run = new SharedDeflate(text)
  t.equal(run.take(new ChainPosition(), compression).isDeflated, false)
  t.equal(compression.stats.runs, 0)
  const block = run.take(new ChainPosition(), compression)
  t.equal(block.isDeflated, true)
  t.equal(run.take(new ChainPosition(), compression), block)
  t.equal(compression.stats.runs, 1)
})

t.test('a short one is stored, whoever wants it', async (t) => {
  const compression = new Compression(0, defaults.fixed)
  const run = new SharedDeflate(text.subarray(0, defaults.fixed.storedBelowBytes - 1))
  const block = run.take(new ChainPosition(), compression)
  t.equal(block.isDeflated, false)
  t.equal(run.take(new ChainPosition(), compression), block)
  t.equal(compression.stats.runs, 0)
})

t.test('tells what a trailer needs', async (t) => {
  const run = new SharedDeflate(text)
  const before = Buffer.from('something else')
  t.equal(run.length, text.length)
  t.equal(combineCrc32(crc32(before), run.crc, run.shift), crc32(Buffer.concat([before, text])))
})

/** A stream as its client decodes it. */
class Member {
  readonly place = new ChainPosition()
  readonly blocks: Buffer[] = []
  text = ''

  take (run: SharedDeflate, runText: string, compression: Compression): number {
    const { bytes } = run.take(this.place, compression)
    this.blocks.push(bytes)
    this.text += runText
    return bytes.length
  }

  own (ownText: string): void {
    this.blocks.push(storeBlock(Buffer.from(ownText)).bytes)
    this.text += ownText
    this.place.leave()
  }

  get decodes (): boolean {
    return inflateRawSync(Buffer.concat([...this.blocks, Buffer.from([3, 0])])).toString() === this.text
  }
}

const textOf = (number: number) => `event: sample\ndata: {"series":"host-${number * 7919 % 31}","value":${number * 104_729 % 1_000}}\n\n`

t.test('runs that follow each other refer to those before, and get much shorter', async (t) => {
  const compression = new Compression(0, defaults.fixed)
  const members = Array.from({ length: 4 }, () => new Member())
  let bytes: number[] = []
  for (let number = 0; number < 200; number++) {
    const runText = textOf(number)
    const run = new SharedDeflate(Buffer.from(runText))
    bytes = members.map((member) => member.take(run, runText, compression))
  }
  t.ok(members.every((member) => member.decodes))
  // For the first alone it may be stored, where so many come at once.
  t.equal(new Set(bytes.slice(1)).size, 1, 'the same for all')
  t.ok(bytes[1]! < textOf(199).length / 2, `${bytes[1]} of ${textOf(199).length} bytes`)
  t.equal(compression.stats.runs, 199, 'made once for all of them; the first stood alone, and was too short')
})

t.test('whoever was away for a run, or got something of its own, can still decode all', async (t) => {
  const actions = fc.array(fc.tuple(fc.nat(300), fc.array(fc.constantFrom('take', 'take', 'take', 'own', 'miss', 'join'), { minLength: 5, maxLength: 5 })), { maxLength: 40 })
  fc.assert(fc.property(actions, fc.boolean(), (runs, isExhausted) => {
    const compression = isExhausted ? exhausted() : new Compression(0, defaults.fixed)
    const members = Array.from({ length: 5 }, () => new Member())
    for (const [number, actions] of runs) {
      const runText = textOf(number).repeat(1 + number % 40)
      const run = new SharedDeflate(Buffer.from(runText))
      for (const [index, action] of actions.entries()) {
        if (action === 'join') members[index] = new Member()
        if (action === 'own') members[index]!.own(`: ${index}\n\n`)
        if (action !== 'miss') members[index]!.take(run, runText, compression)
      }
      if (!members.every((member) => member.decodes)) return false
    }
    return true
  }), { numRuns: 60 })
  t.pass('in any order')
})

t.test('a run that one alone gets leaves nothing to be kept', async (t) => {
  const compression = new Compression(0, defaults.fixed)
  const member = new Member()
  member.take(new SharedDeflate(text), text.toString(), compression)
  t.equal(member.place.link?.tail, null)
  const other = new SharedDeflate(text)
  member.take(other, text.toString(), compression)
  new Member().take(other, text.toString(), compression)
  t.equal(member.place.link?.tail?.length, text.length)
  t.ok(member.decodes)
})
