import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import { counting, exactly } from './harness/claim.ts'
import { startLive } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { post, readWhole, request } from './harness/request.ts'
import { protocols } from './harness/server.ts'
import { until, within } from './harness/until.ts'

const accept = { accept: 'text/event-stream' }
const ping = { event: 'ping', data: {} }
const nobody = 'x'.repeat(24)
const json = { 'content-type': 'application/json' }

// Each row of the table in docs/protocol.md and, by every path that can meet it, the answer.
for (const protocol of protocols) {
  t.test(protocol, async (t) => {
    let release: () => void = () => {}
    const server = await startLive(t, {
      protocol,
      tether: { maxSessions: 4 },
      live: {
        commandBuffer: 2,
        maxBatch: 2,
        maxEventBytes: 1_000,
        bind: (request) => request.headers['x-user'] as string | undefined,
        on: { say: () => new Promise<void>((resolve) => { release = resolve }) }
      }
    })
    const { session } = await server.connect()
    const { id } = session
    const withSession = { 'x-tether-session': id }
    const send = (headers: Record<string, string>, body: string | undefined, path = '/live') => request(server, path, { method: 'POST', headers, body })

    t.test('400 FST_ERR_VALIDATION', async (t) => {
      const code = 'FST_ERR_VALIDATION'
      for (const [what, answer, message] of [
        ['no session named', await send(json, JSON.stringify(ping)), /names no session/],
        ['no session named, by POST url/:event', await send(json, '{}', '/live/ping'), /names no session/],
        ['an empty name', await send({ ...json, 'x-tether-session': '' }, JSON.stringify(ping)), /names no session/],
        ['no session named, for tether.close', await send(json, '{}', '/live/tether.close'), /names no session/],
        ['not an envelope', await post(server, id, [ping, 5]), /must be an object/],
        ['an unknown event', await post(server, id, { event: 'nope', data: {} }), /must be one of "ping", "say", "count"/],
        ['an unknown event of the URL', await post(server, id, {}, '/live/nope'), /must be one of "ping", "say", "count"/],
        ['bad data', await post(server, id, { event: 'say', data: {} }), /is required/],
        ['bad data by POST url/:event', await post(server, id, {}, '/live/say'), /is required/],
        ['a batch that is too long', await post(server, id, [ping, ping, ping]), /must hold 1 to 2 events, holds 3/],
        ['a body without a type', await send(withSession, undefined), /must be an object/]
      ] as const) {
        refused(t, answer, 400, code, what)
        t.match(answer.json.message, message, what)
        t.ok(answer.json.errors.length > 0)
        for (const fault of answer.json.errors) t.match(fault, { path: String, message: String })
      }
    })

    t.test('400 of Fastify\'s own', async (t) => {
      refused(t, await send({ ...json, ...withSession }, '{"event":'), 400, 'FST_ERR_CTP_INVALID_JSON_BODY', 'truncated')
      refused(t, await send({ ...json, ...withSession }, ''), 400, 'FST_ERR_CTP_EMPTY_JSON_BODY', 'empty')
      refused(t, await send({ ...json, ...withSession }, '{"__proto__":{}}'), 400, 'FST_ERR_CTP_INVALID_JSON_BODY', 'poisoned')
    })

    t.test('403', async (t) => {
      const elsewhere = { origin: 'https://evil.example' }
      for (const path of ['/live', '/live/ping', '/live/tether.close', '/live/nope']) {
        refused(t, await send({ ...json, ...withSession, ...elsewhere }, JSON.stringify(ping), path), 403, 'FST_ERR_TETHER_ORIGIN', `POST ${path} from another site`)
        refused(t, await send({ ...json, ...withSession, 'x-user': 'eve' }, JSON.stringify(path === '/live' ? ping : {}), path), 403, 'FST_ERR_TETHER_BINDING', `POST ${path} by someone else`)
      }
      refused(t, await readWhole(server, '/live', { ...accept, ...elsewhere }), 403, 'FST_ERR_TETHER_ORIGIN', 'GET from another site')
      t.equal((await readWhole(server, '/live', { ...accept, ...elsewhere }, 'HEAD')).status, 403, 'HEAD from another site')
    })

    t.test('404 and 410', async (t) => {
      const { session: closed } = await server.connect()
      await closed.close()
      for (const path of ['/live', '/live/ping', '/live/tether.close']) {
        const body = JSON.stringify(path === '/live' ? ping : {})
        refused(t, await send({ ...json, 'x-tether-session': nobody }, body, path), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', `POST ${path} to none`)
        refused(t, await send({ ...json, 'x-tether-session': 'new' }, body, path), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', `POST ${path} to "new"`)
        refused(t, await send({ ...json, 'x-tether-session': closed.id }, body, path), 410, 'FST_ERR_TETHER_SESSION_CLOSED', `POST ${path} to a closed one`)
      }
    })

    t.test('406', async (t) => {
      for (const type of ['application/json', 'text/html', 'text/*;q=0', 'text/event-stream;q=0', '*/*, text/event-stream;q=0']) {
        refused(t, await readWhole(server, '/live', { accept: type }), 406, 'FST_ERR_TETHER_NOT_ACCEPTABLE', `GET that accepts ${type}`)
      }
      t.equal((await readWhole(server, '/live', { accept: 'text/html' }, 'HEAD')).status, 406)
      t.equal(server.app.tether.stats().sessions, 1, 'no session was made for it')
      for (const type of ['*/*', 'text/*', 'text/html, text/event-stream;q=0.1', 'TEXT/EVENT-STREAM']) {
        const reader = await openReader(server, '/live', { headers: { accept: type } })
        t.equal(reader.status, 200, `GET that accepts ${type}`)
        await until(() => reader.controls.length, 'hello')
        await within(server.live.get(reader.session)!.close(), 'close')
      }
    })

    t.test('409', async (t) => {
      const answer = await post(server, id, { ...ping, seq: 2 })
      refused(t, answer, 409, 'FST_ERR_TETHER_SEQUENCE', 'a seq that skips')
      t.equal(answer.json.expected, 1)
    })

    t.test('413 and 415', async (t) => {
      for (const path of ['/live', '/live/ping']) {
        refused(t, await send({ ...json, ...withSession }, ' '.repeat(1_001), path), 413, 'FST_ERR_CTP_BODY_TOO_LARGE', `POST ${path}`)
        refused(t, await send({ 'content-type': 'text/csv', ...withSession }, 'a,b', path), 415, 'FST_ERR_CTP_INVALID_MEDIA_TYPE', `POST ${path}`)
      }
    })

    t.test('429', async (t) => {
      await post(server, id, { event: 'say', data: { text: '' } })
      await until(() => session.stats.queuedCommands === 0, 'the handler to run')
      t.equal((await post(server, id, [ping, ping])).status, 202)
      for (const path of ['/live', '/live/ping']) {
        const answer = await post(server, id, path === '/live' ? ping : {}, path)
        refused(t, answer, 429, 'FST_ERR_TETHER_BUSY', `POST ${path}`)
        t.match(answer.headers['retry-after'], /^[1-9][0-9]*$/)
      }
      release()
      await until(() => session.stats.queuedCommands === 0, 'the channel to be empty')
    })

    t.test('503 and what an EventSource gets for it', async (t) => {
      const others = [await server.connect(), await server.connect(), await server.connect()]
      const full = await readWhole(server, '/live', { ...accept, ...counting('new') })
      refused(t, full, 503, 'FST_ERR_TETHER_SESSION_LIMIT', 'no room')
      t.match(full.headers['retry-after'], /^[1-9][0-9]*$/)
      const exact = await readWhole(server, '/live', accept)
      t.equal(exact.status, 200)
      t.match(exact.text, /^retry: [1-9][0-9]{3,}\nevent: tether\ndata: \{"type":"goodbye","reason":"session-limit","reconnect":true\}\n\n$/)

      await post(server, id, { event: 'say', data: { text: '' } })
      await until(() => session.stats.queuedCommands === 0, 'the handler to run')
      const drained = server.app.tether.drain({ retryMs: 5_000, spreadMs: 0 })
      await until(() => others.every(({ reader }) => reader.ended), 'the other streams to end')
      for (const path of ['/live', '/live/ping', '/live/tether.close']) {
        const answer = await post(server, id, path === '/live' ? ping : {}, path)
        refused(t, answer, 503, 'FST_ERR_TETHER_DRAINING', `POST ${path} while it drains`)
        t.match(answer.headers['retry-after'], /^[1-9][0-9]*$/)
      }
      for (const headers of [counting('new'), counting(id, 0), counting(nobody)]) {
        const answer = await readWhole(server, '/live', { ...accept, ...headers })
        refused(t, answer, 503, 'FST_ERR_TETHER_DRAINING', 'GET of a reader that counts')
        t.match(answer.headers['retry-after'], /^[1-9][0-9]*$/)
      }
      for (const headers of [{}, exactly(id, 0)]) {
        const answer = await readWhole(server, '/live', { ...accept, ...headers })
        t.equal(answer.status, 200)
        t.match(answer.text, /^retry: [1-9][0-9]{3,}\nevent: tether\ndata: \{"type":"goodbye","reason":"draining","reconnect":true\}\n\n$/)
      }
      release()
      await within(drained, 'drain')
      t.match(server.app.tether.stats(), { sessions: 0, streams: 0 })
    })
  })
}

for (const protocol of protocols) {
  t.test(`${protocol}: no cache may keep what is no stream`, async (t) => {
    const server = await startLive(t, { protocol })
    const { session } = await server.connect()
    const { id } = session
    const form = { 'content-type': 'application/x-www-form-urlencoded', 'x-tether-session': id }
    const { session: closed } = await server.connect()
    await closed.close()
    for (const [what, status, answer] of [
      ['202', 202, await post(server, id, ping)],
      ['202 of one event', 202, await post(server, id, {}, '/live/ping')],
      ['204 of a form', 204, await request(server, '/live/say', { method: 'POST', headers: form, body: 'text=x' })],
      ['204 of a session that is over', 204, await readWhole(server, '/live', { ...accept, ...exactly(closed.id, 0) })],
      ['HEAD of 406', 406, await readWhole(server, '/live', { accept: 'text/html' }, 'HEAD')],
      ['404 of a session', 404, await post(server, nobody, ping)]
    ] as const) {
      t.equal(answer.status, status, what)
      t.equal(answer.headers['cache-control'], 'no-store', what)
    }
    const stream = await openReader(server, '/live')
    t.equal(stream.headers['cache-control'], 'no-cache, no-transform, no-store', 'a stream')
    const head = await readWhole(server, '/live', accept, 'HEAD')
    t.equal(head.headers['cache-control'], 'no-cache, no-transform, no-store', 'HEAD of a stream')
  })
}

t.test('426 and 400 for a WebSocket are kept by no cache', async (t) => {
  const webSocket = await startLive(t, { live: { mode: 'websocket' } })
  const both = await startLive(t, { live: { mode: 'both' } })
  refused(t, await readWhole(webSocket, '/live', accept), 426, 'FST_ERR_TETHER_UPGRADE_REQUIRED', 'no upgrade')
  refused(t, await readWhole(both, '/live', { ...accept, 'sec-websocket-version': '13' }), 426, 'FST_ERR_TETHER_UPGRADE_REQUIRED', 'a lost upgrade')
  t.equal((await readWhole(webSocket, '/live', accept, 'HEAD')).headers['cache-control'], 'no-store')
})

t.test('what the application says of caches holds', async (t) => {
  for (const [where, set] of Object.entries({
    'an onRequest hook': (app: FastifyInstance) => app.addHook('onRequest', async (_request, reply) => { reply.header('cache-control', 'private') }),
    'a preHandler hook': (app: FastifyInstance) => app.addHook('preHandler', async (_request, reply) => { reply.header('Cache-Control', 'private') }),
    'an onSend hook': (app: FastifyInstance) => app.addHook('onSend', async (_request, reply) => { reply.header('cache-control', 'private') }),
    'a hook that sets it on the response itself': (app: FastifyInstance) => app.addHook('onRequest', async (_request, reply) => { reply.raw.setHeader('cache-control', 'private') }),
    'a hook of one route': (app: FastifyInstance) => app.addHook('onRoute', (route) => { route.onSend = [route.onSend ?? []].flat().concat(async (_request: unknown, reply: FastifyReply) => { reply.header('cache-control', 'private') }) })
  })) {
    const server = await startLive(t, { setup: (app) => { set(app) } })
    const { session } = await server.connect()
    t.equal((await post(server, session.id, ping)).headers['cache-control'], 'private', where)
    if (!where.includes('preHandler')) t.equal((await request(server, '/live', { method: 'POST', headers: { ...json }, body: '{' })).headers['cache-control'], 'private', `${where}, before a refusal`)
  }
  const guarded = await startLive(t, { setup: (app) => { app.addHook('onRequest', async (_request, reply) => reply.code(401).send({ who: 'are you' })) } })
  const answer = await post(guarded, nobody, ping)
  t.match([answer.status, answer.headers['cache-control']], [401, 'no-store'], 'what a hook answers in place of ours')
  t.equal((await readWhole(guarded, '/nowhere', accept)).headers['cache-control'], undefined, 'no route of ours')
})

const run = promisify(execFile)
const hasCurl = await run('curl', ['--version']).then(() => true, () => false)

t.test('curl', { skip: hasCurl ? false : 'there is no curl' }, async (t) => {
  const curl = async (...args: string[]) => (await run('curl', ['-s', '-S', '-m', '15', ...args])).stdout
  const said: unknown[] = []
  const server = await startLive(t, { live: { on: { say: (session, data) => { said.push(data) } } } })
  const { session } = await server.connect()
  const url = `${server.origin}/live`
  const status = ['-o', '/dev/null', '-w', '%{http_code}']
  const named = ['-H', `X-Tether-Session: ${session.id}`]
  t.equal(await curl(...status, ...named, '-d', 'text=as+a+form', `${url}/say`), '204')
  t.equal(await curl(...status, ...named, '-H', 'Content-Type: application/json', '-d', '{"text":"as JSON"}', `${url}/say`), '202')
  t.equal(await curl(...status, '-d', `tether-session=${session.id}`, '--data-urlencode', 'text=näme & field', `${url}/say`), '204')
  t.equal(await curl(...named, '-H', 'Content-Type: application/json', '-d', '[{"event":"say","data":{"text":"in a batch"},"seq":1}]', url), '{"seq":1}')
  t.equal(await curl(...status, ...named, '-X', 'POST', `${url}/ping`), '202')
  await until(() => said.length === 4, 'the events')
  t.same(said, [{ text: 'as a form' }, { text: 'as JSON' }, { text: 'näme & field' }, { text: 'in a batch' }])
  const limited = await run('curl', ['-s', '-N', '-m', '1', url]).then(() => '', (error: { stdout: string }) => error.stdout)
  t.match(limited, /^retry: 1000\nid: [\w-]{24}\.0\nevent: tether\ndata: \{"type":"hello","session":"[\w-]{24}","verdict":"new","seq":0,"heartbeatMs":20000,"maxBatch":32,"maxEventBytes":65536\}\n\n/, 'a plain GET, which accepts anything')
})
