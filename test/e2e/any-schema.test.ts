import swagger from '@fastify/swagger'
import { Type as T0 } from '@sinclair/typebox'
import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import t, { type Test } from 'tap'
import { Type as T1 } from 'typebox'
import * as v from 'valibot'
import { WebSocket } from 'ws'
import * as z from 'zod'
import { connect, type ConnectOptions } from '../../client/index.ts'
import { webSocketLink, type WebSocketLinkOptions } from '../../client/websocket-link.ts'
import { conflate, defineContract } from '../../plugin/index.ts'
import { startServer } from './harness/server.ts'
import { until } from './harness/until.ts'

/** The same order in each library that converts: the id is text on the wire, and at least 5; the count has a default. */
const Zod = z.object({ id: z.string().transform(Number).pipe(z.number().min(5)), count: z.int().default(1) })
const Valibot = v.object({ id: v.pipe(v.string(), v.transform(Number), v.minValue(5)), count: v.optional(v.pipe(v.number(), v.integer()), 1) })
const ArkType = type({ id: type('string.numeric.parse').to('number >= 5'), count: 'number.integer = 1' })
const Node = z.object({ name: z.string(), get next () { return z.optional(Node) } })

const contract = defineContract({
  events: {
    zod: Zod,
    valibot: Valibot,
    'valibot.json': toStandardJsonSchema(Valibot),
    arktype: ArkType,
    typebox: T0.Object({ id: T0.Integer({ minimum: 5 }), count: T0.Integer({ default: 1 }) }),
    typebox1: T1.Object({ id: T1.Integer({ minimum: 5 }), count: T1.Integer({ default: 1 }) }),
    slow: z.object({ a: z.string().refine(async () => true) }),
    node: Node
  },
  updates: { zod: Zod, valibot: conflate(Valibot, ({ id }) => id), arktype: ArkType, typebox: T0.Object({ id: T0.Integer() }), typebox1: T1.Object({ id: T1.Integer() }) }
})
const converting = ['zod', 'valibot', 'valibot.json', 'arktype'] as const
const plain = ['typebox', 'typebox1'] as const
const all = [...converting, ...plain]

async function start (t: Test) {
  const got: Array<[name: string, data: unknown]> = []
  const note = (name: string) => (_session: unknown, data: unknown) => { got.push([name, data]) }
  const failures: string[] = []
  let live!: ReturnType<typeof mount>
  const mount = (app: Parameters<Parameters<typeof startServer>[1]['setup']>[0]) => app.tether.stateful('/live', {
    contract,
    mode: 'both',
    onError: (_session, _error, { command }) => { failures.push(command) },
    on: { zod: note('zod'), valibot: note('valibot'), 'valibot.json': note('valibot.json'), arktype: note('arktype'), typebox: note('typebox'), typebox1: note('typebox1'), slow: note('slow'), node: note('node') }
  })
  const server = await startServer(t, {
    setup: async (app) => {
      await app.register(swagger, { openapi: { info: { title: 'test', version: '1' } } })
      await app.register((await import('@fastify/websocket')).default)
      live = mount(app)
    }
  })
  const open = async (options: ConnectOptions = {}) => {
    const client = connect<typeof contract>(`${server.origin}/live`, { retryMs: 20, ...options })
    t.teardown(() => client.close())
    await until(() => client.state === 'open', 'a stream')
    return client
  }
  return { server, live, got, open, failures }
}

const links: Array<[name: string, options: () => ConnectOptions]> = [
  ['an event stream', () => ({})],
  ['a WebSocket', () => ({ link: webSocketLink({ WebSocket: WebSocket as unknown as NonNullable<WebSocketLinkOptions['WebSocket']> }) })]
]

