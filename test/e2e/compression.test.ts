import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import * as zlib from 'node:zlib'
import compress from '@fastify/compress'
import cors from '@fastify/cors'
import { EventSource } from 'eventsource'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { CompressionOptions, UpgradeOptions } from '../../plugin/index.ts'
import { rowsOfAnySize } from './harness/any-size.ts'
import { counting, exactly } from './harness/claim.ts'
import { startLink } from './harness/link.ts'
import { startLive, type LiveServer } from './harness/live.ts'
import { openReader, type Reader } from './harness/reader.ts'
import { readWhole } from './harness/request.ts'
import { range, rows, sendRows } from './harness/rows.ts'
import { protocols, startServer } from './harness/server.ts'
import { turns, until, within } from './harness/until.ts'

const gzip = { 'accept-encoding': 'gzip' }
const countedGzip = { ...gzip, 'x-tether-session': 'new' }

interface Form { name: string, compression: NonNullable<UpgradeOptions['compression']>, encoding: string }

const hasZstd = 'createZstdCompress' in zlib
const own = (encoding: 'gzip' | 'br' | 'zstd', whose: CompressionOptions['own'] = 'all'): CompressionOptions => ({ own: whose!, encodings: [encoding] })
const forms: Form[] = [
  { name: 'shared gzip', compression: true, encoding: 'gzip' },
  { name: 'own gzip', compression: own('gzip'), encoding: 'gzip' },
  { name: 'own brotli', compression: own('br'), encoding: 'br' },
  ...hasZstd ? [{ name: 'own zstd', compression: own('zstd'), encoding: 'zstd' }] : []
]

/** Connects so many readers that are in one group. */
async function connectGroup (server: LiveServer, count: number, headers: Record<string, string>) {
  const members = []
  for (let number = 0; number < count; number++) {
    const member = await server.connect({ headers })
    server.live.group('all').add(member.session)
    members.push(member)
  }
  return members
}

t.test('who gets which encoding', async (t) => {
  const server = await startLive(t, {
    setup: (app) => {
      const mount = (path: string, compression: NonNullable<UpgradeOptions['compression']>) => {
        const upgrade = app.tether.sse.upgrade({ compression })
        app.get(path, async (request, reply) => { await (await upgrade(request, reply)).close() })
      }
      mount('/on', true)
      mount('/off', false)
      mount('/own', { own: 'uncounted', encodings: ['br', 'gzip'] })
      mount('/zstd', { own: 'all', encodings: ['zstd', 'br'] })
    }
  })
  const table: Array<[path: string, accepted: string | undefined, encoding: string | undefined]> = [
    ['/on', undefined, undefined],
    ['/on', '', undefined],
    ['/on', 'identity', undefined],
    ['/on', 'gzip', 'gzip'],
    ['/on', 'GZip', 'gzip'],
    ['/on', 'gzip, deflate, br, zstd', 'gzip'],
    ['/on', 'br', undefined],
    ['/on', 'deflate', undefined],
    ['/on', '*', 'gzip'],
    ['/on', '*;q=0', undefined],
    ['/on', 'gzip;q=0', undefined],
    ['/on', 'gzip;q=0, *', undefined],
    ['/on', 'gzip;q=0.001', 'gzip'],
    ['/on', 'br;q=1, gzip;q=0.2', 'gzip'],
    ['/on', 'gzip;q=0.5, identity;q=0.8', undefined],
    ['/on', 'identity;q=0.5, gzip;q=0.8', 'gzip'],
    ['/on', 'gzip;q=nonsense', undefined],
    ['/off', 'gzip', undefined],
    ['/own', 'gzip, br', 'br'],
    ['/own', 'gzip, br;q=0.9', 'gzip'],
    ['/own', 'gzip', 'gzip'],
    ['/own', 'deflate', undefined],
    ['/zstd', 'br, gzip', 'br'],
    ['/zstd', 'br, zstd', hasZstd ? 'zstd' : 'br'],
    ['/zstd', 'gzip', 'gzip']
  ]
  for (const [path, accepted, encoding] of table) {
    for (const method of ['GET', 'HEAD']) {
      const answer = await readWhole(server, path, { 'accept-encoding': accepted }, method)
      t.equal(answer.status, 200)
      t.equal(answer.headers['content-encoding'], encoding, `${method} ${path}: ${accepted}`)
      t.equal(answer.headers.vary, path === '/off' ? undefined : 'Accept-Encoding', `${path}: what else it could have been`)
      t.equal(answer.headers['cache-control'], 'no-cache, no-transform, no-store')
      if (method === 'GET') t.equal(answer.text, 'retry: 1000\n\n')
    }
  }
  const head = await readWhole(server, '/live', gzip, 'HEAD')
  t.match(head.headers, { 'content-encoding': 'gzip', vary: 'Accept-Encoding' }, 'of sessions too')
  t.equal((await readWhole(server, '/live', { 'accept-encoding': undefined }, 'HEAD')).headers['content-encoding'], undefined)
  t.equal(server.app.tether.stats().sessions, 0)
  t.match(server.app.tether.stats().compression, { streams: 0, ownStreams: 0, compressorBytes: 0 })
})

