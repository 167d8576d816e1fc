import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import tether, { type TetherOptions } from '../../plugin/index.ts'
import { contract, silent } from './harness/contract.ts'
import { startLive, type LiveConfig } from './harness/live.ts'
import { openReader, type Reader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { readWhole, request } from './harness/request.ts'
import type { Server } from './harness/server.ts'
import { until } from './harness/until.ts'

/** The blocks of code in a document that are marked so. */
function blocks (path: string, mark: string): string[] {
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
  return [...text.matchAll(new RegExp(`^ *\`\`\`ts ${mark}\\n(.*?)^ *\`\`\``, 'gms'))].map(([, code = '']) => code)
}

const AsyncFunction = (async () => {}).constructor as new (...args: string[]) => (...given: unknown[]) => Promise<unknown>

async function start (t: Parameters<typeof startLive>[0]): Promise<Server> {
  const [code, ...more] = blocks('README.md', 'bind')
  t.ok(code !== undefined && more.length === 0, 'one example')
  const app: FastifyInstance = Fastify()
  await new AsyncFunction('app', 'cookie', 'tether', 'randomUUID', 'secret', code!)(app, cookie, tether, randomUUID, 'a secret for the test of signed cookies')
  // What a login would have put on the request, before `bind` is asked.
  app.decorateRequest('user', null)
  app.addHook('onRequest', async (request) => {
    const { 'x-user': id } = request.headers
    if (id !== undefined) (request as unknown as { user: { id: unknown } }).user = { id }
  })
  app.get('/page', async () => 'page')
  app.tether.stateful('/live', { contract, on: silent })
  const readers = new Set<{ destroy: () => void }>()
  t.teardown(() => {
    for (const reader of readers) reader.destroy()
    return app.close()
  })
  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, protocol: 'http/1.1', port: Number(new URL(origin).port), origin, log: [], errors: () => [], readers }
}

/** What a browser sends back of the cookies that an answer sets. */
function cookieOf (headers: Record<string, unknown>): Record<string, string> {
  const set = headers['set-cookie'] as string[] | undefined
  return set === undefined ? {} : { cookie: set.map((each) => each.split(';', 1)[0]).join('; ') }
}

async function open (server: Server, headers: Record<string, string>): Promise<Reader> {
  const reader = await openReader(server, '/live', { headers })
  await until(() => reader.controls.length, 'hello')
  return reader
}

const ping = { event: 'ping', data: {} }
const post = (server: Server, session: string, headers: Record<string, string>) => request(server, '/live', { headers: { 'x-tether-session': session, ...headers }, body: ping })

t.test('the README\'s bind: a visitor whose first request is the stream may post', async (t) => {
  const server = await start(t)
  const [ann, eve] = await Promise.all([open(server, {}), open(server, {})])
  const [annCookie, eveCookie] = [cookieOf(ann.headers), cookieOf(eve.headers)]
  t.match(annCookie.cookie, /^visitor=/)
  t.not(annCookie.cookie, eveCookie.cookie, 'each visitor is another')
  t.equal((await post(server, ann.session, annCookie)).status, 202)
  refused(t, await post(server, ann.session, eveCookie), 403, 'FST_ERR_TETHER_BINDING', 'another visitor')
  refused(t, await post(server, ann.session, {}), 403, 'FST_ERR_TETHER_BINDING', 'without a cookie')
  refused(t, await post(server, ann.session, { cookie: 'visitor=undefined' }), 403, 'FST_ERR_TETHER_BINDING', 'a cookie that nobody signed')
  const back = await open(server, { ...annCookie, 'last-event-id': `${ann.session}.0` })
  t.match(back.controls[0], { verdict: 'resumed' })
  t.same(cookieOf(back.headers), {}, 'who has a cookie keeps it')
})

t.test('so may one who came by a page, and a login makes the session somebody else\'s', async (t) => {
  const server = await start(t)
  const page = await readWhole(server, '/page')
  const cookies = cookieOf(page.headers)
  const reader = await open(server, cookies)
  t.equal((await post(server, reader.session, cookies)).status, 202)
  const loggedIn = { ...cookies, 'x-user': 'ann' }
  refused(t, await post(server, reader.session, loggedIn), 403, 'FST_ERR_TETHER_BINDING', 'after the login')
  const next = await open(server, { ...loggedIn, 'last-event-id': `${reader.session}.0` })
  t.match(next.controls[0], { verdict: 'expired' })
  t.equal((await post(server, next.session, loggedIn)).status, 202)
  refused(t, await post(server, next.session, cookies), 403, 'FST_ERR_TETHER_BINDING', 'after the logout')
  t.equal(reader.closed, false, 'the stream of the one before stays open')
})

t.test('docs/api.md: kicking a user', async (t) => {
  const [config, kicking, ...more] = blocks('docs/api.md', 'kick')
  t.equal(more.length, 0)
  const bind: NonNullable<TetherOptions['bind']> = (request) => (request as unknown as { user: { id: string } }).user.id
  const server = await startLive(t, {
    setup: (app) => {
      app.decorateRequest('user', null)
      app.addHook('onRequest', async (request) => { (request as unknown as { user: unknown }).user = { id: request.headers['x-user'] } })
    },
    live: { bind, ...await new AsyncFunction(`return {${config}}`)() as LiveConfig }
  })
  const kick = await new AsyncFunction('live', `${kicking}; return kick`)(server.live) as (id: string) => void
  const as = (user: string) => ({ headers: { 'x-user': user } })
  const [first, second, other] = [await server.connect(as('ann')), await server.connect(as('ann')), await server.connect(as('bob'))]
  await until(() => server.live.group('user:ann').size === 2 && server.live.group('user:bob').size === 1, 'onConnect')
  kick('ann')
  await until(() => first.reader.ended && second.reader.ended, 'the end of both')
  t.match(first.reader.controls.at(-1), { type: 'goodbye', reason: 'kicked', reconnect: false })
  t.equal(other.session.connected, true)
  t.equal((await readWhole(server, '/live', { accept: 'text/event-stream', 'x-user': 'ann', 'last-event-id': `${first.session.id}.0` })).status, 204)
})
