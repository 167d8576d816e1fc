import t, { type Test } from 'tap'
import { defaults } from '../../schemas/defaults.ts'
import { fill } from './harness/fill.ts'
import { startLive, type LiveServer } from './harness/live.ts'
import type { Json, Reader } from './harness/reader.ts'
import { post, request } from './harness/request.ts'
import { turns, until } from './harness/until.ts'
import { openSocket } from './harness/web-socket.ts'

const { waitingPings, pingsPerSecond, pingIdLength } = defaults.fixed
const ping = (id: unknown) => ({ event: 'tether.ping', data: { id } })
const pongs = ({ controls }: Reader) => controls.filter(({ type }) => type === 'pong').map(({ id }) => id as unknown)
const notes = ({ updates }: Reader) => updates.filter(({ event }) => event === 'note').map(({ data }) => (JSON.parse(data!) as Json).text as string)

/** Updates and pongs, in the order in which they came. */
function order (reader: Reader): string[] {
  return reader.blocks.flatMap(({ event, data = '' }) => {
    if (event === 'note') return [(JSON.parse(data) as Json).text as string]
    return event === 'tether' && data.includes('"pong"') ? [`pong ${(JSON.parse(data) as Json).id}`] : []
  })
}

for (const named of [undefined, 'new']) {
  t.test(`a ping is answered on the stream, and is no update: ${named === undefined ? 'exact ids' : 'counted'}`, async (t) => {
    const server = await startLive(t)
    const { reader, session } = await server.connect({ headers: { 'x-tether-session': named } })
    session.send('note', { text: 'one' })
    const answer = await post(server, session.id, ping('a "quoted" id'))
    t.match(answer, { status: 202, json: { seq: 0 } })
    await post(server, session.id, [ping(7), ping(0.25)])
    session.send('note', { text: 'two' })
    await until(() => notes(reader).length === 2, 'both updates')
    t.strictSame(order(reader), ['one', 'pong a "quoted" id', 'pong 7', 'pong 0.25', 'two'])
    t.equal(session.stats.framesWritten, 2)
    t.equal(session.stats.eventsAccepted, 0, 'no handler runs')
    for (const block of reader.blocks) if (block.data?.includes('"pong"')) t.equal(block.id, undefined)
    if (named === undefined) t.equal(reader.updates.at(-1)!.id, `${session.id}.2`)
  })
}

t.test('by the URL of one event, as JSON and as a form', async (t) => {
  const server = await startLive(t)
  const { reader, session } = await server.connect()
  t.equal((await post(server, session.id, { id: 'json' }, '/live/tether.ping')).status, 202)
  const form = await request(server, '/live/tether.ping', { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `id=form&tether-session=${session.id}` })
  t.equal(form.status, 204)
  await until(() => pongs(reader).length === 2, 'the answers')
  t.strictSame(pongs(reader), ['json', 'form'])
})

t.test('on a WebSocket, beside the answer to the message', async (t) => {
  const server = await startLive(t, { live: { mode: 'websocket' } })
  const reader = await openSocket(server, '/live', { session: 'new' })
  t.match(await reader.ask(ping('w')), { status: 202, seq: 0 })
  await until(() => pongs(reader).length === 1, 'the answer')
  t.strictSame(pongs(reader), ['w'])
})

t.test('it goes with numbered events, which keep their numbers', async (t) => {
  const ran: string[] = []
  const server = await startLive(t, { live: { on: { say: (_session, { text }) => { ran.push(text) } } } })
  const { reader, session } = await server.connect()
  const say = (text: string, seq: number) => ({ event: 'say', data: { text }, seq })
  t.match(await post(server, session.id, [say('a', 1), ping('x'), say('b', 2)]), { status: 202, json: { seq: 2 } })
  await until(() => pongs(reader).length === 1 && ran.length === 2, 'all three')
  t.strictSame(ran, ['a', 'b'])
  t.match(await post(server, session.id, [ping('skipped'), say('d', 4)]), { status: 409, json: { expected: 3 } })
  t.match(await post(server, session.id, [say('c', 3), { event: 'say', data: {} }, ping('faulty')]), { status: 400 })
  await post(server, session.id, ping('last'))
  await until(() => pongs(reader).includes('last'), 'the last answer')
  t.strictSame(pongs(reader), ['x', 'last'], 'all of a POST or nothing')
})

t.test('a ping that is none is refused', async (t) => {
  const server = await startLive(t)
  const { session } = await server.connect()
  for (const [body, path] of [
    [{ ...ping('a'), seq: 1 }, '/seq'],
    [ping(null), '/data/id'],
    [ping('x'.repeat(pingIdLength + 1)), '/data/id'],
    [{ event: 'tether.ping', data: {} }, '/data/id'],
    [{ event: 'tether.ping', data: { id: 1, more: true } }, '/data/more'],
    [{ event: 'tether.ping' }, '/data']
  ] as const) {
    const { status, json } = await post(server, session.id, body)
    t.equal(status, 400, path)
    t.ok((json.errors as Json[]).some((fault) => fault.path === path), `${path}: ${JSON.stringify(json.errors)}`)
  }
  t.equal((await post(server, session.id, ping('x'.repeat(pingIdLength)))).status, 202)
  t.equal((await post(server, 'AAAAAAAAAAAAAAAAAAAAAAAA', ping('a'))).status, 404)
})

