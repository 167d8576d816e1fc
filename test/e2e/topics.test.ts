import { Type } from '@sinclair/typebox'
import t from 'tap'
import { connect } from '../../client/index.ts'
import { defineContract, EventError, request as requestOf } from '../../plugin/index.ts'
import { openReader } from './harness/reader.ts'
import { post, request } from './harness/request.ts'
import { contract, startTopics, type TopicsConfig } from './harness/topics.ts'
import { turns, until } from './harness/until.ts'

const cpu = (core: number, v: number): [string, unknown] => ['cpu@host?id=a', { core, v }]
const told = (topic: string, params: object, name: string): [string, unknown] => ['tether.topic', { topic, params, name, ok: true }]

/** A promise that a test settles when it likes. */
function gate<Value = void> () {
  let open!: (value: Value) => void
  let fail!: (error: unknown) => void
  const promise = new Promise<Value>((resolve, reject) => { open = resolve; fail = reject })
  return { promise, open, fail }
}

t.test('a subscriber gets the newest value of each key first, then the outcome, then what follows', async (t) => {
  const { live, open } = await startTopics(t)
  const host = live.topic('host', { id: 'a' })
  t.equal(host.name, 'host?id=a')
  t.equal(host.publish('cpu', { core: 0, v: 1 }), 0, 'nobody is subscribed')
  host.publish('cpu', { core: 1, v: 2 })
  host.publish('cpu', { core: 0, v: 3 })
  host.publish('alert', 'not retained')
  host.publish('log', 'not retained either')
  const tab = await open()
  t.strictSame((tab.reader.controls[0]! as { text: unknown }).text, ['alert@host'], 'the hello names the updates that are text')
  t.match(await tab.subscribe('host', { id: 'a' }), { status: 202, json: { seq: 1 } })
  await tab.told('host?id=a')
  t.strictSame(tab.seen(), [cpu(1, 2), cpu(0, 3), told('host', { id: 'a' }, 'host?id=a')])
  t.equal(host.size, 1)
  t.equal(host.publish('cpu', { core: 0, v: 4 }), 1)
  host.publish('alert', 'hot')
  host.publish('log', 'line')
  live.topic('host', { id: 'b' }).publish('log', 'of another')
  await until(() => tab.seen().length === 6, 'what follows')
  t.strictSame(tab.seen().slice(3), [cpu(0, 4), ['alert@host?id=a', 'hot'], ['log@host?id=a', 'line']])
  t.match(await tab.unsubscribe('host', { id: 'a' }), { status: 202, json: { seq: 2 } })
  await until(() => host.size === 0, 'the end of the subscription')
  host.publish('log', 'after the end')
  await turns()
  t.equal(tab.seen().length, 6)
})

t.test('names have defaults filled in, and keys in one order', async (t) => {
  const { live, open } = await startTopics(t)
  t.equal(live.topic('page', {} as never).name, 'page?dark=false&size=10')
  t.equal(live.topic('page', { size: 20, dark: true }).name, 'page?dark=true&size=20')
  t.equal(live.topic('all').name, 'all')
  t.equal(live.topic('host', { zone: 'ü&=?', id: 'a b' }).name, 'host?id=a%20b&zone=%C3%BC%26%3D%3F')
  const tab = await open()
  const given = { size: 10 }
  await tab.subscribe('page', given)
  await tab.told('page?dark=false&size=10')
  t.strictSame(tab.seen(), [told('page', given, 'page?dark=false&size=10')], 'the outcome has the parameters as they were sent')
  await tab.subscribe('page')
  await tab.told('page?dark=false&size=10', 2)
  t.equal(live.topic('page', given as never).size, 1, 'twice is one subscription')
  live.topic('page', given as never).publish('row', 'x')
  await until(() => tab.seen().length === 3, 'the update')
  await turns()
  t.strictSame(tab.seen().slice(2), [['row@page?dark=false&size=10', 'x']], 'and each update comes once')
})

