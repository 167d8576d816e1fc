import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Test } from 'tap'
import WebSocket from 'ws'
import { certificate } from '../../e2e/harness/certificate.ts'
import { counting, exactly } from '../../e2e/harness/claim.ts'
import { connectSession } from '../../e2e/harness/http2-connection.ts'
import { startLive, type LiveServer, type LiveSession } from '../../e2e/harness/live.ts'
import { openReader, type Json, type Reader } from '../../e2e/harness/reader.ts'
import { post, readWhole, request, type Answer } from '../../e2e/harness/request.ts'
import { range, rows, sendRows } from '../../e2e/harness/rows.ts'
import { isHttp2, isSecure, originOf, type Protocol } from '../../e2e/harness/server.ts'
import { until, within } from '../../e2e/harness/until.ts'
import { launchBrowser } from '../../browser/harness/browser.ts'
import { serveClient } from '../../browser/harness/client-page.ts'
import { openSocket } from '../../e2e/harness/web-socket.ts'
import { isPrompt, msUntil, startBehind } from './behind.ts'
import { documented, replaced } from './documented.ts'
import { absence, startProxy, type ProxyKind } from './proxy.ts'

const heartbeatMs = 250
const disconnectWithinMs = 5_000
const idleSeconds = 2
/** What a busy machine may take longer. */
const busyMs = 2_000

/** Tests all that must work through a proxy as docs/deploying.md configures it, over each protocol that it speaks. */
export function testKind (t: Test, name: string, kind: ProxyKind): void {
  for (const protocol of kind.protocols) t.test(`${name}, ${protocol}`, { skip: absence(kind) }, (t) => testProtocol(t, kind, protocol))
}

