import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import tether, { defineContract, type TuningOptions } from '../../plugin/index.ts'
import { patienceMs } from './harness/until.ts'

const contract = defineContract({
  events: { work: Type.Object({ ms: Type.Number() }), flood: Type.Object({}) },
  updates: { row: Type.Object({ text: Type.String() }) }
})

const text = 'x'.repeat(60_000)

async function serve (t: Test, tuning: TuningOptions | undefined, before: (app: FastifyInstance) => void = () => {}): Promise<string> {
  const app = Fastify()
  t.after(() => app.close())
  before(app)
  await app.register(tether, tuning === undefined ? {} : { tuning, maxSessions: 77 })
  app.tether.stateful('/live', {
    contract,
    commandBuffer: 9,
    upgrade: app.tether.sse.upgrade({ writeBuffer: 3 }),
    on: {
      work: async (session, { ms }) => { await new Promise((resolve) => setTimeout(resolve, ms)) },
      flood: async (session) => { for (let sent = 0; sent < 500; sent += 1) await session.send('row', { text }) }
    }
  })
  return await app.listen({ port: 0, host: '127.0.0.1' })
}

/** Opens a stream that nobody reads beyond its hello, until `resume`. */
async function openStream (t: Test, origin: string) {
  const request = get(`${origin}/live`, { headers: { accept: 'text/event-stream', 'x-tether-session': 'new' }, agent: false })
  request.on('error', () => {})
  t.after(() => request.destroy())
  const [response] = await once(request, 'response') as [IncomingMessage]
  response.on('error', () => {})
  let text = ''
  while (!text.includes('"session":"')) {
    const piece = response.read() as Buffer | null
    if (piece === null) await once(response, 'readable')
    else text += piece.toString()
  }
  return { session: /"session":"([\w-]+)"/.exec(text)![1]!, resume: () => { response.removeAllListeners('readable').resume() } }
}

async function post (origin: string, session: string, event: string, data: object): Promise<number> {
  const { status } = await fetch(`${origin}/live`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-tether-session': session }, body: JSON.stringify({ event, data }) })
  return status
}

const work = async (origin: string, session: string, ms: number): Promise<number> => await post(origin, session, 'work', { ms })

/** Reads the figures until they are as expected. */
async function eventually (origin: string, isThere: (figures: any) => boolean): Promise<any> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    const figures = await figuresOf(origin)
    if (isThere(figures)) return figures
    if (Date.now() > deadline) throw new Error(`the figures stay at ${JSON.stringify(figures.events)}`)
  }
}

const figuresOf = async (origin: string, query = ''): Promise<any> => await (await fetch(`${origin}/live/tether.tuning${query}`)).json()

t.test('without the option there is no route', async (t) => {
  const origin = await serve(t, undefined)
  t.equal((await fetch(`${origin}/live/tether.tuning`)).status, 404)
})

t.test('the option without authorize fails at register time, by name', async (t) => {
  for (const tuning of [true, {}, { authorize: 'yes' }, { authorize: () => true, more: 1 }]) {
    await t.rejects(serve(t, tuning as never), { code: 'FST_ERR_TETHER_OPTION', message: /^option "tuning" of app\.register\(tether\) must be an object with authorize/ })
  }
})

t.test('authorize decides on each request', async (t) => {
  const rows: Array<[authorize: TuningOptions['authorize'], status: number, code?: string]> = [
    [() => true, 200],
    [async () => true, 200],
    [() => 1, 200],
    [() => {}, 403, 'FST_ERR_TETHER_TUNING'],
    [async () => {}, 403, 'FST_ERR_TETHER_TUNING'],
    [() => false, 403, 'FST_ERR_TETHER_TUNING'],
    [async () => false, 403, 'FST_ERR_TETHER_TUNING'],
    [() => null, 403, 'FST_ERR_TETHER_TUNING'],
    [() => '', 403, 'FST_ERR_TETHER_TUNING'],
    [() => { throw new Error('a secret') }, 403, 'FST_ERR_TETHER_TUNING'],
    [async () => { throw Object.assign(new Error('who?'), { statusCode: 401, code: 'WHO' }) }, 403, 'FST_ERR_TETHER_TUNING']
  ]
  for (const [authorize, status, code] of rows) {
    const origin = await serve(t, { authorize })
    const answer = await fetch(`${origin}/live/tether.tuning`)
    t.equal(answer.status, status, String(authorize))
    const body = await answer.json() as { code?: string, version?: number }
    if (status === 200) t.equal(body.version, 1)
    else t.strictSame([body.code, body.version], [code, undefined], 'and no figure leaves')
  }
})