t.test('bad subscriptions are refused as bad events are', async (t) => {
  const server = await startTopics(t)
  const tab = await server.open()
  const { session } = tab.reader
  const faults = async (data: unknown) => (await post(server, session, { event: 'tether.subscribe', data, seq: 1 })).json
  t.match(await faults({ topic: 'hosts', params: {} }), { statusCode: 400, code: 'FST_ERR_VALIDATION', errors: [{ path: '/data/topic', message: 'must be one of "host", "page", "all"' }] })
  t.match(await faults({ params: {} }), { statusCode: 400, errors: [{ path: '/data/topic', message: 'is required' }] })
  t.match(await faults({ topic: 'host' }), { statusCode: 400, errors: [{ path: '/data/params/id' }] })
  t.match(await faults({ topic: 'host', params: { id: 5 } }), { statusCode: 400, errors: [{ path: '/data/params/id', message: 'must be string' }] })
  t.match(await faults({ topic: 'host', params: { id: 'a', more: 1 } }), { statusCode: 400, errors: [{ path: '/data/params/more' }] })
  t.match(await faults({ topic: 'host', params: { id: 'a' }, more: 1 }), { statusCode: 400, errors: [{ path: '/data/more' }] })
  t.match(await faults({ topic: 'host', params: ['a'] }), { statusCode: 400 })
  t.match(await faults('host'), { statusCode: 400 })
  t.match(await faults({ topic: 'host', params: { id: '\ud800' } }), { statusCode: 400, errors: [{ path: '/data/params', message: 'holds half of a surrogate pair, which no name can carry' }] })
  // `alert@host?id=` and the value make up the longest name of an update.
  const most = 512 - 'alert@host?id='.length
  t.match(await faults({ topic: 'host', params: { id: 'x'.repeat(most + 1) } }), { statusCode: 400, errors: [{ path: '/data/params' }] })
  t.equal((await post(server, session, { event: 'tether.subscribe', data: { topic: 'host', params: { id: 'x'.repeat(most) } }, seq: 1 })).status, 202)
  await tab.told(`host?id=${'x'.repeat(most)}`)
  t.throws(() => server.live.topic('hosts' as never, {} as never), { code: 'FST_ERR_TETHER_UNKNOWN_TOPIC', message: /Did you mean "host"/ })
  t.throws(() => server.live.topic('host', { id: 5 } as never), { code: 'FST_ERR_TETHER_ARGUMENT', message: /id must be string/ })
  t.throws(() => server.live.topic('host', { id: 'a' }).publish('gpu' as never, {} as never), { code: 'FST_ERR_TETHER_UNKNOWN_UPDATE', message: /gpu@host/ })
  t.throws(() => server.live.topic('host', { id: 'a' }).publish('log', undefined as never), { code: 'FST_ERR_TETHER_SERIALIZATION' })
})

