import t from 'tap'
import { counting, exactly } from './harness/claim.ts'
import { startLive, type LiveServer } from './harness/live.ts'
import { openReader, startReader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { post, readWhole } from './harness/request.ts'
import { sendRows } from './harness/rows.ts'
import { turns, until, within } from './harness/until.ts'

const accept = { accept: 'text/event-stream' }
const ping = { event: 'ping', data: {} }

t.test('maxSessions', async (t) => {
  t.test('a reader that counts gets 503 and Retry-After', async (t) => {
    const server = await startLive(t, { tether: { maxSessions: 2 } })
    await server.connect()
    await server.connect()
    for (const headers of [counting('new'), counting('a'.repeat(24), 5)]) {
      const answer = await readWhole(server, '/live', { ...accept, ...headers })
      refused(t, answer, 503, 'FST_ERR_TETHER_SESSION_LIMIT', 'no room')
      t.match(answer.headers['retry-after'], /^[1-9][0-9]*$/)
    }
    t.match(server.app.tether.stats(), { sessions: 2, streams: 2 })
  })

  t.test('any other gets a stream that ends at once and says when to come back', async (t) => {
    const server = await startLive(t, { tether: { maxSessions: 1 } })
    await server.connect()
    const retries = new Set<string>()
    for (let count = 0; count < 8; count++) {
      const reader = await openReader(server, '/live')
      await until(() => reader.ended, 'the end of the stream')
      t.equal(reader.status, 200)
      t.match(reader.headers, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache, no-transform, no-store', 'x-accel-buffering': 'no' })
      t.same(reader.controls, [{ type: 'goodbye', reason: 'session-limit', reconnect: true }])
      const [block] = reader.blocks
      t.equal(block!.id, undefined, 'no id, which a browser would name next time')
      t.ok(Number(block!.retry) >= 1_000, `retry: ${block!.retry}`)
      retries.add(block!.retry!)
    }
    t.ok(retries.size > 1, 'not all of them come back at the same time')
    t.match(server.app.tether.stats(), { sessions: 1, streams: 1 })
  })

  t.test('a session that is there may always be resumed, and one that ends leaves its place', async (t) => {
    const server = await startLive(t, { tether: { maxSessions: 1, maxDetached: 1 } })
    const { reader, session } = await server.connect()
    reader.destroy()
    await until(() => !session.connected, 'the disconnect')
    t.equal((await readWhole(server, '/live', { ...accept, ...counting('new') })).status, 503, 'it takes its place without a stream, too')
    const again = await server.connect({ headers: exactly(session.id, 0) })
    t.equal(again.session, session)
    await session.close()
    const next = await server.connect()
    t.equal(next.reader.controls[0]!.verdict, 'new')
  })

  t.test('all URLs share it', async (t) => {
    const server = await startLive(t, {
      tether: { maxSessions: 1 },
      setup: (app) => { app.tether.stateful('/other', { contract: { events: {}, updates: {} }, on: {} }) }
    })
    await server.connect()
    t.equal((await readWhole(server, '/other', { ...accept, ...counting('new') })).status, 503)
  })

  t.test('a place is taken before initialState runs', async (t) => {
    let running = 0
    let release!: () => void
    const gate = new Promise<void>((resolve) => { release = resolve })
    const server = await startLive(t, {
      tether: { maxSessions: 3 },
      live: {
        initialState: async () => {
          running++
          await gate
        }
      }
    })
    const answers: Array<Promise<number>> = []
    for (let count = 0; count < 8; count++) {
      answers.push(openReader(server, '/live', { headers: counting('new') }).then((reader) => reader.status))
    }
    let refusals = 0
    for (const answer of answers) answer.then((status) => { if (status === 503) refusals++ }, () => {})
    await until(() => refusals === 5, 'five to be refused')
    t.equal(running, 3)
    release()
    t.same((await Promise.all(answers)).sort(), [200, 200, 200, 503, 503, 503, 503, 503])
    t.equal(server.app.tether.stats().sessions, 3)
  })

  t.test('a client that leaves during initialState gives its place back', async (t) => {
    let release!: () => void
    const gate = new Promise<void>((resolve) => { release = resolve })
    let running = 0
    let aborted = false
    const server = await startLive(t, {
      tether: { maxSessions: 1 },
      setup: (app) => { app.addHook('onRequestAbort', async (_request) => { aborted = true }) },
      live: {
        initialState: async () => {
          running++
          await gate
        }
      }
    })
    const leaving = startReader(server)
    await until(() => running === 1, 'initialState')
    t.equal((await readWhole(server, '/live', { ...accept, ...counting('new') })).status, 503)
    leaving.destroy()
    await until(() => aborted, 'the server to notice')
    release()
    await turns()
    t.match(server.app.tether.stats(), { sessions: 0, streams: 0 })
    const { session } = await server.connect()
    t.equal(session.connected, true)
  })
})

/** Loses a session's stream, and waits until the server knows. */
async function detach ({ reader, session }: Awaited<ReturnType<LiveServer['connect']>>): Promise<void> {
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
}

t.test('maxDetached', async (t) => {
  t.test('beyond it the oldest goes that never posted or resumed, then the oldest', async (t) => {
    const closes: unknown[] = []
    const server = await startLive(t, { tether: { maxDetached: 3 }, live: { onClose: (session, reason) => { closes.push([session.state, reason]) }, initialState: (request) => request.headers['x-name'] } })
    const connect = (name: string) => server.connect({ headers: { 'x-name': name } })
    const posted = await connect('posted')
    const resumed = await connect('resumed')
    const first = await connect('first')
    const second = await connect('second')
    const third = await connect('third')
    await post(server, posted.session.id, ping)
    await detach(posted)
    await detach(resumed)
    const back = await server.connect({ headers: exactly(resumed.session.id, 0) })
    t.equal(back.session, resumed.session)
    await detach(back)
    await detach(first)
    t.equal(server.app.tether.stats().detached, 3)
    t.same(closes, [])
    await detach(second)
    await until(() => closes.length === 1, 'the first to go')
    await detach(third)
    await until(() => closes.length === 2, 'the second to go')
    t.same(closes, [['first', 'evicted'], ['second', 'evicted']], 'the oldest of those that did nothing yet')
    const fourth = await connect('fourth')
    await post(server, fourth.session.id, ping)
    await detach(fourth)
    await until(() => closes.length === 3, 'the third to go')
    const fifth = await connect('fifth')
    await post(server, fifth.session.id, ping)
    await detach(fifth)
    await until(() => closes.length === 4, 'the fourth to go')
    t.same(closes.slice(2), [['third', 'evicted'], ['posted', 'evicted']], 'then the oldest of those that did')
    await until(() => server.app.tether.stats().sessions === 3, 'the sessions to be gone')
    const late = await server.connect({ headers: exactly(first.session.id, 0) })
    t.equal(late.reader.controls[0]!.verdict, 'expired', 'who comes back to an evicted one gets a new one')
  })

  t.test('one that posts while it is detached has posted', async (t) => {
    const closes: unknown[] = []
    const server = await startLive(t, { tether: { maxDetached: 2 }, live: { onClose: (session, reason) => { closes.push([session.state, reason]) }, initialState: (request) => request.headers['x-name'] } })
    const connect = (name: string) => server.connect({ headers: { 'x-name': name } })
    const first = await connect('first')
    await detach(first)
    await detach(await connect('second'))
    t.equal((await post(server, first.session.id, ping)).status, 202)
    await detach(await connect('third'))
    await until(() => closes.length === 1, 'one to go')
    t.same(closes, [['second', 'evicted']])
  })

  t.test('connected sessions are never evicted, and a stream that takes over evicts nobody', async (t) => {
    const closes: unknown[] = []
    const server = await startLive(t, { tether: { maxDetached: 1 }, live: { onClose: (session, reason) => { closes.push(reason) } } })
    const kept = await server.connect()
    await post(server, kept.session.id, ping)
    await detach(kept)
    const open = await server.connect()
    for (let count = 0; count < 3; count++) {
      const next = await server.connect({ headers: exactly(open.session.id, 0) })
      t.equal(next.session, open.session)
    }
    t.same(closes, [])
    t.match(server.app.tether.stats(), { sessions: 2, detached: 1 })
  })

  t.test('0: a session ends with its stream', async (t) => {
    const closes: unknown[] = []
    const server = await startLive(t, { tether: { maxDetached: 0 }, live: { onClose: (session, reason) => { closes.push(reason) } } })
    const { reader, session } = await server.connect()
    const next = await server.connect({ headers: exactly(session.id, 0) })
    await until(() => reader.ended, 'the end of the first stream')
    t.same(closes, [])
    await detach(next)
    await until(() => closes.length === 1, 'onClose')
    t.same(closes, ['evicted'])
  })
})

t.test('tombstones are kept for the last 1,024', async (t) => {
  const server = await startLive(t, {
    tether: { maxPending: 2_000 },
    setup: (app) => { app.get('/prepare', async (request) => Promise.all(Array.from({ length: 1_025 }, () => server.live.prepare(request)))) }
  })
  const claims = (await readWhole(server, '/prepare')).json as unknown as string[]
  const ids = claims.map((claim) => server.live.get(claim)!.id)
  t.equal(new Set(ids).size, 1_025)
  for (const id of ids) await within(server.live.get(id)!.close(), 'close')
  const status = async (id: string) => (await post(server, id, ping)).status
  t.equal(await status(ids[0]!), 404, 'the oldest is forgotten')
  t.equal(await status(ids[1]!), 410)
  t.equal(await status(ids[1_024]!), 410)
  t.equal((await readWhole(server, '/live', { ...accept, ...exactly(ids[1]!, 0) })).status, 204)
  t.equal((await readWhole(server, `/live?tether-session=${claims[1]}`, accept)).status, 204, 'so are the claims of those that had no stream yet')
  const unknown = await openReader(server, `/live?tether-session=${claims[0]}`)
  await until(() => unknown.controls.length, 'hello')
  t.equal(unknown.controls[0]!.verdict, 'expired')
  const forgotten = await server.connect({ headers: exactly(ids[0]!, 0) })
  t.equal(forgotten.reader.controls[0]!.verdict, 'expired')
})

t.test('tombstones are kept for reconnectMs', async (t) => {
  const server = await startLive(t, { live: { reconnectMs: 150 } })
  const { session } = await server.connect()
  await session.close()
  const closedAt = performance.now()
  const answer = await post(server, session.id, ping)
  if (performance.now() - closedAt < 140) refused(t, answer, 410, 'FST_ERR_TETHER_SESSION_CLOSED', 'a POST within it')
  await until(() => performance.now() - closedAt > 160, 'the time to pass')
  refused(t, await post(server, session.id, ping), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'a POST afterwards')
  const late = await server.connect({ headers: exactly(session.id, 0) })
  t.equal(late.reader.controls[0]!.verdict, 'expired')
})

t.test('maxBufferedBytes holds over all sessions, and counts what they share once', async (t) => {
  const limit = 200_000
  const server = await startLive(t, { tether: { maxBufferedBytes: limit }, live: { replayFrames: 1_000, replayBytes: 1_000_000 } })
  const connections = [await server.connect(), await server.connect(), await server.connect()]
  const text = 'x'.repeat(1_000)
  for (let count = 0; count < 10; count++) server.live.broadcast('row', text)
  const [first] = connections
  await until(() => connections.every(({ reader }) => reader.updates.length === 10), 'ten updates each')
  const shared = server.app.tether.stats().bufferedBytes
  t.equal(shared, first!.session.stats.heldBytes, 'three logs of the same frames cost as much as one')
  t.ok(shared > 10_000 && shared < 11_000)

  for (const connection of connections) await detach(connection)
  let most = 0
  for (let count = 0; count < 400; count++) {
    for (const { session } of connections) session.send('row', text)
    most = Math.max(most, server.app.tether.stats().bufferedBytes)
  }
  t.ok(most <= limit + 2_000, `at most ${most} bytes were held`)
  t.ok(most > limit / 2, 'the limit is what bounded it')
  const resumed = await server.connect({ headers: exactly(first!.session.id, 10) })
  t.equal(resumed.reader.controls[0]!.verdict, 'gap', 'who lost something for it is told')
  await until(() => resumed.reader.updates.length === first!.session.stats.heldFrames, 'what is held')
  t.equal(resumed.reader.updates.at(-1)!.id, `${first!.session.id}.410`, 'the newest is never what is dropped')
})

t.test('maxBufferedBytes holds again after one update that was larger than all of it', async (t) => {
  const limit = 100_000
  const server = await startLive(t, { tether: { maxBufferedBytes: limit } })
  const connection = await server.connect()
  const { session: large } = connection
  await detach(connection)
  large.send('row', 'x'.repeat(10 * limit))
  t.ok(server.app.tether.stats().bufferedBytes > 10 * limit)
  await large.close()
  t.equal(server.app.tether.stats().bufferedBytes, 0)
  const connections = [await server.connect(), await server.connect()]
  for (const connection of connections) await detach(connection)
  for (let count = 0; count < 400; count++) {
    for (const { session } of connections) session.send('row', 'x'.repeat(1_000))
    if (server.app.tether.stats().bufferedBytes > limit + 2_000) return t.fail(`${server.app.tether.stats().bufferedBytes} bytes are held`)
  }
  t.ok(server.app.tether.stats().bufferedBytes > limit / 2)
})

t.test('figures of a full house come back to nothing', async (t) => {
  const server = await startLive(t, { tether: { maxSessions: 20, maxDetached: 5 } })
  const connections = await Promise.all(Array.from({ length: 20 }, () => server.connect()))
  for (const { session } of connections) {
    server.live.group('all').add(session)
    sendRows(session, 1, 5)
  }
  for (const { reader } of connections) reader.destroy()
  await until(() => server.app.tether.stats().sessions === 5, 'all but five to be evicted')
  t.match(server.app.tether.stats(), { detached: 5, streams: 0 })
  t.equal(server.live.group('all').size, 5)
  await Promise.all([...server.live.sessions].map((session) => session.close()))
  t.match(server.app.tether.stats(), { sessions: 0, detached: 0, streams: 0, pending: 0, bufferedBytes: 0 })
  t.match(server.live.stats, { sessions: 0, connected: 0, groups: 0 })
})
