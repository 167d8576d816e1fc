import { setImmediate, setTimeout as wait } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { resolveSessionOptions } from '../../../plugin/app/options.ts'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { Acceptance } from '../../../plugin/sessions/acceptance.ts'
import type { AnySessionConfig, SessionOptions } from '../../../plugin/sessions/config.ts'
import { Endpoint } from '../../../plugin/sessions/endpoint.ts'
import { openSession } from '../../../plugin/sessions/opening.ts'
import { SessionRegistry } from '../../../plugin/sessions/session-registry.ts'
import type { Session } from '../../../plugin/sessions/api.ts'
import { asBackup, decodeSnapshot, encodeSnapshot, type RestoreFrom, type SessionSnapshot } from '../../../plugin/sessions/snapshot.ts'
import { createRuntime } from '../../../plugin/streams/runtime.ts'
import { defineContract, request as asRequest } from '../../../schemas/contract.ts'
import { ManualStream } from './manual-stream.ts'

const contract = defineContract({ events: { slow: Type.Integer(), quick: Type.Integer(), double: asRequest(Type.Integer(), Type.Integer()) }, updates: { n: Type.Integer() } })
const request = { raw: {} } as FastifyRequest
const limits = { maxSessions: 10, maxPerBinding: 0, maxPerAddress: 0, maxPerConnection: 0, maxDetached: 10, maxPending: 10, pendingMs: 1_000 }

interface State { seen: number[], more?: unknown }

/** A node: an endpoint, and all that its hooks were told. */
function start (t: Test, { options = {}, hooks = {} }: { options?: SessionOptions, hooks?: Partial<AnySessionConfig> } = {}) {
  const told: string[] = []
  const logged: string[] = []
  const gates: Array<() => void> = []
  const note = (name: string) => (_session: unknown, ...given: unknown[]) => {
    const [first] = given
    told.push([name, ...typeof first === 'string' ? [first] : [], ...(first as { from?: string } | undefined)?.from ?? []].join(' '))
  }
  const log = { info () {}, debug () {}, warn () {}, error: (_fields: object, message: string) => { logged.push(message) } } as unknown as FastifyBaseLogger
  const endpoint = new Endpoint({
    contract: CompiledContract.of(contract),
    limits: resolveSessionOptions(options),
    config: {
      contract,
      initialState: (): State => {
        told.push('initialState')
        return { seen: [] }
      },
      on: {
        quick: (session: Session, value: number) => { (session.state as State).seen.push(value) },
        double: (_session: Session, value: number) => value * 2,
        slow: async (session: Session, value: number) => {
          await new Promise<void>((resolve) => { gates.push(resolve) })
          ;(session.state as State).seen.push(value)
        }
      },
      onConnect: (_session: unknown, { verdict, restored }: { verdict: string, restored: string | null }) => { told.push(`onConnect ${verdict} ${restored}`) },
      onDisconnect: note('onDisconnect'),
      onJoin: note('onJoin'),
      onLeave: note('onLeave'),
      onClose: note('onClose'),
      onFreeze: note('onFreeze'),
      onRestore: (_session: unknown, { from }: { from: string }) => { told.push(`onRestore ${from}`) },
      onError: (_session: unknown, error: unknown, { command }: { command: string }) => { told.push(`onError ${command}: ${(error as Error).message}`) },
      ...hooks
    },
    bind: undefined,
    trustedOrigins: new Set(),
    runtime: createRuntime(Infinity, 0),
    registry: new SessionRegistry(limits, 10, () => {}),
    log
  })
  t.teardown(() => { for (const session of [...endpoint.sessions.values()]) session.destroy() })
  const acceptance = new Acceptance(endpoint)
  return {
    endpoint,
    logged,
    told: () => told.splice(0),
    settle: () => { for (const settle of gates.splice(0)) settle() },
    async open () {
      endpoint.registry.reserve(null, null)
      return await endpoint.create(request, { boundTo: null, owner: null, connection: null }, false)
    },
    /** As a GET does. */
    async get (id: string | null, seq = 0, stream = new ManualStream(), arrival = performance.now()) {
      const claim = { id, seq, counted: true, taken: false, malformed: false, prepared: false }
      const session = await openSession(endpoint, claim, request, { open: () => stream, gone: () => { told.push('gone') }, turnAway: (reason) => { told.push(`turned away: ${reason}`) } }, arrival)
      await setImmediate()
      return { session, stream }
    },
    post: async (id: string, event: string, data: unknown, seq = 0, sender: string | null = null) => await acceptance.acceptFor(id, request, {
      event: null, body: { event, data, ...seq === 0 ? {} : { seq } }, isForm: false, bytes: 20, sender, lastEventId: undefined
    }),
    async restore (id: string, snapshot: SessionSnapshot, from: RestoreFrom = 'moved', awaitsStream = false) {
      endpoint.registry.reserve(snapshot.owner, null)
      try {
        return await endpoint.restore(id, decodeSnapshot(encodeSnapshot(snapshot)), { from, deadlineMs: 100, awaitsStream })
      } catch (error) {
        endpoint.registry.release(snapshot.owner, null)
        throw error
      }
    }
  }
}