t.test('authorize decides for each session, also later, and one does not wait for another', async (t) => {
  const asked: string[] = []
  const gates = new Map<string, ReturnType<typeof gate<boolean>>>()
  const errors: unknown[] = []
  const { live, open, errors: logged } = await startTopics(t, {
    onError: (_session, error, { command }) => { errors.push([command, (error as Error).message]) },
    topics: {
      host: {
        authorize: (_session, { id }) => {
          asked.push(id)
          if (id === 'no') return false
          if (id === 'secret') throw new EventError('NOT_YOURS', 'it belongs to someone else', { who: 'x' })
          if (id === 'broken') throw new Error('internal detail')
          if (id === 'odd') return null as never
          if (id === 'void') return undefined
          if (!id.startsWith('slow')) return true
          gates.set(id, gate<boolean>())
          return gates.get(id)!.promise
        }
      }
    }
  })
  const tab = await open()
  const ids = ['slow1', 'no', 'secret', 'broken', 'odd', 'void', 'yes', 'slow2', 'slow3']
  await tab.send(...ids.map((id): [string, unknown] => ['tether.subscribe', { topic: 'host', params: { id } }]))
  await until(() => asked.length === ids.length, 'all questions')
  await until(() => tab.outcomes().length === 6, 'the answers')
  t.strictSame(tab.outcomes().map(({ name, ok, code, message }) => [name, ok, code, message]), [
    ['host?id=no', false, 'TETHER_REFUSED', 'the subscription is refused'],
    ['host?id=secret', false, 'NOT_YOURS', 'it belongs to someone else'],
    ['host?id=broken', false, 'TETHER_REFUSED', 'the subscription is refused'],
    ['host?id=odd', false, 'TETHER_REFUSED', 'the subscription is refused'],
    ['host?id=void', true, undefined, undefined],
    ['host?id=yes', true, undefined, undefined]
  ])
  t.strictSame(errors, [['topics.host.authorize', 'internal detail'], ['topics.host.authorize', 'authorize must give true or false, or a promise for that; got null']])
  t.equal(logged().length, 2)
  gates.get('slow3')!.open(true)
  await tab.told('host?id=slow3')
  t.equal(live.topic('host', { id: 'slow1' }).size, 0)
  gates.get('slow2')!.fail(new EventError('GONE'))
  gates.get('slow1')!.open(true)
  await tab.told('host?id=slow1')
  t.match(tab.outcomes().slice(6).map(({ name, code }) => [name, code]), [['host?id=slow3', undefined], ['host?id=slow2', 'GONE'], ['host?id=slow1', undefined]])
  t.equal(live.topic('host', { id: 'no' }).size, 0)
  t.equal(live.stats.subscriptions, 4)
  t.equal(live.stats.topics, 4)
})

t.test('an event after a subscription waits for its authorisation, an event before it is done', async (t) => {
  const order: string[] = []
  const { promise, open: allow } = gate()
  const { open } = await startTopics(t, {
    on: { say: (_session, { text }) => { order.push(text) } },
    topics: { host: { authorize: async (_session, { id }) => { order.push(`ask ${id}`); await promise; order.push(`answer ${id}`); return true } } }
  })
  const tab = await open()
  await tab.send(['say', { text: 'before' }], ['tether.subscribe', { topic: 'host', params: { id: 'a' } }], ['tether.subscribe', { topic: 'host', params: { id: 'b' } }], ['say', { text: 'after' }], ['tether.subscribe', { topic: 'host', params: { id: 'c' } }])
  await until(() => order.length === 3, 'the questions')
  await turns()
  t.strictSame(order, ['before', 'ask a', 'ask b'])
  allow()
  await tab.told('host?id=c')
  t.strictSame(order, ['before', 'ask a', 'ask b', 'answer a', 'answer b', 'after', 'ask c', 'answer c'])
})

t.test('an unsubscription behind a subscription that is being authorised comes after it', async (t) => {
  const { promise, open: allow } = gate()
  const { live, open } = await startTopics(t, { topics: { host: { authorize: async () => { await promise; return true } } } })
  const tab = await open()
  const data = { topic: 'host', params: { id: 'a' } }
  await tab.send(['tether.subscribe', data], ['tether.unsubscribe', data], ['tether.subscribe', data], ['tether.unsubscribe', data])
  allow()
  await tab.told('host?id=a', 2)
  await until(() => live.stats.subscriptions === 0, 'the end')
})

