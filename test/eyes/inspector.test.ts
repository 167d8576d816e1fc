// The inspector over real sockets, without a browser: test/browser/inspector.test.ts has the page.
import helmet from '@fastify/helmet'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { observedOf } from '../../plugin/app/observed.ts'
import inspector, { type InspectorOptions } from '../../plugin/entries/inspector.ts'
import tether from '../../plugin/index.ts'
import { contract, silent } from '../e2e/harness/contract.ts'
import { fill } from '../e2e/harness/fill.ts'
import { startLive, type LiveOptions, type LiveServer } from '../e2e/harness/live.ts'
import { openReader } from '../e2e/harness/reader.ts'
import { post, readWhole, request } from '../e2e/harness/request.ts'
import { startServer, type Server } from '../e2e/harness/server.ts'
import { until } from '../e2e/harness/until.ts'
import { startNode, startNodes } from '../cluster/harness/nodes.ts'
import { documented } from '../proxies/harness/documented.ts'
import { buildPage, inspect, Page } from './harness/inspected.ts'

buildPage()

/** Sessions with an inspector that was registered before them. */
function start (t: Test, options: Partial<InspectorOptions> = {}, live: LiveOptions = {}): Promise<LiveServer> {
  return startLive(t, { ...live, setup: (app) => inspect(app, options) })
}

const watchOf = (app: FastifyInstance) => observedOf(app, 'the test').runtime.watch

t.test('registering it fails by name', async (t) => {
  const registering = async (options: object, isTetherThere = true) => {
    const app = Fastify()
    if (isTetherThere) await app.register(tether)
    await app.register(inspector, options as InspectorOptions)
  }
  const authorize = () => true
  for (const [options, message] of [
    [{}, /^app\.register\(inspector\) needs option "authorize": a function/],
    [{ prefix: '/inspector' }, /needs option "authorize"/],
    [{ authorize: true }, /option "authorize" of app\.register\(inspector\) must be a function/],
    [{ authorise: authorize }, /no option "authorise".*Did you mean "authorize"/],
    [{ authorize, allow: true }, /option "allow".*must be an object with close and slow/],
    [{ authorize, allow: { kill: true } }, /It has no "kill"/],
    [{ authorize, everyMs: 0 }, /option "everyMs"/],
    [{ authorize, maxPages: 0 }, /option "maxPages"/]
  ] as const) await t.rejects(registering(options), { code: 'FST_ERR_TETHER_OPTION', message }, JSON.stringify(options))
  await t.rejects(registering({ authorize }, false), { code: 'FST_ERR_TETHER_ARGUMENT', message: /await app\.register\(tether\) before/ })
})

const refusals: Record<string, InspectorOptions['authorize']> = {
  false: () => false,
  nothing: () => {},
  'a promise of false': async () => false,
  'a throw': () => { throw new Error('the password is swordfish') },
  'a throw with a status of its own': () => { throw Object.assign(new Error('the password is swordfish'), { statusCode: 401 }) },
  'a rejection': async () => { throw new Error('the password is swordfish') }
}

for (const [what, authorize] of Object.entries(refusals)) {
  t.test(`authorize that gives ${what} refuses everything`, async (t) => {
    const server = await start(t, { authorize })
    const bodies = new Set<string>()
    for (const [path, options] of [
      ['/inspector', {}],
      ['/inspector/', {}],
      ['/inspector/', { method: 'HEAD' }],
      ['/inspector/page.js', {}],
      ['/inspector/page.css', {}],
      ['/inspector/live', { headers: { accept: 'text/event-stream' } }],
      ['/inspector/live', { headers: { accept: 'text/event-stream', 'x-tether-session': 'new' } }],
      ['/inspector/live', { method: 'POST', body: { event: 'view', data: {} } }],
      ['/inspector/live/close', { method: 'POST', body: {} }],
      ['/inspector/live/tether.close', { method: 'POST', body: {} }],
      ['/inspector/live/none', { method: 'POST', body: {} }]
    ] as const) {
      const answer = await request(server, path, options)
      t.equal(answer.status, 403, path)
      if (answer.text !== '') bodies.add(answer.text)
      t.notMatch(JSON.stringify(answer.headers), /swordfish|text\/html|event-stream/)
    }
    t.same([...bodies].map((body) => JSON.parse(body)), [{ statusCode: 403, code: 'FST_ERR_TETHER_INSPECTOR_REFUSED', error: 'Forbidden', message: 'The inspector is not open to this request' }])
    t.strictSame(server.log.filter(({ level, msg }) => level >= 40 || /swordfish/.test(msg)), [], 'strangers fill no log')
    t.equal(watchOf(server.app).observers.length, 0)
  })
}