async function testProtocol (t: Test, kind: ProxyKind, protocol: Protocol): Promise<void> {
  let release: () => void = () => {}
  const gone: string[] = []
  const ran: unknown[] = []
  const behind = await startBehind(t, kind, {
    upgrade: { heartbeatMs },
    live: {
      // A body that is larger still arrives whole with its request. A proxy that writes on while the application closes
      // the connection may lose the answer.
      maxEventBytes: 2_000,
      commandBuffer: 2,
      maxBatch: 2,
      on: {
        ping: () => new Promise<void>((resolve) => { release = resolve }),
        say: (_session, { text }) => { ran.push(text) },
        count: (_session, { to }) => { ran.push(to) }
      },
      onDisconnect: (session) => { gone.push(session.id) }
    }
  })
  const { direct, proxy, silentSessions } = behind
  const front = behind.through(protocol)
  await t.test('the first event is there within 200 ms, and an update as well', async (t) => {
    t.ok(await isPrompt(behind, protocol))
    await until(() => direct.app.tether.stats().streams === 0, 'the streams to end')
  })

  await t.test('a browser that takes compressed answers reads along', async (t) => {
    const { reader, session } = await front.connect({ headers: { 'accept-encoding': 'gzip, deflate, br, zstd' } })
    t.equal(reader.headers['content-encoding'], 'gzip', 'as the application made it')
    t.match(reader.headers, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': /no-transform/ })
    sendRows(session, 1, 1)
    await until(() => rows(reader).length === 1, 'an update')
    await leave(t, reader, session)
  })

  await t.test('heartbeats pass', async (t) => {
    const exact = await front.connect()
    const counted = await front.connect({ headers: counting('new') })
    await until(() => exact.reader.blocks.filter(({ comment }) => comment !== undefined).length >= 3, 'three comments')
    await until(() => counted.reader.controls.filter(({ type }) => type === 'heartbeat').length >= 3, 'three counts')
    t.equal(exact.reader.closed || counted.reader.closed, false)
    for (const { reader, session } of [exact, counted]) await leave(t, reader, session)
  })

  await t.test('who leaves is seen to leave', async (t) => {
    gone.length = 0
    const heartbeats = kind.heartbeatsUntilLeft?.[protocol]
    const withinMs = heartbeats === undefined ? disconnectWithinMs : (heartbeats + 1) * heartbeatMs + busyMs
    const ways: Array<[what: string, leave: () => Promise<string>]> = [
      ['the connection is broken', async () => {
        const { reader } = await front.connect()
        return leaving(reader)
      }],
      ...isHttp2(protocol)
        ? [['the stream is reset, the connection goes on', async () => {
          const over = connectSession(front)
          front.readers.add(over)
          const { reader } = await front.connect({ over })
          const other = await front.connect({ over })
          const id = leaving(reader)
          await until(() => gone.includes(id), 'the disconnect')
          t.equal(other.session.connected, true, 'of the others on the same connection nobody')
          return leaving(other.reader)
        }]] satisfies typeof ways
        : [['the connection is closed', () => closeQuietly(front)]] satisfies typeof ways
    ]
    for (const [what, goAway] of ways) {
      const id = await goAway()
      const ms = await msUntil(() => gone.includes(id), disconnectWithinMs)
      t.ok(ms < withinMs, `${what}: ${ms.toFixed(0)} ms`)
    }
    const reader = await openReader(front, '/live-silent')
    await until(() => reader.controls.length > 0, 'hello')
    reader.destroy()
    if (heartbeats === undefined) {
      const ms = await msUntil(() => direct.app.tether.stats().streams === 0, disconnectWithinMs)
      t.ok(ms < disconnectWithinMs, `a stream on which nothing is written: ${ms.toFixed(0)} ms`)
    } else {
      for (const session of [...silentSessions]) await within(session.close(), 'the end of the silent stream')
    }
  })

  await t.test('a stream is resumed', async (t) => {
    for (const claim of [exactly, counting]) {
      const first = await front.connect({ headers: claim === counting ? counting('new') : {} })
      const { session } = first
      sendRows(session, 1, 5)
      await until(() => rows(first.reader).length === 5, 'five rows')
      await leave(t, first.reader, session)
      sendRows(session, 6, 8)
      const again = await front.connect({ headers: claim(session.id, 4) })
      t.match(again.reader.controls[0], { verdict: 'resumed', session: session.id, seq: 4 })
      session.send('row', '9')
      await until(() => rows(again.reader).length >= 5, 'the rest')
      t.same(rows(again.reader), range(5, 9), 'in order, none lost, none twice')
      t.same(again.reader.updates.map(({ id }) => id), range(5, 9).map((number) => claim === exactly ? `${session.id}.${number}` : undefined))
      await leave(t, again.reader, session)
      await within(session.close(), 'close')
      t.equal((await readWhole(front, '/live', { accept: 'text/event-stream', ...claim(session.id, 9) })).status, 204, 'closed for good')
    }
  })

  await t.test('much goes through as it was sent', async (t) => {
    const { reader, session } = await front.connect()
    const length = 1_000
    for (let number = 1; number <= 1_000; number++) await session.send('row', String(number).padEnd(length))
    await until(() => reader.bytes > 1_000 * length && rows(reader).length >= 1_000, 'all rows')
    t.same(rows(reader), range(1, 1_000))
    await leave(t, reader, session)
  })

  await t.test('events are accepted', async (t) => {
    ran.length = 0
    const { reader, session: { id }, session } = await front.connect()
    const answers = [
      await post(front, id, { event: 'say', data: { text: 'grüß Gott' }, seq: 1 }),
      await post(front, id, { event: 'say', data: { text: 'again' }, seq: 1 }),
      await post(front, id, [{ event: 'say', data: { text: 'two' }, seq: 2 }, { event: 'count', data: { to: 3 }, seq: 3 }])
    ]
    t.same(answers.map(({ status, json }) => [status, json]), [[202, { seq: 1 }], [202, { seq: 1 }], [202, { seq: 3 }]])
    const form = await request(front, '/live/count', {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ to: '4', 'tether-session': id }).toString()
    })
    t.same([form.status, form.text], [204, ''])
    await until(() => ran.length === 4, 'the handlers')
    t.same(ran, ['grüß Gott', 'two', 3, 4])
    await leave(t, reader, session)
  })

  await t.test('refusals arrive as they were written', async (t) => {
    const { reader, session: { id }, session } = await front.connect()
    const json = { 'content-type': 'application/json', 'x-tether-session': id }
    const event = { event: 'say', data: { text: '' } }
    const asked: Array<[status: number, ask: (server: LiveServer) => Promise<Answer>]> = [
      [400, (server) => post(server, id, [event, { event: 'say', data: { text: 5, more: 1 } }])],
      [400, (server) => request(server, '/live', { headers: json, body: '{' })],
      [403, (server) => request(server, '/live', { headers: { ...json, origin: 'https://evil.example' }, body: JSON.stringify(event) })],
      [404, (server) => post(server, 'x'.repeat(24), event)],
      [406, (server) => request(server, '/live', { headers: { accept: 'text/html' } })],
      [409, (server) => post(server, id, { ...event, seq: 7 })],
      [413, (server) => post(server, id, { event: 'say', data: { text: 'x'.repeat(3_000) } })],
      [415, (server) => request(server, '/live', { headers: { ...json, 'content-type': 'text/plain' }, body: 'text' })],
      [429, (server) => post(server, id, event)]
    ]
    await until(() => session.stats.queuedCommands === 0, 'onConnect')
    for (let count = 0; count < 3; count++) {
      t.equal((await post(direct, id, { event: 'ping', data: {} })).status, 202)
      await until(() => session.stats.queuedCommands === count, 'the first to be taken out of the channel')
    }
    for (const [status, ask] of asked) {
      const [expected, answer] = [await ask(direct), await ask(front)]
      t.equal(expected.status, status)
      if (status === 413 && answer.status === kind.statusOfUnreadBody) continue
      t.equal(answer.status, status)
      t.equal(answer.text, expected.text, `${status}: the body`)
      t.equal(answer.headers['content-type'], expected.headers['content-type'])
      t.equal(answer.headers['retry-after'], expected.headers['retry-after'])
      if (status === 429) t.ok(expected.headers['retry-after'])
    }
    await until(() => {
      release()
      return session.stats.queuedCommands === 0
    }, 'the channel to empty')
    release()
    await leave(t, reader, session)
  })

  await t.test('the application learns who asked for what', async (t) => {
    const own = `127.0.0.1:${front.port}`
    const { isTrusted = true } = kind
    const forged = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'ftp' }
    for (const headers of [{}, forged] as Array<Record<string, string>>) {
      const asked = (await request(front, '/asked', { headers })).json
      t.match(asked, { host: own, ip: '127.0.0.1' })
      if (isSecure(protocol) && isTrusted) t.equal(asked.protocol, 'https')
    }
    if (isTrusted) t.equal((await getFrom(front, '/asked', '127.0.0.2')).ip, '127.0.0.2', 'the address of the client')
    const event = JSON.stringify({ event: 'say', data: { text: '' } })
    for (const [origin, accepted] of [[front.origin, true], [direct.origin, false], ['https://evil.example', false]] as const) {
      for (const forging of [{}, forged]) {
        const headers = { origin, ...forging }
        const reader = await openReader(front, '/live', { headers })
        t.equal(reader.status, accepted ? 200 : 403, `GET from ${origin}`)
        if (accepted) await until(() => reader.controls.length > 0, 'hello')
        const session = accepted ? reader.session : 'x'.repeat(24)
        const answer = await request(front, '/live', { headers: { 'content-type': 'application/json', 'x-tether-session': session, ...headers }, body: event })
        t.equal(answer.status, accepted ? 202 : 403, `POST from ${origin}`)
        reader.destroy()
      }
    }
    await until(() => direct.app.tether.stats().streams === 0, 'the streams to end')
  })

  await t.test('a proxy that is restarted loses nobody', async (t) => {
    const first = await front.connect()
    const { session } = first
    sendRows(session, 1, 3)
    await until(() => rows(first.reader).length === 3, 'three rows')
    await proxy.restart()
    await until(() => first.reader.closed && !session.connected, 'both sides to know')
    sendRows(session, 4, 6)
    const again = await front.connect({ headers: exactly(session.id, 3) })
    await until(() => rows(again.reader).length >= 3, 'the rest')
    t.match(again.reader.controls[0], { verdict: 'resumed', seq: 3 })
    t.same(rows(again.reader), range(4, 6))
    await leave(t, again.reader, session)
  })

  if (!isHttp2(protocol)) {
    const { passesWebSockets = true } = kind
    await t.test(`WebSockets ${passesWebSockets ? 'pass' : 'are refused'}`, async (t) => {
      const socket = new WebSocket(`${front.origin.replace('http', 'ws')}/live-echo`, { ca: certificate().cert, origin: front.origin })
      const answered = new Promise((resolve, reject) => {
        socket.once('message', (message) => resolve(String(message))).once('error', reject)
      })
      socket.once('open', () => socket.send('there and back'))
      if (passesWebSockets) t.equal(await within(answered, 'the echo'), 'there and back')
      else await t.rejects(within(answered, 'the refusal'), /Unexpected server response/)
      socket.terminate()
      if (!passesWebSockets) return
      t.equal(await isGreeted(front, front.origin), true, 'the site itself')
      t.equal(await isGreeted(front, 'https://evil.example'), false, 'another site')
    })
  }
}