for (const protocol of protocols) {
  for (const { name, compression, encoding } of forms) {
    t.test(`${protocol}, ${name}: what is broadcast and what is private arrive whole and in order`, async (t) => {
      const server = await startLive(t, { protocol, upgrade: { compression }, live: { replayFrames: 0 } })
      const readers = [
        ...await connectGroup(server, 3, { 'accept-encoding': encoding, 'x-tether-session': 'new' }),
        ...await connectGroup(server, 2, { 'accept-encoding': encoding }),
        ...await connectGroup(server, 1, { 'accept-encoding': 'identity', 'x-tether-session': 'new' })
      ]
      for (const [index, { reader }] of readers.entries()) t.equal(reader.headers['content-encoding'], index === 5 ? undefined : encoding)
      const expected = readers.map((): string[] => [])
      const broadcast = (text: string) => {
        server.live.group('all').broadcast('row', text)
        for (const list of expected) list.push(text)
      }
      const send = (text: string) => {
        for (const [index, { session }] of readers.entries()) {
          session.send('row', `${index} ${text}`)
          expected[index]!.push(`${index} ${text}`)
        }
      }
      const noise = randomBytes(40_000).toString('base64')
      for (let round = 0; round < 8; round++) {
        for (let count = 0; count < 10; count++) broadcast(`{"series":"cpu","round":${round},"value":${count}}`)
        await turns(1)
        send('private')
        await turns(round)
        broadcast('é'.repeat(300 * round + 1))
        send('x'.repeat(1_500 * round))
        broadcast(noise.slice(0, round * 5_000))
        broadcast('between')
        send('behind')
      }
      broadcast('large '.repeat(30_000))
      broadcast('end')
      await until(() => readers.every(({ reader }, index) => reader.updates.length === expected[index]!.length), 'all updates')
      for (const [index, { reader }] of readers.entries()) t.same(reader.updates.map(({ data }) => data), expected[index], `reader ${index + 1}`)
      for (const { session } of readers) session.close('end')
      await until(() => readers.every(({ reader }) => reader.ended), 'the ends, trailers included')
      t.equal(readers[0]!.reader.controls.at(-1)!.type, 'goodbye')
      await until(() => server.app.tether.stats().compression.streams === 0, 'the end of the streams')
      const stats = server.app.tether.stats().compression
      t.ok(stats.bytesAfter < stats.bytesBefore, `${stats.bytesBefore} bytes became ${stats.bytesAfter}`)
      t.equal(stats.compressorBytes, 0)
      t.same(server.errors(), [])
    })

    t.test(`${protocol}, ${name}: a session resumes, and another stream takes over`, async (t) => {
      const server = await startLive(t, { protocol, upgrade: { compression } })
      const link = await startLink(t, server)
      const first = await server.connect({ headers: { 'accept-encoding': encoding }, port: link.port })
      const { session } = first
      sendRows(session, 1, 300)
      await until(() => rows(first.reader).length > 0, 'the first rows')
      // In the midst of a block, as like as not.
      link.cut()
      await until(() => first.reader.closed && !session.connected, 'the break')
      const seen = rows(first.reader)
      t.same(seen, range(1, seen.length), 'what came is what was sent')
      sendRows(session, 301, 310)
      const second = await server.connect({ headers: { 'accept-encoding': encoding, ...counting(session.id, seen.length) } })
      t.match(second.reader.controls[0], { verdict: 'resumed', seq: seen.length })
      await until(() => rows(second.reader).at(-1) === 310, 'the rest')
      t.same(rows(second.reader), range(seen.length + 1, 310))
      const third = await server.connect({ headers: { 'accept-encoding': encoding, ...exactly(session.id, 300) } })
      await until(() => second.reader.ended, 'the end of the second')
      t.same(second.reader.controls.at(-1), { type: 'goodbye', reason: 'replaced', reconnect: false })
      await until(() => rows(third.reader).at(-1) === 310, 'the rest')
      t.same(third.reader.updates.map(({ id }) => id), range(301, 310).map((seq) => `${session.id}.${seq}`))
      t.same(server.errors(), [])
    })

    t.test(`${protocol}, ${name}: a reader that takes nothing makes its session wait, and loses its stream`, async (t) => {
      const server = await startLive(t, {
        protocol,
        upgrade: { compression, stallTimeoutMs: 300, writeBuffer: 2 },
        live: { reconnectMs: 60_000, replayFrames: 0 }
      })
      const { session } = await server.connect({ headers: { 'accept-encoding': encoding }, frozen: true })
      // What can be made shorter takes longer to fill a pipe.
      const noise = () => randomBytes(24_000).toString('base64')
      // One that has to wait does so until the stream is given up.
      for (let count = 0; session.connected && count < 2_000; count++) await session.send('row', noise())
      t.equal(session.connected, false, 'the end of the stream')
      t.ok(session.stats.stalledMs > 0, 'send waits')
      t.equal(session.stats.stallDisconnects, 1)
      t.equal(session.stats.compression, null)
      await until(() => server.app.tether.stats().compression.streams === 0, 'the end of its compression')
      t.equal(server.app.tether.stats().compression.compressorBytes, 0)
    })
  }

  t.test(`${protocol}: all frames of one turn leave in one write`, async (t) => {
    const server = await startLive(t, { protocol, upgrade: { heartbeatMs: 0 } })
    const members = await connectGroup(server, 2, countedGzip)
    const { reader, session } = members[0]!
    await turns(5)
    const writes = session.stats.writes
    const chunks = reader.chunks.length
    for (let count = 0; count < 10; count++) server.live.group('all').broadcast('row', `${count}`.repeat(30))
    await until(() => reader.updates.length === 10, 'ten updates')
    t.equal(session.stats.writes, writes + 1)
    t.equal(reader.chunks.length, chunks + 1, 'and arrive as one piece')
    for (let count = 0; count < 20; count++) server.live.group('all').broadcast('row', `${count}`.repeat(60))
    session.send('row', 'private')
    await until(() => reader.updates.length === 31, 'all updates')
    t.equal(session.stats.writes, writes + 2, 'private ones among them')
    t.equal(reader.updates.at(-1)!.data, 'private')
  })
}