t.test('authorize is asked for each request, with what the hooks of the application know of it', async (t) => {
  const asked: string[] = []
  let isOpen = true
  const server = await startServer(t, {
    setup: async (app) => {
      app.decorateRequest('user', '')
      app.addHook('onRequest', async (request) => { (request as unknown as { user: string }).user = String(request.headers['x-user'] ?? '') })
      await inspect(app, {
        authorize: async (request) => {
          await new Promise(setImmediate)
          asked.push(`${request.method} ${request.url}`)
          return isOpen && (request as unknown as { user: string }).user === 'admin'
        }
      })
    }
  })
  const headers = { 'x-user': 'admin' }
  for (const path of ['/inspector/', '/inspector/page.js', '/inspector/page.css']) {
    t.equal((await request(server, path)).status, 403)
    t.equal((await request(server, path, { headers })).status, 200)
  }
  const page = await Page.open(server, headers)
  t.equal((await page.post('select', { node: '', key: '' }, headers)).status, 202)
  t.equal((await page.post('select', { node: '', key: '' })).status, 403, 'the id of a session is not enough')
  isOpen = false
  t.equal((await page.post('select', { node: '', key: '' }, headers)).status, 403, 'whoever loses the right may do nothing more')
  t.ok(asked.includes('GET /inspector/live') && asked.includes('POST /inspector/live/select'), asked.join())
})

