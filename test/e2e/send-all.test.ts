import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import type { FrameFields, Transport, UpgradeOptions } from '../../plugin/index.ts'
import { openReader, type Reader } from './harness/reader.ts'
import { request } from './harness/request.ts'
import { protocols, startServer, type Protocol, type Server } from './harness/server.ts'
import { until, within } from './harness/until.ts'

interface Plain extends Server { open: () => Promise<{ reader: Reader, transport: Transport }> }

/** An application whose route `/` gives each of its streams to the test. */
async function startPlain (t: Test, protocol: Protocol = 'http/1.1', options: UpgradeOptions = {}): Promise<Plain> {
  const transports: Transport[] = []
  const server = await startServer(t, {
    protocol,
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade({ heartbeatMs: 0, retryMs: 0, ...options })
      app.get('/', async (request, reply) => { transports.push(await upgrade(request, reply)) })
    }
  })
  return {
    ...server,
    open: async () => {
      const reader = await openReader(server, '/')
      return { reader, transport: await until(() => transports.shift(), 'the transport') }
    }
  }
}

const dataOf = (reader: Reader) => reader.updates.map(({ data }) => data)
const words = ['one', 'two', 'three']

/** A source that tells what becomes of it. */
function source (items: Iterable<unknown> | AsyncIterable<unknown>) {
  const told = { taken: 0, closed: 0 }
  async function * generate () {
    try {
      for await (const item of items) {
        told.taken++
        yield item
      }
    } finally {
      told.closed++
    }
  }
  return { told, items: generate() }
}

function * forever () {
  for (let n = 0; ; n++) yield `${n} ${'x'.repeat(16_384)}`
}

const sources: Array<[string, () => Parameters<Transport['sendAll']>[0]]> = [
  ['a list', () => words],
  ['a list of promises', () => words.map((word) => Promise.resolve(word))],
  ['a set', () => new Set(words)],
  ['a generator', () => (function * () { yield * words })()],
  ['an async generator', () => (async function * () { yield * words })()],
  ['a Readable of objects', () => Readable.from(words)],
  ['a ReadableStream', () => ReadableStream.from(words) as never],
  ['its own iterator', () => ({ [Symbol.asyncIterator]: () => { let n = 0; return { next: async () => n < 3 ? { value: words[n++], done: false } : { value: undefined, done: true } } } })]
]

for (const protocol of protocols) {
  t.test(`${protocol}: each item is a frame, in order, and the stream stays open`, async (t) => {
    const { open } = await startPlain(t, protocol)
    const { reader, transport } = await open()
    let count = 0
    for (const [what, make] of sources) {
      t.equal(await within(transport.sendAll(make()), what), true, what)
      count += 3
      await until(() => reader.updates.length === count, what)
      t.same(dataOf(reader).slice(-3), words, what)
    }
    t.equal(await transport.sendAll([]), true)
    t.equal(await transport.sendAll([{ a: 1 }, 5, null, '', 'two\nlines']), true)
    t.equal(await transport.send({ data: 'after' }), true)
    await until(() => dataOf(reader).at(-1) === 'after', 'the frame after it')
    t.same(dataOf(reader).slice(-6), ['{"a":1}', '5', 'null', '', 'two\nlines', 'after'])
    await transport.close()
  })

  t.test(`${protocol}: a client that does not read slows the source`, async (t) => {
    const { open, app } = await startPlain(t, protocol, { writeBuffer: 2 })
    const { reader, transport } = await open()
    reader.pause()
    const { told, items } = source(forever())
    const sent = transport.sendAll(items)
    let seen = -1
    await until(() => {
      const isStill = seen === told.taken && seen > 3
      seen = told.taken
      return isStill
    }, 'the source to stand still')
    t.ok(app.tether.stats().bufferedBytes < 1_048_576, 'and little waits')
    t.equal(app.tether.stats().overflowDisconnects, 0)
    reader.resume()
    await until(() => told.taken > seen + 10, 'the source to go on')
    reader.destroy()
    t.equal(await within(sent, 'sendAll'), false)
    t.same(told.closed, 1, 'the source is closed')
  })
}

t.test('map makes the frames', async (t) => {
  const { open } = await startPlain(t)
  const { reader, transport } = await open()
  const given: Array<[unknown, number]> = []
  t.equal(await transport.sendAll(words, {
    map: (word, index): FrameFields => {
      given.push([word, index])
      return { event: 'word', id: String(index + 1), data: { word } }
    }
  }), true)
  t.same(given, [['one', 0], ['two', 1], ['three', 2]])
  t.equal(await transport.sendAll([1, 2, 3, 4, 5], { map: async (n) => n === 2 ? null : n === 3 ? undefined : n === 4 ? `${n}` : { data: n } }), true)
  await until(() => reader.updates.length === 6, 'the frames')
  t.match(reader.updates.slice(0, 3), [{ event: 'word', id: '1', data: '{"word":"one"}' }, { id: '2' }, { id: '3' }])
  t.same(dataOf(reader).slice(3), ['1', '4', '5'])
})

