import t from 'tap'
import { counting, exactly } from './harness/claim.ts'
import { startLive } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { post, readWhole, request } from './harness/request.ts'
import { sendRows } from './harness/rows.ts'
import { turns, until, within } from './harness/until.ts'

const accept = { accept: 'text/event-stream' }
const ping = { event: 'ping', data: {} }

t.test('ids are 144 random bits in base64url, each another', async (t) => {
  const server = await startLive(t, {
    tether: { maxPending: 4_000 },
    setup: (app) => { app.get('/prepare', async (request) => Promise.all(Array.from({ length: 4_000 }, () => server.live.prepare(request)))) }
  })
  const ids = (await request(server, '/prepare')).json as unknown as string[]
  t.equal(ids.length, 4_000)
  t.ok(ids.every((id) => /^[A-Za-z0-9_-]{24}$/.test(id)))
  t.equal(new Set(ids).size, 4_000)
  for (let place = 0; place < 24; place++) {
    const seen = new Map<string, number>()
    for (const id of ids) seen.set(id[place]!, (seen.get(id[place]!) ?? 0) + 1)
    // 4,000 draws out of 64: 62.5 expected of each; 20 and 120 are more than five standard deviations away.
    t.equal(seen.size, 64, `every character comes at place ${place}`)
    t.ok([...seen.values()].every((count) => count > 20 && count < 120), 'about as often as any other')
  }
})

t.test('a client cannot choose one', async (t) => {
  const server = await startLive(t)
  const chosen = 'AAAAAAAAAAAAAAAAAAAAAAAA'
  for (const [path, headers] of [
    ['/live', counting(chosen)], ['/live', counting(chosen, 0)], ['/live', exactly(chosen, 0)], ['/live', { cookie: `tether-session=${chosen}` }],
    [`/live?tether-session=${chosen}`, {}], [`/live?last-event-id=${chosen}.0`, {}], [`/live?session=${chosen}&id=${chosen}`, {}]
  ] as Array<[string, Record<string, string>]>) {
    const reader = await openReader(server, path, { headers })
    await until(() => reader.controls.length, 'hello')
    t.not(reader.session, chosen, `GET ${path} ${JSON.stringify(headers)}`)
    t.equal(server.live.get(chosen), undefined)
  }
  t.equal((await post(server, chosen, ping)).status, 404)
  for (const id of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'new', 'null', 'undefined']) {
    t.equal((await post(server, id, ping)).status, 404, `a session called ${id}`)
    t.equal(server.live.get(id), undefined)
  }
})

t.test('no id is whole in any line of the log, or in any figure', async (t) => {
  const unhandled = () => { throw new Error('handler') }
  const server = await startLive(t, {
    tether: { maxSessions: 7, maxDetached: 2, pendingMs: 100 },
    setup: (app) => { app.get('/page', async (request) => ({ session: await server.live.prepare(request) })) },
    live: {
      commandBuffer: 2,
      maxBatch: 2,
      handlerTimeoutMs: 40,
      bind: (request) => request.headers['x-user'] as string | undefined,
      on: { say: unhandled, count: () => new Promise<void>(() => {}) },
      onConnect: unhandled,
      onDisconnect: unhandled,
      onClose: unhandled,
      onJoin: unhandled,
      onLeave: unhandled,
      onError: unhandled
    }
  })
  const ids = new Set<string>()
  const { reader, session } = await server.connect()
  const { id } = session
  ids.add(id)
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  server.live.group('all').add(session)
  sendRows(session, 1, 3)
  await post(server, id, ping)
  await post(server, id, [ping, { event: 'say', data: { text: 'x' } }])
  await post(server, id, { event: 'count', data: { to: 1 } })
  await post(server, id, [ping, ping])
  await post(server, id, ping)
  for (const body of [{ event: 'nope', data: {} }, { event: 'say', data: { text: 5 } }, { ...ping, seq: 9 }, [ping, ping, ping], 'x', '{']) await post(server, id, body)
  await post(server, id, {}, '/live/nope')
  await request(server, '/live', { headers: { 'x-tether-session': id, 'x-user': 'eve' }, body: ping })
  await request(server, '/live', { headers: { 'x-tether-session': id, origin: 'https://evil.example' }, body: ping })
  await request(server, '/live/ping', { method: 'POST', headers: form, body: `tether-session=${id}` })
  await request(server, '/live/say', { method: 'POST', headers: form, body: `tether-session=${id}&x=1` })
  await readWhole(server, '/live', { ...accept, ...exactly(id, 'taken') })
  await readWhole(server, '/live', { ...accept, ...counting(id, 0) }, 'HEAD')
  await readWhole(server, '/live', { accept: 'text/html', ...counting(id, 0) })
  const again = await server.connect({ headers: exactly(id, 1) })
  await until(() => reader.ended, 'the end of the first stream')
  const stolen = await server.connect({ headers: { 'x-user': 'eve', ...counting(id, 1) } })
  ids.add(stolen.session.id)
  const prepared = (await request(server, '/page')).json.session as string
  ids.add(prepared)
  const claimed = await server.connect({ headers: counting(prepared) })
  t.not(claimed.session.id, prepared)
  ids.add(claimed.session.id)
  // Fastify itself logs URLs, and so do proxies: what stands in one is no id.
  const inUrl = (await request(server, '/page')).json.session as string
  const named = await openReader(server, `/live?tether-session=${inUrl}`)
  await until(() => named.controls.length, 'hello')
  t.not(named.session, inUrl)
  ids.add(named.session)
  ids.add((await request(server, '/page')).json.session as string)
  for (let count = 0; count < 4; count++) {
    const more = await openReader(server, '/live', { headers: counting('new') })
    await until(() => more.status !== 200 || more.controls.length > 0, 'the answer')
    if (more.status === 200) ids.add(more.session)
    more.destroy()
  }
  again.reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  await post(server, id, {}, '/live/tether.close')
  await until(() => server.errors().some(({ err }) => err?.code === 'FST_ERR_TETHER_HANDLER_TIMEOUT'), 'the time-out')
  await within(session.close(), 'close')
  await post(server, id, ping)
  await readWhole(server, '/live', { ...accept, ...exactly(id, 1) })
  stolen.reader.destroy()
  await until(() => server.app.tether.stats().pending === 0, 'the prepared one to be forgotten')
  await within(server.app.tether.drain({ timeoutMs: 1_000 }), 'drain')
  await turns()

  t.ok(ids.size >= 5)
  const lines = server.log.map((record) => JSON.stringify(record))
  t.ok(lines.length > 60, `${lines.length} lines, from level trace on`)
  t.ok(lines.some((line) => line.includes(`${id.slice(0, 6)}…`)), 'it is named, shortened')
  for (const known of ids) {
    t.same(lines.filter((line) => line.includes(known)), [], 'in no line')
    t.same(lines.filter((line) => line.includes(known.slice(0, 12))), [], 'nor half of it')
  }
  const figures = JSON.stringify([session.stats, server.live.stats, server.app.tether.stats()])
  for (const known of ids) t.notOk(figures.includes(known.slice(0, 6)))
})
