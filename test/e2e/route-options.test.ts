import swagger from '@fastify/swagger'
import { Type } from '@sinclair/typebox'
import t from 'tap'
import * as z from 'zod'
import { conflate, defineContract, request as requestOf, text, type RouteConfig } from '../../plugin/index.ts'
import { openReader, type Json } from './harness/reader.ts'
import { request } from './harness/request.ts'
import { startServer, type Server } from './harness/server.ts'

const Tree = Type.Recursive((This) => Type.Object({ name: Type.String(), children: Type.Array(This) }), { $id: 'Tree' })
const contract = defineContract({
  events: { ping: Type.Object({}), order: requestOf(Type.Object({ article: Type.String() }), Type.Object({ order: Type.Integer() })) },
  updates: {
    sample: conflate(Type.Object({ v: Type.Number() })),
    tree: Tree,
    zod: z.object({ at: z.string().transform(Number) }),
    row: text(),
    html: text({ unnamed: true })
  }
})

const on = { ping: () => {}, order: () => ({ order: 1 }) }

async function start (t: Parameters<typeof startServer>[0], route: RouteConfig | undefined, openapi: object = {}, mode: 'sse' | 'websocket' = 'sse') {
  const routes: any[] = []
  const server = await startServer(t, {
    setup: async (app) => {
      await app.register(swagger, { openapi: { info: { title: 'test', version: '1' }, components: { securitySchemes: { cookie: { type: 'apiKey', in: 'cookie', name: 'session' } } }, ...openapi } })
      app.addHook('onRoute', (options) => { if (options.url.startsWith('/live')) routes.push(options) })
      app.tether.stateful('/live', { contract, on, mode: mode as 'sse', ...route === undefined ? {} : { route } })
    }
  })
  return { server, routes, document: server.app.swagger() as Json }
}

const paths = ['/live', '/live/order', '/live/ping', '/live/tether.close']
const operations = (document: Json) => Object.values(document.paths as Record<string, Json>).flatMap((path) => Object.values(path) as Json[])

t.test('options of Fastify go to all mounted routes', async (t) => {
  const { server, routes, document } = await start(t, {
    schema: { tags: ['live'], security: [{ cookie: [] }], description: 'Live', deprecated: true, 'x-own': 1 },
    config: { own: 'for a plugin' },
    logLevel: 'warn',
    constraints: { host: 'live.example' }
  })
  t.same(Object.keys(document.paths).sort(), paths)
  t.equal(operations(document).length, 5)
  for (const operation of operations(document)) t.match(operation, { tags: ['live'], security: [{ cookie: [] }], description: 'Live', deprecated: true, 'x-own': 1, summary: /./ })
  t.equal(routes.length, 7, 'the HEAD and the one of unknown events, too')
  for (const { config, logLevel, constraints } of routes) t.match([config, logLevel, constraints], [{ own: 'for a plugin' }, 'warn', { host: 'live.example' }])

  const reader = await openReader(server, '/live', { headers: { host: 'live.example' } })
  t.equal(reader.status, 200)
  t.equal((await request(server, '/live', { headers: { accept: 'text/event-stream' } })).status, 404, 'another host')
  t.equal((await request(server, '/live/other', { headers: { host: 'live.example', 'x-tether-session': 'x' }, body: {} })).status, 404)
  t.same(server.log.filter(({ msg, level }) => level < 40 && /incoming request|request completed/.test(msg)).map(({ req }) => (req as Json | undefined)?.host).filter((host) => host === 'live.example'), [], 'their requests are not logged at info')
})

t.test('an API document can be without them', async (t) => {
  t.same((await start(t, { schema: { hide: true } })).document.paths, {})
})

t.test('what cannot be is refused by name', async (t) => {
  const stateful = (route: unknown) => (app: Server['app']) => t.throws(() => app.tether.stateful('/live', { contract, on, route: route as RouteConfig }), { code: 'FST_ERR_TETHER_OPTION', message: /option "route" of app\.tether\.stateful\(\)/ }, JSON.stringify(route))
  await startServer(t, {
    setup: (app) => {
      for (const route of [null, 5, [], { tags: ['live'] }, { schema: 5 }, { logLevel: 'loud' }, { config: 'x' }, { constraints: [] }, { schema: { body: {} } }, { schema: { response: {} } }, { schema: { operationId: 'one' } }, { preHandler: () => {} }]) stateful(route)(app)
    }
  })
})

t.test('a document of OpenAPI 3.2 says what each message of the stream is', async (t) => {
  const { document } = await start(t, undefined, { openapi: '3.2.0' })
  t.equal(document.openapi, '3.2.0')
  const { description, content } = document.paths['/live'].get.responses['200']
  t.match(description, /server-sent events/)
  t.same(Object.keys(content), ['text/event-stream'])
  const { itemSchema, schema } = content['text/event-stream']
  t.same(schema, {})
  t.match(itemSchema, { type: 'object', properties: { event: { type: 'string' }, data: { type: 'string' }, id: { type: 'string' }, retry: { type: 'integer' } } })
  const messages = Object.fromEntries(itemSchema.oneOf.map((message: Json) => [message.title, message]))
  t.same(Object.keys(messages), ['sample', 'tree', 'zod', 'row', 'html', 'tether.reply', 'tether'])
  t.match(messages.sample, { required: ['event', 'data'], properties: { event: { enum: ['sample'] }, data: { contentMediaType: 'application/json', contentSchema: { type: 'object', properties: { v: { type: 'number' } } } } } })
  t.match(messages.zod.properties.data.contentSchema, { type: 'object', properties: {} })
  t.same(messages.row.properties.data, { type: 'string' })
  t.same(messages.html, { title: 'html', required: ['data'], not: { required: ['event'] }, properties: { data: { type: 'string' } } })
  t.match(messages['tether.reply'].properties.data.contentSchema.oneOf, [{ properties: { seq: {}, data: { properties: { order: { type: 'integer' } } } } }, { required: ['seq', 'code', 'message'] }])
  const reference = messages.tree.properties.data.contentSchema.$ref ?? messages.tree.properties.data.contentSchema.properties.children.items.$ref
  t.match(reference, /^#\/components\/schemas\//)
  t.ok(document.components.schemas[reference.split('/').pop()!], `${reference} leads somewhere`)
})

t.test('a request has its reply in the document, and the preference', async (t) => {
  const { document } = await start(t, undefined, { openapi: '3.2.0' })
  const { post } = document.paths['/live/order']
  t.match(post.responses, { 200: { content: { 'application/json': { schema: { properties: { order: { type: 'integer' } } } } } }, 202: {}, 422: { content: { 'application/json': { schema: { required: ['code', 'message'] } } } }, '4XX': {} })
  t.ok(post.parameters.some(({ name, in: place }: Json) => name === 'prefer' && place === 'header'))
  t.match(post.requestBody.content['application/json'].schema, { properties: { article: { type: 'string' } } })
  const { anyOf } = document.paths['/live'].post.requestBody.content['application/json'].schema
  t.match(anyOf[0].anyOf[1], { title: 'order', required: ['event', 'data', 'seq'] }, 'in an envelope it needs a number')
})

t.test('without event streams there is no such response', async (t) => {
  const { document } = await start(t, undefined, {}, 'websocket')
  t.same(Object.keys(document.paths['/live'].get.responses), ['4XX', '5XX'])
})