t.test('bytes are text, whatever their pieces; map gets them as they are', async (t) => {
  const { open } = await startPlain(t)
  const { reader, transport } = await open()
  const bytes = Buffer.from('Größe 🌍')
  t.equal(await transport.sendAll(Readable.from([...bytes].map((byte) => Buffer.of(byte)))), true)
  t.equal(await transport.sendAll([new Uint8Array(bytes), Buffer.from([0xf0, 0x9f])]), true)
  await until(() => dataOf(reader).at(-1) === '\ufffd', 'the last text')
  t.same(dataOf(reader).join(''), 'Größe 🌍Größe 🌍\ufffd')
  t.equal(await transport.sendAll([bytes], { map: (piece) => ({ data: piece.toString('hex') }) }), true)
  await until(() => dataOf(reader).at(-1) === bytes.toString('hex'), 'the mapped bytes')
})

t.test('a source that throws rejects; the stream stays open, and what came before is sent', async (t) => {
  const { open } = await startPlain(t)
  const { reader, transport } = await open()
  const broken = new Error('the model is down')
  async function * generate () {
    yield 'before'
    throw broken
  }
  await t.rejects(transport.sendAll(generate()), broken)
  await t.rejects(transport.sendAll((function * () { yield 'sync'; throw broken })()), broken)
  await t.rejects(transport.sendAll([Promise.resolve('kept'), Promise.reject(broken)]), broken)
  const readable = new Readable({ objectMode: true, read () { this.destroy(broken) } })
  await t.rejects(transport.sendAll(readable), broken)
  t.equal(await transport.send({ data: 'after' }), true)
  await until(() => dataOf(reader).at(-1) === 'after', 'what comes after')
  t.same(dataOf(reader), ['before', 'sync', 'kept', 'after'])
})

t.test('map that throws, and fields that cannot be written, reject; the source is closed', async (t) => {
  const { open } = await startPlain(t)
  const { reader, transport } = await open()
  for (const [what, map, error] of [
    ['throws', () => { throw new Error('no frame') }, { message: 'no frame' }],
    ['rejects', async () => { throw new Error('no frame') }, { message: 'no frame' }],
    ['gives a number', () => 5, { code: 'FST_ERR_TETHER_FRAME' }],
    ['forges', () => ({ event: 'a\nb', data: 1 }), { code: 'FST_ERR_TETHER_FRAME' }]
  ] as const) {
    const { told, items } = source(words)
    await t.rejects(transport.sendAll(items, { map: map as never }), error, what)
    t.same(told, { taken: 1, closed: 1 }, what)
    const readable = Readable.from(words)
    await t.rejects(transport.sendAll(readable, { map: map as never }), error, what)
    t.ok(readable.destroyed, what)
  }
  const failing = { [Symbol.iterator]: () => ({ next: () => ({ value: 1, done: false }), return: () => { throw new Error('not closed') } }) }
  await t.rejects(transport.sendAll(failing as never, { map: () => { throw new Error('first') } }), { message: 'first' }, 'the first error counts')
  await transport.send({ data: 'open' })
  await until(() => dataOf(reader).at(-1) === 'open', 'a stream that is open')
})

t.test('what cannot be iterated is refused', async (t) => {
  const { open } = await startPlain(t)
  const { transport } = await open()
  for (const wrong of [undefined, null, 5, {}, 'text', () => words]) await t.rejects(transport.sendAll(wrong as never), { code: 'FST_ERR_TETHER_ARGUMENT' }, String(wrong))
  for (const map of [5, 'x', {}, null]) await t.rejects(transport.sendAll(words, { map: map as never }), { code: 'FST_ERR_TETHER_ARGUMENT' }, `map ${String(map)}`)
  for (const options of [null, 5, 'x']) await t.rejects(transport.sendAll(words, options as never), { code: 'FST_ERR_TETHER_ARGUMENT', message: /options of sendAll/ }, `options ${String(options)}`)
  await t.rejects(transport.sendAll(words, { maps: () => null } as never), { code: 'FST_ERR_TETHER_ARGUMENT', message: 'sendAll() has no option "maps". Did you mean "map"?' })
})

t.test('a client that leaves while the source works: false at once, and the source is closed', async (t) => {
  const { open, app } = await startPlain(t)
  // A generator that works can be closed only after that.
  let goOn!: () => void
  const told: string[] = []
  async function * slow () {
    try {
      yield 'first'
      await new Promise<void>((resolve) => { goOn = resolve })
      yield 'second'
    } finally {
      told.push('closed')
    }
  }
  const one = await open()
  const sent = one.transport.sendAll(slow())
  await until(() => one.reader.updates.length === 1, 'the first item')
  one.reader.destroy()
  t.equal(await within(sent, 'sendAll'), false)
  t.same(told, [])
  goOn()
  await until(() => told.length === 1, 'the end of the generator')

  const two = await open()
  const readable = new Readable({ objectMode: true, read () {} })
  readable.push('first')
  const piped = two.transport.sendAll(readable)
  await until(() => two.reader.updates.length === 1, 'the first item')
  two.reader.destroy()
  t.equal(await within(piped, 'sendAll'), false)
  t.ok(readable.destroyed, 'a Readable is destroyed in the middle of its work')

  const three = await open()
  const mapping = source(words)
  const mapped = three.transport.sendAll(mapping.items, { map: () => new Promise(() => {}) })
  await until(() => mapping.told.taken === 1, 'the first item')
  three.reader.destroy()
  t.equal(await within(mapped, 'sendAll'), false)
  t.equal(mapping.told.closed, 1)

  const four = await open()
  const pending = four.transport.sendAll([new Promise(() => {})])
  four.reader.destroy()
  t.equal(await within(pending, 'sendAll'), false)
  t.equal(app.tether.stats().bufferedBytes, 0)
})

