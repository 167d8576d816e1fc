import t from 'tap'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import tether, { defineContract } from '../../plugin/index.ts'
import { counting } from './harness/claim.ts'
import { contract, silent as on } from './harness/contract.ts'
import { openReader, type Json } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { post, readWhole, request } from './harness/request.ts'
import { startServer, type Server } from './harness/server.ts'
import { until } from './harness/until.ts'

declare module 'fastify' {
  interface FastifyRequest {
    user: string | null
  }
}

const ping = { event: 'ping', data: {} }

/** Opens a stream at any path, and waits for its hello. */
async function connect (server: Server, path: string, headers: Record<string, string> = {}) {
  const reader = await openReader(server, path, { headers })
  const hello = await until(() => reader.controls[0], `the hello frame of ${path}, which answered ${reader.status}`)
  return { reader, hello, id: hello.session as string }
}

t.test('a child with a prefix, a hook and an auth decorator has sessions of its own', async (t) => {
  const hooked: string[] = []
  const states: unknown[] = []
  const users: unknown[] = []
  const server = await startServer(t, {
    setup: (app) => {
      app.decorateRequest('user', null)
      app.addHook('onRequest', async (request) => { hooked.push(`root ${request.method} ${request.url}`) })
      app.tether.stateful('/live', { contract, on })
      app.register(async (child) => {
        child.addHook('onRequest', async (request, reply) => {
          hooked.push(`child ${request.method} ${request.url}`)
          const { authorization } = request.headers
          if (authorization === undefined) return reply.code(401).send({ code: 'NO_USER' })
          request.user = authorization
        })
        child.tether.stateful('/live', {
          contract,
          on,
          initialState: (request) => request.user,
          bind: (request) => request.user,
          onConnect: (session, { request }) => {
            states.push(session.state)
            users.push(request.user)
          }
        })
      }, { prefix: '/api' })
    }
  })

  const anonymous = { accept: 'text/event-stream' }
  for (const answer of [
    await readWhole(server, '/api/live', anonymous),
    await request(server, '/api/live', { body: ping }),
    await request(server, '/api/live/ping', { body: {} }),
    await request(server, '/api/live/nothing', { body: {} }),
    await request(server, '/api/live/tether.close', { body: {} })
  ]) {
    t.equal(answer.status, 401)
    t.same(answer.json, { code: 'NO_USER' })
  }
  t.equal(server.app.tether.stats().sessions, 0, 'the hook ran before any session was made')

  hooked.length = 0
  const open = await connect(server, '/live')
  t.equal((await post(server, open.id, ping)).status, 202)
  t.same(hooked, ['root GET /live', 'root POST /live'], 'the hook of the child is not in the way of the root')

  hooked.length = 0
  const own = await connect(server, '/api/live', { authorization: 'ann' })
  await until(() => users.length > 0, 'onConnect')
  t.same([states, users], [['ann'], ['ann']], 'what the hook found is in the request')
  t.equal((await request(server, '/api/live/ping', { headers: { authorization: 'ann', 'x-tether-session': own.id }, body: {} })).status, 202)
  t.same(hooked, ['root GET /api/live', 'child GET /api/live', 'root POST /api/live/ping', 'child POST /api/live/ping'])

  refused(t, await post(server, own.id, ping), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'the child\'s session at the root')
  const elsewhere = await connect(server, '/live', counting(own.id, 0))
  t.equal(elsewhere.hello.verdict, 'expired', 'nor can it be resumed there')
  t.not(elsewhere.id, own.id)
})

t.test('routes go to the very instance that app.tether was reached through', async (t) => {
  let root!: FastifyInstance
  let child!: FastifyInstance
  const server = await startServer(t, {
    setup: (app) => {
      root = app
      const { tether: captured } = app
      app.register(async (instance) => {
        child = instance
        instance.tether.stateful('/own', { contract, on })
        instance.register(async (grandchild) => { grandchild.tether.stateful('/deep', { contract, on }) }, { prefix: '/down' })
      }, { prefix: '/child' })
      captured.stateful('/captured', { contract, on })
    }
  })
  t.not(root.tether, child.tether)
  t.equal(child.tether, child.tether)
  for (const [path, exists] of [['/captured', true], ['/child/captured', false], ['/own', false], ['/child/own', true], ['/child/down/deep', true], ['/deep', false]] as const) {
    t.equal((await readWhole(server, path, {}, 'HEAD')).status, exists ? 200 : 404, path)
  }
  t.same(root.tether.stats(), child.tether.stats(), 'all share the figures')
})

