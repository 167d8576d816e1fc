import { connect, type Socket } from 'node:net'
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { fill } from './harness/fill.ts'
import { startLive, type LiveOptions, type LiveServer } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { readWhole } from './harness/request.ts'
import { range, rows, sendRows } from './harness/rows.ts'
import { turns, until } from './harness/until.ts'
import { openSocket, startSocket } from './harness/web-socket.ts'

const start = (t: Test, { live, ...options }: LiveOptions = {}) => startLive(t, { ...options, live: { mode: 'websocket', ...live } })

/** A connection on which the test writes what it likes, once it is a WebSocket. */
async function rawSocket (server: LiveServer, first: Buffer[] = []): Promise<{ socket: Socket, received: () => Buffer }> {
  const socket = connect(server.port, '127.0.0.1')
  server.readers.add(socket)
  let bytes = Buffer.alloc(0)
  socket.on('data', (piece) => { bytes = Buffer.concat([bytes, piece]) })
  socket.on('error', () => {})
  const head = `GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`
  socket.write(Buffer.concat([Buffer.from(head), ...first]))
  await until(() => bytes.includes('\r\n\r\n'), 'the head of the answer')
  return { socket, received: () => bytes.subarray(bytes.indexOf('\r\n\r\n') + 4) }
}

/** A masked frame, as a client sends it. */
function clientFrame (opcode: number, payload: string | Buffer): Buffer {
  const bytes = Buffer.from(payload)
  const head = bytes.length < 126 ? Buffer.from([0x80 | opcode, 0x80 | bytes.length]) : Buffer.from([0x80 | opcode, 0x80 | 126, bytes.length >> 8, bytes.length & 255])
  return Buffer.concat([head, Buffer.alloc(4), bytes])
}

/** The frames of a server, as far as they have come. */
function serverFrames (bytes: Buffer): Array<{ fin: boolean, opcode: number, payload: Buffer }> {
  const frames = []
  for (let at = 0; at + 2 <= bytes.length;) {
    let length = bytes[at + 1]! & 127
    let head = 2
    if (length === 126) {
      length = bytes.readUInt16BE(at + 2)
      head = 4
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(at + 2))
      head = 10
    }
    if (at + head + length > bytes.length) break
    frames.push({ fin: bytes[at]! >= 128, opcode: bytes[at]! & 15, payload: bytes.subarray(at + head, at + head + length) })
    at += head + length
  }
  return frames
}

t.test('one that is being closed gets no session', async (t) => {
  let release!: () => void
  const gate = new Promise<void>((resolve) => { release = resolve })
  const told: string[] = []
  const server = await start(t, {
    live: {
      initialState: async () => {
        told.push('state')
        await gate
      },
      onConnect: () => { told.push('connect') }
    }
  })
  const { socket, received } = await rawSocket(server)
  socket.write(clientFrame(1, '{"session":"new"}'))
  await until(() => told.length === 1, 'the session to be made')
  socket.write(clientFrame(2, 'not text'))
  await until(() => received().includes('not-text'), 'the goodbye')
  release()
  await until(() => server.app.tether.stats().sessions === 0, 'it to be given up')
  await turns()
  t.same(told, ['state'])
})

