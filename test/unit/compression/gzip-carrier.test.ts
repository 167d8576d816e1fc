import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { constants, crc32, createGunzip, gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { EncodedBatch } from '../../../plugin/carriers/encoded-batch.ts'
import { createHttpCarrier, type RawResponse } from '../../../plugin/carriers/http-carrier.ts'
import { Compression } from '../../../plugin/compression/compression.ts'
import { GzipCarrier } from '../../../plugin/compression/gzip-carrier.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { turns, until } from '../../e2e/harness/until.ts'
import { effort } from '../../harness/effort.ts'

let serve: (response: RawResponse) => void = () => {}
const server = createServer((_request, response) => { serve(response as RawResponse) })
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo
t.teardown(() => server.close())

const owner = { drained: () => {}, filled: () => {}, aborted: () => {}, closed: () => {} }

interface Writing {
  carrier: GzipCarrier
  compression: Compression
  /** What the client has of the body so far. */
  received: Buffer[]
  /** The whole body, once it has ended. */
  ended: Promise<Buffer>
}

/** A carrier whose response a client reads over a socket. */
async function open (windowBytes = 0, compression = new Compression(0, defaults.fixed)): Promise<Writing> {
  const received: Buffer[] = []
  const opened = new Promise<GzipCarrier>((resolve) => {
    serve = (response) => {
      response.writeHead(200)
      const carrier = new GzipCarrier(createHttpCarrier(response, defaults.fixed), compression, windowBytes)
      carrier.attach(owner)
      resolve(carrier)
    }
  })
  const ended = new Promise<Buffer>((resolve, reject) => {
    request({ port, agent: false }, (response) => {
      response.on('data', (bytes: Buffer) => { received.push(bytes) })
      response.on('end', () => { resolve(Buffer.concat(received)) })
      response.on('error', reject)
    }).on('error', reject).end()
  })
  return { carrier: await opened, compression, received, ended }
}

/** One thing to be written, and its text. */
type Step = { kind: 'text' | 'own text' | 'run' | 'part' | 'own part', text: string }

const sizes = fc.oneof(
  { weight: 6, arbitrary: fc.nat(400) },
  { weight: 3, arbitrary: fc.nat(5_000) },
  { weight: 1, arbitrary: fc.integer({ min: 65_000, max: 66_500 }) }
)
const words = ['event: sample\n', 'data: ', '"series":"cpu"', 'é', '世界', '\n\n', '\ud83d\ude00', '0.25', 'id: x.', '\0', '\xff']
const texts = fc.tuple(sizes, fc.nat(0xffff)).map(([size, seed]) => {
  let text = ''
  for (let state = seed; text.length < size; state = (state * 16_807 + 11) % 0x7fffffff) text += words[state % words.length]! + String(state % 97)
  return text
})
const steps: fc.Arbitrary<Step[]> = fc.array(fc.record({ kind: fc.constantFrom('text', 'own text', 'run', 'part', 'own part'), text: texts }), { maxLength: 12 })

function write (carrier: GzipCarrier, { kind, text }: Step): void {
  if (text === '') return
  if (kind === 'text' || kind === 'own text') carrier.writeText(text, Buffer.byteLength(text), kind === 'own text')
  else if (kind === 'run') carrier.writeBatch(new EncodedBatch(text))
  else carrier.writePart(new EncodedBatch(text, kind === 'part', true))
}

for (const windowBytes of [0, defaults.fixed.compressorWindowBytes]) {
  const form = windowBytes === 0 ? 'without a window' : 'with a window'

  t.test(`${form}: whatever is written decodes to itself, with the right trailer`, async (t) => {
    await fc.assert(fc.asyncProperty(steps, async (steps) => {
      const { carrier, ended, compression } = await open(windowBytes)
      for (const step of steps) write(carrier, step)
      carrier.close()
      const body = await ended
      const text = Buffer.from(steps.map((step) => step.text).join(''))
      const { bytesBefore, bytesAfter, sharedBlocks, privateBlocks, storedBlocks } = compression.stats
      return gunzipSync(body).equals(text) &&
        body.readUInt32LE(body.length - 8) === crc32(text) &&
        body.readUInt32LE(body.length - 4) === text.length &&
        bytesBefore === text.length && bytesAfter === body.length &&
        sharedBlocks + privateBlocks + storedBlocks === steps.filter((step) => step.text !== '').length
    }), { numRuns: 20 * effort })
    t.pass('for any steps')
  })

  t.test(`${form}: a decoder has each write as soon as it is there`, async (t) => {
    const { carrier, received, ended } = await open(windowBytes)
    const decoder = createGunzip()
    let decoded = ''
    decoder.on('data', (bytes: Buffer) => { decoded += bytes.toString() })
    let expected = ''
    let fed = 0
    for (const [index, text] of ['data: a\n\n', 'data: b\n\n'.repeat(100), ':\n\n', 'data: é\n\n'.repeat(300), randomBytes(600).toString('hex')].entries()) {
      const step: Step = { kind: index % 2 === 0 ? 'text' : 'run', text }
      write(carrier, step)
      expected += text
      await until(() => {
        for (; fed < received.length; fed++) decoder.write(received[fed])
        return decoded === expected
      }, `write ${index + 1} to be decoded`)
    }
    carrier.close()
    await ended
    t.equal(decoded, expected)
  })
}

for (const windowBytes of [0, defaults.fixed.compressorWindowBytes]) {
  t.test(`${windowBytes === 0 ? 'without' : 'with'} a window: a decoder that is fed at any split has the same`, (t) => testSplits(t, windowBytes))
}

async function testSplits (t: Test, windowBytes: number): Promise<void> {
  const { carrier, ended } = await open(windowBytes)
  const all: Step[] = [
    { kind: 'text', text: 'retry: 1000\n\n' },
    { kind: 'run', text: 'event: sample\ndata: {"a":1}\n\n'.repeat(20) },
    { kind: 'text', text: 'data: é\n\n' },
    { kind: 'own text', text: 'data: private\n\n'.repeat(60) },
    { kind: 'run', text: 'data: x\n\n' }
  ]
  for (const step of all) write(carrier, step)
  carrier.close()
  const body = await ended
  const text = all.map((step) => step.text).join('')
  for (let split = 0; split <= body.length; split++) {
    t.equal((await decode([body.subarray(0, split), body.subarray(split)])).toString(), text, `at ${split}`)
  }
  t.equal((await decode([...body].map((byte) => Buffer.from([byte])))).toString(), text, 'byte by byte')
  // What a client has before the end is a part of the text, never anything else.
  for (let end = 10; end < body.length; end++) {
    const part = gunzipSync(body.subarray(0, end), { finishFlush: constants.Z_SYNC_FLUSH }).toString()
    if (!text.startsWith(part.replace(/\ufffd$/, ''))) t.fail(`cut at ${end}`)
  }
}

async function decode (pieces: Buffer[]): Promise<Buffer> {
  const decoder = createGunzip()
  const decoded: Buffer[] = []
  decoder.on('data', (bytes: Buffer) => { decoded.push(bytes) })
  const end = once(decoder, 'end')
  for (const piece of pieces) decoder.write(piece)
  decoder.end()
  await end
  return Buffer.concat(decoded)
}

t.test('frames from nothing to a megabyte', async (t) => {
  for (const size of [0, 1, 127, 128, 1_000, 65_530, 65_535, 65_536, 131_072, 1_048_576]) {
    for (const source of ['words', 'noise']) {
      const body = source === 'words' ? 'word '.repeat(size / 5 + 1).slice(0, size) : randomBytes(size).toString('latin1')
      const batch = new EncodedBatch(`data: ${body}\n\n`)
      const { carrier, ended } = await open()
      carrier.writeText(':\n\n', 3)
      const size16 = defaults.fixed.http2WriteBytes
      for (let place = 0; place * size16 < batch.bytes.length; place++) carrier.writePart(batch.part(place, size16))
      carrier.close()
      t.ok(gunzipSync(await ended).equals(Buffer.concat([Buffer.from(':\n\n'), batch.bytes])), `${source} of ${size}`)
    }
  }
})

t.test('frames of any size up to a megabyte, one after the other in one stream', async (t) => {
  const frames = fc.array(fc.record({
    kind: fc.constantFrom('text' as const, 'own text' as const, 'run' as const, 'part' as const, 'own part' as const),
    // As many of each length's order of magnitude, and what is about a stored block's limit.
    size: fc.oneof(fc.double({ min: 0, max: 20, noNaN: true }).map((exponent) => Math.floor(2 ** exponent) - 1), fc.integer({ min: 65_500, max: 65_570 })),
    source: fc.constantFrom('words', 'noise')
  }), { minLength: 1, maxLength: 6 })
  await fc.assert(fc.asyncProperty(frames, fc.boolean(), async (frames, hasWindow) => {
    const { carrier, ended } = await open(hasWindow ? defaults.fixed.compressorWindowBytes : 0)
    const steps = frames.map(({ kind, size, source }): Step => ({
      kind,
      text: source === 'words' ? 'word '.repeat(size / 5 + 1).slice(0, size) : randomBytes(size).toString('latin1')
    }))
    for (const step of steps) write(carrier, step)
    carrier.close()
    return gunzipSync(await ended).equals(Buffer.from(steps.map(({ text }) => text).join('')))
  }), { numRuns: 20 * effort })
  t.pass('for any frames')
})

t.test('a batch is deflated once for all streams, and each has its own trailer', async (t) => {
  const compression = new Compression(0, defaults.fixed)
  const batch = new EncodedBatch('data: {"series":"cpu","value":0.5}\n\n'.repeat(20))
  for (let number = 0; number < 5; number++) {
    const { carrier, ended } = await open(0, compression)
    const own = `data: ${number}\n\n`
    carrier.writeText(own, own.length)
    carrier.writeBatch(batch)
    carrier.writeBatch(batch)
    carrier.close()
    t.equal(gunzipSync(await ended).toString(), own + batch.bytes.toString().repeat(2))
  }
  t.match(compression.stats, { runs: 1, sharedBlocks: 10, storedBlocks: 5, privateBlocks: 0 })
})

t.test('a stream that is private and cannot be made shorter is not tried every time', async (t) => {
  const { carrier, compression, ended } = await open()
  for (let count = 0; count < 32; count++) {
    const text = randomBytes(800).toString('latin1')
    carrier.writeText(text, Buffer.byteLength(text), true)
    await turns(1)
  }
  carrier.close()
  await ended
  t.equal(compression.stats.storedBlocks + compression.stats.privateBlocks, 32)
  t.equal(carrier.bytesBefore, compression.stats.bytesBefore)
})

t.test('an empty stream is a gzip stream too', async (t) => {
  const { carrier, ended } = await open()
  carrier.close()
  t.equal(gunzipSync(await ended).length, 0)
})
