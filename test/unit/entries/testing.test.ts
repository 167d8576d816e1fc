import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import t from 'tap'
import { testSession } from '../../../plugin/entries/testing.ts'
import tether, { conflate, defaults, defineContract, EventError, request, text, topic, type StatefulConfig } from '../../../plugin/index.ts'

const contract = defineContract({
  events: {
    say: Type.Object({ text: Type.String({ minLength: 1, maxLength: 100 }), loud: Type.Boolean({ default: false }) }),
    work: Type.Object({}),
    join: Type.Object({ room: Type.String() })
  },
  updates: {
    said: Type.Object({ from: Type.String(), text: Type.String() }),
    count: conflate(Type.Object({ n: Type.Integer() })),
    row: text()
  }
})

interface State { name: string }
type Config = StatefulConfig<typeof contract.events, typeof contract.updates, State>

const nothing: Config['on'] = { say: () => {}, work: () => {}, join: (session, { room }, { live }) => { live.group(room).add(session) } }

function make (config: Partial<Omit<Config, 'mode' | 'upgrade' | 'fallback'>> = {}, name = 'Ada') {
  const { on, ...rest } = config
  return testSession<typeof contract.events, typeof contract.updates, State>({ contract, ...rest, on: { ...nothing, ...on } }, { state: { name } })
}

const ada = { name: 'said', data: { from: 'Ada', text: 'hello' } } as const

t.test('a handler runs, and what it sends is there', async (t) => {
  const { session, dispatch, sent, errors } = make({
    on: {
      ...nothing,
      say: (session, { text, loud }) => {
        session.send('said', { from: session.state.name, text: loud ? text.toUpperCase() : text })
        return 'done'
      }
    }
  })
  t.equal(await dispatch('say', { text: 'hello', loud: false }), 'done')
  t.strictSame(sent, [ada])
  session.send('row', 'two\nlines')
  session.send('count', { n: 1 })
  session.send('count', { n: 2.5 as number })
  t.strictSame(sent, [ada, { name: 'row', data: 'two\nlines' }, { name: 'count', data: { n: 1 } }, { name: 'count', data: { n: 2 } }], 'at once, as its client gets it, each of its kind')
  t.throws(() => session.send('nothing' as never, {} as never), { code: 'FST_ERR_TETHER_UNKNOWN_UPDATE' })
  sent.length = 0
  await dispatch('work')
  t.strictSame(sent, [])
  t.strictSame(errors, [])
})

t.test('handlers run one at a time, in the order of the calls', async (t) => {
  const log: string[] = []
  const { dispatch } = make({
    on: {
      ...nothing,
      say: async (_session, { text }) => {
        log.push(`${text} begins`)
        await sleep(1)
        log.push(`${text} ends`)
      }
    }
  })
  await Promise.all([dispatch('say', { text: 'a', loud: true }), dispatch('say', { text: 'b', loud: true })])
  t.strictSame(log, ['a begins', 'a ends', 'b begins', 'b ends'])
})

t.test('an event is refused as on the wire', async (t) => {
  const config: Config = { contract, on: nothing, maxEventBytes: 200, commandBuffer: 2, maxBatch: 2 }
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(tether)
  const live = app.tether.stateful('/live', { ...config, initialState: () => ({ name: 'Ada' }) })
  const { dispatch, session, connect } = testSession(config, { state: { name: 'Ada' } })
  await connect()
  const claim = (await live.prepare({ ip: '127.0.0.1' } as never))!
  const { id } = live.get(claim)!
  const post = async (payload: string) => (await app.inject({ method: 'POST', url: '/live', payload, headers: { 'content-type': 'application/json', 'x-tether-session': id } })).json()
  const bad: Array<[string, unknown]> = [
    ['say', { text: '' }], ['say', {}], ['say', { text: 5, more: 1 }], ['say', null], ['say', []], ['say', 'text'],
    ['nothing', {}], ['tether.close', {}], ['constructor', {}], ['say', { text: 'x'.repeat(300) }], ['say', JSON.parse('{"text":"x","__proto__":{"a":1}}')]
  ]
  for (const [name, data] of bad) {
    const answer = await post(JSON.stringify({ event: name, data }))
    t.ok(answer.statusCode >= 400, `${name} ${JSON.stringify(data)}: ${answer.code}`)
    await t.rejects(dispatch(name as never, data as never), {
      statusCode: answer.statusCode, code: answer.code, message: answer.message, ...answer.errors === undefined ? {} : { errors: answer.errors }
    })
  }
  t.equal(session.stats.eventsAccepted, 0)

  const full = testSession({ ...config, on: { ...nothing, work: () => sleep(5) } }, { state: { name: 'Ada' } })
  const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => full.dispatch('work')))
  t.strictSame(outcomes.map(({ status }) => status), ['fulfilled', 'fulfilled', 'rejected', 'rejected'])
  t.match(outcomes[3], { reason: { code: 'FST_ERR_TETHER_BUSY', statusCode: 429 } })

  await session.close()
  await t.rejects(dispatch('work'), { code: 'FST_ERR_TETHER_SESSION_CLOSED', statusCode: 410 })
  await t.rejects(connect(), { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
})