t.test('subscriptions with the end of others between them are authorised at the same time', async (t) => {
  const { promise, open: allow } = gate()
  const asked: string[] = []
  const { live, open } = await startTopics(t, {
    maxSubscriptions: 2,
    maxBatch: 8,
    topics: {
      host: {
        authorize: async (_session, { id }) => {
          asked.push(id)
          if (id > 'b') await promise
          return true
        }
      }
    }
  })
  const tab = await open()
  const host = (id: string) => ({ topic: 'host', params: { id } })
  await tab.send(['tether.subscribe', host('a')], ['tether.subscribe', host('b')])
  await tab.told('host?id=b')
  await tab.send(
    ['tether.unsubscribe', host('a')], ['tether.subscribe', host('c')], ['tether.unsubscribe', host('b')], ['tether.subscribe', host('d')],
    ['tether.unsubscribe', host('c')], ['tether.subscribe', host('a')])
  await until(() => asked.length === 4, 'both')
  t.strictSame(asked, ['a', 'b', 'c', 'd'], 'the end of one that is being authorised comes after it')
  allow()
  await tab.told('host?id=a', 2)
  t.strictSame(tab.outcomes().map(({ name, ok }) => [name, ok]), ['a', 'b', 'c', 'd', 'a'].map((id) => [`host?id=${id}`, true]))
  t.strictSame([...live.topics].map(({ name }) => name).sort(), ['host?id=a', 'host?id=d'])
})

t.test('authorize that does not settle in time refuses', async (t) => {
  const errors: string[] = []
  const { promise, open: allow } = gate<boolean>()
  const { live, open } = await startTopics(t, {
    handlerTimeoutMs: 50,
    onError: (_session, error) => { errors.push((error as { code: string }).code) },
    topics: { host: { authorize: () => promise } }
  })
  const tab = await open()
  await tab.subscribe('host', { id: 'a' })
  await tab.told('host?id=a')
  t.match(tab.outcomes(), [{ ok: false, code: 'TETHER_REFUSED' }])
  t.strictSame(errors, ['FST_ERR_TETHER_HANDLER_TIMEOUT'])
  allow(true)
  await turns()
  t.equal(live.topic('host', { id: 'a' }).size, 0, 'the late answer is dropped')
  t.equal(tab.outcomes().length, 1)
})

t.test('revoke takes a subscription back', async (t) => {
  const { promise, open: allow } = gate<boolean>()
  const { live, open } = await startTopics(t, { topics: { page: { authorize: () => promise } } })
  const [one, two] = [await open(), await open()]
  for (const tab of [one, two]) {
    await tab.subscribe('host', { id: 'a' })
    await tab.told('host?id=a')
  }
  const host = live.topic('host', { id: 'a' })
  t.equal(host.revoke(one.session), true)
  t.equal(host.revoke(one.session), false, 'it is gone')
  t.equal(live.topic('host', { id: 'b' }).revoke(one.session), false)
  await one.told('host?id=a', 2)
  t.match(one.outcomes()[1], { topic: 'host', params: { id: 'a' }, ok: false, code: 'TETHER_REVOKED' })
  t.equal(host.publish('log', 'x'), 1)
  await until(() => two.seen().length === 2, 'the update for the other')
  t.equal(one.seen().length, 2)
  await one.subscribe('page', { size: 1, dark: true })
  await until(() => live.stats.sessions === 2, 'the sessions')
  await turns()
  t.equal(live.topic('page', { size: 1, dark: true }).revoke(one.session), true, 'one that is being authorised')
  allow(true)
  await one.told('page?dark=true&size=1')
  await turns()
  t.match(one.outcomes().slice(2), [{ ok: false, code: 'TETHER_REVOKED' }])
  t.equal(live.topic('page', { size: 1, dark: true }).size, 0)
  t.throws(() => host.revoke({} as never), { code: 'FST_ERR_TETHER_ARGUMENT' })
})

