import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import autocannon from 'autocannon'
import t, { type Test } from 'tap'
import { Clients } from '../../tune/generator/clients.ts'
import { AnswerReader } from '../../tune/generator/answer-reader.ts'
import { frameSplitter } from '../../tune/generator/frames.ts'
import { openerOf } from '../../tune/generator/opener.ts'
import { Pace } from '../../tune/generator/pace.ts'
import { PostPool } from '../../tune/generator/post-pool.ts'
import { targetOf, type Target } from '../../tune/generator/target.ts'
import { isAccepted, Window } from '../../tune/generator/window.ts'
import { MessageReader } from '../../tune/generator/websocket-messages.ts'
import { decode, percentile } from '../../tune/statistics/histogram.ts'
import { startLimited } from './harness/limited-server.ts'

async function listen (t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return (server.address() as AddressInfo).port
}

function targetAt (port: number, path = '/live'): Target {
  return targetOf(new URL(`http://127.0.0.1:${port}${path}`), {}, 'sse')
}

t.test('a server that stops for half a second makes all events of that time late', async (t) => {
  // Closed loops would send one late event on each connection.
  let stoppedAt = 0
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const rest = stoppedAt === 0 ? 0 : stoppedAt + 500 - performance.now()
      setTimeout(() => response.end('{}'), Math.max(0, rest))
    })
  })
  const pool = new PostPool(targetAt(await listen(t, server)))
  const window = new Window()
  const pace = new Pace(200, (at) => {
    const settle = window.begin(at)
    pool.post('s', '{}', (status, code) => {
      if (isAccepted(status)) window.accept()
      settle(status, code)
    })
  })
  await delay(500)
  stoppedAt = performance.now()
  await delay(1_500)
  pace.stop()
  window.end()
  while (!window.isSettled) await delay(10)
  const { due, latency, missing } = window.read()
  t.ok(due > 340 && due < 420, `${due} events were due, whatever the server did`)
  t.equal(missing, 0)
  // A quarter of the events fell into the stop, evenly: half of these waited for more than 250 ms.
  t.ok(percentile(decode(latency), 0.88)! > 200, `p88 ${percentile(decode(latency), 0.88)}`)
})

t.test('autocannon corrects by an interval of 1 ms whatever its rate, so it cannot be the generator', async (t) => {
  // Every answer takes 40 ms, and none is late for the next request: nothing is omitted.
  const server = createServer((request, response) => { request.resume().on('end', () => setTimeout(() => response.end('{}'), 40)) })
  const port = await listen(t, server)
  const result = await autocannon({ url: `http://127.0.0.1:${port}`, connections: 2, connectionRate: 4, duration: 2 } as never) as unknown as { latency: { p2_5: number } }
  t.ok(result.latency.p2_5 < 20, `its p2.5 is ${result.latency.p2_5} ms, and all of the answers took 40`)
})

t.test('answers are read in pieces of any size', async (t) => {
  const text = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 Oh\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'
  for (const size of [1, 2, 3, 7, 40, 1_000]) {
    const found: unknown[] = []
    let body = ''
    const reader = new AnswerReader({
      onHead: (status) => { found.push(status) },
      onBody: (bytes) => { body += bytes.toString() },
      onEnd: (keeps) => { found.push(body, keeps); body = '' },
      onFault: (reason) => { found.push(reason) }
    })
    for (let at = 0; at < text.length; at += size) reader.read(Buffer.from(text.slice(at, at + size)))
    t.strictSame(found, [202, 'hello', true, 200, 'abc0123456789', true, 204, '', true, 500, '', false], `${size} at a time`)
  }
})

t.test('frames and messages are read in pieces of any size', async (t) => {
  const frames = 'retry: 1000\n\nevent: a\ndata: 1\n\nevent: b\ndata: 2\n\n'
  const long = 'x'.repeat(300)
  const messages = Buffer.concat([Buffer.from([0x81, 2]), Buffer.from('hi'), Buffer.from([0x01, 1]), Buffer.from('a'), Buffer.from([0x89, 1]), Buffer.from('p'), Buffer.from([0x80, 1]), Buffer.from('b'), Buffer.from([0x81, 126, 1, 44]), Buffer.from(long), Buffer.from([0x88, 0])])
  for (const size of [1, 3, 1_000]) {
    const found: string[] = []
    const split = frameSplitter((frame) => found.push(frame))
    for (let at = 0; at < frames.length; at += size) split(Buffer.from(frames.slice(at, at + size)))
    t.strictSame(found, ['retry: 1000', 'event: a\ndata: 1', 'event: b\ndata: 2'])
    const got: string[] = []
    const reader = new MessageReader({ onText: (bytes) => got.push(bytes.toString()), onPing: (bytes) => got.push(`ping ${bytes.toString()}`), onClose: () => got.push('close') })
    for (let at = 0; at < messages.length; at += size) reader.read(messages.subarray(at, at + size))
    t.strictSame(got, ['hi', 'ping p', 'ab', long, 'close'])
  }
})