t.test('a broadcast is deflated once, and small ones gain by those before them', async (t) => {
  const server = await startLive(t, {})
  const members = await connectGroup(server, 8, countedGzip)
  for (let round = 0; round < 40; round++) {
    server.live.group('all').broadcast('note', { text: `sample ${round * 7919 % 97} of host node-${round % 5} in zone eu-west` })
    await until(() => members.every(({ reader }) => reader.updates.length === round + 1), `update ${round + 1}`)
  }
  const { runs, sharedBlocks, privateBlocks, runBytesBefore, runBytesAfter } = server.app.tether.stats().compression
  t.ok(runs <= 40, `${runs} runs for 40 broadcasts`)
  t.ok(sharedBlocks >= 38 * 8, `${sharedBlocks} blocks`)
  t.equal(privateBlocks, 0)
  t.ok(runBytesBefore > 2.5 * runBytesAfter, `${runBytesBefore} bytes became ${runBytesAfter}`)
  const { compression } = members[0]!.session.stats
  t.match(compression, { encoding: 'gzip', own: false })
  t.ok(compression!.bytesAfter < compression!.bytesBefore)
  t.equal(compression!.bytesBefore, members[0]!.session.stats.bytesWritten, 'bytesWritten is text')
  t.equal(compression!.bytesAfter, members[0]!.reader.bytes, 'what arrived')
  t.equal(Buffer.byteLength(members[0]!.reader.text), compression!.bytesBefore)
})

