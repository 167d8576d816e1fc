import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import underPressure from '@fastify/under-pressure'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { contract, silent } from './harness/contract.ts'
import { startLive } from './harness/live.ts'
import { openReader, startReader } from './harness/reader.ts'
import { post, readWhole } from './harness/request.ts'
import { protocols, startServer } from './harness/server.ts'
import { turns, until } from './harness/until.ts'

const page = 'https://page.example'

function nameOf (request: FastifyRequest): string {
  return (request.user as unknown as { name: string }).name
}

for (const protocol of protocols) {
  t.test(`${protocol}: what cookie, cors, helmet, rate-limit and hooks set is on the stream's response`, async (t) => {
    const server = await startServer(t, {
      protocol,
      tether: { trustedOrigins: [page] },
      setup: async (app) => {
        await app.register(cookie, { secret: 'a secret for the test of signed cookies' })
        await app.register(cors, { origin: [page], credentials: true, exposedHeaders: ['x-late'] })
        await app.register(helmet)
        await app.register(rateLimit, { max: 50 })
        app.addHook('onRequest', async (_request, reply) => { reply.setCookie('early', 'one') })
        app.addHook('onSend', async (_request, reply) => {
          await turns(5)
          reply.setCookie('late', 'two', { signed: true, httpOnly: true })
          reply.header('x-late', 'set after a while')
        })
        app.tether.stateful('/live', { contract, on: silent, onConnect: (session) => { session.send('note', { text: 'connected' }) } })
        const upgrade = app.tether.sse.upgrade()
        app.get('/plain', async (request, reply) => { await (await upgrade(request, reply)).send({ data: 'first' }) })
      }
    })
    for (const path of ['/live', '/plain']) {
      const reader = await openReader(server, path, { headers: { origin: page, 'sec-fetch-site': 'cross-site' } })
      t.equal(reader.status, 200)
      t.match(reader.headers, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform, no-store',
        'set-cookie': [/^early=one/, /^late=two\..*HttpOnly/],
        'access-control-allow-origin': page,
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': 'x-late',
        vary: /Origin/,
        'content-security-policy': /default-src 'self'/,
        'x-content-type-options': 'nosniff',
        'x-ratelimit-limit': '50',
        'x-ratelimit-remaining': /\d/,
        'x-late': 'set after a while'
      }, path)
      await until(() => reader.updates.length === 1, 'the first update')
      t.equal(reader.updates[0]?.data, path === '/live' ? '{"text":"connected"}' : 'first')
      if (path === '/live') {
        const answer = await post(server, reader.session, { event: 'ping', data: {} })
        t.equal(answer.status, 202)
        t.match(answer.headers, { 'x-late': 'set after a while', 'x-ratelimit-limit': '50', 'x-content-type-options': 'nosniff' })
      }
      reader.destroy()
    }
    await until(() => server.app.tether.stats().streams === 0, 'the end of the streams')
    t.same(server.errors(), [])
  })

  t.test(`${protocol}: rate-limit refuses a GET and a POST as on any route`, async (t) => {
    const server = await startLive(t, {
      protocol,
      setup: async (app) => { await app.register(rateLimit, { max: 3 }) }
    })
    const { reader, session } = await server.connect()
    const answers = []
    for (let count = 0; count < 3; count++) answers.push((await post(server, session.id, { event: 'ping', data: {} })).status)
    t.same(answers.sort(), [202, 202, 429], 'one limit for all of the instance')
    const refusal = await readWhole(server)
    t.equal(refusal.status, 429)
    t.ok(Number(refusal.headers['retry-after']) > 0)
    t.equal(server.app.tether.stats().sessions, 1, 'no session for the one refused')
    session.send('note', { text: 'still here' })
    await until(() => reader.updates.length === 1, 'an update on the stream that was open before')
  })

  t.test(`${protocol}: jwt decides who gets a session`, async (t) => {
    const server = await startLive(t, {
      protocol,
      setup: async (app) => {
        await app.register(jwt, { secret: 'a secret for the test' })
        app.addHook('onRequest', async (request) => { await request.jwtVerify() })
      },
      live: {
        bind: nameOf,
        initialState: nameOf
      }
    })
    const headersOf = (name: string) => ({ authorization: `Bearer ${server.app.jwt.sign({ name })}` })
    for (const headers of [{}, { authorization: 'Bearer forged' }]) {
      const refused = await readWhole(server, '/live', headers)
      t.equal(refused.status, 401)
      t.equal(server.app.tether.stats().sessions, 0)
    }
    const { reader, session } = await server.connect({ headers: headersOf('ada') })
    t.equal(reader.status, 200)
    t.equal(session.state, 'ada')
    t.equal((await post(server, session.id, { event: 'ping', data: {} })).status, 401)
  })

  t.test(`${protocol}: under-pressure keeps sessions out`, async (t) => {
    let healthy = true
    const server = await startLive(t, {
      protocol,
      setup: async (app) => {
        await app.register(underPressure, { healthCheck: async () => healthy, healthCheckInterval: 20 })
      }
    })
    const { reader, session } = await server.connect()
    healthy = false
    await until(() => server.app.isUnderPressure(), 'pressure')
    const refused = await readWhole(server)
    t.equal(refused.status, 503)
    t.equal(server.app.tether.stats().sessions, 1)
    session.send('note', { text: 'still here' })
    await until(() => reader.updates.length === 1, 'an update on the stream that was open before')
  })
}