t.test('authorize sees the request, behind the application\'s own hooks', async (t) => {
  const origin = await serve(t, { authorize: ({ headers }) => headers.authorization === 'Bearer good' }, (app) => {
    app.addHook('onRequest', async (request, reply) => { if (request.headers['x-blocked'] !== undefined) return await reply.code(418).send({}) })
  })
  const status = async (headers: Record<string, string>) => (await fetch(`${origin}/live/tether.tuning`, { headers })).status
  t.equal(await status({ authorization: 'Bearer good' }), 200)
  t.equal(await status({ authorization: 'Bearer bad' }), 403)
  t.equal(await status({ authorization: 'Bearer good', 'x-blocked': '1' }), 418)
})

t.test('the figures follow what happens', async (t) => {
  const origin = await serve(t, { authorize: () => true })
  const before = await figuresOf(origin)
  t.strictSame([before.events.accepted, before.options.maxSessions, before.options.commandBuffer, before.cluster, before.pid], [0, 77, 9, null, process.pid])
  const { session } = await openStream(t, origin)
  for (let sent = 0; sent < 3; sent += 1) t.equal(await work(origin, session, 40), 202)
  const during = await figuresOf(origin)
  t.equal(during.events.waiting + during.events.running + during.events.settled, 3)
  t.equal(during.options.writeBuffer, 3)
  t.equal(during.stats.sessions, 1)
  const after = await eventually(origin, ({ events }) => events.settled === 3)
  t.strictSame([after.events.accepted, after.events.waiting, after.events.running], [3, 0, 0])
  t.ok(after.events.runMs >= 110 && after.events.totalMs > after.events.runMs, `${after.events.runMs} of ${after.events.totalMs} ms`)
  t.ok(after.events.presenceMs >= 0.9 * after.events.totalMs, 'the integral of what is present is the sum of the times')
  t.equal(after.events.total.reduce((sum: number, [, count]: [number, number]) => sum + count, 0), 3)
  for (const name of ['cpuMs', 'loopActiveMs', 'atMs']) t.ok(after[name] > before[name], name)
  t.type(after.socketBytes, 'number')
})

t.test('the time of events in sessions that stand still counts apart, while they do and afterwards', async (t) => {
  const origin = await serve(t, { authorize: () => true })
  const { session, resume } = await openStream(t, origin)
  t.equal(await post(origin, session, 'flood', {}), 202)
  t.equal(await work(origin, session, 1), 202)
  const { events: first, socketBytes } = await eventually(origin, ({ stats, events }) => stats.stalled === 1 && events.heldMs > 100)
  t.ok(socketBytes > 0, `${socketBytes}`)
  const { events: second } = await eventually(origin, ({ events }) => events.heldMs > first.heldMs + 200)
  t.ok(second.heldMs - first.heldMs < 1.2 * (second.presenceMs - first.presenceMs) + 50, 'no more than two events have waited')
  t.ok(second.heldMs - first.heldMs > 0.7 * (second.presenceMs - first.presenceMs) - 50, 'both count')
  t.equal(second.settled, 0)
  resume()
  const { events: last } = await eventually(origin, ({ events }) => events.settled === 2)
  t.ok(last.heldMs >= second.heldMs && last.heldMs <= last.presenceMs, `${last.heldMs} of ${last.presenceMs}`)
})

t.test('with ?collect the garbage is gone', async (t) => {
  const origin = await serve(t, { authorize: () => true })
  await figuresOf(origin)
  let garbage: number[][] | null = Array.from({ length: 300 }, () => Array.from({ length: 10_000 }, (_, index) => index + 0.5))
  const { memory: full } = await figuresOf(origin, '?collect')
  t.equal(garbage.length, 300)
  garbage = null
  const { memory: empty } = await figuresOf(origin, '?collect')
  t.ok(empty.heapBytes < full.heapBytes - 15e6, `${full.heapBytes} to ${empty.heapBytes}`)
})