const brief = { deadlineMs: 50 }

t.test('the old object is dead, and its hooks run in order', async (t) => {
  const one = start(t)
  const { session, stream } = await one.get(null)
  t.ok(session)
  const live = one.endpoint.context.live
  live.group('a').add(session as never)
  const { signal } = session!
  const { id } = session!
  session!.send('n', 1)
  stream.flush(performance.now())
  await setImmediate()
  one.told()
  const snapshot = await session!.freeze('moved', brief)
  t.match(snapshot, { state: '{"seen":[]}', stateVersion: 1, groups: ['a'], acceptedSeq: 0, first: 1, counted: true, everConnected: true, log: null })
  t.same(one.told(), ['onDisconnect moved', 'onFreeze'])
  t.match(stream.got.at(-1), /"type":"goodbye","reason":"moved","reconnect":true/)
  t.equal(signal.reason, 'moved')
  t.equal(session!.signal.reason, 'moved')
  t.equal(session!.connected, false)
  t.equal(await session!.send('n', 2), false)
  await t.rejects(session!.update(() => {}), { code: 'FST_ERR_TETHER_SESSION_MOVED', statusCode: 503 })
  await session!.close()
  t.equal(await session!.freeze('moved', brief), null)
  t.equal(live.get(id), undefined)
  t.equal(live.group('a').size, 0)
  t.equal(one.endpoint.everyone.size, 0)
  t.equal(one.endpoint.registry.size, 0)
  t.equal(one.endpoint.registry.isBuried(id), false)
  await wait(5)
  t.same(one.told(), [], 'neither onLeave nor onClose')
})

t.test('the same session goes on at another node', async (t) => {
  const [one, two] = [start(t), start(t)]
  const { session, stream } = await one.get(null)
  one.endpoint.context.live.group('a').add(session as never)
  for (let n = 1; n <= 3; n++) session!.send('n', n)
  stream.flush(performance.now())
  await setImmediate()
  t.match(await one.post(session!.id, 'quick', 5, 1), { isAccepted: true, seq: 1 })
  const snapshot = await session!.freeze('replaced', brief)
  t.match(stream.got.at(-1), /"reason":"replaced","reconnect":false/)
  const restored = await two.restore(session!.id, snapshot!)
  t.equal(restored.id, session!.id)
  t.same(restored.state, { seen: [5] })
  t.equal(two.endpoint.context.live.group('a').has(restored as never), true)
  restored.send('n', 4)
  t.match(await two.post(restored.id, 'quick', 5, 1), { isAccepted: true, seq: 1, known: 1 }, 'an event that was accepted there')
  const again = await two.get(restored.id, 2)
  again.stream.flush(performance.now())
  t.match(again.stream.got, [/"verdict":"resumed","seq":2.*"accepted":1/, '3 event: n\ndata: 3\n\n', '4 event: n\ndata: 4\n\n'])
  const third = await two.get(restored.id, 4)
  t.equal(third.session, restored)
  t.same(two.told(), ['onRestore moved', 'onConnect resumed moved', 'onDisconnect replaced', 'onConnect resumed null'], 'no onJoin, no initialState')
})