t.test('a session\'s id is never deflated, nor a private update with what others get', async (t) => {
  const server = await startLive(t, { live: { replayFrames: 0 } })
  const members = [...await connectGroup(server, 2, gzip), ...await connectGroup(server, 2, countedGzip)]
  const secret = 'the secret of one session alone, which nobody else may learn of, '.repeat(3)
  let broadcasts = 0
  for (let round = 0; round < 20; round++) {
    for (let count = 0; count < 10; count++, broadcasts++) server.live.group('all').broadcast('row', `${count} a guess: ${members[0]!.session.id}.${count} ${secret.slice(0, 150)}`)
    for (const { session } of members) session.send('row', `${session.id} private ${secret.repeat(round % 3)}`)
    server.live.group('all').broadcast('row', 'x'.repeat(2_000))
    broadcasts++
    await until(() => members.every(({ reader }) => reader.updates.length === broadcasts + round + 1), `round ${round + 1}`)
  }
  for (const { reader } of members.slice(0, 2)) {
    const ids = reader.text.match(/^id: .*$/gm) ?? []
    t.equal(ids.length, broadcasts + 20 + 1)
    const raw = Buffer.concat(reader.chunks as Buffer[]).toString('latin1')
    t.ok(ids.every((line) => raw.includes(`${line}\n`)), 'each id line is there to be read')
  }
  for (const { reader } of members.slice(2)) {
    t.ok(Buffer.concat(reader.chunks as Buffer[]).toString('latin1').includes(`"session":"${reader.session}"`), 'so is the hello')
  }
  // What is private is as long as if it were alone, whatever is broadcast beside it.
  const { reader, session } = members[2]!
  const lengthOfPrivate = async (broadcast: string): Promise<number> => {
    const { privateBlocks } = server.app.tether.stats().compression
    const before = reader.updates.length
    server.live.group('all').broadcast('row', broadcast)
    session.send('row', secret.repeat(10))
    await until(() => reader.updates.length === before + 2, 'both')
    // On a busy machine there may be no allowance left for it, until some time has passed.
    return server.app.tether.stats().compression.privateBlocks > privateBlocks
      ? reader.chunks.at(-1)!.length
      : await lengthOfPrivate(broadcast)
  }
  t.equal(await lengthOfPrivate(secret.repeat(10)), await lengthOfPrivate(randomBytes(600).toString('base64')))
  // One that only this session still holds is no less a broadcast.
  for (const { reader } of [members[0]!, members[1]!, members[3]!]) reader.destroy()
  await until(() => server.app.tether.stats().streams === 1, 'the others to be gone')
  t.equal(await lengthOfPrivate(secret.repeat(10)), await lengthOfPrivate(randomBytes(600).toString('base64')))
})

