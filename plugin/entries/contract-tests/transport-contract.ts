import { Bench } from './bench.ts'
import { equal, match, not, ok, same } from './checks.ts'
import { runScoped, type ContractCase } from './contract-case.ts'
import { fill } from './fill.ts'
import { range, rows, sendRows } from './rows.ts'
import type { ServerUnderTest, TransportUnderTest } from './transport-under-test.ts'
import { isSettled, turns, until, within } from './wait.ts'

type Case = (bench: Bench) => Promise<void>

/**
 * The rules for sessions on any transport, as tests. Each test has a server of its own and asserts
 * with `node:assert`, so any runner will do. Run them one at a time, with a limit of two minutes each.
 *
 * @example
 * for (const { name, run } of transportContract(transport)) test(name, run)
 * @see docs/testing.md
 */
export function transportContract<Server extends ServerUnderTest> (transport: TransportUnderTest<Server>): readonly ContractCase[] {
  // A transport only gets back servers that it started.
  const any = transport as unknown as TransportUnderTest
  return Object.entries(cases).map(([name, body]) => ({ name: `${transport.name}: ${name}`, run: () => runScoped((scope) => body(new Bench(any, scope))) }))
}

const update = (name: string, data: string) => `event: ${name}\ndata: ${data}\n\n`
const control = (data: object) => update('tether', JSON.stringify(data))

