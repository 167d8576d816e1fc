import { readFileSync } from 'node:fs'
import { Type } from '@sinclair/typebox'
import '@fastify/websocket'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyBaseLogger, type FastifyReply, type FastifyRequest } from 'fastify'
import { describe, expect, test } from 'tstyche'
import inspector, { type InspectorOptions } from '../../plugin/entries/inspector.ts'
import tether, { defineContract, tether as named, text, type DisconnectReason, type Handler, type Protocol, type Tether, type TetherOptions, type TetherStats, type Transport, type Upgrade, type WebSocketUpgrade } from '../../plugin/index.ts'

const contract = defineContract({
  events: { pause: Type.Object({}) },
  updates: { row: text() }
})

const config = { contract, on: { pause: () => {} } }

describe('the inspector', () => {
  test('needs to know who may see it', async () => {
    const app = Fastify()
    await app.register(inspector, { authorize: () => true })
    await app.register(inspector, { prefix: '/inspector', authorize: async (request) => request.headers.host === 'a', allow: { close: true, slow: false }, everyMs: 2_000 })
    expect<InspectorOptions>().type.not.toBeAssignableFrom<{}>()
    expect<InspectorOptions>().type.not.toBeAssignableFrom<{ authorize: boolean }>()
    expect<InspectorOptions>().type.not.toBeAssignableFrom<{ authorize: () => true, allow: { kill: true } }>()
  })
})

describe('the plugin', () => {
  test('is the default export, and has a name', () => {
    expect(tether).type.toBe<typeof named>()
  })

  test('registers with and without options', async () => {
    const app = Fastify()
    await app.register(tether)
    await app.register(tether, { maxSessions: 100, maxDetached: 10, bind: (request) => request.ip })
    await app.register(tether, { prefix: '/api', trustedOrigins: ['https://app.example.com'] })
    app.register(tether).after(() => {})
    expect(app.tether).type.toBe<Tether>()
    expect(app.tether.stats()).type.toBe<TetherStats>()
  })

  test('refuses other options', () => {
    expect<TetherOptions>().type.not.toBeAssignableFrom<{ maxSessions: string }>()
    expect<TetherOptions>().type.not.toBeAssignableFrom<{ trustedOrigins: string }>()
    expect<TetherOptions>().type.not.toBeAssignableFrom<{ bind: () => Promise<string> }>()
    const app = Fastify()
    // @ts-expect-error No overload matches this call
    app.register(tether, { maxSession: 100 })
  })

  test('registers on an instance over HTTPS', async () => {
    const app = Fastify({ https: { key: readFileSync('key.pem'), cert: readFileSync('cert.pem') } })
    await app.register(tether, { maxSessions: 100 })
    expect(app.tether).type.toBe<Tether>()
    expect(app.tether.stateful('/live', config)).type.toBe<Handler<undefined, typeof contract.updates>>()
  })

  test('registers on an instance over HTTP/2', async () => {
    const clear = Fastify({ http2: true })
    await clear.register(tether, { maxSessions: 100 })
    expect(clear.tether).type.toBe<Tether>()
    const secure = Fastify({ http2: true, https: { allowHTTP1: true, key: '', cert: '' } })
    await secure.register(tether)
    expect(secure.tether.stateful('/live', config)).type.toBe<Handler<undefined, typeof contract.updates>>()
  })

  test('registers on an instance with a type provider', async () => {
    const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
    await app.register(tether, { maxSessions: 100 })
    expect(app.tether).type.toBe<Tether>()
    app.tether.stateful('/live', config)
  })

  test('registers on an instance with a logger of one\'s own', async () => {
    interface OwnLogger extends FastifyBaseLogger { audit: (message: string) => void }
    const app = Fastify({ loggerInstance: undefined! as OwnLogger })
    await app.register(tether, { maxSessions: 100 })
    app.log.audit('registered')
    expect(app.tether).type.toBe<Tether>()
    app.tether.stateful('/live', config)
  })

  test('is there in an encapsulated child', async () => {
    const app = Fastify()
    await app.register(tether)
    await app.register(async (child) => {
      child.tether.stateful('/live', config)
    }, { prefix: '/child' })
  })
})