t.test('beyond maxCompressorBytes streams share, and a place is free again when its stream ends', async (t) => {
  const server = await startLive(t, { tether: { maxCompressorBytes: 20_000 }, upgrade: { compression: { own: 'all' } } })
  const members = await connectGroup(server, 4, countedGzip)
  t.same(members.map(({ session }) => session.stats.compression?.own), [true, true, false, false])
  t.match(server.app.tether.stats().compression, { streams: 4, ownStreams: 2 })
  members[0]!.reader.destroy()
  await until(() => server.app.tether.stats().compression.ownStreams === 1, 'its end')
  const next = await server.connect({ headers: countedGzip })
  t.equal(next.session.stats.compression?.own, true)
  const none = await startLive(t, { tether: { maxCompressorBytes: 0 }, upgrade: { compression: own('br') } })
  t.equal((await none.connect({ headers: { 'accept-encoding': 'br' } })).reader.headers['content-encoding'], undefined)
  t.equal((await none.connect({ headers: { 'accept-encoding': 'br, gzip;q=0.1' } })).reader.headers['content-encoding'], 'gzip')
})

for (const order of ['before', 'after'] as const) {
  t.test(`@fastify/compress, registered ${order} the routes' own plugins, leaves it alone`, async (t) => {
    const register = async (app: FastifyInstance) => { await app.register(compress, { global: true, customTypes: /./, threshold: 0 }) }
    const server = await startLive(t, {
      setup: async (app) => {
        if (order === 'before') await register(app)
        await app.register(cors, { origin: ['https://a.example', 'https://b.example'] })
        if (order === 'after') await register(app)
        app.get('/json', async () => ({ text: 'x'.repeat(2_000) }))
      }
    })
    const { reader, session } = await server.connect({ headers: countedGzip })
    t.equal(reader.headers['content-encoding'], 'gzip')
    t.match(reader.headers.vary, /Origin/i)
    t.match(reader.headers.vary, /Accept-Encoding/i)
    sendRows(session, 1, 50)
    await until(() => rows(reader).length === 50, 'what was sent, compressed once')
    session.close('end')
    await until(() => reader.ended, 'the end')
    t.equal((await readWhole(server, '/json', gzip)).headers['content-encoding'], 'gzip', 'others are its own')
  })
}

t.test('what a hook or the application says of the encoding holds', async (t) => {
  const server = await startServer(t, {
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade()
      const route = (path: string, onSend: ((reply: any, payload: any) => unknown) | null, before?: (reply: any) => void) => {
        app.get(path, onSend === null ? {} : { onSend: async (_request, reply, payload) => onSend(reply, payload) }, async (request, reply) => {
          before?.(reply)
          const transport = await upgrade(request, reply)
          transport.send({ data: 'first' })
          await transport.close()
        })
      }
      route('/removed', (reply, payload) => {
        reply.removeHeader('content-encoding')
        return payload
      })
      route('/changed', (reply, payload) => {
        reply.header('content-encoding', 'identity')
        return payload
      })
      route('/set', null, (reply) => reply.header('content-encoding', 'identity').header('vary', 'Origin'))
      route('/star', null, (reply) => reply.header('vary', '*'))
      route('/twice', null, (reply) => reply.header('vary', 'accept-encoding, Origin'))
      route('/replaced', () => 'something else')
      route('/fails', (reply) => {
        if (reply.statusCode === 200) throw new Error('of the hook')
      })
    }
  })
  const text = 'retry: 1000\n\ndata: first\n\n'
  t.match(await readWhole(server, '/removed', gzip), { status: 200, text, headers: { 'content-encoding': undefined, vary: 'Accept-Encoding' } })
  t.match(await readWhole(server, '/changed', gzip), { status: 200, text, headers: { 'content-encoding': 'identity' } })
  t.match(await readWhole(server, '/set', gzip), { status: 200, text, headers: { 'content-encoding': 'identity', vary: 'Origin, Accept-Encoding' } })
  t.match(await readWhole(server, '/star', gzip), { status: 200, text, headers: { 'content-encoding': 'gzip', vary: '*' } })
  t.match(await readWhole(server, '/twice', gzip), { status: 200, text, headers: { 'content-encoding': 'gzip', vary: 'accept-encoding, Origin' } })
  t.match(await readWhole(server, '/replaced', gzip), { status: 200, text: 'something else', headers: { 'content-encoding': undefined } })
  const failed = await readWhole(server, '/fails', gzip)
  t.match(failed, { status: 500, headers: { 'content-encoding': undefined } })
  t.equal(failed.json.message, 'of the hook', 'an answer that can be read')
  await until(() => server.app.tether.stats().streams === 0, 'the end of all')
  t.equal(server.app.tether.stats().compression.streams, 0)
})

