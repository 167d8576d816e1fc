import t from 'tap'
import { startLive, type LiveServer, type LiveSession } from './harness/live.ts'
import type { Json } from './harness/reader.ts'
import { request } from './harness/request.ts'
import { turns, until } from './harness/until.ts'
import { openSocket, type SocketReader } from './harness/web-socket.ts'

const ping = { event: 'ping', data: {} }
const count = (to: unknown, seq?: unknown) => ({ event: 'count', data: { to }, ...seq === undefined ? {} : { seq } })
const leave = { event: 'tether.close', data: {} }

/** What is sent in order to one session: text as it is, anything else as JSON. */
const rows: Record<string, unknown[]> = {
  'an event': [ping],
  'numbered events': [count(1, 1), [count(2, 2), count(3, 3)]],
  'an event without a number between others': [count(1, 1), count(2), count(3, 2)],
  'what is known': [count(1, 1), count(1, 1), [count(1, 1), count(2, 2)], [count(1, 1), count(2, 2)]],
  'a number that skips': [count(2, 2), count(1, 1), [count(2, 2), count(4, 4)], count(2, 2)],
  'a number that is none': [count(1, 0), count(1, -1), count(1, 1.5), count(1, '1'), count(1, null), count(1, 2 ** 53)],
  'bad data': [count('x'), count('x', 1), [count(1, 1), count('x', 2)], count(1, 1)],
  'no envelope': [null, 5, '"ping"', true, {}, [], [null], [[ping]], { event: 'ping' }, { data: {} }, { event: 5, data: {} }, { ...ping, more: 1, 'a/b~': 2 }],
  'an unknown event': [{ event: 'nope', data: {} }, { event: 'constructor', data: {} }, { event: '', data: {} }, [ping, { event: 'nope', data: {} }]],
  'a batch that is too long': [[ping, ping, ping, ping], [ping]],
  'no JSON': ['', '{', '{}}', ' ', 'NaN', '{"event":"ping","data":{},"__proto__":{}}', '{"event":"ping","data":{"constructor":{"prototype":{}}}}'],
  'a body that is too large': [JSON.stringify({ event: 'say', data: { text: 'x'.repeat(500) } }), `${' '.repeat(501)}5`, ping],
  'a body as large as may be': [JSON.stringify({ event: 'say', data: { text: 'x'.repeat(500 - '{"event":"say","data":{"text":""}}'.length) } })],
  'a channel that is full': [{ event: 'say', data: { text: 'wait' } }, count(1, 1), count(2, 2), count(3, 3), count(4, 4), count(3, 3), count(4)],
  leaving: [count(1, 1), leave, leave, count(2, 2)]
}

type Outcome = Partial<Record<'status' | 'seq' | 'known' | 'code' | 'message' | 'errors' | 'expected' | 'retryAfter', unknown>>

async function byPost (server: LiveServer, session: LiveSession, body: unknown): Promise<Outcome> {
  const isLeaving = body === leave
  const { status, headers, json: { seq, code, message, errors, expected } } = await request(server, isLeaving ? '/live/tether.close' : '/live', {
    method: 'POST',
    headers: { 'x-tether-session': session.id, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(isLeaving ? {} : body)
  })
  return withoutHoles({ status, seq, known: numberIn(headers['x-tether-known']), code, message, errors, expected, retryAfter: numberIn(headers['retry-after']) })
}

async function byWebSocket (reader: SocketReader, body: unknown): Promise<Outcome> {
  const { type, ...answer } = await reader.ask(typeof body === 'string' ? body : JSON.stringify(body)) as Json & { type: string }
  return withoutHoles(answer as Outcome)
}

const numberIn = (header: unknown) => header === undefined ? undefined : Number(header)
const withoutHoles = (outcome: Outcome): Outcome => Object.fromEntries(Object.entries(outcome).filter(([, value]) => value !== undefined))

async function start (t: Parameters<typeof startLive>[0]) {
  const ran = new Map<string, unknown[]>()
  const releases: Array<() => void> = []
  const note = (name: string) => (session: { id: string }, data: object) => {
    ran.set(session.id, [...ran.get(session.id) ?? [], [name, data]])
    if ('text' in data && data.text === 'wait') return new Promise<void>((resolve) => { releases.push(resolve) })
  }
  const server = await startLive(t, {
    live: { mode: 'both', commandBuffer: 3, maxBatch: 3, maxEventBytes: 500, on: { ping: note('ping'), say: note('say'), count: note('count') } }
  })
  const connect = async () => {
    const { session } = await server.connect()
    const reader = await openSocket(server, '/live', { session: 'new' })
    await until(() => reader.controls.length > 0, 'its hello')
    const socketSession = await until(() => server.live.get(reader.session), 'the session of the WebSocket')
    return { session, reader, socketSession }
  }
  return { server, ran, connect, release: () => { for (const release of releases.splice(0)) release() } }
}

t.test('a POST and a message on a WebSocket come to the same outcome', async (t) => {
  const { server, ran, connect, release } = await start(t)
  const seen = new Set<unknown>()
  for (const [what, bodies] of Object.entries(rows)) {
    const { session, reader, socketSession } = await connect()
    for (const [index, body] of bodies.entries()) {
      const posted = await byPost(server, session, body)
      t.same(await byWebSocket(reader, body), posted, `${what}, ${index}`)
      t.ok(typeof posted.status === 'number' && (posted.status === 202) === (posted.code === undefined), `${what}, ${index}: ${posted.status}`)
      seen.add(posted.code ?? posted.status)
    }
    release()
    await until(() => session.stats.queuedCommands + socketSession.stats.queuedCommands === 0, 'the events')
    await turns()
    t.same(ran.get(socketSession.id), ran.get(session.id), `${what}: what ran`)
    t.equal(socketSession.stats.eventsAccepted, session.stats.eventsAccepted)
    reader.destroy()
  }
  t.same([...seen].sort(), [
    202, 'FST_ERR_CTP_BODY_TOO_LARGE', 'FST_ERR_CTP_EMPTY_JSON_BODY', 'FST_ERR_CTP_INVALID_JSON_BODY', 'FST_ERR_TETHER_BUSY', 'FST_ERR_TETHER_SEQUENCE', 'FST_ERR_VALIDATION'
  ], 'every outcome was among them')
})

t.test('so they do in a session that is being closed, and while the server drains', async (t) => {
  for (const [what, end, expected] of [
    ['close', (_server: LiveServer, sessions: LiveSession[]) => { for (const session of sessions) session.close() }, { status: 410, code: 'FST_ERR_TETHER_SESSION_CLOSED' }],
    ['drain', (server: LiveServer) => { server.app.tether.drain({ timeoutMs: 60_000 }) }, { status: 503, code: 'FST_ERR_TETHER_DRAINING', retryAfter: 1 }]
  ] as const) {
    const { server, connect, release } = await start(t)
    const { session, reader, socketSession } = await connect()
    const wait = { event: 'say', data: { text: 'wait' } }
    t.same(await byWebSocket(reader, wait), await byPost(server, session, wait))
    end(server, [session, socketSession])
    for (const body of [ping, count(1, 1), leave, [count('x')]]) {
      const posted = await byPost(server, session, body)
      t.match(posted, expected, what)
      t.same(await byWebSocket(reader, body), posted, what)
    }
    release()
  }
})