t.test('a producer runs from the first subscriber until lingerMs after the last', async (t) => {
  const started: Array<{ id: string, signal: AbortSignal, publish: (name: 'cpu', data: { core: number, v: number }) => number }> = []
  const { live, open } = await startTopics(t, {
    topics: {
      host: {
        lingerMs: 600,
        start: ({ id }, { signal, publish }) => {
          started.push({ id, signal, publish })
          publish('cpu', { core: 0, v: 100 })
        }
      }
    }
  })
  const host = live.topic('host', { id: 'a' })
  host.publish('cpu', { core: 9, v: 9 })
  t.strictSame(live.stats, { ...live.stats, topics: 0, retainedValues: 0 }, 'without a producer, its topic retains nothing')
  const one = await open()
  await one.subscribe('host', { id: 'a' })
  await one.told('host?id=a')
  t.strictSame(one.seen(), [cpu(0, 100), told('host', { id: 'a' }, 'host?id=a')], 'what start publishes at once comes before the outcome')
  const two = await open()
  await two.subscribe('host', { id: 'a' })
  await two.told('host?id=a')
  t.equal(started.length, 1, 'the second subscriber starts none')
  t.strictSame(host.stats, { ...host.stats, subscribers: 2, retainedValues: 1, published: 1, running: true })
  one.reader.destroy()
  one.session.close()
  await two.unsubscribe('host', { id: 'a' })
  await until(() => host.size === 0, 'the last leaves')
  t.equal(started[0]!.signal.aborted, false)
  await two.subscribe('host', { id: 'a' })
  await two.told('host?id=a', 2)
  t.equal(started.length, 1, 'it was lingering')
  t.strictSame(two.seen().at(-2), cpu(0, 100), 'and its values are there')
  const before = performance.now()
  const data = { topic: 'host', params: { id: 'a' } }
  await two.send(['tether.unsubscribe', data], ['tether.subscribe', data], ['tether.unsubscribe', data])
  await until(() => started[0]!.signal.aborted, 'its end')
  t.ok(performance.now() - before > 500, 'after lingerMs')
  t.equal(live.stats.topics, 0)
  t.equal(live.stats.retainedValues, 0, 'its values are gone')
  t.equal(started[0]!.publish('cpu', { core: 0, v: 1 }), 0, 'it may publish no more')
  t.equal(live.stats.topics, 0)
  await two.subscribe('host', { id: 'a' })
  await until(() => started.length === 2, 'a new producer')
})

t.test('a producer that fails is reported, and starts again with the next first subscriber', async (t) => {
  const errors: unknown[] = []
  let count = 0
  const { live, open, errors: logged } = await startTopics(t, {
    onError: (session, error, { command }) => { errors.push([session.id, (error as Error).message, command]) },
    topics: {
      host: {
        lingerMs: 0,
        start: (_params, { publish }) => {
          publish('cpu', { core: 0, v: count })
          if (++count === 1) throw new Error('at once')
          return count === 2 ? Promise.reject(new Error('later')) : undefined
        }
      }
    }
  })
  const tab = await open()
  const data = { topic: 'host', params: { id: 'a' } }
  for (const number of [1, 2, 3]) {
    await tab.send(['tether.subscribe', data])
    await tab.told('host?id=a', number)
    t.match(tab.outcomes().at(-1), { ok: true }, 'the subscription holds')
    await until(() => live.topic('host', { id: 'a' }).stats.running === (number === 3), 'the end of the producer')
    t.equal(live.stats.retainedValues, number === 3 ? 1 : 0)
    await tab.send(['tether.unsubscribe', data])
    await until(() => live.stats.subscriptions === 0, 'the end')
  }
  t.strictSame(errors, [[tab.session.id, 'at once', 'topics.host.start'], [tab.session.id, 'later', 'topics.host.start']])
  t.equal(logged().length, 2)
  t.equal(count, 3)
})

t.test('producers end with the server, and with the sessions that drain', async (t) => {
  const signals: AbortSignal[] = []
  const { app, live, open } = await startTopics(t, { topics: { host: { lingerMs: 600_000, start: (_params, { signal }) => { signals.push(signal) } } } })
  const tab = await open()
  await tab.subscribe('host', { id: 'a' })
  await tab.subscribe('host', { id: 'b' })
  await tab.told('host?id=b')
  await tab.unsubscribe('host', { id: 'a' })
  await until(() => live.stats.subscriptions === 1, 'one lingers')
  t.strictSame(signals.map(({ aborted }) => aborted), [false, false])
  await app.tether.drain({ timeoutMs: 1_000 })
  t.strictSame(signals.map(({ aborted }) => aborted), [true, true])
})