t.test('HTTP/1.0, and a stream that waits behind another on its connection', async (t) => {
  const server = await startLive(t, {
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade()
      app.get('/brief', async (request, reply) => {
        const transport = await upgrade(request, reply)
        transport.send({ data: 'x'.repeat(3_000) })
        transport.send({ data: 'last' })
        await transport.close()
      })
    }
  })
  const text = `retry: 1000\n\ndata: ${'x'.repeat(3_000)}\n\ndata: last\n\n`
  const ask = (version: string) => `GET /brief HTTP/${version}\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n`
  const old = await exchange(server, ask('1.0'))
  t.match(old.head, /^content-encoding: gzip$/mi)
  t.equal(zlib.gunzipSync(old.body).toString(), text)
  const { all } = await exchange(server, ask('1.1').repeat(2) + ask('1.1').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
  const bodies = all.split('HTTP/1.1 200 OK\r\n').slice(1).map((answer) => dechunk(answer.slice(answer.indexOf('\r\n\r\n') + 4)))
  t.equal(bodies.length, 3)
  for (const body of bodies) t.equal(zlib.gunzipSync(body).toString(), text)
})

/** Sends bytes as they are, and gives what comes until the connection closes. */
async function exchange (server: LiveServer, request: string) {
  const socket = connect(server.port, '127.0.0.1')
  server.readers.add(socket)
  const pieces: Buffer[] = []
  socket.on('data', (bytes) => { pieces.push(bytes) })
  socket.write(request)
  await within(new Promise((resolve) => socket.on('close', resolve)), 'the answer')
  const whole = Buffer.concat(pieces)
  const end = whole.indexOf('\r\n\r\n')
  return { all: whole.toString('latin1'), head: whole.toString('latin1', 0, end), body: whole.subarray(end + 4) }
}

function dechunk (text: string): Buffer {
  const pieces: string[] = []
  for (let at = 0; ;) {
    const end = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, end), 16)
    if (size === 0) return Buffer.from(pieces.join(''), 'latin1')
    pieces.push(text.slice(end + 2, end + 2 + size))
    at = end + 4 + size
  }
}

t.test('heartbeats, and what a client that never reads them to the end has', async (t) => {
  for (const { compression, encoding } of forms) {
    const server = await startLive(t, { upgrade: { compression, heartbeatMs: 60 } })
    const counted = await server.connect({ headers: { 'accept-encoding': encoding, 'x-tether-session': 'new' } })
    const exact = await server.connect({ headers: { 'accept-encoding': encoding } })
    await until(() => counted.reader.controls.filter(({ type }) => type === 'heartbeat').length >= 3, 'heartbeats')
    await until(() => exact.reader.text.split('\n').filter((line) => line === ':').length >= 3, 'comments')
    for (const { reader } of [counted, exact]) reader.destroy()
    await until(() => server.app.tether.stats().compression.streams === 0, 'the end')
    t.same(server.errors(), [])
  }
})

t.test('a client that vanishes while a compressor works', async (t) => {
  const server = await startLive(t, { upgrade: { compression: own('br') }, live: { reconnectMs: 0 } })
  for (let round = 0; round < 10; round++) {
    const { reader, session } = await server.connect({ headers: { 'accept-encoding': 'br' } })
    for (let count = 0; count < 10; count++) session.send('row', 'x'.repeat(20_000))
    await turns(round % 4)
    reader.destroy()
  }
  await until(() => server.app.tether.stats().sessions === 0, 'the end of all')
  t.match(server.app.tether.stats().compression, { streams: 0, ownStreams: 0, compressorBytes: 0 })
  t.same(server.errors(), [])
})