const cases: Record<string, Case> = {
  'a session opens, and tells what it travels by': async (bench) => {
    const told: unknown[] = []
    const server = await bench.start({ live: { onConnect: (session, context) => { told.push([session.id, context.verdict, context.protocol, context.request.url]) } } })
    const { tab, hello, session } = await bench.open(server)
    match(tab.text, /^retry: 1000\n/)
    match(hello, { type: 'hello', session: session.id, verdict: 'new', seq: 0, heartbeatMs: 20_000, maxBatch: 32, maxEventBytes: 65_536 })
    equal(tab.blocks.find(({ event }) => event === 'tether')?.id, `${session.id}.0`)
    await until(() => told.length > 0, 'onConnect')
    same(told, [[session.id, 'new', bench.protocol, '/live']])
    equal(server.live.stats.protocols[bench.protocol], 1)
    equal(server.app.tether.stats().protocols[bench.protocol], 1)
    equal(Object.values(server.app.tether.stats().protocols).reduce((sum, count) => sum + count), 1)
    tab.destroy()
    await until(() => server.app.tether.stats().protocols[bench.protocol] === 0, 'the end of the stream')
    equal(server.live.stats.protocols[bench.protocol], 0)
  },

  'the same text comes, frame by frame': async (bench) => {
    const server = await bench.start()
    const { tab, session } = await bench.open(server)
    const before = tab.text.length
    session.send('note', { text: 'hello' })
    session.send('row', 'two\nlines')
    session.send('row', 'späße 🎈')
    server.live.broadcast('sample', { series: 'cpu', value: 0.5 })
    await until(() => tab.updates.length === 4, 'four updates')
    equal(tab.text.slice(before), update('note', '{"text":"hello"}') + 'event: row\ndata: two\ndata: lines\n\n' +
      update('row', 'späße 🎈') + update('sample', '{"series":"cpu","value":0.5}'))
  },

  'updates of any size arrive complete and in order': async (bench) => {
    const server = await bench.start({ live: { queueBytes: 16 * 1024 * 1024 } })
    const { tab, session } = await bench.open(server)
    const sizes = [0, 1, 100, 125, 126, 127, 16_384, 65_500, 65_535, 65_536, 70_000, 200_000, 1_000_000]
    for (const size of sizes) await session.send('row', 'é'.repeat(size))
    for (let number = 1; number <= 2_000; number++) await session.send('row', String(number))
    await until(() => tab.updates.length === sizes.length + 2_000, 'all updates', 60_000)
    same(tab.updates.slice(0, sizes.length).map(({ data }) => data?.length), sizes)
    ok(tab.updates.slice(0, sizes.length).every(({ data }) => /^é*$/.test(data ?? '')))
    same(rows(tab).slice(sizes.length), range(1, 2_000))
  },

  'a broadcast reaches all, and large ones too': async (bench) => {
    const server = await bench.start()
    const tabs = await Promise.all(Array.from({ length: 5 }, () => bench.open(server)))
    const large = 'x'.repeat(150_000)
    for (const text of ['a', large, 'b']) equal(server.live.broadcast('note', { text }), 5)
    for (const { tab } of tabs) {
      await until(() => tab.updates.length === 3, 'three updates')
      same(tab.updates.map(({ data }) => (JSON.parse(data!) as { text: string }).text), ['a', large, 'b'])
    }
  },

  'events run in order, once, and are answered': async (bench) => {
    const said: string[] = []
    const server = await bench.start({ live: { on: { say: (_session, { text }) => { said.push(text) } } } })
    const { tab } = await bench.open(server)
    const say = (text: string, seq?: number) => ({ event: 'say', data: { text }, ...seq === undefined ? {} : { seq } })
    same(await tab.emit(say('no number')), { status: 202, seq: 0 })
    same(await tab.emit(say('one', 1)), { status: 202, seq: 1 })
    same(await tab.emit(say('one', 1)), { status: 202, seq: 1, known: 1 }, 'again')
    same(await tab.emit([say('one', 1), say('two', 2), say('three', 3)]), { status: 202, seq: 3, known: 1 }, 'its known part is skipped')
    match(await tab.emit(say('five', 5)), { status: 409, code: 'FST_ERR_TETHER_SEQUENCE', expected: 4 })
    match(await tab.emit([say('four', 4), { event: 'say', data: {} }]), { status: 400, errors: [{ path: '/1/data/text' }] }, 'all or nothing')
    same(await tab.emit(say('four', 4)), { status: 202, seq: 4 })
    await until(() => said.length === 5, 'the handlers')
    same(said, ['no number', 'one', 'two', 'three', 'four'])
  },

  'bad input is refused in the same words': async (bench) => {
    const server = await bench.start({ live: { maxBatch: 2, maxEventBytes: 1_000 } })
    const { tab } = await bench.open(server)
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
      match(got, rest, JSON.stringify(body).slice(0, 60))
      if (typeof errors === 'function') ok(errors(got.errors), JSON.stringify(got.errors))
      else if (errors !== undefined) match(got.errors, errors)
    }
    same(await tab.emit({ ...ping, seq: 1 }), { status: 202, seq: 1 }, 'and used no number')
    match(server.app.tether.stats(), { eventsAccepted: 1, handlerErrors: 0 })
  },

  'a tab that comes back gets what it missed': async (bench) => {
    const told: unknown[] = []
    const server = await bench.start({
      live: {
        onConnect: (_session, { verdict }) => { told.push(verdict) },
        onDisconnect: (_session, reason) => { told.push(reason) }
      }
    })
    const link = await bench.link(server)
    const { tab, session } = await bench.open(server, { link })
    sendRows(session, 1, 3)
    await until(() => rows(tab).length === 3, 'three rows')
    link.cut()
    await until(() => !session.connected, 'the loss of the stream')
    sendRows(session, 4, 6)
    const again = await bench.open(server, { session: session.id, lastEventId: `${session.id}.2` })
    match(again.hello, { session: session.id, verdict: 'resumed', seq: 2 })
    await until(() => rows(again.tab).length === 4, 'four rows')
    same(rows(again.tab), [3, 4, 5, 6])
    same(told, ['new', 'client', 'resumed'])
  },

  'a tab that comes back learns which events were accepted': async (bench) => {
    const server = await bench.start()
    const { tab, hello, session } = await bench.open(server)
    equal('accepted' in hello, false, 'nothing yet')
    const ping = (seq?: number) => ({ event: 'ping', data: {}, ...seq === undefined ? {} : { seq } })
    await tab.emit([ping(1), ping(), ping(2)])
    same(await tab.emit([ping(1), ping(2), ping(), ping(3)]), { status: 202, seq: 3, known: 2 })
    const again = await bench.open(server, { session: session.id, lastEventId: `${session.id}.0` })
    match(again.hello, { verdict: 'resumed', accepted: 3 })
    const other = await bench.open(server, { session: 'x'.repeat(24) })
    match(other.hello, { verdict: 'expired' })
    equal('accepted' in other.hello, false, 'another session begins anew')
  },

  verdicts: async (bench) => {
    const server = await bench.start({ live: { replayFrames: 2, bind: (request) => request.headers['x-user'] as string | undefined } })
    const { tab, session } = await bench.open(server)
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
      const opened = await bench.open(server, options)
      match(opened.hello, { verdict, seq }, JSON.stringify(options))
      equal(opened.session.id === id, verdict !== 'expired')
    }
  },

  'a session that the page was given': async (bench) => {
    const server = await bench.start({ setup: (app) => { app.get('/page', async (request) => ({ id: await server.live.prepare(request) })) } })
    for (const way of ['query', 'name'] as const) {
      const { id: claim } = (await server.app.inject('/page')).json<{ id: string }>()
      const session = server.live.get(claim)!
      session.send('row', 'before')
      const named = way === 'query' ? { query: `?tether-session=${claim}` } : { session: claim }
      const { tab, hello } = await bench.open(server, named)
      match(hello, { session: session.id, verdict: 'new' })
      not(session.id, claim)
      await until(() => tab.updates.length === 1, 'what was sent before')
      match((await bench.open(server, named)).hello, { verdict: 'expired' }, 'once only')
      equal(tab.closed, false)
    }
  },

  'what a tab acknowledges is kept no longer': async (bench) => {
    const server = await bench.start()
    const { tab, session } = await bench.open(server)
    sendRows(session, 1, 5)
    await until(() => rows(tab).length === 5, 'the rows')
    equal(session.stats.heldFrames, 5)
    await tab.acknowledge(`${'x'.repeat(24)}.5`)
    await tab.acknowledge('nonsense')
    equal(session.stats.heldFrames, 5)
    await tab.acknowledge(`${session.id}.3`)
    equal(session.stats.heldFrames, 2)
  },

  'send blocks when writeBuffer frames wait; the loop stalls, and a full channel is busy': async (bench) => {
    const ran: string[] = []
    const server = await bench.start({
      upgrade: { writeBuffer: 2 },
      live: { commandBuffer: 3, on: { say: (session, { text }) => { ran.push(text); session.send('note', { text }) } } }
    })
    const { tab, session } = await bench.open(server)
    tab.pause()
    const { sent, blocked } = await fill(session)
    match(session.stats, { queuedFrames: 2, stalled: true })
    const more = session.send('row', 'more')
    const answers = ['a', 'b', 'c', 'd'].map((text) => tab.emit({ event: 'say', data: { text } }))
    await until(() => session.stats.queuedCommands === 3, 'a full channel')
    await turns()
    same(ran, [], 'not even the first runs')
    equal(await isSettled(blocked), false)
    tab.resume()
    same(await within(Promise.all([blocked, more]), 'the blocked sends'), [true, true])
    const statuses = (await Promise.all(answers)).map(({ status, code, retryAfter }) => [status, code, retryAfter])
    same(statuses.filter(([status]) => status === 202).length, 3)
    same(statuses.filter(([status]) => status !== 202), [[429, 'FST_ERR_TETHER_BUSY', 1]])
    await until(() => tab.updates.length === sent + 1 + 3, 'everything')
    equal(new Set(ran).size, 3)
    match(session.stats, { queuedFrames: 0, queuedBytes: 0, stalled: false, dropped: 0 })
  },

  'while it waits, only the newest per key is kept': async (bench) => {
    const server = await bench.start({ upgrade: { writeBuffer: 2 } })
    const { tab, session } = await bench.open(server)
    tab.pause()
    const { sent } = await fill(session)
    for (let value = 1; value <= 100; value++) {
      for (const series of ['cpu', 'memory']) session.send('sample', { series, value })
    }
    match(session.stats, { conflated: 198, queuedFrames: 4 })
    tab.resume()
    await until(() => tab.updates.length === sent + 2, 'what waited')
    same(tab.updates.slice(-2).map(({ data }) => data), ['{"series":"cpu","value":100}', '{"series":"memory","value":100}'])
  },

  'a reader that takes nothing loses its stream, not its session': async (bench) => {
    const reasons: string[] = []
    const server = await bench.start({
      upgrade: { stallTimeoutMs: 500, writeBuffer: 2 },
      live: { onDisconnect: (_session, reason) => { reasons.push(reason) }, replayBytes: 64 * 1024 * 1024, replayFrames: 10_000 }
    })
    const link = await bench.link(server)
    const { session } = await bench.open(server, { link })
    link.freeze()
    const { sent, blocked } = await fill(session)
    equal(await within(blocked, 'the blocked send'), true)
    await until(() => reasons.length > 0, 'onDisconnect')
    same(reasons, ['stalled'])
    match(session, { connected: false })
    equal(server.app.tether.stats().stallDisconnects, 1)
    // On a busy machine a reader in this process may seem to stall, too. Then it reconnects once more.
    for (let received = 0; received < sent;) {
      const again = await bench.open(server, { session: session.id, lastEventId: `${session.id}.${received}` })
      match(again.hello, { verdict: 'resumed', seq: received })
      await until(() => again.tab.closed || received + again.tab.updates.length === sent, 'everything that it had not got', 60_000)
      received += again.tab.updates.length
    }
  },

  'too much waits: the stream ends, or the oldest goes': async (bench) => {
    for (const onOverflow of ['disconnect', 'dropOldest'] as const) {
      const reasons: string[] = []
      const server = await bench.start({ live: { onOverflow, queueFrames: 20, onDisconnect: (_session, reason) => { reasons.push(reason) } } })
      const link = await bench.link(server)
      const { tab, session } = await bench.open(server, { link })
      link.freeze()
      const { sent } = await fill(session)
      for (let number = 1; number <= 100; number++) session.send('note', { text: String(number) })
      if (onOverflow === 'disconnect') {
        await until(() => reasons.length > 0, 'onDisconnect')
        same(reasons, ['overflow'])
        continue
      }
      same(session.connected, true)
      link.thaw()
      await until(() => tab.updates.at(-1)?.data === '{"text":"100"}', 'the newest')
      match(tab.controls.at(-1), { type: 'gap', seq: sent + 80 })
    }
  },

  'heartbeats carry the number of the last update': async (bench) => {
    const server = await bench.start({ upgrade: { heartbeatMs: 100 } })
    const { tab, session } = await bench.open(server)
    await until(() => tab.controls.some(({ type, seq }) => type === 'heartbeat' && seq === 0), 'a heartbeat')
    sendRows(session, 1, 3)
    await until(() => tab.controls.some(({ type, seq }) => type === 'heartbeat' && seq === 3), 'a heartbeat after the rows')
    equal(tab.closed, false)
  },

  'each byte is counted for its session, from the opening to the goodbye': async (bench) => {
    const server = await bench.start()
    const older = await bench.open(server)
    const { session } = older
    session.send('note', { text: 'é' })
    await until(() => older.tab.updates.length === 1, 'the update')
    const newer = bench.begin(server, { session: session.id, lastEventId: `${session.id}.1` })
    await until(() => newer.controls.length > 0 && older.tab.closed, 'the newer stream')
    session.send('note', { text: 'b' })
    await until(() => newer.updates.length === 1, 'another update')
    const received = Buffer.byteLength(older.tab.text) + Buffer.byteLength(newer.text)
    equal(session.stats.bytesWritten, received, 'by the session, as much as arrived')
    const { writes, bytesWritten, framesWritten } = server.app.tether.stats()
    same({ writes, bytesWritten, framesWritten }, { writes: session.stats.writes, bytesWritten: received, framesWritten: 2 }, 'and in all')
  },

  'a newer stream takes over': async (bench) => {
    const hooks: unknown[] = []
    const server = await bench.start({
      live: { onConnect: (_session, { verdict }) => { hooks.push(verdict) }, onDisconnect: (_session, reason) => { hooks.push(reason) } }
    })
    const older = await bench.open(server)
    const { id } = older.session
    sendRows(older.session, 1, 4)
    await until(() => rows(older.tab).length === 4, 'four rows')
    const newer = await bench.open(server, { session: id, lastEventId: `${id}.2` })
    match(newer.hello, { verdict: 'resumed', seq: 2 })
    await until(() => older.tab.closed, 'the end of the older')
    ok(older.tab.ended)
    same(older.tab.controls.at(-1), { type: 'goodbye', reason: 'replaced', reconnect: false })
    equal(older.tab.blocks.at(-1)?.id, `${id}.taken`)
    equal(await bench.begin(server, { session: id, lastEventId: `${id}.taken` }).rejection(), 'gone')
    sendRows(newer.session, 5, 6)
    await until(() => rows(newer.tab).length === 4, 'the rest')
    same(rows(newer.tab), range(3, 6))
    same(hooks, ['new', 'replaced', 'resumed'])
  },

  'the application closes a session, for good or not': async (bench) => {
    const reasons: string[] = []
    const server = await bench.start({ live: { onClose: (_session, reason) => { reasons.push(reason) } } })
    for (const reconnect of [false, true]) {
      const { tab, session } = await bench.open(server)
      session.send('row', 'last')
      await within(session.close('over', { reconnect }), 'close()')
      await until(() => tab.closed, 'the end')
      ok(tab.ended, 'a proper end')
      ok(tab.text.endsWith(update('row', 'last') + control({ type: 'goodbye', reason: 'over', reconnect })))
      const id = `${session.id}.1`
      if (!reconnect) equal(await bench.begin(server, { session: session.id, lastEventId: id }).rejection(), 'gone')
      else match((await bench.open(server, { session: session.id, lastEventId: id })).hello, { verdict: 'expired' })
    }
    same(reasons, ['over', 'over'])
  },

  'a page that leaves': async (bench) => {
    const reasons: string[] = []
    const server = await bench.start({ live: { onClose: (_session, reason) => { reasons.push(reason) } } })
    const { tab } = await bench.open(server)
    match(await tab.leave(), { status: 202 })
    await until(() => tab.closed, 'the end')
    same(tab.controls.at(-1), { type: 'goodbye', reason: 'left', reconnect: true })
    await until(() => reasons.length > 0, 'onClose')
    same(reasons, ['left'])
  },

  'there is no room': async (bench) => {
    const server = await bench.start({ tether: { maxSessions: 1 } })
    const { tab, session } = await bench.open(server)
    equal(await bench.begin(server).rejection(), 'later')
    equal(server.app.tether.stats().sessions, 1)
    tab.destroy()
    await until(() => !session.connected, 'the loss of the stream')
    match((await bench.open(server, { session: session.id, lastEventId: `${session.id}.0` })).hello, { verdict: 'resumed' }, 'one that is known comes back')
  },

  'another site is refused': async (bench) => {
    const server = await bench.start({ tether: { trustedOrigins: ['https://friend.example'] } })
    for (const [headers, allowed] of [
      [{ origin: 'https://evil.example' }, false],
      [{ origin: 'null' }, false],
      [{ origin: server.origin, 'sec-fetch-site': 'cross-site' }, false],
      [{ origin: 'https://friend.example', 'sec-fetch-site': 'cross-site' }, true],
      [{ origin: server.origin }, true],
      [{ 'sec-fetch-site': 'same-origin' }, true]
    ] as Array<[Record<string, string>, boolean]>) {
      if (allowed) match((await bench.open(server, { headers })).hello, { verdict: 'new' })
      else equal(await bench.begin(server, { headers }).rejection(), 403, JSON.stringify(headers))
    }
    equal(server.app.tether.stats().sessions, 3)
  },

  'the application\'s hooks run first, and may refuse': async (bench) => {
    const ran: string[] = []
    const server = await bench.start({
      setup: (app) => {
        app.addHook('onRequest', async (request, reply) => {
          ran.push('onRequest')
          if (request.headers.authorization !== 'yes') return reply.code(401).send({ code: 'WHO' })
        })
        app.addHook('preHandler', async () => { ran.push('preHandler') })
      }
    })
    equal(await bench.begin(server).rejection(), 401)
    same(ran, ['onRequest'])
    await bench.open(server, { headers: { authorization: 'yes' } })
    same(ran, ['onRequest', 'onRequest', 'preHandler'])
    equal(server.app.tether.stats().sessions, 1)
  },

  'initialState fails': async (bench) => {
    const errors = [new Error('no database'), Object.assign(new Error('not for you'), { statusCode: 403 })]
    const server = await bench.start({
      live: {
        initialState: async () => {
          const error = errors.shift()
          if (error !== undefined) throw error
        }
      }
    })
    equal(await bench.begin(server).rejection(), 500)
    equal(server.errors.at(-1), 'no database', 'logged')
    equal(await bench.begin(server).rejection(), 403)
    match(server.app.tether.stats(), { sessions: 0 })
    await bench.open(server)
  },

  'a tab that leaves while its session is made': async (bench) => {
    let release!: () => void
    let entered = false
    const hooks: string[] = []
    const server = await bench.start({
      live: {
        initialState: () => {
          entered = true
          return new Promise<void>((resolve) => { release = resolve })
        },
        onConnect: () => { hooks.push('onConnect') },
        onClose: () => { hooks.push('onClose') }
      }
    })
    const tab = bench.begin(server)
    await until(() => entered, 'initialState')
    tab.destroy()
    await turns(50)
    release()
    await until(() => server.app.tether.stats().sessions === 0 && server.app.tether.stats().streams === 0, 'nothing left')
    same(hooks, [])
  },

  'drain() says goodbye, and turns newcomers away': async (bench) => {
    const server = await bench.start()
    const { tab, session } = await bench.open(server)
    session.send('row', 'last')
    await within(server.app.tether.drain({ retryMs: 5_000, spreadMs: 0, timeoutMs: 60_000 }), 'drain()')
    await until(() => tab.closed, 'the end')
    ok(tab.ended)
    ok(tab.text.endsWith(`${update('row', 'last')}retry: 5000\n${control({ type: 'goodbye', reason: 'draining', reconnect: true })}`))
    match(server.app.tether.stats(), { sessions: 0, streams: 0 })
    equal(await bench.begin(server).rejection(), 'later')
    await within(server.app.close(), 'close()')
  },

  'app.close() says goodbye to those who read, and waits for nobody else': async (bench) => {
    const server = await bench.start()
    const link = await bench.link(server)
    const reading = await bench.open(server)
    const frozen = await bench.open(server, { link })
    link.freeze()
    await fill(frozen.session)
    const startedAt = performance.now()
    await within(server.app.close(), 'close()')
    ok(performance.now() - startedAt < 8_000)
    await until(() => reading.tab.closed, 'the end')
    ok(reading.tab.ended, 'a proper end')
    match(reading.tab.blocks.at(-1)?.raw, /^retry: \d+\nevent: tether\ndata: {"type":"goodbye","reason":"shutdown","reconnect":true}$/)
    match(server.app.tether.stats(), { sessions: 0, streams: 0 })
  },

  'events may be posted, whatever carries the updates': async (bench) => {
    const server = await bench.start({ live: { on: { say: (session, { text }) => { session.send('note', { text }) } } } })
    const { tab, session } = await bench.open(server)
    match(await tab.emit({ event: 'say', data: { text: 'a' }, seq: 1 }), { status: 202 })
    const posted = await server.app.inject({ method: 'POST', url: '/live', headers: { 'content-type': 'application/json', 'x-tether-session': session.id }, payload: JSON.stringify({ event: 'say', data: { text: 'b' }, seq: 2 }) })
    equal(posted.statusCode, 202)
    match(await tab.emit({ event: 'say', data: { text: 'c' }, seq: 3 }), { status: 202, seq: 3 })
    await until(() => tab.updates.length === 3, 'the answers')
    same(tab.updates.map(({ data }) => data), ['{"text":"a"}', '{"text":"b"}', '{"text":"c"}'])
  }
}