t.test('a reply that its client did not acknowledge comes from the next node', async (t) => {
  const [one, two] = [start(t), start(t)]
  const { session, stream } = await one.get(null)
  t.match(await one.post(session!.id, 'double', 4, 1), { isAccepted: true, seq: 1 })
  await setImmediate()
  stream.flush(performance.now())
  const restored = await two.restore(session!.id, (await session!.freeze('moved', brief))!)
  t.equal(restored.replies?.size, 1)
  const again = await two.get(restored.id, 0)
  again.stream.flush(performance.now())
  t.match(again.stream.got, [/"verdict":"resumed","seq":0/, '1 event: tether.reply\ndata: {"seq":1,"data":8}\n\n'])
  await two.get(restored.id, 1)
  t.equal(restored.replies?.size, 0)
})

t.test('who took the number of an event is known at the next node', async (t) => {
  const [one, two] = [start(t), start(t)]
  const { session } = await one.get(null)
  await one.post(session!.id, 'quick', 1, 1, 'first tab')
  await one.post(session!.id, 'quick', 2, 2, 'second tab')
  const restored = await two.restore(session!.id, (await session!.freeze('moved', brief))!)
  t.match(await two.post(restored.id, 'quick', 2, 2, 'second tab'), { isAccepted: true, seq: 2, known: 0 }, 'a repeat of its own')
  t.match(await two.post(restored.id, 'quick', 2, 2, 'first tab'), { isAccepted: true, seq: 2, known: 1 }, 'another took that number')
  t.same(restored.state, { seen: [1, 2] })
})

t.test('a session may be frozen and restored at its own node, many times', async (t) => {
  const one = start(t)
  let { session } = await one.get(null)
  for (let round = 1; round <= 3; round++) {
    session!.send('n', round)
    const snapshot = await session!.freeze('moved', brief)
    session = await one.restore(session!.id, snapshot!, 'frozen')
  }
  const { stream } = await one.get(session!.id, 0)
  stream.flush(performance.now())
  t.match(stream.got, [/"verdict":"resumed","seq":0/, /^1 .*1/s, /^2 .*2/s, /^3 .*3/s])
})

t.test('commands that wait run before; a command beyond the deadline keeps the session', async (t) => {
  const one = start(t)
  const { session, stream } = await one.get(null)
  await one.post(session!.id, 'slow', 1, 1)
  await one.post(session!.id, 'quick', 2, 2)
  await setImmediate()
  one.told()
  t.equal(await session!.freeze('moved', brief), null, 'too slow')
  t.equal(session!.isOpen, true)
  t.equal(session!.stream, stream)
  t.equal(session!.signal.aborted, false)
  t.equal(session!.moving, null)
  t.same(one.told(), [])
  t.match(await one.post(session!.id, 'quick', 3, 3), { isAccepted: true })
  const freezing = session!.freeze('moved', { deadlineMs: 5_000 })
  t.not(session!.moving, null)
  t.match(await one.post(session!.id, 'quick', 4, 4), { isAccepted: false, status: 503, error: { code: 'FST_ERR_TETHER_SESSION_MOVED' }, retryAfter: 1 })
  let updated = false
  const update = session!.update(() => { updated = true })
  await setImmediate()
  one.settle()
  const snapshot = await freezing
  await update
  t.equal(updated, true, 'a function that was queued meanwhile')
  t.match(snapshot, { state: '{"seen":[1,2,3]}', acceptedSeq: 3 })
})

t.test('a client that comes back meanwhile keeps the session', async (t) => {
  const one = start(t)
  const { session } = await one.get(null)
  await one.post(session!.id, 'slow', 1, 1)
  await setImmediate()
  const freezing = session!.freeze('moved', { deadlineMs: 5_000 })
  const { stream } = await one.get(session!.id, 0)
  t.equal(await freezing, null)
  t.equal(session!.stream, stream)
  one.settle()
  await setImmediate()
  t.ok(await session!.freeze('moved', brief), 'it may leave later')
})

