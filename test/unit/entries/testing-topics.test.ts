import { Type } from '@sinclair/typebox'
import t from 'tap'
import { conflate, defineContract, EventError, topic, type StatefulConfig } from '../../../plugin/index.ts'
import { testSession } from '../../../plugin/entries/testing.ts'

const contract = defineContract({
  events: { say: Type.Object({ text: Type.String() }) },
  updates: { note: Type.String() },
  topics: {
    host: topic({ params: Type.Object({ id: Type.String(), zone: Type.Optional(Type.String({ default: 'eu' })) }), updates: { cpu: conflate(Type.Integer()), log: Type.String() } }),
    all: topic({ updates: { tick: conflate(Type.Integer()) } })
  }
})

type Config = StatefulConfig<typeof contract.events, typeof contract.updates, { said: string[] }, NonNullable<typeof contract.topics>>

const make = (config: Partial<Config> = {}) => testSession({
  contract,
  initialState: () => ({ said: [] }),
  on: { say: (session, { text }) => { session.state.said.push(text) } },
  ...config
} as Config)

const names = (sent: ReadonlyArray<{ name: string }>) => sent.map(({ name }) => name)

t.test('a test subscribes as a page does, and gets the outcome', async (t) => {
  const { live, subscribe, unsubscribe, sent, errors } = make({
    topics: {
      host: {
        authorize: async (_session, { id }) => {
          if (id === 'secret') throw new EventError('SECRET', 'is secret')
          if (id === 'broken') throw new Error('broken')
          return id !== 'mine'
        }
      }
    }
  })
  live.topic('host', { id: 'a' }).publish('cpu', 1)
  t.strictSame(await subscribe('host', { id: 'a' }), { topic: 'host', params: { id: 'a' }, name: 'host?id=a&zone=eu', ok: true })
  t.strictSame(names(sent), ['cpu@host?id=a&zone=eu', 'tether.topic'], 'the values first')
  t.match(await subscribe('host', { id: 'mine' }), { ok: false, code: 'TETHER_REFUSED' })
  t.match(await subscribe('host', { id: 'secret' }), { ok: false, code: 'SECRET', message: 'is secret' })
  t.match(await subscribe('host', { id: 'broken' }), { ok: false, code: 'TETHER_REFUSED' })
  t.match(errors, [{ command: 'topics.host.authorize' }])
  const outcomes = await Promise.all([subscribe('host', { id: 'b' }), subscribe('all'), subscribe('host', { id: 'b' }), subscribe('host', { id: 'mine' })])
  t.strictSame(outcomes.map(({ name, ok }) => [name, ok]), [['host?id=b&zone=eu', true], ['all', true], ['host?id=b&zone=eu', true], ['host?id=mine&zone=eu', false]])
  t.equal(live.stats.subscriptions, 3)
  await unsubscribe('all')
  t.equal(live.stats.subscriptions, 2)
  await t.rejects(subscribe('host', { id: 1 } as never), { code: 'FST_ERR_VALIDATION' })
  await t.rejects(subscribe('none' as never, {} as never), { code: 'FST_ERR_VALIDATION' })
})

t.test('an authorisation that takes too long, and a session that closes meanwhile', async (t) => {
  const { subscribe, advance } = make({ topics: { host: { authorize: () => new Promise(() => {}) } }, handlerTimeoutMs: 1_000 })
  const refused = subscribe('host', { id: 'a' })
  await advance(1_000)
  t.match(await refused, { ok: false, code: 'TETHER_REFUSED' })
  const closing = make({ topics: { host: { authorize: () => new Promise(() => {}) } } })
  const open = closing.subscribe('host', { id: 'a' })
  const behind = closing.subscribe('host', { id: 'a' })
  await closing.advance(0)
  closing.session.close()
  await closing.advance(60_000)
  await t.rejects(open, { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
  await t.rejects(behind, { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
})

t.test('producers start, linger by the time of the test, and end; topics of the URL are subscribed to', async (t) => {
  const said: string[] = []
  const { connect, unsubscribe, advance, sent, live } = make({
    topics: { host: { start: ({ id }, { publish, signal }) => { publish('cpu', 7); signal.addEventListener('abort', () => { said.push(`end ${id}`) }) }, lingerMs: 2_000 } }
  })
  await connect('new', { query: { topic: ['host?id=a', 'none'] } })
  await advance(0)
  t.strictSame(names(sent), ['cpu@host?id=a&zone=eu', 'tether.topic', 'tether.topic'])
  await unsubscribe('host', { id: 'a' })
  await advance(1_999)
  t.strictSame(said, [])
  t.ok(live.topic('host', { id: 'a' }).stats.running)
  await advance(1)
  t.strictSame(said, ['end a'])
})

t.test('a session moves as in a cluster, with its state, its topics and its hooks', async (t) => {
  const hooks: string[] = []
  const { session, live, dispatch, subscribe, connect, move } = make({
    serialize: ({ said }) => said.join(' '),
    deserialize: (data) => ({ said: (data as string).split(' ') }),
    onConnect: (_session, { restored, verdict }) => { hooks.push(`onConnect ${verdict} ${restored}`) },
    onDisconnect: (_session, reason) => { hooks.push(`onDisconnect ${reason}`) },
    onFreeze: () => { hooks.push('onFreeze') },
    onRestore: (restored, { from }) => { hooks.push(`onRestore ${from} ${restored.state.said.join()}`) },
    onClose: () => { hooks.push('onClose') }
  })
  await connect()
  await dispatch('say', { text: 'a' })
  await subscribe('host', { id: 'a' })
  const there = await move()
  t.strictSame(hooks, ['onConnect new null', 'onDisconnect moved', 'onFreeze', 'onRestore moved a'])
  t.equal(session.signal.aborted, true)
  t.equal(await session.send('note', 'dead'), false)
  t.not(there.session, session)
  t.equal(there.session.id, session.id)
  t.equal(live.topic('host', { id: 'a' }).publish('log', 'held'), 1)
  t.equal(await there.connect('resumed'), 'resumed')
  await there.dispatch('say', { text: 'b' })
  t.strictSame(there.session.state.said, ['a', 'b'])
  t.strictSame(names(there.sent), ['log@host?id=a&zone=eu'])
  await there.disconnect()
  const again = await there.move({ from: 'frozen' })
  await again.connect('resumed')
  await again.connect('resumed')
  t.strictSame(hooks.slice(4), ['onConnect resumed moved', 'onDisconnect client', 'onFreeze', 'onRestore frozen a,b', 'onConnect resumed frozen', 'onDisconnect replaced', 'onConnect resumed null'])
  await t.rejects(there.dispatch('say', { text: 'dead' }), { code: /FST_ERR_TETHER_SESSION/ })
})

t.test('what does not move says why', async (t) => {
  await t.rejects(make({ persist: 'never' }).move(), { code: 'FST_ERR_TETHER_ARGUMENT', message: /persist/ })
  const odd = make({ initialState: () => ({ said: new Map() as never }) })
  await t.rejects(odd.move(), { code: 'FST_ERR_TETHER_STATE' })
  t.ok(odd.session.signal.aborted === false, 'it stays')
  const closed = make()
  await closed.session.close()
  await t.rejects(closed.move(), { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
  const failing = make({ onRestore: () => { throw new Error('no') } })
  await t.rejects(failing.move(), { message: 'no' })
})
