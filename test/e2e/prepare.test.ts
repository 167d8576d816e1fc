import t from 'tap'
import { counting, exactly } from './harness/claim.ts'
import { startLive, type LiveConfig } from './harness/live.ts'
import { openReader, startReader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { post, readWhole, request } from './harness/request.ts'
import { protocols, type ServerOptions } from './harness/server.ts'
import { rows, sendRows } from './harness/rows.ts'
import { turns, until, within } from './harness/until.ts'

const ping = { event: 'ping', data: {} }

/** A server whose page `/page` has a session prepared in it, or null. */
async function start (t: Parameters<typeof startLive>[0], live: LiveConfig = {}, options: Omit<ServerOptions, 'setup'> = {}) {
  const told: string[] = []
  const server = await startLive(t, {
    ...options,
    live: { onConnect: (_session, { verdict }) => { told.push(verdict) }, ...live },
    setup: (app) => { app.get('/page', async (request) => ({ session: await server.live.prepare(request) })) }
  })
  const page = async (headers: Record<string, string> = {}) => {
    const answer = await request(server, '/page', { headers })
    t.equal(answer.status, 200, 'the page still renders')
    return answer.json.session as string | null
  }
  const open = async (path: string, headers: Record<string, string> = {}) => {
    const reader = await openReader(server, path, { headers })
    await until(() => reader.controls.length, `the hello frame; it answered ${reader.status}`)
    return { reader, hello: reader.controls[0]! }
  }
  return { ...server, page, open, told: () => told.splice(0) }
}

for (const protocol of protocols) {
  t.test(`${protocol}: a page is rendered with its session already made`, async (t) => {
    const states: unknown[] = []
    const server = await start(t, { initialState: (request) => ({ url: request.url }), on: { ping: (session) => { states.push(session.state) } } }, { protocol })
    for (const claim of [
      (code: string) => server.open(`/live?tether-session=${code}`),
      (code: string) => server.open(`/live?tether-session=${code}`, { 'x-tether-session': 'new' }),
      (code: string) => server.open('/live', counting(code)),
      (code: string) => server.open('/live', counting(code, 0)),
      (code: string) => server.open('/live', exactly(code, 0))
    ]) {
      const code = (await server.page())!
      t.match(code, /^[\w-]{24}$/)
      t.match(server.app.tether.stats(), { pending: 1 })
      const session = server.live.get(code)!
      const { id } = session
      t.not(id, code, 'the claim is not the id')
      t.equal(session.connected, false)
      t.same(session.state, { url: '/page' }, 'initialState had the request for the page')
      session.send('row', '1')
      t.same(server.told(), [])
      refused(t, await post(server, code, ping), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'a POST that names the claim')
      const { reader, hello } = await claim(code)
      t.match(hello, { session: id, verdict: 'new', seq: 0 })
      await until(() => rows(reader).length === 1, 'what was sent meanwhile')
      t.equal(server.live.get(id), session)
      await until(() => session.stats.queuedCommands === 0, 'onConnect')
      t.same(server.told(), ['new'])
      t.match(server.app.tether.stats(), { pending: 0 })
      refused(t, await post(server, code, ping), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'the same afterwards')
      t.equal(server.live.get(code), undefined, 'a claim that was used names nothing')
      t.equal((await post(server, id, ping)).status, 202)
      await within(session.close(), 'close')
    }
    t.equal(states.length, 5)
  })
}

t.test('a claim is good once, in the query and in the header', async (t) => {
  const server = await start(t)
  for (const named of [(code: string) => ({ path: `/live?tether-session=${code}`, headers: {} }), (code: string) => ({ path: '/live', headers: counting(code) })]) {
    const code = (await server.page())!
    const { path, headers } = named(code)
    const first = await server.open(path, headers)
    const id = first.hello.session as string
    t.not(id, code)
    const second = await server.open(path, headers)
    t.equal(second.hello.verdict, 'expired', 'another tab of the same page gets a session of its own')
    t.not(second.hello.session, id)
    t.equal(first.reader.closed, false, 'and takes nothing from the first')
    first.reader.destroy()
    await until(() => !server.live.get(id)!.connected, 'the disconnect')
    t.equal((await server.open(path, headers)).hello.verdict, 'expired', 'also when it has no stream')
    const back = await server.open(`/live?tether-session=${code}`, exactly(id, 0))
    t.match(back.hello, { session: id, verdict: 'resumed' }, 'a browser that comes back names its last id as well')
    t.equal((await readWhole(server, `/live?tether-session=${code}`, { accept: 'text/event-stream', ...exactly(id, 'taken') })).status, 204)
    t.equal((await server.open(`/live?tether-session=${id}`)).hello.verdict, 'expired', 'an id in the query names nothing')
    t.equal(server.live.get(id)!.connected, true)
    await within(server.live.get(id)!.close(), 'close')
    t.equal((await server.open(path, headers)).hello.verdict, 'expired', 'nor does the end of its session bring the claim back')
  }
})

t.test('a claim of a session that was closed before its page came', async (t) => {
  const server = await start(t)
  const accept = { accept: 'text/event-stream' }
  for (const reconnect of [false, true]) {
    const code = (await server.page())!
    const session = server.live.get(code)!
    await within(session.close('over', { reconnect }), 'close')
    for (const [path, headers] of [[`/live?tether-session=${code}`, {}], ['/live', counting(code)], ['/live', exactly(code, 0)]] as const) {
      if (reconnect) t.equal((await server.open(path, headers)).hello.verdict, 'expired')
      else t.equal((await readWhole(server, path, { ...accept, ...headers })).status, 204, 'ends a browser\'s retries')
    }
    refused(t, await post(server, code, ping), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'to a POST it is no session')
  }
})

t.test('two tabs at once', async (t) => {
  const server = await start(t)
  const code = (await server.page())!
  const { id } = server.live.get(code)!
  const opened = await Promise.all([1, 2, 3, 4].map(() => server.open(`/live?tether-session=${code}`)))
  t.equal(opened.filter(({ hello }) => hello.session === id && hello.verdict === 'new').length, 1, 'one gets it')
  t.equal(opened.filter(({ hello }) => hello.session !== id && hello.verdict === 'expired').length, 3)
})

t.test('a client that leaves before its stream opens leaves it for another', async (t) => {
  let release!: () => void
  let waiting = 0
  let aborted = false
  const gate = new Promise<void>((resolve) => { release = resolve })
  const server = await startLive(t, {
    setup: (app) => {
      app.get('/page', async (request) => ({ session: await server.live.prepare(request) }))
      app.addHook('onRequestAbort', async (_request) => { aborted = true })
      app.addHook('onSend', async (request) => {
        if (!request.url.startsWith('/live')) return
        waiting++
        await gate
      })
    }
  })
  const code = (await request(server, '/page')).json.session as string
  const { id } = server.live.get(code)!
  const leaving = startReader(server, `/live?tether-session=${code}`)
  await until(() => waiting === 1, 'the hook')
  leaving.destroy()
  await until(() => aborted, 'the server to notice')
  release()
  await turns()
  t.match(server.app.tether.stats(), { sessions: 1, pending: 1 })
  const reader = await openReader(server, `/live?tether-session=${code}`)
  await until(() => reader.controls.length, 'hello')
  t.match(reader.controls[0], { session: id, verdict: 'new' })
  t.match(server.app.tether.stats(), { sessions: 1, pending: 0, streams: 1 })
})

t.test('of two who ask for it before it has a stream, the later gets it, as new', async (t) => {
  for (const [first, second] of [['header', 'header'], ['query', 'header'], ['header', 'query'], ['query', 'query']]) {
    let release!: () => void
    const gate = new Promise<void>((resolve) => { release = resolve })
    let isHeld = true
    let waiting = 0
    const told: string[] = []
    const server = await startLive(t, {
      live: {
        onConnect: (session, { verdict }) => {
          told.push(verdict)
          if (verdict === 'new') sendRows(session, 1, 1)
        }
      },
      setup: (app) => {
        app.get('/page', async (request) => ({ session: await server.live.prepare(request) }))
        app.addHook('onSend', async (request) => {
          if (!request.url.startsWith('/live') || !isHeld) return
          isHeld = false
          waiting++
          await gate
        })
      }
    })
    const code = (await request(server, '/page')).json.session as string
    const { id } = server.live.get(code)!
    const ask = (way: string | undefined) => way === 'query' ? startReader(server, `/live?tether-session=${code}`) : startReader(server, '/live', { headers: counting(code) })
    const held = ask(first)
    await until(() => waiting === 1, 'the hook')
    const reader = ask(second)
    await until(() => rows(reader).length === 1, `the snapshot: ${first}, then ${second}`)
    t.match(reader.controls[0], { type: 'hello', session: id, verdict: 'new', seq: 0 })
    release()
    await until(() => held.closed, 'the end of the one before')
    t.match(held.controls, [{ type: 'goodbye', reason: 'replaced' }])
    t.same(told, ['new'], 'once for the one stream')
    t.match(server.app.tether.stats(), { sessions: 1, pending: 0, streams: 1 })
  }
})

t.test('a full pool gives null', async (t) => {
  const server = await start(t, {}, { tether: { maxPending: 2 } })
  const ids = [await server.page(), await server.page()]
  t.ok(ids.every((id) => id !== null))
  t.equal(await server.page(), null)
  t.match(server.app.tether.stats(), { sessions: 2, pending: 2 })
  await server.open(`/live?tether-session=${ids[0]}`)
  const next = await server.page()
  t.type(next, 'string', 'one that was claimed leaves its place')
  await within(server.live.get(next!)!.close(), 'close')
  t.type(await server.page(), 'string', 'as does one that was closed')
  t.equal(await server.page(), null)

  const none = await start(t, {}, { tether: { maxPending: 0 } })
  t.equal(await none.page(), null, '0: always')
})

t.test('a server without room gives null', async (t) => {
  const server = await start(t, {}, { tether: { maxSessions: 1 } })
  const { hello } = await server.open('/live')
  t.equal(await server.page(), null)
  t.match(server.app.tether.stats(), { sessions: 1, pending: 0 })
  await within(server.live.get(hello.session)!.close(), 'close')
  const code = await server.page()
  t.type(code, 'string')
  t.equal((await server.open(`/live?tether-session=${code}`)).hello.verdict, 'new', 'the place is its own already')
})

t.test('a server that drains gives null', async (t) => {
  const server = await start(t)
  const id = (await server.page())!
  await within(server.app.tether.drain(), 'drain')
  t.equal(server.live.get(id), undefined)
  t.equal(await server.page(), null)
  t.match(server.app.tether.stats(), { sessions: 0, pending: 0 })
})

t.test('one that is still being prepared when the drain begins is not given out, and holds up nothing', async (t) => {
  let began = false
  let release = () => {}
  const gate = new Promise<void>((resolve) => { release = resolve })
  const server = await start(t, { initialState: async () => { began = true; await gate } })
  const page = server.page()
  await until(() => began, 'initialState')
  const draining = server.app.tether.drain({ timeoutMs: 60_000 })
  release()
  t.equal(await page, null)
  await within(draining, 'drain, long before its time is up')
  t.match(server.app.tether.stats(), { sessions: 0, pending: 0 })
})

t.test('what was dropped before the page came is told as a gap', async (t) => {
  const server = await start(t, { queueFrames: 4 })
  for (const headers of [undefined, { 'x-tether-session': 'new' }]) {
    const code = (await server.page())!
    const { id } = server.live.get(code)!
    for (let number = 1; number <= 10; number++) server.live.broadcast('note', { text: String(number) })
    const reader = await openReader(server, `/live?tether-session=${code}`, headers === undefined ? {} : { headers })
    await until(() => reader.updates.length === 4, 'what is held')
    t.match(reader.controls, [{ type: 'hello', session: id, verdict: 'new', seq: 0 }, { type: 'gap', seq: 6 }])
    t.same(reader.updates.map((block) => JSON.parse(block.data!).text), ['7', '8', '9', '10'])
    t.same(server.told(), ['new'])
    reader.destroy()
    await until(() => !server.live.get(id)!.connected, 'the end of the stream')
    const again = await openReader(server, '/live', { headers: headers === undefined ? exactly(id, 6) : counting(id, 6) })
    await until(() => again.updates.length === 4, 'the replay')
    t.match(again.controls, [{ type: 'hello', verdict: 'resumed', seq: 6 }])
    t.equal(again.controls.length, 1, 'told once')
    t.same(server.told(), ['resumed'])
  }
})

t.test('what a session accepted before its page came runs, though the page never comes', async (t) => {
  const ran: string[] = []
  let release!: () => void
  const gate = new Promise<void>((resolve) => { release = resolve })
  const server = await start(t, {
    on: {
      say: async (_session, { text }) => {
        await gate
        ran.push(text)
      }
    },
    onClose: () => { ran.push('close') }
  }, { tether: { pendingMs: 1_000, maxPending: 1 } })
  const { id } = server.live.get((await server.page())!)!
  const answer = await post(server, id, ['one', 'two', 'three'].map((text) => ({ event: 'say', data: { text } })))
  t.equal(answer.status, 202)
  await until(() => server.app.tether.stats().pending === 0, 'the end of its time')
  t.ok(await server.page(), 'it takes no place of the pool any more')
  refused(t, await post(server, id, ping), 410, 'FST_ERR_TETHER_SESSION_CLOSED', 'no more is taken')
  release()
  await until(() => ran.length === 3, 'what was accepted')
  t.same(ran, ['one', 'two', 'three'], 'and no onClose of a session that never had a stream')
  await until(() => server.app.tether.stats().sessions === 0, 'the end of both')
  refused(t, await post(server, id, ping), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'it has expired')
})

t.test('pendingMs', async (t) => {
  const closes: unknown[] = []
  const server = await start(t, { onClose: (_session, reason) => { closes.push(reason) } }, { tether: { pendingMs: 1_000, maxPending: 1 } })
  const preparedAt = performance.now()
  const id = (await server.page())!
  const { signal } = server.live.get(id)!
  t.equal(await server.page(), null)
  await until(() => server.app.tether.stats().pending === 0, 'its time to be over')
  t.ok(performance.now() - preparedAt >= 1_000)
  t.equal(server.live.get(id), undefined)
  t.ok(signal.aborted)
  t.match(server.app.tether.stats(), { sessions: 0, detached: 0 })
  t.same(closes, [], 'it never connected, so nothing is told of it')
  const late = await server.open(`/live?tether-session=${id}`)
  t.equal(late.hello.verdict, 'expired')
  refused(t, await post(server, id, ping), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'a POST')

  const next = (await server.page())!
  const { hello } = await server.open(`/live?tether-session=${next}`)
  const claimedAt = performance.now()
  await until(() => performance.now() - claimedAt > 1_200, 'the time to pass')
  t.equal(server.live.get(hello.session)!.connected, true, 'one that was claimed in time lives on')
})

t.test('prepare rejects only with what initialState or bind throws, and leaves nothing behind', async (t) => {
  let failing = true
  const fail = () => { if (failing) throw Object.assign(new Error('no'), { statusCode: 418, code: 'APP' }) }
  for (const live of [{ initialState: fail }, { initialState: async () => fail() }, { bind: () => fail() as undefined }] as LiveConfig[]) {
    failing = true
    const server = await startLive(t, {
      live,
      tether: { maxSessions: 1, maxPending: 1 },
      setup: (app) => { app.get('/page', async (request) => ({ session: await server.live.prepare(request) })) }
    })
    for (let count = 0; count < 3; count++) {
      const answer = await request(server, '/page')
      t.equal(answer.status, 418, 'the page gets that error')
      t.equal(answer.json.code, 'APP')
    }
    t.match(server.app.tether.stats(), { sessions: 0, pending: 0 })
    failing = false
    t.type((await request(server, '/page')).json.session, 'string')
  }
})

t.test('it is bound to whom the page was rendered for', async (t) => {
  const server = await start(t, { bind: (request) => request.headers['x-user'] as string | undefined })
  const code = (await server.page({ 'x-user': 'ann' }))!
  const { id } = server.live.get(code)!
  for (const headers of [{ 'x-user': 'eve' }, {}] as Array<Record<string, string>>) {
    const stolen = await server.open(`/live?tether-session=${code}`, headers)
    t.equal(stolen.hello.verdict, 'expired')
    t.not(stolen.hello.session, id)
  }
  const { hello } = await server.open(`/live?tether-session=${code}`, { 'x-user': 'ann' })
  t.match(hello, { session: id, verdict: 'new' }, 'and is still to be had by them')
})

t.test('a POST may come before the stream', async (t) => {
  const order: string[] = []
  const server = await start(t, { on: { ping: () => { order.push('ping') } }, onConnect: () => { order.push('onConnect') }, onClose: () => { order.push('onClose') } })
  const code = (await server.page())!
  // The page may have the id in a form, which no log keeps.
  const { id } = server.live.get(code)!
  t.equal((await post(server, id, ping)).status, 202)
  await until(() => order.length === 1, 'the event')
  const { reader } = await server.open(`/live?tether-session=${code}`)
  await until(() => order.length === 2, 'onConnect')
  sendRows(server.live.get(id)!, 1, 1)
  await until(() => rows(reader).length === 1, 'a row')
  await turns()
  t.same(order, ['ping', 'onConnect'])
})