t.test('drain and close end compressed streams properly', async (t) => {
  for (const { compression, encoding } of forms) {
    const server = await startLive(t, { upgrade: { compression } })
    const readers: Reader[] = []
    for (let count = 0; count < 3; count++) readers.push((await server.connect({ headers: { 'accept-encoding': encoding } })).reader)
    await server.app.tether.drain({ timeoutMs: 5_000 })
    await until(() => readers.every((reader) => reader.ended), 'the ends, trailers included')
    for (const reader of readers) t.match(reader.controls.at(-1), { type: 'goodbye', reason: 'draining' })
  }
})

t.test('a reader that stops reading for a while gets all of it', async (t) => {
  for (const { compression, encoding } of forms) {
    const server = await startLive(t, { upgrade: { compression }, live: { queueFrames: 5_000, queueBytes: 64 * 1024 * 1024 } })
    const { reader, session } = await server.connect({ headers: { 'accept-encoding': encoding, 'x-tether-session': 'new' }, frozen: true })
    const sent = Array.from({ length: 300 }, () => randomBytes(15_000).toString('base64'))
    let isBlocked = false
    for (const text of sent) isBlocked = !await Promise.race([session.send('row', text), turns(1)]) || isBlocked
    t.ok(isBlocked, 'it was waited for')
    reader.resume()
    await until(() => reader.updates.length === sent.length, 'everything')
    t.same(reader.updates.map(({ data }) => data), sent)
    session.close('end')
    await until(() => reader.ended, 'the end')
  }
})

t.test('clients of others', async (t) => {
  const server = await startLive(t, {
    // A client of Node's fetch opens a connection in advance, and would hold up the end of the server.
    fastify: { forceCloseConnections: true },
    live: { onConnect: (session, { live }) => { live.group('all').add(session) } }
  })
  const stream = await openReader(server, '/live', { headers: countedGzip })
  const expected: string[] = []
  const say = (count: number) => {
    for (let index = 0; index < count; index++) {
      const text = `${expected.length} hëllo 世界 ${'x'.repeat(expected.length * 37 % 900)}`
      expected.push(text)
      server.live.group('all').broadcast('row', text)
    }
  }
  const connected = (count: number) => until(() => server.live.group('all').size === count, `${count} clients`)

  await t.test('npm eventsource', async (t) => {
    const source = new EventSource(`${server.origin}/live`)
    t.teardown(() => source.close())
    const got: string[] = []
    source.addEventListener('row', ({ data }) => { got.push(data) })
    await connected(2)
    const first = expected.length
    for (let burst = 0; burst < 5; burst++) {
      say(burst * 4 + 1)
      await until(() => got.length === expected.length - first, `burst ${burst + 1}`)
    }
    t.same(got, expected.slice(first))
  })

  await t.test('fetch', async (t) => {
    const abort = new AbortController()
    t.teardown(() => abort.abort())
    const response = await fetch(`${server.origin}/live`, { headers: { accept: 'text/event-stream', 'x-tether-session': 'new' }, signal: abort.signal })
    t.equal(response.headers.get('content-encoding'), 'gzip')
    let text = ''
    const reading = (async () => {
      for await (const bytes of response.body!.pipeThrough(new TextDecoderStream())) text += bytes
    })()
    reading.catch(() => {})
    await until(() => [...server.live.sessions].filter(({ connected }) => connected).length >= 2, 'the session')
    const first = expected.length
    for (let burst = 0; burst < 5; burst++) {
      say(burst * 4 + 1)
      const last = expected.at(-1)!
      await until(() => text.includes(`data: ${last}\n\n`), `burst ${burst + 1}`)
    }
    t.same(text.split('\n').filter((line) => /^data: \d/.test(line)).map((line) => line.slice(6)), expected.slice(first))
  })

  await t.test('curl --compressed', async (t) => {
    let output = ''
    const headers = ['-H', 'Accept: text/event-stream', '-H', 'X-Tether-Session: new']
    const before = new Set(server.live.sessions)
    const child = execFile('curl', ['-sSN', '--noproxy', '*', '--compressed', '--max-time', '600', ...headers, `${server.origin}/live`], { maxBuffer: 1e8 })
    child.stdout!.setEncoding('utf8').on('data', (text: string) => { output += text })
    const code = new Promise((resolve) => child.on('close', resolve))
    t.teardown(() => child.kill())
    const session = await until(() => [...server.live.sessions].find((each) => !before.has(each) && each.connected), 'the session')
    const first = expected.length
    for (let burst = 0; burst < 5; burst++) {
      say(burst * 4 + 1)
      const last = expected.at(-1)!
      await until(() => output.includes(`data: ${last}\n\n`), `burst ${burst + 1}`)
    }
    t.same(output.split('\n').filter((line) => /^data: \d/.test(line)).map((line) => line.slice(6)), expected.slice(first))
    session.close('end')
    t.equal(await within(code, 'the end of curl'), 0, 'which found the trailer right')
  })

  await until(() => stream.updates.length === expected.length, 'all of it, beside them')
  t.same(stream.updates.map(({ data }) => data), expected)
})