t.test('data arrives as JSON carries it', async (t) => {
  let got: unknown
  const { dispatch } = make({ on: { ...nothing, say: (_session, data) => { got = data } } })
  await dispatch('say', { text: 'x', loud: undefined } as never)
  t.strictSame(got, { text: 'x', loud: false }, 'what is undefined is not there, so the default is')
  await t.rejects(dispatch('say', { text: 1n } as never), TypeError)
})

t.test('what a handler throws rejects, goes to onError, and the session goes on', async (t) => {
  const told: unknown[] = []
  const { dispatch, errors, sent, session } = make({
    on: {
      ...nothing,
      say: (_session, { text }) => { throw new Error(text) },
      work: async (session) => {
        await sleep(1)
        session.send('row', 'sent before')
        throw new Error('later')
      }
    },
    onJoin: () => { throw new Error('no room') },
    onError: (_session, error, { command }) => { told.push([(error as Error).message, command]) }
  })
  await t.rejects(dispatch('say', { text: 'at once', loud: true }), { message: 'at once' })
  await t.rejects(dispatch('work'), { message: 'later' })
  await dispatch('join', { room: 'a' })
  t.strictSame(told, [['at once', 'say'], ['later', 'work'], ['no room', 'onJoin']])
  t.strictSame(errors.map(({ error, command }) => [(error as Error).message, command]), told, 'a test that ignores a promise can still see it')
  t.strictSame(sent, [{ name: 'row', data: 'sent before' }])
  t.equal(session.stats.handlerErrors, 3)
  dispatch('say', { text: 'nobody listens', loud: true })
  await sleep(5)
  t.equal(errors.length, 4, 'and a rejection that nobody handles ends no process')
})

t.test('broadcasts that reach the session, and groups', async (t) => {
  const { session, live, dispatch, sent, other } = make({
    on: {
      ...nothing,
      say: (session, { text }, { live }) => {
        live.group('a').broadcastExcept(session, 'said', { from: session.state.name, text })
        session.send('row', 'said')
      }
    }
  })
  const grace = other({ state: { name: 'Grace' } })
  t.equal(live.broadcast('count', { n: 1 }), 2)
  session.send('count', { n: 2 })
  live.group('a').broadcast('count', { n: 3 })
  t.strictSame(sent, [{ name: 'count', data: { n: 1 } }, { name: 'count', data: { n: 2 } }], 'in the order of the calls, those of others not at all')
  await dispatch('join', { room: 'a' })
  await grace.dispatch('join', { room: 'a' })
  t.equal(live.group('a').size, 2)
  t.strictSame(grace.sent.splice(0), [{ name: 'count', data: { n: 1 } }])
  sent.length = 0
  await dispatch('say', { text: 'hello', loud: false })
  t.strictSame(sent, [{ name: 'row', data: 'said' }])
  t.strictSame(grace.sent, [ada])
  await session.close()
  t.equal(live.group('a').size, 1)
  t.equal(live.broadcast('count', { n: 4 }), 1)
  t.strictSame(sent, [{ name: 'row', data: 'said' }], 'nothing reaches a closed session')
  t.equal(await session.send('row', 'late'), false)
})

t.test('connect runs onConnect with a verdict, disconnect onDisconnect', async (t) => {
  const log: unknown[] = []
  const { session, connect, disconnect, sent } = make({
    onConnect: async (session, { request, verdict, protocol, live }) => {
      await sleep(1)
      log.push(['connect', verdict, protocol, request.headers['accept-language'] ?? null, [...live.sessions].length])
      if (verdict !== 'resumed') session.send('row', 'snapshot')
    },
    onDisconnect: (_session, reason) => { log.push(['disconnect', reason]) },
    onClose: (_session, reason) => { log.push(['close', reason]) }
  })
  t.equal(session.connected, false)
  t.equal(await connect(), 'new')
  t.equal(session.connected, true)
  t.strictSame(sent.splice(0), [{ name: 'row', data: 'snapshot' }])
  await disconnect()
  t.equal(session.connected, false)
  session.send('row', 'missed')
  t.equal(await connect('resumed', { headers: { 'accept-language': 'de' } }), 'resumed')
  t.strictSame(sent.splice(0), [{ name: 'row', data: 'missed' }])
  t.equal(await connect('expired'), 'expired')
  t.equal(await connect('gap'), 'gap')
  await session.close('done')
  t.strictSame(log, [
    ['connect', 'new', 'http/1.1', null, 1], ['disconnect', 'client'],
    ['connect', 'resumed', 'http/1.1', 'de', 1],
    ['disconnect', 'replaced'], ['connect', 'expired', 'http/1.1', null, 1],
    ['disconnect', 'replaced'], ['connect', 'gap', 'http/1.1', null, 1],
    ['disconnect', 'closed'], ['close', 'done']
  ])
  await disconnect()
})