t.test('the page: its files, its policy, and addresses with and without a slash', async (t) => {
  for (const withHelmet of [false, true]) {
    const server = await startServer(t, {
      setup: async (app) => {
        if (withHelmet) await app.register(helmet)
        await app.register(inspector, { authorize: () => true })
        await inspect(app, { prefix: '/deep/er' })
      }
    })
    for (const prefix of ['/inspector', '/deep/er']) {
      const away = await request(server, `${prefix}?a=1`)
      t.equal(away.status, 302)
      t.equal(new URL(String(away.headers.location), `${server.origin}${prefix}`).href, `${server.origin}${prefix}/?a=1`, 'also below another path, behind a proxy')
      const page = await request(server, `${prefix}/`)
      t.match(page.headers, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'/, 'x-content-type-options': 'nosniff' })
      t.notMatch(page.text, /<style|\sstyle=|\son\w+=|<script(?![^>]*src=)|https?:/, 'nothing inline, and nothing of others')
      for (const [, file = ''] of page.text.matchAll(/(?:src|href)="(page\.\w+)"/g)) {
        const { status, headers } = await request(server, `${prefix}/${file}`)
        t.equal(status, 200, file)
        t.equal((await request(server, `${prefix}/${file}`, { headers: { 'if-none-match': String(headers.etag) } })).status, 304)
      }
    }
    t.equal((await request(server, '/page.js')).status, 404)
    t.match((await request(server, '/inspector/page.js')).text, /uPlot[^]*MIT License/, 'the licence of what is bundled')
  }
})

t.test('sessions of all URLs, of those mounted later too, sorted, filtered and in pages', async (t) => {
  const server = await start(t, {}, { live: { reconnectMs: 60_000 } })
  const { app, live, connect } = server
  const opened = []
  for (let index = 0; index < 7; index++) opened.push(await connect())
  const [first, second, third, fourth, gone] = opened.map(({ session }) => session)
  live.group('odd').add(second!)
  live.group('odd').add(fourth!)
  live.group('all of them').add(first!)
  opened[4]!.reader.destroy()
  await until(() => !gone!.connected, 'the session without a stream')
  for (let count = 0; count < 3; count++) gone!.send('note', { text: 'x' })
  const page = await Page.open(server)

  const oldest = await page.view({ sort: 'age', descending: true })
  t.match(oldest, { total: 7, matching: 7, silent: [] })
  const shortOf = (id: string) => `${id.slice(0, 6)}…`
  t.strictSame(oldest.rows.map(({ session }) => session), opened.map(({ session }) => shortOf(session.id)))
  t.match(oldest.rows[0], { url: '/live', state: 'connected', transport: 'http/1.1', queuedFrames: 0, commands: 0, stalledMs: 0, groups: { first: ['all of them'], count: 1 }, topics: { first: [], count: 0 }, paceMs: 0 })
  t.strictSame((await page.view({ sort: 'age', descending: false })).rows.map(({ session }) => session), oldest.rows.map(({ session }) => session).reverse())

  const queues = await page.view({ sort: 'queue', descending: true })
  t.match(queues.rows[0], { session: shortOf(gone!.id), queuedFrames: 3, state: 'detached', transport: null })
  t.strictSame(queues.rows.slice(1).map(({ session }) => session), oldest.rows.map(({ session }) => session).filter((id) => id !== shortOf(gone!.id)), 'equal ones in the order of their age')
  t.equal((await page.view({ sort: 'queue', descending: false })).rows.at(-1)?.queuedFrames, 3)

  for (const descending of [false, true]) {
    const groups = (await page.view({ sort: 'group', descending })).rows.map(({ groups }) => groups.first[0] ?? '')
    t.strictSame(groups, [...descending ? ['odd', 'odd', 'all of them'] : ['all of them', 'odd', 'odd'], '', '', '', ''], 'those without a group last')
  }

  const idsOf = async (part: Parameters<Page['view']>[0], matching: number) => (await page.view(part, (table) => table.matching === matching)).rows.map(({ session }) => session)
  t.strictSame(await idsOf({ group: 'odd' }, 2), [shortOf(second!.id), shortOf(fourth!.id)])
  t.strictSame(await idsOf({ group: 'od' }, 0), [], 'the whole name')
  t.strictSame(await idsOf({ state: 'detached' }, 1), [shortOf(gone!.id)])
  t.strictSame(await idsOf({ transport: 'none' }, 1), [shortOf(gone!.id)])
  t.equal((await idsOf({ transport: 'http/1.1' }, 6)).length, 6)
  t.strictSame(await idsOf({ session: third!.id.slice(0, 5) }, 1), [shortOf(third!.id)])
  t.strictSame(await idsOf({ session: shortOf(third!.id) }, 1), [shortOf(third!.id)])
  t.strictSame(await idsOf({ session: third!.id.slice(0, 7) }, 0), [], 'nobody can try out ids here')
  t.strictSame(await idsOf({ url: '/other' }, 0), [])
  t.strictSame(await idsOf({ group: 'odd', state: 'detached' }, 0), [])

  const leafed = []
  for (const offset of [0, 3, 6, 9]) leafed.push((await page.view({ sort: 'queue', descending: true, offset, limit: 3 })).rows.map(({ session }) => session))
  t.strictSame(leafed.map(({ length }) => length), [3, 3, 1, 0])
  t.strictSame(leafed.flat(), queues.rows.map(({ session }) => session), 'each once')
  t.equal((await page.post('view', { ...await whole(page), limit: 101 })).status, 400, 'the pages are bounded')
  t.equal((await page.post('view', { ...await whole(page), sort: 'id' })).status, 400)

  t.strictSame(page.all('about')[0], { node: null, close: false, slow: false, everyMs: 40, urls: ['/live'] })
  t.equal(app.tether.stats().sessions, 7, 'the page is no session of the application')
})

const whole = async (page: Page) => ({ sort: 'age', descending: true, offset: 0, limit: 50, session: '', url: '', state: '', transport: '', node: '', group: '', topic: '', stalled: false })

t.test('what blocks is found: by its stall, and by a filter', async (t) => {
  const server = await start(t)
  await server.connect()
  const { session } = await server.connect({ frozen: true })
  await server.connect()
  await fill(session)
  const page = await Page.open(server)
  const { rows: [row] } = await page.view({ sort: 'stall', descending: true }, ({ rows }) => rows[0]!.stalledMs > 0)
  t.match(row, { session: `${session.id.slice(0, 6)}…`, queuedFrames: session.stats.queuedFrames, queuedBytes: session.stats.queuedBytes })
  t.equal((await page.view({ stalled: true }, ({ matching }) => matching === 1)).rows[0]?.key, row!.key)
  const found = await page.detail(row!)
  t.match(found, { stream: { isFull: true, writeBuffer: 4 }, stalls: 1, outbox: { waiting: session.stats.queuedFrames, waitingBytes: session.stats.queuedBytes, heldBytes: session.stats.heldBytes } })
  t.match(await page.got('totals', ({ sample }) => sample.stalled === 1), { sample: { sessions: 3, streams: 3 } })
})

t.test('one session: its figures, the zones of its outbox, verdicts and latest commands', async (t) => {
  let release = () => {}
  const server = await start(t, { maxCommands: 3 }, {
    live: {
      replayFrames: 8,
      on: {
        say: (_session, { text }) => { if (text === 'wrong') throw new Error('no') },
        count: () => new Promise<void>((resolve) => { release = resolve })
      },
      onError: () => {}
    }
  })
  const { live, connect } = server
  const { session, reader } = await connect({ headers: { 'x-tether-session': 'new' } })
  const say = (text: string) => post(server, session.id, { event: 'say', data: { text } })
  await say('before anybody looked')
  const page = await Page.open(server)
  const { rows: [row] } = await page.view()
  t.match(await page.detail(row!), { commands: [], streams: [], running: null, events: 1, stream: { transport: 'http/1.1', verdict: 'new', encoding: null, isFull: false } })

  for (const text of ['a', 'b', 'c', 'wrong']) await say(text)
  await post(server, session.id, { event: 'count', data: { to: 1 } })
  await say('behind')
  const busy = await page.detail(row!, ({ running }) => running !== null)
  t.match(busy, { running: { name: 'count' }, row: { commands: 1 }, events: 7, errors: 1 })
  t.strictSame(busy.commands.map(({ name, kind, outcome }) => `${name} ${kind} ${outcome}`), ['say event error', 'say event ok', 'say event ok'], 'the newest first, at most three')
  for (const { ms, waitedMs, agoMs } of busy.commands) t.ok(ms >= 0 && ms < 5_000 && waitedMs! >= 0 && agoMs >= 0)
  release()
  await page.detail(row!, ({ running, row: { commands } }) => running === null && commands === 0)

  for (let count = 0; count < 12; count++) live.broadcast('note', { text: `${count}` })
  await until(() => reader.updates.length === 12, 'the updates')
  t.match(await page.detail(row!, ({ outbox }) => outbox.next === 13), { updates: 12, outbox: { first: 5, next: 13, written: 8, replaying: 0, waiting: 0, queueFrames: 1_024, replayFrames: 8 } })
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  for (let count = 0; count < 2; count++) session.send('note', { text: 'while away' })
  t.match(await page.detail(row!, ({ outbox }) => outbox.waiting === 2), { stream: null, row: { state: 'detached' }, outbox: { first: 5, next: 15, written: 8, replaying: 0, waiting: 2 } })
  await connect({ headers: { 'x-tether-session': session.id, 'last-event-id': `${session.id}.10` } })
  const back = await page.detail(row!, ({ streams }) => streams.length > 0)
  t.match(back, { stream: { verdict: 'resumed' }, streams: [{ verdict: 'resumed', transport: 'http/1.1' }], outbox: { waiting: 0 } })
  session.close()
  t.equal((await page.got('detail', ({ found }) => found === null)).key, row!.key, 'it is gone')
})

t.test('nothing is observed, remembered or timed while nobody looks', async (t) => {
  const server = await start(t)
  const { app, live } = server
  const watch = watchOf(app)
  const { session } = await server.connect()
  const endpoint = observedOf(app, 'the test').endpoints[0]!
  t.equal(watch.observers.length, 0)
  t.equal(endpoint.commandWatch.isOn, false)
  const one = await Page.open(server)
  const two = await Page.open(server)
  t.equal(watch.observers.length, 1)
  t.equal(endpoint.commandWatch.isOn, true)
  await post(server, session.id, { event: 'say', data: { text: 'a' } })
  const { rows: [row] } = await one.view()
  await one.detail(row!, ({ commands }) => commands.length === 1)
  one.reader.destroy()
  await two.got('totals', () => true, two.all('totals').length + 2)
  t.equal(watch.observers.length, 1)
  two.reader.destroy()
  const back = await Page.open(server)
  t.ok(back.all('history')[0]!.samples.length > 1, 'a page that comes back soon finds what was noted')
  await back.detail(row!, ({ commands }) => commands.length === 1)
  back.reader.destroy()
  await until(() => watch.observers.length === 0, 'the rest')
  t.equal(endpoint.commandWatch.isOn, false)
  const three = await Page.open(server)
  await three.view()
  t.strictSame((await three.detail(row!)).commands, [], 'nothing of before')
  t.equal(three.all('history')[0]!.samples.length <= 1, true)
  t.equal(live.stats.sessions, 1)
})

t.test('closing and slowing are refused unless they are allowed', async (t) => {
  for (const allow of [undefined, {}, { close: true }, { slow: true }, { close: false, slow: false }]) {
    const reasons: string[] = []
    const server = await start(t, allow === undefined ? {} : { allow }, { live: { onClose: (_session, reason) => { reasons.push(reason) } } })
    const { session, reader } = await server.connect()
    const page = await Page.open(server)
    const { rows: [row] } = await page.view()
    t.match(page.all('about')[0], { close: allow?.close === true, slow: allow?.slow === true })

    const slowed = await page.act('slow', row!, { paceMs: 60_000 })
    if (allow?.slow === true) {
      t.match(slowed, { status: 200, json: { done: true } })
      await page.detail(row!, ({ row }) => row.paceMs === 60_000)
    } else t.match(slowed, { status: 422, json: { code: 'NOT_ALLOWED' } })

    const closed = await page.act('close', row!)
    if (allow?.close === true) {
      t.match(closed, { status: 200, json: { done: true } })
      await until(() => reasons.length > 0, 'the end')
      t.strictSame(reasons, ['inspector'])
      await until(() => reader.ended, 'the end of the stream')
      t.match(reader.controls.at(-1), { type: 'goodbye', reason: 'inspector', reconnect: false })
      t.match(await page.act('close', row!), { status: 200, json: { done: false } }, 'it is gone')
      t.ok(server.log.some(({ msg, session: named }) => msg === 'a tether session is closed by hand' && named === row!.session))
    } else {
      t.match(closed, { status: 422, json: { code: 'NOT_ALLOWED' } })
      t.ok(session.connected)
    }
    t.equal((await page.act('close', { node: '', key: '999' })).json.done ?? false, false)
    t.equal((await page.act('slow', row!, { paceMs: 60_001 })).status, 400)
  }
})

t.test('a session that is slowed gets its updates at that pace, others go on, and it may be let go again', async (t) => {
  const server = await start(t, { allow: { slow: true } })
  const { live } = server
  const [slow, other] = [await server.connect(), await server.connect()]
  for (let count = 0; count < 3; count++) {
    live.broadcast('note', { text: 'in step' })
    await until(() => [slow, other].every(({ reader }) => reader.updates.length === count + 1), 'the updates')
  }
  const page = await Page.open(server)
  const { rows: [row] } = await page.view({ session: slow.session.id.slice(0, 6) }, ({ matching }) => matching === 1)
  t.match((await page.act('slow', row!, { paceMs: 60_000 })).json, { done: true })
  live.broadcast('note', { text: 'goes at once: nothing went before' })
  await until(() => slow.reader.updates.length === 4 && other.reader.updates.length === 4, 'the first')
  for (let count = 0; count < 5; count++) live.broadcast('note', { text: 'waits' })
  await until(() => other.reader.updates.length === 9, 'the other session')
  t.equal(slow.session.stats.queuedFrames, 5)
  t.match(await page.detail(row!, ({ outbox }) => outbox.waiting === 5), { row: { paceMs: 60_000 } })
  t.equal(slow.reader.updates.length, 4)
  t.match((await page.act('slow', row!, { paceMs: 0 })).json, { done: true })
  await until(() => slow.reader.updates.length === 9, 'all of them')
  live.broadcast('note', { text: 'as before' })
  await until(() => slow.reader.updates.length === 10, 'the next, at once')
})

t.test('a slowed session keeps its pace over streams', async (t) => {
  const server = await start(t, { allow: { slow: true } })
  const { session, reader } = await server.connect()
  const page = await Page.open(server)
  const { rows: [row] } = await page.view()
  await page.act('slow', row!, { paceMs: 60_000 })
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  const again = await server.connect({ headers: { 'x-tether-session': session.id, 'last-event-id': `${session.id}.0` } })
  session.send('note', { text: 'at once' })
  await until(() => again.reader.updates.length === 1, 'the first')
  session.send('note', { text: 'waits' })
  await page.detail(row!, ({ outbox, row }) => outbox.waiting === 1 && row.paceMs === 60_000)
  t.equal(again.reader.updates.length, 1)
})

t.test('the page takes no place: it opens where the server is full, and while it drains', async (t) => {
  const server = await start(t, { maxPages: 2 }, { tether: { maxSessions: 2, maxSessionsPerOwner: 1 } })
  const { app } = server
  await server.connect()
  await server.connect()
  const before = app.tether.stats()
  const page = await Page.open(server)
  await page.view()
  const { sessions, streams, framesWritten, eventsAccepted, bufferedBytes } = app.tether.stats()
  t.strictSame({ sessions, streams, framesWritten, eventsAccepted, bufferedBytes }, { sessions: before.sessions, streams: before.streams, framesWritten: before.framesWritten, eventsAccepted: before.eventsAccepted, bufferedBytes: before.bufferedBytes })
  t.match(app.tether.health(), { ok: true, sessions: 2 })
  await Page.open(server)
  const third = await readWhole(server, '/inspector/live', { 'x-tether-session': 'new' })
  t.equal(third.status, 503, 'maxPages')
  await app.tether.drain({ timeoutMs: 2_000 })
  t.match(await page.got('totals', ({ draining, sample }) => draining && sample.sessions === 0), { maxSessions: 2 })
  const closed = app.close()
  await until(() => page.reader.ended, 'the goodbye')
  t.match(page.reader.controls.at(-1), { type: 'goodbye', reason: 'shutdown' })
  await closed
})

t.test('one table in everyMs at most, whatever a page asks', async (t) => {
  const everyMs = 400
  const server = await start(t, { everyMs })
  await server.connect()
  const page = await Page.open(server)
  const startedAt = performance.now()
  await page.view()
  for (let index = 0; index < 40; index++) await page.post('view', { ...await whole(page), descending: index % 2 === 0 })
  await page.got('table', () => true, page.all('table').length + 2)
  const most = Math.floor((performance.now() - startedAt) / everyMs) + 1
  t.ok(page.all('table').length <= most, `${page.all('table').length} tables, at most ${most}`)
  t.ok(page.all('totals').length <= most + 1)
})

t.test('no answer has a whole id', async (t) => {
  const server = await start(t, { allow: { close: true, slow: true } }, { live: { bind: () => 'a-cookie-that-is-a-secret', initialState: () => ({ token: 'a-state-that-is-a-secret' }) } })
  const { live } = server
  const opened = []
  for (let index = 0; index < 5; index++) opened.push(await server.connect(index % 2 === 0 ? {} : { headers: { 'x-tether-session': 'new' } }))
  live.group('some').add(opened[0]!.session)
  const claim = await live.prepare({ headers: {}, raw: {}, ip: '127.0.0.1' } as never)
  const page = await Page.open(server)
  for (const { session } of opened) await post(server, session.id, { event: 'say', data: { text: 'hello' } })
  const { rows } = await page.view({}, ({ matching }) => matching === 6)
  for (const row of rows) await page.detail(row)
  await page.act('slow', rows[0]!, { paceMs: 10 })
  await page.act('close', rows[1]!)
  await page.act('close', { node: '', key: opened[2]!.session.id }).catch(() => {})
  await page.post('view', { wrong: opened[3]!.session.id })
  for (const path of ['/inspector', '/inspector/', '/inspector/page.js', '/inspector/page.css']) page.texts.push((await request(server, path)).text)
  page.texts.push(page.reader.text, JSON.stringify(page.reader.headers))
  const told = page.texts.join('\n')
  const secrets = [...opened.map(({ session }) => session.id), claim!, 'a-cookie-that-is-a-secret', 'a-state-that-is-a-secret']
  // What the test itself has sent may come back in a fault.
  for (const secret of secrets) t.notOk(told.includes(secret), `${secret.slice(0, 6)}…`)
  for (const { session } of opened) t.ok(told.includes(`${session.id.slice(0, 6)}…`), 'but the short one')
  const logged = JSON.stringify(server.log)
  for (const secret of secrets) t.notOk(logged.includes(secret))
})

t.test('in a cluster: sessions of all nodes, wherever the page is', async (t) => {
  const { nodes, hub } = await startNodes(t, 2, { setup: (app) => inspect(app, { allow: { close: true, slow: true } }) })
  const [here, there] = nodes as [typeof nodes[0] & {}, typeof nodes[0] & {}]
  const opened = [await here.connect(), await there.connect(), await there.connect()]
  there.live.group('far').add(opened[1]!.session)
  const page = await Page.open(here)
  t.equal(page.all('about')[0]!.node, here.cluster.node)
  const table = await page.view({ sort: 'age' }, ({ matching }) => matching === 3)
  t.strictSame(new Set(table.rows.map(({ node, session }) => `${node} ${session}`)), new Set(opened.map(({ session }, index) => `${(index === 0 ? here : there).cluster.node} ${session.id.slice(0, 6)}…`)))
  for (const descending of [false, true]) {
    const names = (await page.view({ sort: 'node', descending })).rows.map(({ node }) => node)
    t.strictSame(names, descending ? [...names].sort().reverse() : [...names].sort())
  }
  t.equal((await page.view({ node: there.cluster.node }, ({ matching }) => matching === 2)).total, 3)
  const { rows: [far] } = await page.view({ group: 'far' }, ({ matching }) => matching === 1)
  await post(there, opened[1]!.session.id, { event: 'say', data: { text: 'a' } })
  t.match(await page.detail(far!, ({ commands }) => commands.length > 0), { row: { node: there.cluster.node }, commands: [{ name: 'say' }], groups: { first: ['far'] } }, 'what the other node noted')
  t.match((await page.act('slow', far!, { paceMs: 500 })).json, { done: true })
  await page.detail(far!, ({ row }) => row.paceMs === 500)
  t.match((await page.act('close', far!)).json, { done: true })
  await until(() => opened[1]!.reader.ended, 'the end, at the other node')
  t.match((await page.got('totals', ({ nodes }) => nodes.some(({ isSelf, sessions }) => !isSelf && sessions === 1))).nodes.length, 2)

  const plain = await startNode(t, hub)
  await until(() => here.cluster.nodes().length === 3, 'the third node')
  t.strictSame((await page.view({}, ({ silent }) => silent.length > 0)).silent, [plain.cluster.node], 'a node without an inspector')
})

t.test('another node does only what it allows itself', async (t) => {
  let isFirst = true
  const { nodes: [here, there] } = await startNodes(t, 2, {
    setup: async (app) => {
      await inspect(app, { allow: { close: isFirst } })
      isFirst = false
    }
  })
  const { reader } = await there!.connect()
  const page = await Page.open(here!)
  const { rows: [row] } = await page.view({}, ({ matching }) => matching === 1)
  t.match((await page.act('close', row!)).json, { done: false })
  await page.detail(row!)
  t.notOk(reader.ended)
})

t.test('topics: names in the row, a filter, an order', async (t) => {
  const { defineContract, topic } = await import('../../plugin/index.ts')
  const { Type } = await import('@sinclair/typebox')
  const server: Server = await startServer(t, {
    setup: async (app) => {
      await inspect(app)
      app.tether.stateful('/topics', {
        contract: defineContract({ topics: { host: topic({ params: Type.Object({ id: Type.String() }), updates: { cpu: Type.Object({ v: Type.Number() }) } }) } })
      })
      app.tether.stateful('/live', { contract, on: silent })
    }
  })
  for (const query of ['?topic=host%3Fid%3Db', '?topic=host%3Fid%3Da&topic=host%3Fid%3Db', '']) {
    const reader = await openReader(server, `/topics${query}`)
    await until(() => reader.controls.length > 0, 'hello')
  }
  const page = await Page.open(server)
  t.strictSame((await page.view({ sort: 'topic', descending: false }, ({ rows }) => rows[1]?.topics.count === 1)).rows.map(({ topics }) => topics.first), [['host?id=a', 'host?id=b'], ['host?id=b'], []])
  t.equal((await page.view({ topic: 'host?id=b' }, ({ matching }) => matching === 2)).matching, 2)
  t.equal((await page.view({ topic: 'host?id=a' }, ({ matching }) => matching === 1)).rows[0]!.topics.count, 2)
  t.strictSame(page.all('about')[0]!.urls, ['/topics', '/live'], 'all URLs')
})

t.test('the example of docs/inspector.md', async (t) => {
  const lines = documented('js inspector', 'inspector').replace(/^import .*$/gm, '')
  const AsyncFunction = (async () => {}).constructor as new (...parts: string[]) => (...values: unknown[]) => Promise<void>
  const userOf = async (request: { headers: Record<string, unknown> }) => request.headers['x-role'] === undefined ? null : { role: request.headers['x-role'] }
  const server = await startServer(t, { setup: (app) => new AsyncFunction('app', 'inspector', 'userOf', lines)(app, inspector, userOf) })
  for (const [role, status] of [['operator', 200], ['guest', 403], [null, 403]] as const) {
    t.equal((await request(server, '/inspector/', { headers: role === null ? {} : { 'x-role': role } })).status, status, String(role))
  }
})

t.test('over HTTP/2 as well', async (t) => {
  const server = await start(t, {}, { protocol: 'h2' })
  await server.connect()
  t.equal((await request(server, '/inspector/')).status, 200)
  const page = await Page.open(server)
  t.match((await page.view()).rows, [{ transport: 'http/2' }])
  t.equal((await page.view({ transport: 'http/2' }, ({ matching }) => matching === 1)).rows.length, 1)
})