t.test('a session that closes leaves its topics', async (t) => {
  const { live, open } = await startTopics(t)
  const tab = await open()
  await tab.subscribe('host', { id: 'a' })
  await tab.told('host?id=a')
  tab.session.close()
  await until(() => live.stats.subscriptions === 0, 'the end of the subscription')
  t.equal(live.stats.topics, 0)
})

t.test('limits: subscriptions, topics, values', async (t) => {
  const { live, open } = await startTopics(t, { maxSubscriptions: 2, maxTopics: 3, topics: { host: { maxRetained: 2 } } })
  const tab = await open()
  for (const id of ['a', 'b', 'c']) await tab.subscribe('host', { id })
  await tab.told('host?id=c')
  t.match(tab.outcomes(), [{ ok: true }, { ok: true }, { ok: false, code: 'TETHER_REFUSED', message: 'a session may have 2 subscriptions' }])
  await tab.subscribe('host', { id: 'a' })
  await tab.told('host?id=a', 2)
  t.match(tab.outcomes().at(-1), { ok: true }, 'one that it has')
  const publish = (id: string, core: number) => live.topic('host', { id }).publish('cpu', { core, v: 0 })
  publish('x', 0)
  publish('y', 0)
  t.equal(live.stats.topics, 3)
  t.strictSame(live.topic('host', { id: 'x' }).stats.retainedValues, 0, 'the least recently published of those without a subscriber went')
  t.strictSame(live.topic('host', { id: 'y' }).stats.retainedValues, 1)
  for (const core of [1, 2, 3]) publish('y', core)
  t.strictSame(live.topic('host', { id: 'y' }).stats.retainedValues, 2)
  const other = await open()
  await other.subscribe('host', { id: 'z' })
  await other.told('host?id=z')
  await other.subscribe('host', { id: 'z2' })
  await other.told('host?id=z2')
  t.match(other.outcomes(), [{ ok: true }, { ok: false, message: 'there are 3 topics already' }])
  t.strictSame([...live.topics].map(({ name }) => name).sort(), ['host?id=a', 'host?id=b', 'host?id=z'])
})

t.test('retained values count in maxBufferedBytes, and go before updates are dropped', async (t) => {
  const { app, live } = await startTopics(t, { maxRetainedBytes: 20_000, topics: { host: { maxRetained: 1_000 } } }, { maxBufferedBytes: 1_000_000 })
  for (let core = 0; core < 500; core++) live.topic('host', { id: String(core % 5) }).publish('cpu', { core, v: 0 })
  const { retainedBytes, retainedValues } = live.stats
  t.ok(retainedBytes <= 20_000 && retainedBytes > 19_000, `${retainedBytes} bytes`)
  t.ok(retainedValues > 40 && retainedValues < 100)
  t.equal(app.tether.stats().bufferedMemory, retainedBytes)
  const small = await startTopics(t, { topics: { host: { maxRetained: 1_000 } } }, { maxBufferedBytes: 20_000 })
  for (let core = 0; core < 500; core++) small.live.topic('host', { id: 'a' }).publish('cpu', { core, v: 0 })
  t.ok(small.app.tether.stats().bufferedMemory <= 20_000 * 1.05)
  t.ok(small.live.stats.retainedValues > 20)
})