t.test('a message holds whole frames, and a large frame is one message of several fragments', async (t) => {
  const server = await start(t)
  const { socket, received } = await rawSocket(server)
  socket.write(clientFrame(1, '{"session":"new"}'))
  const session = await until(() => [...server.live.sessions][0], 'the session')
  session.send('row', 'a')
  session.send('row', 'b')
  await turns()
  session.send('row', 'x'.repeat(200_000))
  await turns()
  session.send('row', 'c')
  await until(() => received().includes('data: c\n\n'), 'the last row')
  const frames = serverFrames(received())
  const shape = frames.map(({ fin, opcode, payload }) => [fin, opcode, payload.length])
  t.same(shape.slice(2), [
    [true, 1, 'event: row\ndata: a\n\nevent: row\ndata: b\n\n'.length],
    [false, 1, 65_536], [false, 0, 65_536], [false, 0, 65_536], [true, 0, 200_000 + 'event: row\ndata: \n\n'.length - 3 * 65_536],
    [true, 1, 'event: row\ndata: c\n\n'.length]
  ])
  t.equal(frames[0]!.payload.toString(), 'retry: 1000\n\n')
  t.match(frames[1]!.payload.toString(), /^id: .{24}\.0\nevent: tether\ndata: {"type":"hello",.*\n\n$/)
})

t.test('the first message', async (t) => {
  const server = await start(t, { socket: { openTimeoutMs: 1_500 }, live: { maxEventBytes: 100 } })
  for (const [opening, code, reason, answer] of [
    ['{', 4400, 'bad-opening', { status: 400, code: 'FST_ERR_CTP_INVALID_JSON_BODY' }],
    ['', 4400, 'bad-opening', { status: 400, code: 'FST_ERR_CTP_EMPTY_JSON_BODY' }],
    [{}, 4400, 'bad-opening', { status: 400, code: 'FST_ERR_VALIDATION', errors: [{ path: '/session', message: 'is required' }] }],
    [{ event: 'ping', data: {} }, 4400, 'bad-opening', { status: 400, code: 'FST_ERR_VALIDATION' }],
    ['{"session":"new","__proto__":{}}', 4400, 'bad-opening', { status: 400 }],
    ['x'.repeat(1_225), 1009, undefined, undefined],
    [undefined, 4408, 'open-timeout', undefined]
  ] as const) {
    const reader = await openSocket(server, '/live', opening)
    await until(() => reader.closed, 'the end')
    const what = JSON.stringify(opening)?.slice(0, 40) ?? 'none'
    t.equal(reader.closeCode, code, what)
    if (answer === undefined) t.same(reader.answers, [], what)
    else t.match(reader.answers, [answer], what)
    t.equal(reader.controls.at(-1)?.reason, reason, what)
    t.ok(reader.controls.every(({ type }) => type !== 'hello'))
  }
  const binary = startSocket(server)
  await binary.opened
  binary.send(Buffer.from('{"session":"new"}'))
  await until(() => binary.closed, 'the end')
  t.equal(binary.closeCode, 1003)
  t.match(server.app.tether.stats(), { sessions: 0, streams: 0 })
  t.same(server.errors(), [])
})

t.test('what comes before the session is there is kept, in bounds', async (t) => {
  let release!: () => void
  const said: string[] = []
  const server = await start(t, {
    live: {
      initialState: () => new Promise<void>((resolve) => { release = resolve }),
      on: { say: (_session, { text }) => { said.push(text) } }
    }
  })
  const eager = await openSocket(server, '/live', { session: 'new' })
  for (let seq = 1; seq <= 32; seq++) eager.send({ event: 'say', data: { text: String(seq) }, seq })
  await until(() => release, 'initialState')
  await turns(50)
  release()
  await until(() => eager.answers.length === 32, 'the answers')
  t.same(eager.answers.map(({ seq }) => seq), range(1, 32))
  await until(() => said.length === 32, 'the handlers')
  t.equal(eager.blocks.findIndex(({ data }) => data?.includes('hello') === true) < eager.blocks.findIndex(({ data }) => data?.includes('answer') === true), true, 'hello first')

  const flooding = await openSocket(server, '/live', { session: 'new' })
  for (let seq = 1; seq <= 33; seq++) flooding.send({ event: 'ping', data: {} })
  await until(() => flooding.closed, 'the end')
  t.equal(flooding.closeCode, 1008)
  t.equal(flooding.controls.at(-1)?.reason, 'too-many')
  release()
  await until(() => server.app.tether.stats().sessions === 1, 'no other session')
})

t.test('messages that cannot be', async (t) => {
  const server = await start(t, { live: { maxEventBytes: 1_000 } })
  const ping = { event: 'ping', data: {} }
  const large = (bytes: number) => JSON.stringify({ event: 'say', data: { text: 'x'.repeat(bytes - 34) } })
  t.equal(large(1_000).length, 1_000)
  const reader = await openSocket(server, '/live', { session: 'new' })
  t.match(await reader.ask(large(1_000)), { status: 202 })
  t.match(await reader.ask(large(1_001)), { status: 413, code: 'FST_ERR_CTP_BODY_TOO_LARGE' })
  t.match(await reader.ask(large(3_024)), { status: 413 })
  t.match(await reader.ask(ping), { status: 202 }, 'and it goes on')
  reader.send(large(3_025))
  await until(() => reader.closed, 'the end')
  t.equal(reader.closeCode, 1009)

  const binary = await openSocket(server, '/live', { session: 'new' })
  await until(() => binary.controls.length > 0, 'hello')
  binary.send(Buffer.from(JSON.stringify(ping)))
  await until(() => binary.closed, 'the end')
  t.equal(binary.closeCode, 1003)
  t.same(binary.controls.at(-1), { type: 'goodbye', reason: 'not-text', reconnect: false })

  for (const [what, frame] of [
    ['text that is no UTF-8', clientFrame(1, Buffer.from([0xff, 0xfe]))],
    ['an unknown opcode', clientFrame(3, 'x')],
    ['a frame without a mask', Buffer.from([0x81, 1, 0x78])],
    ['noise', randomBytes(500)]
  ] as const) {
    const { socket, received } = await rawSocket(server, [clientFrame(1, '{"session":"new"}')])
    await until(() => received().includes('hello'), 'hello')
    socket.write(frame)
    await until(() => socket.destroyed || serverFrames(received()).some(({ opcode }) => opcode === 8), what)
    socket.resetAndDestroy()
  }
  await until(() => server.app.tether.stats().streams === 0, 'all streams to end')
  t.same(server.errors(), [])
})

t.test('a client that sends and does not read fills neither the heap nor the channel', async (t) => {
  const server = await start(t, { live: { commandBuffer: 4 } })
  const reader = await openSocket(server, '/live', { session: 'new' })
  await until(() => reader.controls.length > 0, 'hello')
  const session = server.live.get(reader.session)!
  reader.pause()
  await fill(session)
  const message = JSON.stringify({ event: 'say', data: { text: 'x'.repeat(16_000) } })
  const count = 3_000
  for (let sent = 0; sent < count; sent++) reader.socket.send(message)
  await until(() => session.stats.queuedCommands === 4, 'a full channel')
  let before = -1
  await until(() => {
    const now = reader.socket.bufferedAmount
    const isAtRest = now === before && now > 0
    before = now
    return isAtRest
  }, 'the client\'s messages to back up')
  reader.resume()
  await until(() => reader.answers.length === count, 'every answer')
  t.ok(reader.answers.every(({ status }) => status === 202 || status === 429))
  t.equal(reader.answers.filter(({ status }) => status === 429).length > 100, true)
})

t.test('a peer that answers no ping loses its stream', async (t) => {
  const reasons: string[] = []
  const server = await start(t, { socket: { heartbeatMs: 100 }, live: { onDisconnect: (_session, reason) => { reasons.push(reason) } } })
  const deaf = await openSocket(server, '/live', { session: 'new' }, { autoPong: false })
  const alive = await openSocket(server, '/live', { session: 'new' })
  await until(() => deaf.closed, 'the end of the deaf one')
  t.same(reasons, ['stalled'])
  await until(() => alive.controls.filter(({ type }) => type === 'heartbeat').length > 4, 'more heartbeats')
  t.equal(alive.closed, false)
  t.equal(server.app.tether.stats().stallDisconnects, 1)
})

t.test('the socket of a session that another took over takes nothing more', async (t) => {
  let pings = 0
  const server = await start(t, { live: { on: { ping: () => { pings++ } } } })
  const { socket, received } = await rawSocket(server, [clientFrame(1, '{"session":"new"}')])
  await until(() => received().includes('hello'), 'hello')
  const [session] = [...server.live.sessions]
  await openSocket(server, '/live', { session: session!.id })
  await until(() => received().includes('replaced'), 'the goodbye')
  socket.write(clientFrame(1, '{"event":"ping","data":{}}'))
  await until(() => serverFrames(received()).some(({ opcode, payload }) => opcode === 8 && payload.readUInt16BE(0) === 4409), 'the close frame')
  await turns(50)
  t.equal(pings, 0)
})

t.test('mode "websocket" has no event stream', async (t) => {
  const server = await start(t)
  for (const [method, headers] of [['GET', {}], ['GET', { accept: 'text/event-stream' }], ['GET', { upgrade: 'h2c', connection: 'upgrade' }]] as const) {
    const answer = await readWhole(server, '/live', headers, method)
    refused(t, answer, 426, 'FST_ERR_TETHER_UPGRADE_REQUIRED', JSON.stringify(headers))
    t.equal(answer.headers.upgrade, 'websocket')
  }
  t.equal((await readWhole(server, '/live', {}, 'HEAD')).status, 426)
})

t.test('mode "sse" has no WebSocket', async (t) => {
  for (const registers of [false, true]) {
    const server = await startLive(t, { setup: async (app) => { if (registers) await app.register((await import('@fastify/websocket')).default) } })
    const reader = startSocket(server)
    await until(() => reader.closed, 'the end')
    t.equal(reader.status, 400)
    t.match(reader.text, '"FST_ERR_TETHER_NO_WEBSOCKET"')
  }
})

t.test('mode "both": a WebSocket whose upgrade was lost on the way makes no session', async (t) => {
  const server = await startLive(t, { live: { mode: 'both' } })
  // The second is what is left of a WebSocket over HTTP/2.
  for (const lost of [{ 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' }, { 'sec-websocket-version': '13' }]) {
    const answer = await readWhole(server, '/live', lost)
    refused(t, answer, 426, 'FST_ERR_TETHER_UPGRADE_REQUIRED', 'without Upgrade')
    t.equal(answer.headers.upgrade, 'websocket')
  }
  t.equal([...server.live.sessions].length, 0)
})

t.test('mode "both": one session over either, one after the other', async (t) => {
  const protocols: string[] = []
  const server = await startLive(t, { live: { mode: 'both', onConnect: (_session, { protocol }) => { protocols.push(protocol) } } })
  const first = await openSocket(server, '/live', { session: 'new' })
  await until(() => first.controls.length > 0, 'hello')
  const session = server.live.get(first.session)!
  const { id } = session
  sendRows(session, 1, 3)
  await until(() => rows(first).length === 3, 'the rows')
  t.match(await first.ask({ event: 'ping', data: {}, seq: 1 }), { status: 202, seq: 1 })
  const second = await openReader(server, '/live', { headers: { 'x-tether-session': id, 'last-event-id': `${id}.2` } })
  await until(() => first.closed, 'the end of the socket')
  t.equal(first.closeCode, 4409)
  sendRows(session, 4, 5)
  await until(() => rows(second).length === 3, 'the rest')
  t.same(rows(second), [3, 4, 5])
  const third = await openSocket(server, '/live', { session: id, lastEventId: `${id}.5` })
  t.match(await third.ask({ event: 'ping', data: {}, seq: 1 }), { status: 202, seq: 1 }, 'known, and not run again')
  sendRows(session, 6, 6)
  await until(() => rows(third).length === 1, 'the last row')
  t.same(protocols, ['websocket', 'http/1.1', 'websocket'])
  const exact = await openReader(server)
  await until(() => exact.controls.length > 0, 'a browser\'s own reader')
  exact.destroy()
})

t.test('a transport without a session', async (t) => {
  const reasons: unknown[] = []
  const server = await startLive(t, {
    setup: async (app) => {
      await app.register((await import('@fastify/websocket')).default)
      const upgrade = app.tether.websocket.upgrade({ retryMs: 0 })
      app.get('/ticks', { websocket: true }, async (socket, request) => {
        const stream = await upgrade(request, socket)
        for (let n = 1; await stream.send({ event: 'tick', id: String(n), data: { n, last: stream.lastEventId } }) && n < 3; n++) { /* one after the other */ }
        if (request.url.endsWith('?close')) await stream.close()
        reasons.push(await stream.closed)
      })
    },
    live: { mode: 'sse' }
  })
  const closing = await openSocket(server, '/ticks?close', undefined, { headers: { 'last-event-id': '7' } })
  await until(() => closing.closed, 'the end')
  t.equal(closing.closeCode, 1000)
  t.equal(closing.text, `\n${[1, 2, 3].map((n) => `id: ${n}\nevent: tick\ndata: {"n":${n},"last":"7"}\n\n`).join('')}`)
  const open = await openSocket(server, '/ticks')
  await until(() => open.updates.length === 3, 'the ticks')
  t.equal(server.app.tether.stats().protocols.websocket, 1)
  await server.app.close()
  await until(() => open.closed, 'the end')
  t.match([open.blocks.at(-1)?.raw, open.closeCode], [/^retry: \d+$/, 1001], 'without a session, the code tells')
  await until(() => reasons.length === 2, 'both ends')
  t.same(reasons, ['closed', 'closed'])
})