/** Whether a WebSocket that a page of `origin` asks for carries a session. */
async function isGreeted (front: LiveServer, origin: string): Promise<boolean> {
  const socket = new WebSocket(`${front.origin.replace('http', 'ws')}/live-both?session=new`, { ca: certificate().cert, origin })
  const isGreeted = new Promise<boolean>((resolve) => {
    socket.once('message', () => resolve(true)).once('close', () => resolve(false)).once('error', () => {})
  })
  try {
    return await within(isGreeted, 'the first message, or the end')
  } finally {
    socket.terminate()
  }
}

/** Shows that heartbeats carry a stream over the longest silence that the proxy allows, and that it would end one without. */
export async function testSilence (t: Test, kind: ProxyKind): Promise<void> {
  const { both, through } = await startBehind(t, kind, {
    upgrade: { heartbeatMs: idleSeconds * 1_000 / 5 },
    idleSeconds
  })
  const overSockets = kind.passesWebSockets === false ? [] : kind.protocols.filter((protocol) => !isHttp2(protocol))
  await Promise.all([...overSockets.map(testSocketSilence), ...kind.protocols.map(async (protocol) => {
    const front = through(protocol)
    const { reader, session } = await front.connect()
    const silent = await openReader(front, '/live-silent')
    await until(() => silent.controls.length > 0, 'hello')
    const cutMs = await msUntil(() => silent.closed, 2 * idleSeconds * 1_000)
    if (!kind.endsSilence) t.equal(cutMs, Infinity, `${protocol}: it allows any`)
    else t.ok(cutMs > idleSeconds * 500 && cutMs < Infinity, `${protocol}: without heartbeats the stream was cut, after ${cutMs.toFixed(0)} ms`)
    const rest = 2 * idleSeconds * 1_000 - Math.min(cutMs, 2 * idleSeconds * 1_000)
    await msUntil(() => reader.closed, rest)
    t.equal(reader.closed, false, `${protocol}: with heartbeats it goes on`)
    session.send('row', '1')
    await until(() => rows(reader).length === 1, 'an update')
  })])

  async function testSocketSilence (protocol: Protocol): Promise<void> {
    const front = through(protocol)
    const headers = { origin: front.origin }
    const alive = await openSocket(front, '/live-both', { session: 'new' }, { headers })
    const silent = await openSocket(front, '/live-echo', undefined, { headers })
    silent.send('there and back')
    await until(() => silent.text === 'there and back' && alive.controls.length > 0, 'the echo, and hello')
    const cutMs = await msUntil(() => silent.closed, 2 * idleSeconds * 1_000)
    if (kind.endsSilence !== true) t.equal(cutMs, Infinity, `${protocol}: it allows any to a WebSocket`)
    else t.ok(cutMs > idleSeconds * 500 && cutMs < Infinity, `${protocol}: without heartbeats the WebSocket was cut, after ${cutMs.toFixed(0)} ms`)
    await msUntil(() => alive.closed, 2 * idleSeconds * 1_000 - Math.min(cutMs, 2 * idleSeconds * 1_000))
    t.equal(alive.closed, false, `${protocol}: with heartbeats it goes on`)
    both.live.get(alive.session)!.send('row', '1')
    await until(() => rows(alive).length === 1, 'an update')
  }
}