t.test('a page of 60 subscriptions is one request', async (t) => {
  const server = await startTopics(t, { topics: { host: { authorize: async () => true } } })
  const tab = await server.open()
  t.equal(tab.reader.controls[0]!.maxBatch, 64)
  const answer = await tab.send(...Array.from({ length: 60 }, (_, index): [string, unknown] => ['tether.subscribe', { topic: 'host', params: { id: String(index) } }]))
  t.equal(answer.status, 202)
  await until(() => tab.outcomes().length === 60, 'all outcomes')
  t.ok(tab.outcomes().every(({ ok }) => ok))
  t.equal(server.live.stats.subscriptions, 60)
})

t.test('the same in a contract that has requests, too, and a POST with too many of these says where to divide it', async (t) => {
  const mixed = defineContract({ ...contract, events: { add: requestOf(Type.Integer(), Type.Integer()) } })
  let sum = 0
  const server = await startTopics(t, { contract: mixed, maxRequests: 4, on: { add: (_session: unknown, more: number) => { sum += more; return sum } } } as object as TopicsConfig)
  const tab = await server.open()
  t.equal(tab.reader.controls[0]!.maxBatch, 64)
  const many = Array.from({ length: 58 }, (_, index): [string, unknown] => ['tether.subscribe', { topic: 'host', params: { id: String(index) } }])
  t.equal((await tab.send(...many, ['add', 1], ['add', 2])).status, 202)
  await until(() => tab.outcomes().length === 58 && sum === 3, 'all outcomes')
  const posted = (...events: Array<[string, unknown]>) => post(server, tab.reader.session, events.map(([event, data], index) => ({ event, data, seq: 61 + index })))
  const refused = await posted(['tether.unsubscribe', { topic: 'all' }], ...Array.from({ length: 6 }, (): [string, unknown] => ['add', 1]))
  t.match([refused.status, refused.json.code, refused.json.errors], [400, 'FST_ERR_VALIDATION', [{ path: '/5', message: 'is request 5 of this POST, which may have 4' }]])
  t.equal(sum, 3, 'nothing of it ran')
  const client = connect<typeof mixed>(`${server.origin}/live`, { retryMs: 10 })
  t.teardown(() => client.close())
  t.strictSame(await Promise.all(Array.from({ length: 10 }, () => client.request('add', 1))), [4, 5, 6, 7, 8, 9, 10, 11, 12, 13], 'the client divides')
})

t.test('an EventSource names its topics in the URL', async (t) => {
  const server = await startTopics(t, { topics: { page: { authorize: () => false } } })
  server.live.topic('host', { id: 'a b', zone: 'é' }).publish('cpu', { core: 0, v: 1 })
  const query = new URLSearchParams([['topic', 'host?id=a%20b&zone=%C3%A9'], ['topic', 'page?size=5'], ['topic', 'page?size=five'], ['topic', 'nothing'], ['topic', 'all'], ['topic', 'host?id=%']])
  const reader = await openReader(server, `/live?${query}`)
  await until(() => reader.updates.length >= 7, 'the outcomes')
  const updates = reader.updates.map(({ event, data }) => [event, JSON.parse(data!)])
  t.match(updates, [
    ['cpu@host?id=a%20b&zone=%C3%A9', { core: 0, v: 1 }],
    ['tether.topic', { topic: 'host', params: { id: 'a b', zone: 'é' }, name: 'host?id=a%20b&zone=%C3%A9', ok: true }],
    ['tether.topic', { topic: 'page', name: 'page?dark=false&size=5', ok: false, code: 'TETHER_REFUSED' }],
    ['tether.topic', { topic: 'page?size=five', ok: false, code: 'TETHER_REFUSED', message: /size must be integer/ }],
    ['tether.topic', { topic: 'nothing', ok: false, message: /must be one of/ }],
    ['tether.topic', { topic: 'all', params: {}, name: 'all', ok: true }],
    ['tether.topic', { topic: 'host?id=%', ok: false }]
  ])
  reader.destroy()
  const again = await openReader(server, `/live?${query}`, { headers: { 'last-event-id': reader.updates.at(-1)!.id! } })
  await until(() => again.controls.length > 0, 'the hello')
  t.equal(again.controls[0]!.verdict, 'resumed')
  server.live.topic('host', { id: 'a b', zone: 'é' }).publish('log', 'more')
  await until(() => again.updates.length > 0, 'the next update')
  t.equal(again.updates[0]!.event, 'log@host?id=a%20b&zone=%C3%A9', 'a stream that resumes has its subscriptions')
})