for (const { name, compression, encoding } of forms.filter(({ encoding }) => encoding !== 'zstd')) {
  t.test(`${name}: clients of others read frames of any size up to a megabyte`, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    t.comment(`seed ${seed}`)
    const server = await startLive(t, {
      upgrade: { compression },
      fastify: { forceCloseConnections: true },
      live: { queueBytes: 200_000_000, queueFrames: 10_000, onConnect: (session, { live }) => { live.group('all').add(session) } }
    })
    const url = `${server.origin}/live`
    const accept = { accept: 'text/event-stream', 'accept-encoding': encoding }
    const abort = new AbortController()
    t.teardown(() => abort.abort())

    const fromEventSource: string[] = []
    const source = new EventSource(url, { fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...accept } }) })
    t.teardown(() => source.close())
    source.addEventListener('row', ({ data }) => { fromEventSource.push(data) })

    const texts: string[] = ['', '']
    fetch(url, { headers: { ...accept, 'x-tether-session': 'new' }, signal: abort.signal }).then(async ({ body }) => {
      for await (const piece of body!.pipeThrough(new TextDecoderStream())) texts[0] += piece
    }).catch(() => {})
    const headers = ['-H', 'Accept: text/event-stream', '-H', 'X-Tether-Session: new', '-H', `Accept-Encoding: ${encoding}`]
    const curl = execFile('curl', ['-sSN', '--noproxy', '*', '--compressed', '--max-time', '600', ...headers, url], { maxBuffer: 1e9 })
    curl.stdout!.setEncoding('utf8').on('data', (piece: string) => { texts[1] += piece })
    const code = new Promise((resolve) => curl.on('close', resolve))
    t.teardown(() => curl.kill())

    await until(() => server.live.group('all').size === 3, 'three clients')
    t.same([...server.live.group('all')].map(({ stats }) => stats.compression?.encoding), [encoding, encoding, encoding])
    const sent = rowsOfAnySize(24, seed)
    for (const [index, row] of sent.entries()) {
      // What is made for all, and what is made for each alone.
      if (index % 3 !== 0) server.live.group('all').broadcast('row', row)
      else await Promise.all([...server.live.group('all')].map((session) => session.send('row', row)))
      if (index % 4 === 0) await turns(3)
    }
    await until(() => fromEventSource.length === sent.length, 'all rows at the EventSource')
    for (const session of server.live.sessions) session.close('end')
    t.equal(await within(code, 'the end of curl'), 0, 'which found the trailer right')
    await until(() => texts[0]!.includes('goodbye'), 'the end of fetch')
    const rowsIn = (text: string) => [...text.matchAll(/^event: row\ndata: (.*)$/gm)].map(([, row]) => row)
    for (const [who, got] of [['eventsource', fromEventSource], ['fetch', rowsIn(texts[0]!)], ['curl', rowsIn(texts[1]!)]] as const) {
      t.equal(got.length, sent.length, `${who}: as many`)
      // Not compared as a whole: what it would print is megabytes.
      t.equal(got.findIndex((row, index) => row !== sent[index]), -1, `${who}: each the same`)
    }
    t.same(server.errors(), [])
  })
}