/** How long a WebSocket may take to open: long for one that gets through, on a machine that is busy; short for one that does not. */
const openTimeoutsMs = { passes: 10_000, isBlocked: 1_500 }

/**
 * Shows, in a browser, that the library's client has a WebSocket through the proxy, and resumes
 * over one when the proxy was restarted; and that where the proxy was told to let none through,
 * it has an event stream soon.
 *
 * @param changes of the configuration, each of which blocks them, by what it does
 */
export async function testWebSockets (t: Test, kind: ProxyKind, changes: Record<string, Record<string, string>>): Promise<void> {
  const browser = await launchBrowser(t)
  const protocol = kind.protocols.at(-1)!
  for (const [what, change] of Object.entries({ 'as documented': {}, ...changes })) {
    const passes = what === 'as documented' && kind.passesWebSockets !== false
    const openTimeoutMs = passes ? openTimeoutsMs.passes : openTimeoutsMs.isBlocked
    await t.test(what, async (t) => {
      // A page that answers a ping late on a busy machine loses its WebSocket, and after two such losses tries none again.
      const { both, direct, proxy, through } = await startBehind(t, kind, { upgrade: { heartbeatMs: passes ? 10 * heartbeatMs : heartbeatMs }, setup: serveClient, change })
      const context = await browser.newContext({ ignoreHTTPSErrors: true })
      t.teardown(() => context.close())
      const page = await context.newPage()
      await page.goto(`${through(protocol).origin}/page`)
      const startedAt = performance.now()
      await page.evaluate(`
        window.seen = []
        window.verdicts = []
        window.accepted = []
        window.live = tether.connect('/live-both', { retryMs: 50, retryMaxMs: 200, link: tether.webSocketLink({ openTimeoutMs: ${openTimeoutMs} }) })
        live.on('row', (row) => seen.push(row))
        live.onState((state, { verdict }) => { if (verdict) verdicts.push(verdict) })
        window.say = (text) => { live.emit('say', { text }).then(() => accepted.push(text)) }`)
      await page.waitForFunction('live.state === "open"')
      const openedMs = performance.now() - startedAt
      t.ok(openedMs < openTimeoutMs + 8_000, `open after ${openedMs.toFixed(0)} ms`)
      const expected = passes ? 'websocket' : 'http/1.1'
      t.same(both.protocols, [expected])
      t.equal([...both.live.sessions].length, 1, 'what was tried in vain left no session behind')
      const session = both.live.get(await page.evaluate('live.session') as string)!
      for (const number of range(1, 200)) session.send('row', String(number))
      await page.evaluate('for (let number = 1; number <= 20; number++) say(String(number))')
      await page.waitForFunction('seen.length === 200 && accepted.length === 20')

      await proxy.restart()
      await until(() => !session.connected || both.protocols.length > 1, 'the disconnect')
      for (const number of range(201, 400)) session.send('row', String(number))
      await page.evaluate('say("21")')
      await page.waitForFunction('seen.length >= 400 && accepted.length === 21')
      t.same(await page.evaluate('seen'), range(1, 400).map(String), 'nothing lost, nothing twice, in order')
      t.same(both.said, range(1, 21).map(String))
      t.same(await page.evaluate('[...new Set(verdicts)]'), ['new', 'resumed'])
      if (passes && both.protocols.at(-1) !== expected) {
        // A WebSocket was tried just before the proxy was there, and an event stream just after.
        direct.app.server.closeAllConnections()
        await until(() => both.protocols.at(-1) === expected, 'a WebSocket again')
      }
      t.equal(both.protocols.at(-1), expected, 'the same again')
      t.equal([...both.live.sessions].length, 1)
      // A page that leaves is seen to leave.
      await page.close()
      const ms = await msUntil(() => !session.connected, disconnectWithinMs)
      t.ok(ms < disconnectWithinMs, `the disconnect, after ${ms.toFixed(0)} ms`)
    })
  }
}