t.test('a session that closes does not move', async (t) => {
  const one = start(t)
  const { session } = await one.get(null)
  await one.post(session!.id, 'slow', 1, 1)
  await setImmediate()
  const freezing = session!.freeze('moved', { deadlineMs: 5_000 })
  const closed = session!.close('kicked')
  t.equal(await freezing, null)
  one.settle()
  await closed
  t.same(one.told().slice(2), ['onDisconnect closed', 'onClose kicked'])
  await t.rejects(session!.update(() => {}), { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
})

t.test('what the last hooks do goes along', async (t) => {
  const two = start(t)
  const one = start(t, {
    hooks: {
      onDisconnect: (session: Session) => { (session.state as State).seen.push(8) },
      onFreeze: async (session: Session) => {
        await wait(1)
        ;(session.state as State).seen.push(9)
        t.equal(await session.send('n', 1), true)
        t.equal(session.signal.reason, 'moved')
      }
    }
  })
  const { session } = await one.get(null)
  const snapshot = await session!.freeze('moved', { deadlineMs: 1_000 })
  const restored = await two.restore(session!.id, snapshot!)
  t.same(restored.state, { seen: [8, 9] })
  const { stream } = await two.get(restored.id, 0)
  stream.flush(performance.now())
  t.match(stream.got[1], /^1 .*data: 1/s)
})

t.test('a session may close in its last hooks', async (t) => {
  const one = start(t, { hooks: { onFreeze: (session: Session) => { session.close('enough') } } })
  const { session } = await one.get(null)
  t.equal(await session!.freeze('moved', brief), null)
  await session!.whenClosed()
  t.match(one.told().at(-1), 'onClose enough')
})

t.test('a GET that comes in the last hooks waits for their end', async (t) => {
  const one = start(t, { hooks: { onFreeze: async () => { await wait(10) } } })
  const { session } = await one.get(null)
  const freezing = session!.freeze('moved', { deadlineMs: 1_000 })
  await setImmediate()
  t.equal(session!.isLeaving, true)
  const got = await one.get(session!.id, 0)
  t.ok(await freezing)
  t.not(got.session, session)
  t.match(got.stream.got[0], /"verdict":"expired"/, 'nothing here knows where it is now')
  const late = new ManualStream()
  const third = start(t, { hooks: { onFreeze: async () => { await wait(10) } } })
  const other = (await third.get(null)).session!
  const away = other.freeze('moved', { deadlineMs: 1_000 })
  await setImmediate()
  t.equal(other.attach(late, 'resumed', 0, true, Infinity), null, 'its hooks were on their way')
  t.match(late.got, [/"reason":"moved","reconnect":true/])
  t.ok(await away)
})

t.test('callbacks that throw', async (t) => {
  const fault = () => { throw new Error('oh') }
  await t.test('onFreeze and onDisconnect: the session moves all the same', async (t) => {
    const one = start(t, { hooks: { onFreeze: fault, onDisconnect: fault } })
    const { session } = await one.get(null)
    t.ok(await session!.freeze('moved', brief))
    t.same(one.told().slice(2), ['onError onDisconnect: oh', 'onError onFreeze: oh'])
  })
  await t.test('onFreeze that never settles is given up at the deadline', async (t) => {
    const one = start(t, { hooks: { onFreeze: () => new Promise(() => {}) } })
    const { session } = await one.get(null)
    t.ok(await session!.freeze('moved', brief))
    t.match(one.told().at(-1), /onError onFreeze: .*did not settle within 50 ms/)
  })
  await t.test('serialize: the session stays', async (t) => {
    let isBroken = true
    const one = start(t, { hooks: { serialize: (state: State) => isBroken ? fault() : state } })
    const { session, stream } = await one.get(null)
    await t.rejects(session!.freeze('moved', brief), { code: 'FST_ERR_TETHER_STATE', message: /serialize threw: oh/ })
    t.equal(session!.stream, stream)
    t.match(one.told().at(-1), /onError serialize: .*oh/)
    isBroken = false
    t.ok(await session!.freeze('moved', brief))
  })
  await t.test('serialize after the last hooks: the session moves as it was before them', async (t) => {
    const one = start(t, { hooks: { onFreeze: (session: Session) => { (session.state as State).more = new Map() } } })
    const { session } = await one.get(null)
    t.match(await session!.freeze('moved', brief), { state: '{"seen":[]}' })
    t.match(one.told().at(-1), /onError serialize: .*"\/more" is a Map/)
  })
  await t.test('deserialize: there is no session', async (t) => {
    const [one, two] = [start(t), start(t, { hooks: { deserialize: fault } })]
    const { session } = await one.get(null)
    const snapshot = await session!.freeze('moved', brief)
    await t.rejects(two.restore(session!.id, snapshot!), { message: 'oh' })
    t.equal(two.endpoint.registry.size + two.endpoint.registry.reserved, 0)
    t.same(two.logged, [], 'who restores it logs that')
  })
  await t.test('onRestore: the session goes on', async (t) => {
    const [one, two] = [start(t), start(t, { hooks: { onRestore: fault } })]
    const { session } = await one.get(null)
    const restored = await two.restore(session!.id, (await session!.freeze('moved', brief))!)
    t.match((await two.get(restored.id)).stream.got[0], /resumed/)
    t.same(two.told(), ['onError onRestore: oh', 'onConnect resumed moved'])
  })
})

t.test('serialize and deserialize convert the state, between versions too', async (t) => {
  const one = start(t, { options: { stateVersion: 3 }, hooks: { serialize: ({ seen }: State) => ({ seen, at: new Date(5) }) } })
  const versions: number[] = []
  const two = start(t, {
    options: { stateVersion: 4 },
    hooks: {
      deserialize: async (data: unknown, { version }: { version: number }) => {
        versions.push(version)
        return { seen: [], more: new Date((data as { at: string }).at) }
      }
    }
  })
  const three = start(t)
  const { session } = await one.get(null)
  const snapshot = (await session!.freeze('moved', brief))!
  t.same((await two.restore(session!.id, snapshot)).state, { seen: [], more: new Date(5) })
  t.same(versions, [3])
  await t.rejects(three.restore(session!.id, snapshot), { code: 'FST_ERR_TETHER_SNAPSHOT', message: /version 3, this node has version 1/ })
})

t.test('an undefined state stays undefined, and null stays null', async (t) => {
  for (const state of [undefined, null, 0, '']) {
    const [one, two] = [start(t, { hooks: { initialState: () => state } }), start(t)]
    const { session } = await one.get(null)
    t.equal((await two.restore(session!.id, (await session!.freeze('moved', brief))!)).state, state)
  }
})

t.test('the times of a session hold over its moves', async (t) => {
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  const options = { reconnectMs: 60_000, maxLifetimeMs: 120_000 }
  const [one, two] = [start(t), start(t, { options })]
  const { session, stream } = await one.get(null)
  stream.destroy('client')
  await setImmediate()
  const snapshot = (await session!.freeze('moved', brief))!
  const restored = await two.restore(session!.id, { ...snapshot, detachedMs: 59_990 })
  const since = performance.now()
  await restored.whenClosed()
  t.ok(performance.now() - since < 30_000, 'most of the time had passed')
  t.match(two.told().at(-1), 'onClose reconnect-timeout')
  const old = await two.restore(createId('o'), { ...snapshot, ageMs: 120_001 })
  await old.whenClosed()
  t.match(two.told().at(-1), 'onClose lifetime')
  const frozen = await two.restore(createId('f'), { ...snapshot, takenAt: Date.now() - 60_100 }, 'frozen')
  await frozen.whenClosed()
  t.match(two.told().at(-1), 'onClose reconnect-timeout')
  const left = await two.restore(createId('l'), { ...snapshot, leaveMs: 5 }, 'moved', true)
  await left.whenClosed()
  t.match(two.told().at(-1), 'onClose left')
})

const createId = (letter: string): string => letter.repeat(24)

t.test('a session without a first stream moves too', async (t) => {
  const [one, two] = [start(t), start(t)]
  const session = await one.open()
  session.send('n', 1)
  const snapshot = (await session.freeze('draining', brief))!
  t.match(snapshot, { everConnected: false, counted: null })
  const restored = await two.restore(session.id, snapshot, 'frozen', true)
  const { stream } = await two.get(restored.id)
  stream.flush(performance.now())
  t.match(stream.got, [/"verdict":"new"/, /^1 /])
  t.same(two.told(), ['onRestore frozen', 'onConnect new frozen'])
})

t.test('after a crash, what nobody was sent is numbered above what the client has', async (t) => {
  const [one, two] = [start(t), start(t)]
  const { session, stream } = await one.get(null)
  for (const n of [1, 2]) session!.send('n', n)
  stream.flush(performance.now())
  stream.destroy('client')
  session!.send('n', 3)
  const snapshot = (await session!.freeze('moved', brief))!
  const texts = async (seq: number) => {
    const restored = await two.restore(session!.id, snapshot, 'crashed')
    restored.send('n', 4)
    const { stream } = await two.get(restored.id, seq)
    stream.flush(performance.now())
    restored.destroy()
    return stream.got
  }
  t.match(await texts(1), [/"resumed","seq":1/, /^2 .*data: 2/s, /^3 .*data: 3/s, /^4 .*data: 4/s], 'the client has less than the snapshot: all is known')
  t.match(await texts(2), [/"resumed","seq":2/, /^3 .*data: 3/s, /^4 .*data: 4/s])
  t.match(await texts(7), [/"gap","seq":8/, /^9 .*data: 3/s, /^10 .*data: 4/s], 'the client has more: the gap takes a number of its own')
})

t.test('after a crash, a reply that nobody was sent comes again under whatever number, over another move', async (t) => {
  const [one, two, three] = [start(t), start(t), start(t)]
  const { session } = await one.get(null)
  const restored = await two.restore(session!.id, asBackup((await session!.freeze('moved', brief))!), 'crashed')
  for (const n of [1, 2]) restored.send('n', n)
  t.match(await two.post(restored.id, 'double', 4, 1), { isAccepted: true, seq: 1 })
  await setImmediate()
  const snapshot = (await restored.freeze('moved', brief))!
  t.strictSame(snapshot.replies.map(([seq, , number]) => [seq, number]), [[1, 0]], 'the updates have other numbers now')
  const again = await three.restore(restored.id, snapshot)
  const { stream } = await three.get(again.id, 1)
  stream.flush(performance.now())
  await setImmediate()
  stream.flush(performance.now())
  t.match(stream.got.at(-1), /tether.reply.*"data":8/s)
  again.acknowledge(again.feed.lastWritten - 1)
  t.equal(again.replies?.size, 1)
  again.acknowledge(again.feed.lastWritten)
  t.equal(again.replies?.size, 0)
})

t.test('after a crash, a reply is not acknowledged by the number that it had before its client came', async (t) => {
  const [one, two] = [start(t), start(t)]
  const { session } = await one.get(null)
  const restored = await two.restore(session!.id, asBackup((await session!.freeze('moved', brief))!), 'crashed')
  for (const n of [1, 2]) restored.send('n', n)
  await two.post(restored.id, 'double', 4, 1)
  await setImmediate()
  const { stream } = await two.get(restored.id, 0)
  stream.flush(performance.now())
  t.match(stream.got, [/"gap","seq":1/, /^2 .*data: 1/s, /^3 .*data: 2/s, /^4 .*tether.reply/s])
  restored.acknowledge(3)
  t.equal(restored.replies?.size, 1)
})

t.test('two restores of one session', async (t) => {
  const [one, two] = [start(t), start(t)]
  const { session } = await one.get(null)
  const snapshot = (await session!.freeze('moved', brief))!
  const first = two.restore(session!.id, snapshot)
  await t.rejects(two.restore(session!.id, snapshot), { code: 'FST_ERR_TETHER_ARGUMENT' })
  await first
  await t.rejects(two.restore(session!.id, snapshot), { code: 'FST_ERR_TETHER_ARGUMENT' })
  t.equal(two.endpoint.registry.size, 1)
  t.equal(two.endpoint.registry.reserved, 0)
})