t.test('requests are due at an even rate in the long run, each at a random place', async (t) => {
  const due: number[] = []
  const pace = new Pace(500, (at) => due.push(at))
  await delay(1_000)
  pace.stop()
  const count = due.length
  await delay(20)
  t.equal(due.length, count, 'none after the stop')
  t.ok(count > 470 && count < 520, `${count}`)
  t.ok(due.every((at, index) => index === 0 || at >= due[index - 1]!), 'in order')
  t.ok(new Set(due.map((at) => Math.round((at - due[0]!) % 2 * 10))).size > 10, 'not in step')
})

for (const transport of ['sse', 'websocket', 'http2'] as const) {
  t.test(`clients connect, send and leave over ${transport}`, async (t) => {
    const url = new URL(await startLimited(t, { broadcastsPerSecond: 20, ...transport === 'websocket' ? { mode: 'websocket' } : {}, ...transport === 'http2' ? { http2: true } : {} }))
    const clients = new Clients(openerOf(targetOf(url, {}, transport)), { fast: 0.5, slow: 0.2, frozen: 0.2, churning: 0.1 })
    t.teardown(() => clients.close())
    t.equal(await clients.resize(20, 1_000), null)
    t.equal(clients.size, 20)
    clients.read()
    const statuses = await Promise.all(Array.from({ length: 20 }, async () => await new Promise<number>((resolve) => clients.send('{"event":"work","data":{"n":3}}', resolve))))
    t.strictSame([...new Set(statuses)], [202])
    t.equal(await new Promise((resolve) => clients.send('{"event":"none","data":{}}', resolve)), 400)
    await delay(300)
    const { bytes, lost } = clients.read()
    t.ok(bytes > 1_000, `${bytes} bytes of broadcasts`)
    t.equal(lost, 0)
    t.equal(await clients.resize(5, 1_000), null)
    t.equal(clients.size, 5)
  })
}

for (const transport of ['sse', 'websocket', 'http2'] as const) {
  t.test(`clients that leave make room for others, and a server without room says so, over ${transport}`, async (t) => {
    const url = new URL(await startLimited(t, { maxSessions: 4, ...transport === 'websocket' ? { mode: 'websocket' } : {}, ...transport === 'http2' ? { http2: true } : {} }))
    const clients = new Clients(openerOf(targetOf(url, {}, transport)), { fast: 1, slow: 0, frozen: 0, churning: 0 })
    t.teardown(() => clients.close())
    t.match(await clients.resize(6, 1_000), /FST_ERR_TETHER_SESSION_LIMIT|1013/)
    t.equal(clients.size, 4)
    await clients.resize(0, 1_000)
    // A session that only lost its stream would wait for its client for longer.
    const startedAt = performance.now()
    while (await clients.resize(4, 1_000) !== null && performance.now() - startedAt < 20_000) await delay(100)
    t.equal(clients.size, 4)
  })
}

t.test('a 429 of anything but a full command channel counts as refused', async (t) => {
  const bodies = ['{"statusCode":429,"code":"FST_ERR_TETHER_BUSY","message":"full"}', '{"statusCode":429,"error":"Too Many Requests"}']
  let count = 0
  const server = createServer((request, response) => { request.resume().on('end', () => response.writeHead(429).end(bodies[count++ % 2])) })
  const pool = new PostPool(targetAt(await listen(t, server)))
  const window = new Window()
  for (let sent = 0; sent < 4; sent += 1) await new Promise<void>((resolve) => { const settle = window.begin(performance.now()); pool.post('s', '{}', (status, code) => { settle(status, code); resolve() }) })
  window.end()
  const { busy, refused } = window.read()
  t.strictSame([busy, refused], [2, 2])
})

t.test('a stream that the server refuses is a reason, not a hang', async (t) => {
  const server = createServer((_request, response) => { response.writeHead(503).end() })
  const clients = new Clients(openerOf(targetAt(await listen(t, server))), { fast: 1, slow: 0, frozen: 0, churning: 0 })
  t.teardown(() => clients.close())
  t.equal(await clients.resize(3, 1_000), 'status 503')
  t.equal(clients.size, 0)
})