/** Breaks a reader's connection; gives the id of its session. */
function leaving (reader: Reader): string {
  const { session } = reader
  reader.destroy()
  return session
}

async function leave (t: Test, reader: Reader, session: LiveSession): Promise<void> {
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
}

/** Opens a stream over HTTP/1.1 and closes the connection as a browser does, without a reset; gives the session's id. */
async function closeQuietly (front: LiveServer): Promise<string> {
  const outgoing = (isSecure(front.protocol) ? requestHttps : requestHttp)({
    host: '127.0.0.1', port: front.port, path: '/live', headers: { accept: 'text/event-stream' }, agent: false, ca: certificate().cert
  })
  let text = ''
  outgoing.on('response', (response) => { response.setEncoding('utf8').on('data', (piece: string) => { text += piece }).on('error', () => {}) })
  outgoing.on('error', () => {}).end()
  const [, id] = await until(() => /"session":"([^"]+)"/.exec(text), 'hello')
  outgoing.destroy()
  return id!
}

/** What the answer is to a client that has another address. */
async function getFrom (front: Pick<LiveServer, 'protocol' | 'port'>, path: string, localAddress: string): Promise<Json> {
  const answered = new Promise<Json>((resolve, reject) => {
    const options = { host: '127.0.0.1', port: front.port, path, localAddress, agent: false, ca: certificate().cert }
    ;(isSecure(front.protocol) ? requestHttps : requestHttp)(options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => { text += piece }).on('end', () => resolve(JSON.parse(text) as Json))
    }).on('error', reject).end()
  })
  return within(answered, 'the answer')
}

