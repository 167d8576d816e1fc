import t, { type Test } from 'tap'
import { counting } from './claim.ts'
import { fill } from './fill.ts'
import { startLink } from './link.ts'
import { range, rows, sendRows } from './rows.ts'
import { openTab, type TransportUnderTest } from './transport.ts'
import { isSettled, turns, until, within } from './until.ts'

const json = { 'content-type': 'application/json' }
const update = (name: string, data: string) => `event: ${name}\ndata: ${data}\n\n`
const control = (data: object) => update('tether', JSON.stringify(data))

/**
 * What holds for sessions, whatever carries them: every transport runs the very
 * same tests. Where they differ is in `rejection`, `emit` and `acknowledge` of the
 * transport under test, and in its own tests.
 */
export function testTransport (transport: TransportUnderTest): void {
  const { protocol, begin, start, rejection } = transport
  const test = (what: string, body: (t: Test) => Promise<void>) => { t.test(`${transport.name}: ${what}`, body) }
  const open = openTab.bind(null, transport)

  test('a session opens, and tells what it travels by', async (t) => {
    const told: unknown[] = []
    const server = await start(t, { live: { onConnect: (session, context) => { told.push([session.id, context.verdict, context.protocol, context.request.url]) } } })
    const { tab, hello, session } = await open(server)
    t.match(tab.text, /^retry: 1000\n/)
    t.match(hello, { type: 'hello', session: session.id, verdict: 'new', seq: 0, heartbeatMs: 20_000, maxBatch: 32, maxEventBytes: 65_536 })
    t.equal(tab.blocks.find(({ event }) => event === 'tether')?.id, `${session.id}.0`)
    await until(() => told.length > 0, 'onConnect')
    t.same(told, [[session.id, 'new', protocol, '/live']])
    t.equal(server.live.stats.protocols[protocol], 1)
    t.equal(server.app.tether.stats().protocols[protocol], 1)
    t.equal(Object.values(server.app.tether.stats().protocols).reduce((sum, count) => sum + count), 1)
    tab.destroy()
    await until(() => server.app.tether.stats().protocols[protocol] === 0, 'the end of the stream')
    t.equal(server.live.stats.protocols[protocol], 0)
  })

  test('the same text comes, frame by frame', async (t) => {
    const server = await start(t)
    const { tab, session } = await open(server)
    const before = tab.text.length
    session.send('note', { text: 'hello' })
    session.send('row', 'two\nlines')
    session.send('row', 'späße 🎈')
    server.live.broadcast('sample', { series: 'cpu', value: 0.5 })
    await until(() => tab.updates.length === 4, 'four updates')
    t.equal(tab.text.slice(before), update('note', '{"text":"hello"}') + 'event: row\ndata: two\ndata: lines\n\n' +
      update('row', 'späße 🎈') + update('sample', '{"series":"cpu","value":0.5}'))
  })

  test('updates of any size arrive complete and in order', async (t) => {
    const server = await start(t, { live: { queueBytes: 16 * 1024 * 1024 } })
    const { tab, session } = await open(server)
    const sizes = [0, 1, 100, 125, 126, 127, 16_384, 65_500, 65_535, 65_536, 70_000, 200_000, 1_000_000]
    for (const size of sizes) await session.send('row', 'é'.repeat(size))
    for (let number = 1; number <= 2_000; number++) await session.send('row', String(number))
    await until(() => tab.updates.length === sizes.length + 2_000, 'all updates', 60_000)
    t.same(tab.updates.slice(0, sizes.length).map(({ data }) => data?.length), sizes)
    t.ok(tab.updates.slice(0, sizes.length).every(({ data }) => /^é*$/.test(data ?? '')))
    t.same(rows(tab).slice(sizes.length), range(1, 2_000))
  })

  test('a broadcast reaches all, and large ones too', async (t) => {
    const server = await start(t)
    const tabs = await Promise.all(Array.from({ length: 5 }, () => open(server)))
    const large = 'x'.repeat(150_000)
    for (const text of ['a', large, 'b']) t.equal(server.live.broadcast('note', { text }), 5)
    for (const { tab } of tabs) {
      await until(() => tab.updates.length === 3, 'three updates')
      t.same(tab.updates.map(({ data }) => (JSON.parse(data!) as { text: string }).text), ['a', large, 'b'])
    }
  })

  test('events run in order, once, and are answered', async (t) => {
    const said: string[] = []
    const server = await start(t, { live: { on: { say: (_session, { text }) => { said.push(text) } } } })
    const { tab } = await open(server)
    const say = (text: string, seq?: number) => ({ event: 'say', data: { text }, ...seq === undefined ? {} : { seq } })
    t.same(await tab.emit(say('no number')), { status: 202, seq: 0 })
    t.same(await tab.emit(say('one', 1)), { status: 202, seq: 1 })
    t.same(await tab.emit(say('one', 1)), { status: 202, seq: 1, known: 1 }, 'again')
    t.same(await tab.emit([say('one', 1), say('two', 2), say('three', 3)]), { status: 202, seq: 3, known: 1 }, 'its known part is skipped')
    t.match(await tab.emit(say('five', 5)), { status: 409, code: 'FST_ERR_TETHER_SEQUENCE', expected: 4 })
    t.match(await tab.emit([say('four', 4), { event: 'say', data: {} }]), { status: 400, errors: [{ path: '/1/data/text' }] }, 'all or nothing')
    t.same(await tab.emit(say('four', 4)), { status: 202, seq: 4 })
    await until(() => said.length === 5, 'the handlers')
    t.same(said, ['no number', 'one', 'two', 'three', 'four'])
  })

  test('bad input is refused in the same words', async (t) => {
    const server = await start(t, { live: { maxBatch: 2, maxEventBytes: 1_000 } })
    const { tab } = await open(server)
    const ping = { event: 'ping', data: {} }
    const validation = (...errors: Array<[path: string, message: RegExp]>) => ({ status: 400, code: 'FST_ERR_VALIDATION', message: /./, errors: errors.map(([path, message]) => ({ path, message })) })
    for (const [body, answer] of [
      [5, validation(['', /must be an object/])],
      [[], validation(['', /must hold 1 to 2 events/])],
      [[ping, ping, ping], validation(['', /must hold 1 to 2 events, holds 3/])],
      [{ event: 'nope', data: {} }, validation(['/event', /must be one of "ping", "say", "count"/])],
      [{ event: 'say' }, validation(['/data', /is required/])],
      [{ event: 'count', data: { to: '3', more: 1 }, seq: 0 }, { status: 400, code: 'FST_ERR_VALIDATION', errors: (faults: unknown[]) => faults.length === 3 }],
      ['{"event":', { status: 400, code: 'FST_ERR_CTP_INVALID_JSON_BODY' }],
      ['', { status: 400, code: 'FST_ERR_CTP_EMPTY_JSON_BODY' }],
      ['{"event":"ping","data":{},"__proto__":{"seq":1}}', { status: 400, code: 'FST_ERR_CTP_INVALID_JSON_BODY' }],
      [{ event: 'say', data: { text: 'x'.repeat(1_000) } }, { status: 413, code: 'FST_ERR_CTP_BODY_TOO_LARGE' }]
    ] as const) {
      const { errors, ...rest } = answer as { errors?: unknown }
      const got = await tab.emit(body)
      t.match(got, rest, JSON.stringify(body).slice(0, 60))
      if (typeof errors === 'function') t.ok(errors(got.errors), JSON.stringify(got.errors))
      else if (errors !== undefined) t.match(got.errors, errors)
    }
    t.same(await tab.emit({ ...ping, seq: 1 }), { status: 202, seq: 1 }, 'and used no number')
    t.match(server.app.tether.stats(), { eventsAccepted: 1, handlerErrors: 0 })
  })

  test('a tab that comes back gets what it missed', async (t) => {
    const told: unknown[] = []
    const server = await start(t, {
      live: {
        onConnect: (_session, { verdict }) => { told.push(verdict) },
        onDisconnect: (_session, reason) => { told.push(reason) }
      }
    })
    const link = await startLink(t, server)
    const { tab, session } = await open(server, { port: link.port })
    sendRows(session, 1, 3)
    await until(() => rows(tab).length === 3, 'three rows')
    link.cut()
    await until(() => !session.connected, 'the loss of the stream')
    sendRows(session, 4, 6)
    const again = await open(server, { session: session.id, lastEventId: `${session.id}.2` })
    t.match(again.hello, { session: session.id, verdict: 'resumed', seq: 2 })
    await until(() => rows(again.tab).length === 4, 'four rows')
    t.same(rows(again.tab), [3, 4, 5, 6])
    t.same(told, ['new', 'client', 'resumed'])
  })

  test('a tab that comes back is told what was accepted', async (t) => {
    const server = await start(t)
    const { tab, hello, session } = await open(server)
    t.notOk('accepted' in hello, 'nothing yet')
    const ping = (seq?: number) => ({ event: 'ping', data: {}, ...seq === undefined ? {} : { seq } })
    await tab.emit([ping(1), ping(), ping(2)])
    t.same(await tab.emit([ping(1), ping(2), ping(), ping(3)]), { status: 202, seq: 3, known: 2 })
    const again = await open(server, { session: session.id, lastEventId: `${session.id}.0` })
    t.match(again.hello, { verdict: 'resumed', accepted: 3 })
    const other = await open(server, { session: 'x'.repeat(24) })
    t.match(other.hello, { verdict: 'expired' })
    t.notOk('accepted' in other.hello, 'another session begins anew')
  })

  test('verdicts', async (t) => {
    const server = await start(t, { live: { replayFrames: 2, bind: (request) => request.headers['x-user'] as string | undefined } })
    const { tab, session } = await open(server)
    const { id } = session
    sendRows(session, 1, 5)
    await until(() => rows(tab).length === 5, 'the rows')
    for (const [options, verdict, seq] of [
      [{ session: id, lastEventId: `${id}.5` }, 'resumed', 5],
      [{ session: id, lastEventId: `${id}.3` }, 'resumed', 3],
      [{ session: id, lastEventId: `${id}.2` }, 'gap', 3],
      [{ session: id, lastEventId: `${id}.6` }, 'gap', 3],
      [{ session: id }, 'gap', 3],
      [{ session: id, lastEventId: 'nonsense' }, 'expired', 0],
      [{ session: 'x'.repeat(24), lastEventId: `${id}.5` }, 'expired', 0],
      [{ session: 'x'.repeat(24) }, 'expired', 0],
      [{ session: 'malformed' }, 'expired', 0],
      [{ session: id, lastEventId: `${id}.5`, headers: { 'x-user': 'mallory' } }, 'expired', 0]
    ] as const) {
      const opened = await open(server, options)
      t.match(opened.hello, { verdict, seq }, JSON.stringify(options))
      t.equal(opened.session.id === id, verdict !== 'expired')
    }
  })

  test('a session that the page was given', async (t) => {
    const server = await start(t, { setup: (app) => { app.get('/page', async (request) => ({ id: await server.live.prepare(request) })) } })
    for (const way of ['query', 'name'] as const) {
      const { id: claim } = (await server.app.inject('/page')).json<{ id: string }>()
      const session = server.live.get(claim)!
      session.send('row', 'before')
      const named = way === 'query' ? { query: `?tether-session=${claim}` } : { session: claim }
      const { tab, hello } = await open(server, named)
      t.match(hello, { session: session.id, verdict: 'new' })
      t.not(session.id, claim)
      await until(() => tab.updates.length === 1, 'what was sent before')
      t.match((await open(server, named)).hello, { verdict: 'expired' }, 'once only')
      t.equal(tab.closed, false)
    }
  })

  test('what a tab acknowledges is kept no longer', async (t) => {
    const server = await start(t)
    const { tab, session } = await open(server)
    sendRows(session, 1, 5)
    await until(() => rows(tab).length === 5, 'the rows')
    t.equal(session.stats.heldFrames, 5)
    await tab.acknowledge(`${'x'.repeat(24)}.5`)
    await tab.acknowledge('nonsense')
    t.equal(session.stats.heldFrames, 5)
    await tab.acknowledge(`${session.id}.3`)
    t.equal(session.stats.heldFrames, 2)
  })

  test('send blocks when writeBuffer frames wait; the loop stalls, and a full channel is busy', async (t) => {
    const ran: string[] = []
    const server = await start(t, {
      upgrade: { writeBuffer: 2 },
      live: { commandBuffer: 3, on: { say: (session, { text }) => { ran.push(text); session.send('note', { text }) } } }
    })
    const { tab, session } = await open(server)
    tab.pause()
    const { sent, blocked } = await fill(session)
    t.match(session.stats, { queuedFrames: 2, stalled: true })
    const more = session.send('row', 'more')
    const answers = ['a', 'b', 'c', 'd'].map((text) => tab.emit({ event: 'say', data: { text } }))
    await until(() => session.stats.queuedCommands === 3, 'a full channel')
    await turns()
    t.same(ran, [], 'not even the first runs')
    t.notOk(await isSettled(blocked))
    tab.resume()
    t.same(await within(Promise.all([blocked, more]), 'the blocked sends'), [true, true])
    const statuses = (await Promise.all(answers)).map(({ status, code, retryAfter }) => [status, code, retryAfter])
    t.same(statuses.filter(([status]) => status === 202).length, 3)
    t.same(statuses.filter(([status]) => status !== 202), [[429, 'FST_ERR_TETHER_BUSY', 1]])
    await until(() => tab.updates.length === sent + 1 + 3, 'everything')
    t.equal(new Set(ran).size, 3)
    t.match(session.stats, { queuedFrames: 0, queuedBytes: 0, stalled: false, dropped: 0 })
  })

  test('while it waits, only the newest per key is kept', async (t) => {
    const server = await start(t, { upgrade: { writeBuffer: 2 } })
    const { tab, session } = await open(server)
    tab.pause()
    const { sent } = await fill(session)
    for (let value = 1; value <= 100; value++) {
      for (const series of ['cpu', 'memory']) session.send('sample', { series, value })
    }
    t.match(session.stats, { conflated: 198, queuedFrames: 4 })
    tab.resume()
    await until(() => tab.updates.length === sent + 2, 'what waited')
    t.same(tab.updates.slice(-2).map(({ data }) => data), ['{"series":"cpu","value":100}', '{"series":"memory","value":100}'])
  })

  test('a reader that takes nothing loses its stream, not its session', async (t) => {
    const reasons: string[] = []
    const server = await start(t, {
      upgrade: { stallTimeoutMs: 500, writeBuffer: 2 },
      live: { onDisconnect: (_session, reason) => { reasons.push(reason) }, replayBytes: 64 * 1024 * 1024, replayFrames: 10_000 }
    })
    const link = await startLink(t, server)
    const { session } = await open(server, { port: link.port })
    link.freeze()
    const { sent, blocked } = await fill(session)
    t.equal(await within(blocked, 'the blocked send'), true)
    await until(() => reasons.length > 0, 'onDisconnect')
    t.same(reasons, ['stalled'])
    t.match(session, { connected: false })
    t.equal(server.app.tether.stats().stallDisconnects, 1)
    // On a busy machine a reader of this very process may seem to stall as well; then it comes back once more.
    for (let received = 0; received < sent;) {
      const again = await open(server, { session: session.id, lastEventId: `${session.id}.${received}` })
      t.match(again.hello, { verdict: 'resumed', seq: received })
      await until(() => again.tab.closed || received + again.tab.updates.length === sent, 'everything that it had not got', 60_000)
      received += again.tab.updates.length
    }
  })

  test('too much waits: the stream ends, or the oldest goes', async (t) => {
    for (const onOverflow of ['disconnect', 'dropOldest'] as const) {
      const reasons: string[] = []
      const server = await start(t, { live: { onOverflow, queueFrames: 20, onDisconnect: (_session, reason) => { reasons.push(reason) } } })
      const link = await startLink(t, server)
      const { tab, session } = await open(server, { port: link.port })
      link.freeze()
      const { sent } = await fill(session)
      for (let number = 1; number <= 100; number++) session.send('note', { text: String(number) })
      if (onOverflow === 'disconnect') {
        await until(() => reasons.length > 0, 'onDisconnect')
        t.same(reasons, ['overflow'])
        continue
      }
      t.same(session.connected, true)
      link.thaw()
      await until(() => tab.updates.at(-1)?.data === '{"text":"100"}', 'the newest')
      t.match(tab.controls.at(-1), { type: 'gap', seq: sent + 80 })
    }
  })

  test('heartbeats carry the number of the last update', async (t) => {
    const server = await start(t, { upgrade: { heartbeatMs: 100 } })
    const { tab, session } = await open(server)
    await until(() => tab.controls.some(({ type, seq }) => type === 'heartbeat' && seq === 0), 'a heartbeat')
    sendRows(session, 1, 3)
    await until(() => tab.controls.some(({ type, seq }) => type === 'heartbeat' && seq === 3), 'a heartbeat after the rows')
    t.equal(tab.closed, false)
  })

  test('each byte is counted for its session, from the opening to the goodbye', async (t) => {
    const server = await start(t)
    const older = await open(server)
    const { session } = older
    session.send('note', { text: 'é' })
    await until(() => older.tab.updates.length === 1, 'the update')
    const newer = await begin(server, { session: session.id, lastEventId: `${session.id}.1` })
    await until(() => newer.controls.length > 0 && older.tab.closed, 'the newer stream')
    session.send('note', { text: 'b' })
    await until(() => newer.updates.length === 1, 'another update')
    const received = Buffer.byteLength(older.tab.text) + Buffer.byteLength(newer.text)
    t.equal(session.stats.bytesWritten, received, 'by the session, as much as arrived')
    const { writes, bytesWritten, framesWritten } = server.app.tether.stats()
    t.same({ writes, bytesWritten, framesWritten }, { writes: session.stats.writes, bytesWritten: received, framesWritten: 2 }, 'and in all')
  })

  test('a newer stream takes over', async (t) => {
    const hooks: unknown[] = []
    const server = await start(t, {
      live: { onConnect: (_session, { verdict }) => { hooks.push(verdict) }, onDisconnect: (_session, reason) => { hooks.push(reason) } }
    })
    const older = await open(server)
    const { id } = older.session
    sendRows(older.session, 1, 4)
    await until(() => rows(older.tab).length === 4, 'four rows')
    const newer = await open(server, { session: id, lastEventId: `${id}.2` })
    t.match(newer.hello, { verdict: 'resumed', seq: 2 })
    await until(() => older.tab.closed, 'the end of the older')
    t.ok(older.tab.ended)
    t.same(older.tab.controls.at(-1), { type: 'goodbye', reason: 'replaced', reconnect: false })
    t.equal(older.tab.blocks.at(-1)?.id, `${id}.taken`)
    t.equal(await rejection(begin(server, { session: id, lastEventId: `${id}.taken` })), 'gone')
    sendRows(newer.session, 5, 6)
    await until(() => rows(newer.tab).length === 4, 'the rest')
    t.same(rows(newer.tab), range(3, 6))
    t.same(hooks, ['new', 'replaced', 'resumed'])
  })

  test('the application closes a session, for good or not', async (t) => {
    const reasons: string[] = []
    const server = await start(t, { live: { onClose: (_session, reason) => { reasons.push(reason) } } })
    for (const reconnect of [false, true]) {
      const { tab, session } = await open(server)
      session.send('row', 'last')
      await within(session.close('over', { reconnect }), 'close()')
      await until(() => tab.closed, 'the end')
      t.ok(tab.ended, 'a proper end')
      t.ok(tab.text.endsWith(update('row', 'last') + control({ type: 'goodbye', reason: 'over', reconnect })))
      const id = `${session.id}.1`
      if (!reconnect) t.equal(await rejection(begin(server, { session: session.id, lastEventId: id })), 'gone')
      else t.match((await open(server, { session: session.id, lastEventId: id })).hello, { verdict: 'expired' })
    }
    t.same(reasons, ['over', 'over'])
  })

  test('a page that leaves', async (t) => {
    const reasons: string[] = []
    const server = await start(t, { live: { onClose: (_session, reason) => { reasons.push(reason) } } })
    const { tab } = await open(server)
    t.match(await tab.emit({ event: 'tether.close', data: {} }), { status: 202 })
    await until(() => tab.closed, 'the end')
    t.same(tab.controls.at(-1), { type: 'goodbye', reason: 'left', reconnect: true })
    await until(() => reasons.length > 0, 'onClose')
    t.same(reasons, ['left'])
  })

  test('there is no room', async (t) => {
    const server = await start(t, { tether: { maxSessions: 1 } })
    const { tab, session } = await open(server)
    t.equal(await rejection(begin(server)), 'later')
    t.equal(server.app.tether.stats().sessions, 1)
    tab.destroy()
    await until(() => !session.connected, 'the loss of the stream')
    t.match((await open(server, { session: session.id, lastEventId: `${session.id}.0` })).hello, { verdict: 'resumed' }, 'one that is known comes back')
  })

  test('another site is refused', async (t) => {
    const server = await start(t, { tether: { trustedOrigins: ['https://friend.example'] } })
    for (const [headers, allowed] of [
      [{ origin: 'https://evil.example' }, false],
      [{ origin: 'null' }, false],
      [{ origin: server.origin, 'sec-fetch-site': 'cross-site' }, false],
      [{ origin: 'https://friend.example', 'sec-fetch-site': 'cross-site' }, true],
      [{ origin: server.origin }, true],
      [{ 'sec-fetch-site': 'same-origin' }, true]
    ] as Array<[Record<string, string>, boolean]>) {
      if (allowed) t.match((await open(server, { headers })).hello, { verdict: 'new' })
      else t.equal(await rejection(begin(server, { headers })), 403, JSON.stringify(headers))
    }
    t.equal(server.app.tether.stats().sessions, 3)
  })

  test('the application\'s hooks run first, and may refuse', async (t) => {
    const ran: string[] = []
    const server = await start(t, {
      setup: (app) => {
        app.addHook('onRequest', async (request, reply) => {
          ran.push('onRequest')
          if (request.headers.authorization !== 'yes') return reply.code(401).send({ code: 'WHO' })
        })
        app.addHook('preHandler', async () => { ran.push('preHandler') })
      }
    })
    t.equal(await rejection(begin(server)), 401)
    t.same(ran, ['onRequest'])
    await open(server, { headers: { authorization: 'yes' } })
    t.same(ran, ['onRequest', 'onRequest', 'preHandler'])
    t.equal(server.app.tether.stats().sessions, 1)
  })

  test('initialState fails', async (t) => {
    const errors = [new Error('no database'), Object.assign(new Error('not for you'), { statusCode: 403 })]
    const server = await start(t, {
      live: {
        initialState: async () => {
          const error = errors.shift()
          if (error !== undefined) throw error
        }
      }
    })
    t.equal(await rejection(begin(server)), 500)
    t.equal(server.errors().at(-1)?.err?.message, 'no database', 'logged')
    t.equal(await rejection(begin(server)), 403)
    t.match(server.app.tether.stats(), { sessions: 0 })
    await open(server)
  })

  test('a tab that leaves while its session is made', async (t) => {
    let release!: () => void
    let entered = false
    const hooks: string[] = []
    const server = await start(t, {
      live: {
        initialState: () => {
          entered = true
          return new Promise<void>((resolve) => { release = resolve })
        },
        onConnect: () => { hooks.push('onConnect') },
        onClose: () => { hooks.push('onClose') }
      }
    })
    const tab = begin(server)
    await until(() => entered, 'initialState')
    tab.destroy()
    await turns(50)
    release()
    await until(() => server.app.tether.stats().sessions === 0 && server.app.tether.stats().streams === 0, 'nothing left')
    t.same(hooks, [])
  })

  test('drain() says goodbye, and turns newcomers away', async (t) => {
    const server = await start(t)
    const { tab, session } = await open(server)
    session.send('row', 'last')
    await within(server.app.tether.drain({ retryMs: 5_000, spreadMs: 0, timeoutMs: 60_000 }), 'drain()')
    await until(() => tab.closed, 'the end')
    t.ok(tab.ended)
    t.ok(tab.text.endsWith(`${update('row', 'last')}retry: 5000\n${control({ type: 'goodbye', reason: 'draining', reconnect: true })}`))
    t.match(server.app.tether.stats(), { sessions: 0, streams: 0 })
    t.equal(await rejection(begin(server)), 'later')
    await within(server.app.close(), 'close()')
  })

  test('app.close() says goodbye to those who read, and waits for nobody else', async (t) => {
    const server = await start(t)
    const link = await startLink(t, server)
    const reading = await open(server)
    const frozen = await open(server, { port: link.port })
    link.freeze()
    await fill(frozen.session)
    const startedAt = performance.now()
    await within(server.app.close(), 'close()')
    t.ok(performance.now() - startedAt < 8_000)
    await until(() => reading.tab.closed, 'the end')
    t.ok(reading.tab.ended, 'a proper end')
    t.match(reading.tab.blocks.at(-1)?.raw, /^retry: \d+\nevent: tether\ndata: {"type":"goodbye","reason":"shutdown","reconnect":true}$/)
    t.match(server.app.tether.stats(), { sessions: 0, streams: 0 })
  })

  test('events may be posted, whatever carries the updates', async (t) => {
    const server = await start(t, { live: { on: { say: (session, { text }) => { session.send('note', { text }) } } } })
    const { tab, session } = await open(server)
    t.match(await tab.emit({ event: 'say', data: { text: 'a' }, seq: 1 }), { status: 202 })
    const posted = await server.app.inject({ method: 'POST', url: '/live', headers: { ...json, ...counting(session.id) }, payload: JSON.stringify({ event: 'say', data: { text: 'b' }, seq: 2 }) })
    t.equal(posted.statusCode, 202)
    t.match(await tab.emit({ event: 'say', data: { text: 'c' }, seq: 3 }), { status: 202, seq: 3 })
    await until(() => tab.updates.length === 3, 'the answers')
    t.same(tab.updates.map(({ data }) => data), ['{"text":"a"}', '{"text":"b"}', '{"text":"c"}'])
  })
}