t.test('a stream that is gone, or closes, takes nothing', async (t) => {
  const { open } = await startPlain(t)
  const { reader, transport } = await open()
  const closing = source(forever())
  const sent = transport.sendAll(closing.items)
  await until(() => reader.updates.length > 3, 'some items')
  await transport.close()
  t.equal(await within(sent, 'sendAll'), false)
  t.equal(closing.told.closed, 1)
  const late = Readable.from(words)
  t.equal(await transport.sendAll(late), false)
  t.ok(late.destroyed)
  await t.rejects(transport.sendAll(5 as never), { code: 'FST_ERR_TETHER_ARGUMENT' })
})

t.test('signal aborts when the stream ends, with the reason', async (t) => {
  const { open, app } = await startPlain(t)
  const one = await open()
  const { signal } = one.transport
  t.equal(one.transport.signal, signal, 'one signal')
  t.notOk(signal.aborted)
  const isOver = new Promise((resolve) => signal.addEventListener('abort', resolve))
  one.reader.destroy()
  await within(isOver, 'the abort')
  t.equal(signal.reason, 'client')
  t.equal(await one.transport.closed, 'client')
  const two = await open()
  await two.transport.close()
  t.equal(two.transport.signal.reason, 'closed', 'also where it is asked for afterwards')
  const three = await open()
  const aborted = three.transport.signal
  await app.tether.drain()
  t.equal(aborted.reason, 'closed')
})

t.test('a request that feeds the stream ends with it', async (t) => {
  let isFeeding = false
  const model = await startServer(t, {
    setup: (app) => {
      app.get('/tokens', (request, reply) => {
        reply.hijack()
        isFeeding = true
        const timer = setInterval(() => reply.raw.write('token '), 5)
        reply.raw.on('close', () => {
          clearInterval(timer)
          isFeeding = false
        })
      })
    }
  })
  let outcome: unknown
  const server = await startServer(t, {
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade()
      app.get('/', async (request, reply) => {
        const stream = await upgrade(request, reply)
        const { body } = await fetch(`${model.origin}/tokens`, { signal: stream.signal })
        outcome = await stream.sendAll(body!)
      })
    }
  })
  const reader = await openReader(server, '/')
  await until(() => reader.updates.length > 3, 'some tokens')
  reader.destroy()
  await until(() => outcome !== undefined && !isFeeding, 'the end of the request')
  t.equal(outcome, false)
  t.same(server.errors(), [])
})

t.test('a handler that lets the error through ends the stream', async (t) => {
  const server = await startServer(t, {
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade()
      app.get('/', async (request, reply) => {
        const stream = await upgrade(request, reply)
        await stream.sendAll((function * () { yield 'before'; throw new Error('the model is down') })())
      })
    }
  })
  const reader = await openReader(server, '/')
  await until(() => reader.ended, 'the end')
  t.same(dataOf(reader), ['before'])
  t.match(server.errors(), [{ err: { message: 'the model is down' } }])
})

t.test('a HEAD request closes the source', async (t) => {
  const readable = Readable.from(words)
  const told: unknown[] = []
  const server = await startServer(t, {
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade()
      app.get('/', async (request, reply) => {
        const stream = await upgrade(request, reply)
        told.push(stream.signal.aborted, await stream.sendAll(readable), await stream.sendAll(5 as never).catch(({ code }) => code))
      })
    }
  })
  t.equal((await request(server, '/', { method: 'HEAD' })).status, 200)
  await until(() => told.length === 3, 'the outcome')
  t.same(told, [true, false, 'FST_ERR_TETHER_ARGUMENT'])
  t.ok(readable.destroyed)
})

t.test('over a WebSocket it is the same', async (t) => {
  let outcome: unknown
  const server = await startServer(t, {
    setup: async (app) => {
      await app.register((await import('@fastify/websocket')).default)
      const upgrade = app.tether.websocket.upgrade()
      app.get('/', { websocket: true }, async (socket, request) => {
        const stream = await upgrade(request, socket)
        outcome = [await stream.sendAll(words), await stream.sendAll(source(forever()).items), stream.signal.reason]
      })
    }
  })
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`)
  let text = ''
  socket.on('message', (message) => { text += String(message) })
  await until(() => text.includes('data: 3 '), 'the items')
  t.match(text, /data: one\n\n.*data: two\n\n.*data: three\n\n/s)
  socket.terminate()
  await until(() => outcome !== undefined, 'the end')
  t.same(outcome, [true, false, 'client'])
})