t.test('htmx posts a form', async (t) => {
  const server = await startTopics(t)
  const tab = await server.open()
  const form = (body: string, event = 'tether.subscribe') => request(server, `/live/${event}`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-tether-session': tab.reader.session }, body })
  t.equal((await form('topic=host&id=a')).status, 204)
  t.equal((await form('topic=page%3Fsize%3D5&dark=on')).status, 204)
  t.equal((await form('topic=all')).status, 204)
  await tab.told('all')
  t.strictSame(tab.outcomes().map(({ name }) => name), ['host?id=a', 'page?dark=true&size=5', 'all'])
  t.match(await form('topic=host'), { status: 400 })
  t.match(await form('topic=other&id=a'), { status: 400 })
  t.equal((await form('topic=host%3Fid%3Da', 'tether.unsubscribe')).status, 204)
  await until(() => server.live.stats.subscriptions === 2, 'one less')
  t.match(await post(server, tab.reader.session, { topic: 'host', params: { id: 'j' } }, '/live/tether.subscribe'), { status: 202 })
  await tab.told('host?id=j')
})

t.test('after a gap, the retained values come again', async (t) => {
  const server = await startTopics(t, { replayFrames: 2 })
  const tab = await server.open()
  await tab.subscribe('host', { id: 'a' })
  await tab.told('host?id=a')
  const host = server.live.topic('host', { id: 'a' })
  tab.reader.destroy()
  await until(() => !tab.session.connected, 'the lost stream')
  for (let count = 0; count < 10; count++) host.publish('cpu', { core: count % 2, v: count })
  for (let count = 0; count < 2_000; count++) host.publish('log', 'x')
  const again = await openReader(server, '/live', { headers: { 'x-tether-session': tab.reader.session, 'last-event-id': `${tab.reader.session}.1` } })
  await until(() => again.updates.length >= 2, 'updates')
  t.equal(again.controls[0]!.verdict, 'gap')
  await until(() => again.updates.some(({ event }) => event!.startsWith('cpu@')), 'the values')
  await turns()
  t.strictSame(again.updates.filter(({ event }) => event!.startsWith('cpu@')).map(({ data }) => JSON.parse(data!)), [{ core: 0, v: 8 }, { core: 1, v: 9 }])
})

t.test('bad configurations are refused by name', async (t) => {
  const cases: Array<[object, RegExp]> = [
    [{ topics: { hosts: {} } }, /"hosts", which is no topic of its contract. Did you mean "host"/],
    [{ topics: { host: { lingerMs: -1 } } }, /option "lingerMs" of topic "host"/],
    [{ topics: { host: { linger: 1 } } }, /topic "host" .* has no option "linger".*lingerMs/],
    [{ topics: { host: { start: 5 } } }, /option "start" of topic "host" .* must be a function/],
    [{ topics: { host: { run: 'process' } } }, /option "run" of topic "host"/],
    [{ topics: { host: null } }, /topic "host" .* takes an object/],
    [{ topics: [] }, /option "topics"/],
    [{ topics: { host: { maxRetained: 2_000 } } }, /"maxRetained" of topic "host" .* at most queueFrames, 1024/],
    [{ maxSubscriptions: 0 }, /maxSubscriptions/],
    [{ maxTopics: 0 }, /maxTopics/],
    [{ maxRetainedBytes: -1 }, /maxRetainedBytes/]
  ]
  for (const [config, message] of cases) await t.rejects(startTopics(t, config as never), { code: 'FST_ERR_TETHER_OPTION', message }, JSON.stringify(config))
})