for (const protocol of protocols) {
  t.test(`${protocol}: compress leaves the stream alone, and says so where it is told not to`, async (t) => {
    const gzip = { headers: { 'accept-encoding': 'gzip' } }
    const upgrade = { compression: false }
    const server = await startLive(t, { protocol, upgrade, setup: async (app) => { await app.register(compress, { global: true, threshold: 0 }) } })
    const { reader, session } = await server.connect(gzip)
    t.equal(reader.headers['content-encoding'], undefined)
    session.send('note', { text: 'plain' })
    await until(() => reader.updates.length === 1, 'the update')
    t.same(server.errors(), [])

    for (const options of [{ customTypes: /event-stream/ }, { customTypes: /event-stream/, inflateIfDeflated: true }]) {
      const forced = await startLive(t, { protocol, upgrade, setup: async (app) => { await app.register(compress, { global: true, threshold: 0, ...options }) } })
      // Not the whole of it: what the hook has left of its own headers says that it is compressed.
      const refused = startReader(forced, '/live', gzip)
      await until(() => refused.status !== 0, 'the answer')
      t.equal(refused.status, 500)
      t.match(forced.errors().map((record) => record.err?.code), ['FST_ERR_TETHER_STREAM_PIPED'])
      await until(() => forced.app.tether.stats().sessions === 0, 'the session to go')
    }
  })
}

for (const protocol of protocols) {
  t.test(`${protocol}: a hook that waits for the head to be written sees it, compressed or not`, async (t) => {
    const server = await startServer(t, {
      protocol,
      setup: (app) => {
        // As the package on-headers does.
        for (const name of ['onRequest', 'onSend'] as const) {
          app.addHook(name as 'onSend', async (request, { raw }) => {
            const { writeHead } = raw
            raw.writeHead = function (this: typeof raw, ...head: unknown[]) {
              this.setHeader(`x-from-${name.toLowerCase()}`, 'set')
              if (name === 'onSend' && request.url === '/plain') this.removeHeader('content-encoding')
              return writeHead.apply(this, head as [number])
            } as typeof writeHead
          })
        }
        const upgrade = app.tether.sse.upgrade({ compression: { own: 'all', encodings: ['br', 'gzip'] } })
        for (const path of ['/zipped', '/plain']) {
          app.get(path, async (request, reply) => {
            const transport = await upgrade(request, reply)
            transport.send({ data: 'x'.repeat(2_000) })
            await transport.close()
          })
        }
      }
    })
    for (const [path, accepted, encoding] of [['/zipped', 'gzip', 'gzip'], ['/zipped', 'br', 'br'], ['/zipped', 'identity', undefined], ['/plain', 'gzip', undefined]] as const) {
      const { headers, text } = await readWhole(server, path, { 'accept-encoding': accepted })
      t.match(headers, { 'x-from-onrequest': 'set', 'x-from-onsend': 'set' }, `${path} ${accepted}`)
      t.equal(headers['content-encoding'], encoding)
      t.match(text, 'x'.repeat(2_000))
    }
    t.same(server.app.tether.stats().compression.streams, 0)
  })
}