for (const [name, options] of links) {
  t.test(`over ${name}, each library checks and converts in both directions`, async (t) => {
    const { live, got, open } = await start(t)
    const client = await open(options())
    for (const event of converting) await client.emit(event, { id: '7' })
    for (const event of plain) await client.emit(event, { id: 7, count: 1 })
    await until(() => got.length === all.length, 'all events')
    t.same(got, all.map((event) => [event, { id: 7, count: 1 }]), 'handlers get the output')
    for (const event of all) {
      const error = await client.emit(event, { id: plain.includes(event as never) ? 4 : '4', count: 1.5 } as never).then(() => null, (error) => error)
      t.match(error, { code: 'FST_ERR_VALIDATION', status: 400 }, event)
      t.same(error.errors.map(({ path }: { path: string }) => path).sort(), ['/data/count', '/data/id'], `${event}: the faults have pointers`)
    }
    const received: unknown[] = []
    for (const update of ['zod', 'valibot', 'arktype'] as const) {
      client.on(update, (data) => received.push([update, data]))
      live.broadcast(update, { id: '8' })
      t.throws(() => live.broadcast(update, { id: '4' }), { code: 'FST_ERR_TETHER_SERIALIZATION', message: /\/id / }, `${update}: a bad update is refused`)
    }
    for (const update of plain) {
      client.on(update, (data) => received.push([update, data]))
      live.broadcast(update, { id: 8 })
    }
    await until(() => received.length === 5, 'all updates')
    t.same(received, [...['zod', 'valibot', 'arktype'].map((update) => [update, { id: 8, count: 1 }]), ...plain.map((update) => [update, { id: 8 }])], 'clients get the output')
    t.equal(got.length, all.length, 'no bad event ran')
  })

  t.test(`over ${name}, an event whose check is asynchronous is refused, and the next one goes`, async (t) => {
    const { got, open, server, failures } = await start(t)
    const client = await open(options())
    const slow = client.emit('slow', { a: 'x' })
    const next = client.emit('zod', { id: '7' })
    await t.rejects(slow, { code: 'FST_ERR_TETHER_SCHEMA', status: 422, message: 'The schema of event "slow" could not check its data' }, 'without what was thrown')
    await next
    await until(() => got.length === 1, 'the next event')
    t.same(got, [['zod', { id: 7, count: 1 }]])
    t.match(server.errors(), [{ command: 'slow', err: { message: /it is asynchronous/ } }], 'the log says why')
    t.strictSame([...new Set(failures)], ['slow'], 'and so does onError')
  })
}

t.test('of many events in one POST, one fault refuses all', async (t) => {
  const { server, got, open } = await start(t)
  const { session } = await open()
  const post = (path: string, body: string, contentType = 'application/json') => fetch(`${server.origin}/live${path}`, { method: 'POST', headers: { 'x-tether-session': session!, 'content-type': contentType }, body })
  const refusedAll = await post('', JSON.stringify([{ event: 'zod', data: { id: '7' } }, { event: 'arktype', data: { id: 'x' } }, { event: 'valibot', data: {} }]))
  t.equal(refusedAll.status, 400)
  t.same((await refusedAll.json() as { errors: Array<{ path: string }> }).errors.map(({ path }) => path), ['/1/data/id', '/2/data/id'])
  t.equal((await post('', JSON.stringify({ event: 'zod' }))).status, 400, 'data is needed')
  t.equal((await post('', JSON.stringify([{ event: 'zod', data: { id: '7' } }, { event: 'valibot', data: { id: '8' } }]))).status, 202)
  await until(() => got.length === 2, 'both events')
  t.same(got, [['zod', { id: 7, count: 1 }], ['valibot', { id: 8, count: 1 }]])

  t.equal((await post('/zod', '{"id":"9"}')).status, 202, 'by its own URL')
  t.equal((await post('/arktype', 'id=10&count=2', 'application/x-www-form-urlencoded')).status, 204, 'as a form')
  t.equal((await post('/valibot.json', 'id=11&count=3', 'application/x-www-form-urlencoded')).status, 204)
  const unconverted = await post('/valibot', 'id=12&count=4', 'application/x-www-form-urlencoded')
  t.equal(unconverted.status, 400, 'without a JSON Schema, a field stays text')
  t.match(await unconverted.json(), { errors: [{ path: '/count' }] })
  await until(() => got.length === 5, 'all events')
  t.same(got.slice(2), [['zod', { id: 9, count: 1 }], ['arktype', { id: 10, count: 2 }], ['valibot.json', { id: 11, count: 3 }]])
})

t.test('the OpenAPI document shows each schema as far as its library gives it', async (t) => {
  const { server } = await start(t)
  const document = server.app.swagger() as any
  const bodyOf = (path: string) => document.paths[path].post.requestBody.content['application/json'].schema
  for (const event of ['zod', 'valibot.json', 'arktype']) t.match(bodyOf(`/live/${event}`), { type: 'object', properties: { id: { type: 'string' }, count: { type: 'integer' } }, required: ['id'] }, event)
  for (const event of ['zod', 'valibot.json']) t.equal(bodyOf(`/live/${event}`).properties.count.default, 1, event)
  t.same(bodyOf('/live/valibot'), { description: 'Checked by valibot, which gives no JSON Schema of it' }, 'open')
  const envelopes = bodyOf('/live').anyOf[0].anyOf as Array<{ title: string, properties: { data: any } }>
  t.same(envelopes.map(({ title }) => title), Object.keys(contract.events))
  const node = envelopes.find(({ title }) => title === 'node')!.properties.data
  t.same(node, bodyOf('/live/node'))
  const named = document.components.schemas[node.$ref.slice('#/components/schemas/'.length)]
  t.equal(named.title, 'tether-node', 'named alike in each application of a process')
  t.match(named, { properties: { name: { type: 'string' }, next: { $ref: node.$ref } } }, 'a schema that refers to itself')
})