/** Shows that the check of the first event can fail: through a proxy that was told to hold back. */
export async function testHoldingBack (t: Test, kind: ProxyKind, change: Record<string, string>): Promise<void> {
  const behind = await startBehind(t, kind, { upgrade: { heartbeatMs }, change })
  // Over HTTP/2, nginx now and then lets something through with the frames of the headers.
  const protocol = kind.protocols[0]!
  t.equal(await isPrompt(behind, protocol, 3), false)
  t.equal((await request(behind.through(protocol), '/asked')).status, 200, 'anything else passes')
}

/** Shows what a part of the configuration is for: with the change, the application does not learn that a client left as long as nothing is written. */
export async function testUnnoticed (t: Test, kind: ProxyKind, change: Record<string, string>): Promise<void> {
  const { direct, through } = await startBehind(t, kind, { upgrade: { heartbeatMs }, change })
  const front = through(kind.protocols[0]!)
  const reader = await openReader(front, '/live-silent')
  await until(() => reader.controls.length > 0, 'hello')
  reader.destroy()
  t.equal(await msUntil(() => direct.app.tether.stats().streams === 0, 1_000), Infinity)
  const other = await front.connect()
  await leave(t, other.reader, other.session)
}

/**
 * Tests that a client's events reach the process that has its session.
 *
 * @param combine puts what the guide has for several processes into the configuration for one
 */
export async function testSeveral (t: Test, kind: ProxyKind, combine: (configuration: string, several: string) => string): Promise<void> {
  const start = (name: string) => startLive(t, {
    fastify: { trustProxy: 'loopback' },
    setup: (app) => { app.get('/process', (_request, reply) => reply.header('cache-control', 'no-store').send({ name })) }
  })
  const servers = [await start('one'), await start('two')] as const
  const configuration = replaced(combine(documented(kind.language), documented(`${kind.language} several`)), { 3001: String(servers[1].port) })
  const { port } = await startProxy(t, kind, configuration, { upstreamPort: servers[0].port })
  const protocol = kind.protocols[0]!
  const front = { ...servers[0], protocol, port, origin: originOf(protocol, port) }
  for (let client = 0; client < 4; client++) {
    const reader = await openReader(front)
    await until(() => reader.controls.length > 0, 'hello')
    const cookies = (reader.headers['set-cookie'] ?? []).map((cookie) => cookie.split(';')[0])
    for (let count = 0; count < 4; count++) {
      const headers = { 'content-type': 'application/json', 'x-tether-session': reader.session, cookie: cookies.join('; ') }
      t.equal((await request(front, '/live', { headers, body: '{"event":"ping","data":{}}' })).status, 202)
    }
    reader.destroy()
  }
  const names = new Set<string>()
  for (let client = 2; client < 34; client++) names.add((await getFrom(front, '/process', `127.0.0.${client}`)).name as string)
  t.same([...names].sort(), ['one', 'two'], 'neither is left out')
}

/** Shows what a proxy that compresses does with a stream that is not compressed: it stays so, or gets the encoding named. */
export async function testCompressing (t: Test, kind: ProxyKind, change: Record<string, string>, encoding?: string): Promise<void> {
  const { through } = await startBehind(t, kind, { upgrade: { heartbeatMs, compression: false }, setup: serveClient, change })
  const headers = { 'accept-encoding': 'gzip' }
  for (const protocol of kind.protocols) {
    const front = through(protocol)
    t.equal((await request(front, '/client.js', { headers })).headers['content-encoding'], 'gzip', 'a script is compressed')
    const reader = await openReader(front, '/live', { headers })
    t.equal(reader.headers['content-encoding'], encoding, 'a stream')
    reader.destroy()
    if (encoding !== undefined) continue
    const other = await front.connect({ headers })
    sendRows(other.session, 1, 1)
    await until(() => rows(other.reader).length === 1, 'an update')
    await leave(t, other.reader, other.session)
  }
}