t.test('what onConnect and onDisconnect throw rejects', async (t) => {
  const { connect, disconnect, dispatch } = make({
    onConnect: () => { throw new Error('no snapshot') },
    onDisconnect: async () => { throw new Error('no trace') }
  })
  await t.rejects(connect(), { message: 'no snapshot' })
  await t.rejects(disconnect(), { message: 'no trace' })
  await dispatch('work')
  const bare = make()
  t.equal(await bare.connect(), 'new', 'hooks that are not there are no hooks to wait for')
  await bare.disconnect()
})

t.test('hooks and handlers have the this of their configuration', async (t) => {
  class Live {
    readonly contract = contract
    #runs = 0
    get runs () { return this.#runs }
    onConnect () { this.#runs++ }
    onJoin () { this.#runs++ }
    on = { say () {}, join: nothing.join, work (this: unknown) { own = this } }
  }
  let own: unknown
  const live = new Live()
  const { connect, dispatch } = testSession(live, { state: { name: 'Ada' } })
  await connect()
  await dispatch('join', { room: 'a' })
  await dispatch('work')
  t.equal(live.runs, 2)
  t.equal(own, live.on)
})

t.test('time stands still, and moves only by advance', async (t) => {
  const { dispatch, advance, errors, session } = make({ handlerTimeoutMs: 30_000, on: { ...nothing, say: () => new Promise(() => {}) } })
  const slow = dispatch('say', { text: 'x', loud: true })
  const behind = dispatch('work')
  await advance(29_999)
  t.strictSame(errors, [])
  t.equal(session.stats.queuedCommands, 1)
  await advance(1)
  await t.rejects(slow, { code: 'FST_ERR_TETHER_HANDLER_TIMEOUT' })
  await behind
  t.match(errors, [{ command: 'say', error: { code: 'FST_ERR_TETHER_HANDLER_TIMEOUT', message: 'The handler of "say" did not settle within 30000 ms' } }])
  for (const wrong of [-1, Number.NaN, Infinity, '5', undefined]) await t.rejects(advance(wrong as number), { code: 'FST_ERR_TETHER_ARGUMENT' })
})

t.test('heartbeats, the wait for a reconnect, idleness, age', async (t) => {
  const reasons: unknown[] = []
  const onClose: Config['onClose'] = (_session, reason) => { reasons.push(reason) }
  const { heartbeatMs } = defaults.upgrade
  const beating = make()
  await beating.connect()
  await beating.advance(0)
  const { writes } = beating.session.stats
  await beating.advance(heartbeatMs - 1)
  t.equal(beating.session.stats.writes, writes)
  await beating.advance(1)
  t.equal(beating.session.stats.writes, writes + 1, 'one heartbeat')
  await beating.advance(4 * heartbeatMs)
  t.equal(beating.session.stats.writes, writes + 5, 'and one at each such time')

  const gone = make({ onClose, reconnectMs: 10_000 })
  await gone.connect()
  await gone.advance(20_000)
  await gone.disconnect()
  await gone.advance(9_999)
  t.equal(await gone.connect('resumed'), 'resumed')
  await gone.disconnect()
  await gone.advance(10_000)
  t.ok(gone.session.signal.aborted)
  t.equal(gone.session.signal.reason, 'reconnect-timeout')
  await t.rejects(gone.dispatch('work'), { code: 'FST_ERR_TETHER_SESSION_NOT_FOUND' }, 'as on the wire')

  const idle = make({ onClose, idleMs: 5_000 })
  await idle.connect()
  await idle.disconnect()
  await idle.advance(4_000)
  await idle.dispatch('work')
  await idle.advance(4_999)
  t.notOk(idle.session.signal.aborted)
  await idle.advance(1)

  const old = make({ onClose, maxLifetimeMs: 3_600_000 })
  await old.connect()
  await Promise.all([old.advance(3_000_000), old.advance(599_999)])
  t.ok(old.session.connected)
  await old.advance(1)
  t.strictSame(reasons, ['reconnect-timeout', 'idle', 'lifetime'])
})

t.test('a resumed client that was away for longer than updates are kept has a gap', async (t) => {
  const verdicts: string[] = []
  const { session, connect, disconnect, advance } = make({ replayAgeMs: 1_000, queueFrames: 2, onConnect: (_session, { verdict }) => { verdicts.push(verdict) } })
  await connect()
  await disconnect()
  for (const text of ['a', 'b', 'c']) session.send('row', text)
  await advance(2_000)
  t.equal(await connect('resumed'), 'gap')
  t.strictSame(verdicts, ['new', 'gap'])
})

t.test('the state is what initialState gives, now or later, unless a test gives it', async (t) => {
  const seen: unknown[] = []
  const at = (request: { ip: string, headers: { name?: string } }) => ({ name: request.headers.name ?? request.ip })
  const config = { contract, on: { ...nothing, work: (session: { state: State }) => { seen.push(session.state.name) } } }
  const now = testSession({ ...config, initialState: at as never as Config['initialState'] & {} })
  t.strictSame(now.session.state, { name: '127.0.0.1' })
  const later = testSession<typeof contract.events, typeof contract.updates, State>({
    ...config,
    initialState: async (request) => {
      await sleep(1)
      return at(request as never)
    }
  }, { request: { headers: { name: 'Ada' } } })
  await later.dispatch('work')
  t.strictSame(seen, ['Ada'])
  const failing = testSession<typeof contract.events, typeof contract.updates, State>({ ...config, initialState: async () => { throw new Error('no user') } })
  await t.rejects(failing.dispatch('work'), { message: 'no user' })
  await t.rejects(failing.connect(), { message: 'no user' })
  t.throws(() => testSession<typeof contract.events, typeof contract.updates, State>({ ...config, initialState: () => { throw new Error('no user') } }), { message: 'no user' })
  const given = testSession<typeof contract.events, typeof contract.updates, State | undefined>({ ...config as object, contract, on: nothing as never, initialState: () => t.fail('not asked') as never }, { state: undefined })
  t.equal(given.session.state, undefined)
})

t.test('a configuration that cannot work is refused, as stateful refuses it', async (t) => {
  t.throws(() => testSession({ contract, on: { say: () => {} } } as never), { code: 'FST_ERR_TETHER_OPTION' })
  t.throws(() => testSession({ contract, on: nothing, queueFrame: 1 } as never), { code: 'FST_ERR_TETHER_OPTION' })
})

t.test('session.update, prepared by the application, works within and without a handler', async (t) => {
  const { session, dispatch, sent } = make({ on: { ...nothing, work: async (session) => { await session.update(() => { session.send('row', 'within') }) } } })
  await dispatch('work')
  t.equal(await session.update(({ state }) => state.name), 'Ada')
  t.strictSame(sent, [{ name: 'row', data: 'within' }])
})

t.test('events that wait when the session closes reject, unless they still run', async (t) => {
  const ran: string[] = []
  const { session, dispatch } = make({
    on: {
      ...nothing,
      say: async (session, { text }) => {
        ran.push(text)
        if (text === 'a') session.close()
      }
    }
  })
  const outcomes = Promise.all([dispatch('say', { text: 'a', loud: true }), dispatch('say', { text: 'b', loud: true })])
  await outcomes
  t.strictSame(ran, ['a', 'b'], 'accepted events still run')
  await session.close()
  const stuck = make({ handlerTimeoutMs: 0, on: { ...nothing, work: () => new Promise(() => {}) } })
  const waits = [stuck.dispatch('work'), stuck.dispatch('say', { text: 'x', loud: true })]
  await sleep(2)
  ;(stuck.session as unknown as { destroy: () => void }).destroy()
  for (const wait of waits) await t.rejects(wait, { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
})

t.test('more updates in a row than a turn of the event loop takes', async (t) => {
  const { dispatch, sent } = make({ on: { ...nothing, work: async (session) => { for (let n = 0; n < 1_000; n++) await session.send('row', String(n)) } } })
  await dispatch('work')
  t.equal(sent.length, 1_000)
})

t.test('requests need no number, and topics are there', async (t) => {
  const contract = defineContract({
    events: { double: request(Type.Integer(), Type.Integer()) },
    updates: { html: text({ unnamed: true }) },
    topics: { host: topic({ updates: { cpu: conflate(Type.Integer()) } }) }
  })
  const { session, live, dispatch, sent, errors } = testSession({
    contract,
    on: {
      double: (_session, number) => {
        if (number < 0) throw new EventError('NEGATIVE')
        return number * 2
      }
    }
  })
  for (let number = 0; number <= defaults.stateful.maxRequests; number++) t.equal(await dispatch('double', number), number * 2)
  await t.rejects(dispatch('double', -1), { code: 'NEGATIVE' })
  await t.rejects(dispatch('double', 'x' as never), { code: 'FST_ERR_VALIDATION' })
  t.strictSame(sent, [])
  t.strictSame(errors, [])
  session.send('html', '<b>')
  t.strictSame(sent, [{ name: 'html', data: '<b>' }])
  t.equal(live.topic('host').publish('cpu', 1), 0)
  t.equal(live.topic('host').stats.retainedValues, 1)
})