t.test('URLs of every form', async (t) => {
  const seen: Json[] = []
  const see = (request: FastifyRequest) => { seen.push(request.params as Json) }
  const server = await startServer(t, {
    setup: (app) => {
      app.tether.stateful('/', { contract, on })
      app.register(async (child) => { child.tether.stateful('/', { contract, on }) }, { prefix: '/slash' })
      app.register(async (child) => { child.tether.stateful('', { contract, on }) }, { prefix: '/empty' })
      app.register(async (child) => { child.tether.stateful('/end/', { contract, on }) }, { prefix: '/with' })
      app.tether.stateful('/rooms/:room/live', { contract, on, initialState: (request) => { see(request) }, bind: (request) => (request.params as Json).room })
    }
  })
  for (const [path, base] of [['/', ''], ['/slash', '/slash'], ['/slash/', '/slash'], ['/empty', '/empty'], ['/with/end/', '/with/end']] as const) {
    const { id, reader } = await connect(server, path)
    t.equal((await post(server, id, ping, path)).status, 202, `POST ${path}`)
    t.equal((await post(server, id, {}, `${base}/ping`)).status, 202, `POST ${base}/ping`)
    t.equal((await post(server, id, {}, `${base}/tether.close`)).status, 202, `POST ${base}/tether.close`)
    refused(t, await post(server, id, {}, `${base}/other`), 400, 'FST_ERR_VALIDATION', `POST ${base}/other`)
    reader.destroy()
  }

  const { id } = await connect(server, '/rooms/blue/live')
  t.same(seen, [{ room: 'blue' }], 'parameters of the URL are in the request')
  t.equal((await post(server, id, ping, '/rooms/blue/live')).status, 202)
  t.equal((await post(server, id, {}, '/rooms/blue/live/ping')).status, 202)
  refused(t, await post(server, id, ping, '/rooms/red/live'), 403, 'FST_ERR_TETHER_BINDING', 'the same session by another room\'s URL')
})

t.test('a URL that is taken fails when the application gets ready', async (t) => {
  for (const [what, occupy] of Object.entries({
    'by sessions': (app: FastifyInstance) => { app.tether.stateful('/live', { contract, on }) },
    'by a GET': (app: FastifyInstance) => { app.get('/live', () => '') },
    'by a POST': (app: FastifyInstance) => { app.post('/live/ping', () => '') }
  })) {
    const { default: Fastify } = await import('fastify')
    const app = Fastify()
    await app.register(tether)
    app.tether.stateful('/live', { contract, on })
    // Routes of the plugin are made while the instance gets ready, so the second one is whichever comes later.
    await t.rejects(async () => {
      occupy(app)
      await app.ready()
    }, { code: 'FST_ERR_DUPLICATED_ROUTE' }, what)
  }
})

t.test('the transport is given as upgrade, as fallback, or not at all', async (t) => {
  const server = await startServer(t, {
    setup: (app) => {
      const slow = app.tether.sse.upgrade({ heartbeatMs: 111_000 })
      const slower = app.tether.sse.upgrade({ heartbeatMs: 222_000 })
      app.tether.stateful('/upgrade', { contract, on, upgrade: slow })
      app.tether.stateful('/fallback', { contract, on, fallback: slower })
      app.tether.stateful('/both', { contract, on, mode: 'sse', upgrade: slow, fallback: slower })
      app.tether.stateful('/neither', { contract, on, mode: 'sse' })
    }
  })
  for (const [path, heartbeatMs] of [['/upgrade', 111_000], ['/fallback', 222_000], ['/both', 111_000], ['/neither', 20_000]] as const) {
    const { hello } = await connect(server, path)
    t.equal(hello.heartbeatMs, heartbeatMs, path)
  }
})

t.test('a contract may have no events, or no updates', async (t) => {
  const server = await startServer(t, {
    setup: (app) => {
      app.tether.stateful('/down', { contract: defineContract({ updates: { note: Type.String() } }), on: {} })
      app.tether.stateful('/up', { contract: defineContract({ events: { ping: Type.Object({}) } }), on: { ping: () => {} } })
    }
  })
  const down = await connect(server, '/down')
  for (const answer of [await post(server, down.id, ping, '/down'), await post(server, down.id, {}, '/down/ping')]) {
    refused(t, answer, 400, 'FST_ERR_VALIDATION', 'an event where there are none')
    t.match(answer.json.message, /this session takes no events/)
  }
  const up = await connect(server, '/up')
  t.equal((await post(server, up.id, ping, '/up')).status, 202)
})

t.test('hooks of the instance run for events as on any route', async (t) => {
  const ran: string[] = []
  const server = await startServer(t, {
    setup: (app) => {
      for (const name of ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend', 'onResponse'] as const) {
        app.addHook(name as 'onRequest', async (request) => { if (request.method === 'POST') ran.push(name) })
      }
      app.tether.stateful('/live', { contract, on: { ...on, ping: () => { ran.push('handler') } } })
    }
  })
  const { id } = await connect(server, '/live')
  for (const [path, body] of [['/live', ping], ['/live/ping', {}]] as const) {
    ran.length = 0
    t.equal((await post(server, id, body, path)).status, 202)
    await until(() => ran.includes('onResponse') && ran.includes('handler'), 'the last hook')
    t.same(ran.filter((name) => name !== 'handler'), ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend', 'onResponse'], path)
  }
})