describe('requests', () => {
  test('are Fastify\'s in initialState, bind, onConnect and prepare, with what an application adds to them', async () => {
    const app = Fastify()
    await app.register(tether, {
      bind: (request) => {
        expect(request).type.toBe<FastifyRequest>()
        return request.headers.authorization
      }
    })
    const live = app.tether.stateful('/live', {
      ...config,
      initialState: (request) => {
        expect(request).type.toBe<FastifyRequest>()
        expect(request.server.tether).type.toBe<Tether>()
        return { agent: request.headers['user-agent'] }
      },
      onConnect: (session, { request }) => {
        expect(request).type.toBe<FastifyRequest>()
        expect(session.state).type.toBe<{ agent: string | undefined }>()
      }
    })
    app.get('/', async (request) => {
      expect(await live.prepare(request)).type.toBe<string | null>()
    })
  })

  test('of an instance with a type provider, over HTTP/2 or HTTPS can be prepared from', () => {
    const typed = Fastify().withTypeProvider<TypeBoxTypeProvider>()
    const live = typed.tether.stateful('/live', config)
    typed.get('/:id', { schema: { params: Type.Object({ id: Type.Integer() }) } }, async (request) => {
      expect(request.params.id).type.toBe<number>()
      return await live.prepare(request)
    })
    const secure = Fastify({ http2: true, https: { key: '', cert: '' } })
    const other = secure.tether.stateful('/live', config)
    secure.get<{ Querystring: { page: string } }>('/', async (request) => await other.prepare(request))
  })
})

describe('upgrade in a plain route', () => {
  test('gives a transport', async () => {
    const app = Fastify()
    const upgrade = app.tether.sse.upgrade({ writeBuffer: 8 })
    expect(upgrade).type.toBe<Upgrade>()
    app.get('/ticks', async (request, reply) => {
      const transport = await upgrade(request, reply)
      expect(transport).type.toBe<Transport>()
      expect(transport.send({ event: 'tick', id: '1', data: { at: 1 }, comment: 'c', retry: 500 })).type.toBe<Promise<boolean>>()
      expect(transport.send).type.toBeCallableWith({ data: 'text' })
      expect(transport.send).type.toBeCallableWith({ data: undefined, event: undefined })
      expect(transport.send).type.not.toBeCallableWith('text')
      expect(transport.send).type.not.toBeCallableWith({ name: 'tick' })
      expect(transport.send).type.not.toBeCallableWith({ event: 7 })
      expect(transport.send).type.not.toBeCallableWith({ retry: '500' })
      expect(transport.closed).type.toBe<Promise<DisconnectReason>>()
      expect(transport.lastEventId).type.toBe<string | null>()
      expect(transport.close()).type.toBe<Promise<void>>()
    })
    app.get('/late', (request: FastifyRequest, reply: FastifyReply) => { upgrade(request, reply) })
  })

  test('takes request and reply of a route with generics', () => {
    const app = Fastify()
    const upgrade = app.tether.sse.upgrade()
    app.get<{ Querystring: { page: string }, Params: { id: string }, Reply: { ok: boolean } }>('/:id', async (request, reply) => {
      await upgrade(request, reply)
    })
  })

  test('takes request and reply of a route with a type provider', () => {
    const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
    const upgrade = app.tether.sse.upgrade()
    app.get('/', { schema: { querystring: Type.Object({ page: Type.Integer() }), response: { 200: Type.String() } } }, async (request, reply) => {
      expect(request.query.page).type.toBe<number>()
      await upgrade(request, reply)
    })
  })

  test('takes request and reply of HTTP/2 and HTTPS', () => {
    const clear = Fastify({ http2: true })
    clear.get('/', async (request, reply) => { await clear.tether.sse.upgrade()(request, reply) })
    const secure = Fastify({ http2: true, https: { key: '', cert: '' } })
    secure.get('/', async (request, reply) => { await secure.tether.sse.upgrade()(request, reply) })
    const https = Fastify({ https: { key: '', cert: '' } })
    https.get('/', async (request, reply) => { await https.tether.sse.upgrade()(request, reply) })
  })

  test('takes nothing else', () => {
    const upgrade = Fastify().tether.sse.upgrade()
    expect(upgrade).type.not.toBeCallableWith()
    expect(upgrade).type.not.toBeCallableWith({}, {})
  })
})

describe('a WebSocket as a transport', () => {
  test('takes what a route of @fastify/websocket gets', async () => {
    const app = Fastify()
    await app.register(tether)
    const upgrade = app.tether.websocket.upgrade()
    expect(upgrade).type.toBe<WebSocketUpgrade>()
    app.get('/ticks', { websocket: true }, async (socket, request) => {
      expect(upgrade(request, socket)).type.toBe<Promise<Transport>>()
    })
    expect(upgrade).type.not.toBeCallableWith(undefined! as FastifyRequest, undefined! as FastifyReply)
  })

  test('the protocols are counted', () => {
    const app = Fastify()
    expect(app.tether.stats().protocols).type.toBe<Record<Protocol, number>>()
    expect(app.tether.stateful('/live', config).stats.protocols).type.toBe<Record<Protocol, number>>()
    expect<Protocol>().type.toBe<'http/1.1' | 'http/2' | 'websocket'>()
  })
})