t.test('the answer goes behind what waits for a slow reader', async (t) => {
  const server = await startLive(t, { live: { queueFrames: 10_000, queueBytes: 100_000_000 } })
  const { reader, session } = await server.connect({ frozen: true, headers: { 'x-tether-session': 'new' } })
  await fill(session)
  session.send('note', { text: 'before' })
  t.equal((await post(server, session.id, ping('slow'))).status, 202)
  session.send('note', { text: 'after' })
  reader.resume()
  await until(() => notes(reader).includes('after'), 'the last update')
  t.strictSame(order(reader), ['before', 'pong slow', 'after'])
})

t.test('a flood of pings is limited, whether its reader is slow or fast', async (t) => {
  const server = await startLive(t, { live: { queueFrames: 10_000, queueBytes: 100_000_000 } })
  const { reader, session } = await server.connect({ frozen: true })
  await fill(session)
  for (let count = 0; count < waitingPings; count++) t.equal((await post(server, session.id, ping(count))).status, 202)
  const refused = await post(server, session.id, [ping('over'), { event: 'say', data: { text: 'a' }, seq: 1 }])
  t.match(refused, { status: 429, headers: { 'retry-after': '1' }, json: { code: 'FST_ERR_TETHER_PING_LIMIT' } })
  t.match(await post(server, session.id, { event: 'say', data: { text: 'a' }, seq: 1 }), { status: 202 }, 'events have a limit of their own')
  reader.resume()
  await until(() => pongs(reader).length === waitingPings, 'all answers')
  t.equal((await post(server, session.id, ping('again'))).status, 202)

  const { session: other } = await server.connect()
  const startedAt = performance.now()
  let taken = 0
  for (let count = 0; count < 2 * pingsPerSecond; count += 8) {
    const { status } = await post(server, other.id, Array.from({ length: 8 }, (_, index) => ping(index)))
    if (status === 202) taken += 8
  }
  const seconds = (performance.now() - startedAt) / 1_000
  t.ok(taken >= Math.min(pingsPerSecond, 2 * pingsPerSecond), `${taken} were taken`)
  t.ok(taken <= pingsPerSecond * (1 + seconds), `${taken} were taken in ${seconds} s`)
})

t.test('the command channel may be full', async (t) => {
  let release = () => {}
  const server = await startLive(t, { live: { commandBuffer: 1, on: { say: () => new Promise<void>((resolve) => { release = resolve }) } } })
  const { reader, session } = await server.connect()
  const say = { event: 'say', data: { text: 'a' } }
  t.equal((await post(server, session.id, say)).status, 202)
  t.equal((await post(server, session.id, say)).status, 202)
  t.equal((await post(server, session.id, say)).status, 429)
  t.equal((await post(server, session.id, ping('through'))).status, 202)
  await until(() => pongs(reader).length === 1, 'the answer')
  release()
  await turns()
  release()
})

t.test('without a stream, nobody is answered', async (t) => {
  const server = await startLive(t)
  const { reader, session } = await server.connect({ headers: { 'x-tether-session': 'new' } })
  reader.destroy()
  await until(() => !session.connected, 'the end of the stream')
  t.equal((await post(server, session.id, ping('lost'))).status, 202)
  const { reader: next } = await server.connect({ headers: { 'x-tether-session': session.id, 'last-event-id': `${session.id}.0` } })
  await post(server, session.id, ping('here'))
  await until(() => pongs(next).length === 1, 'the answer')
  t.strictSame(pongs(next), ['here'])
})

/** Readers that come into step with each other. */
async function readersInStep (t: Test, server: LiveServer) {
  const tabs = []
  for (let count = 0; count < 3; count++) tabs.push(await server.connect({ headers: { 'x-tether-session': 'new' } }))
  for (const text of ['finds its cohort', 'comes into step']) {
    server.live.broadcast('note', { text })
    await until(() => tabs.every(({ reader }) => notes(reader).includes(text)), text)
  }
  const inStep = () => tabs.every(({ session }) => (session as unknown as { isInStep: boolean }).isInStep)
  await until(inStep, 'the step')
  return tabs
}

t.test('in step with others: the answer goes behind the broadcasts before it', async (t) => {
  const server = await startLive(t)
  const tabs = await readersInStep(t, server)
  const [{ reader, session }] = tabs as [typeof tabs[number], ...unknown[]]
  // In one turn, so that the broadcasts still wait.
  server.live.broadcast('note', { text: 'before' })
  const inner = session as unknown as { answerPing: (id: string) => void }
  inner.answerPing('here')
  server.live.broadcast('note', { text: 'after' })
  await until(() => tabs.every((tab) => notes(tab.reader).includes('after')), 'the last broadcast')
  t.strictSame(order(reader).slice(2), ['before', 'pong here', 'after'])
  for (const tab of tabs.slice(1)) t.strictSame(order(tab.reader).slice(2), ['before', 'after'])
  await post(server, session.id, ping('alone'))
  server.live.broadcast('note', { text: 'end' })
  await until(() => tabs.every((tab) => notes(tab.reader).includes('end')), 'the end')
  t.strictSame(order(reader).slice(2), ['before', 'pong here', 'after', 'pong alone', 'end'])
})
