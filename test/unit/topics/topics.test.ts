// What subscribers get, against a model: the newest value of each key at the time of the outcome, then all that follows.
import { deepStrictEqual, equal, ok } from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import fc from 'fast-check'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import t from 'tap'
import { resolveSessionOptions, topicKinds } from '../../../plugin/app/options.ts'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import type { Handler } from '../../../plugin/sessions/api.ts'
import { Endpoint } from '../../../plugin/sessions/endpoint.ts'
import { SessionRegistry } from '../../../plugin/sessions/session-registry.ts'
import type { TetherSession } from '../../../plugin/sessions/session.ts'
import { decodeSnapshot, encodeSnapshot } from '../../../plugin/sessions/snapshot.ts'
import { FrameStream } from '../../../plugin/streams/frame-stream.ts'
import { createRuntime } from '../../../plugin/streams/runtime.ts'
import { Topics } from '../../../plugin/topics/topics.ts'
import { conflate, defineContract, topic } from '../../../schemas/contract.ts'
import { defaults } from '../../../schemas/defaults.ts'
import type { Limits } from '../../../schemas/limits.ts'
import { effort } from '../../harness/effort.ts'
import { ScriptedCarrier } from '../sessions/scripted-carrier.ts'

const contract = defineContract({
  updates: { note: Type.Integer() },
  topics: {
    host: topic({
      params: Type.Object({ id: Type.Integer() }),
      updates: {
        value: conflate(Type.Object({ key: Type.Integer(), at: Type.Integer() }), ({ key }) => key),
        log: Type.Integer()
      }
    })
  }
})
const log = { info () {}, debug () {}, warn () {}, error () {} } as unknown as FastifyBaseLogger
const noLimits = { maxSessions: 1_000, maxPerBinding: 0, maxPerAddress: 0, maxPerConnection: 0, maxDetached: 1_000, maxPending: 0, pendingMs: 1_000 }
const limits = { ...defaults.fixed, flushSliceMs: Infinity } as unknown as Limits

interface Tab {
  readonly session: TetherSession
  readonly carrier: ScriptedCarrier
}

async function openWorld (tabs: number) {
  const runtime = createRuntime(1e9, 0, limits)
  const compiled = CompiledContract.of(contract)
  const config = { contract, on: {} }
  const endpoint = new Endpoint({
    contract: compiled,
    limits: resolveSessionOptions({ queueFrames: 100_000, replayFrames: 100_000 }),
    config,
    bind: undefined,
    trustedOrigins: new Set(),
    runtime,
    registry: new SessionRegistry(noLimits, 0, () => {}),
    log,
    topics: (self) => new Topics(self, topicKinds(compiled, config as never))
  })
  const opened: Tab[] = []
  for (let count = 0; count < tabs; count++) {
    endpoint.registry.reserve(null, null)
    const session = await endpoint.create({} as FastifyRequest, { boundTo: null, owner: null, connection: null }, false)
    const carrier = new ScriptedCarrier(2_000)
    session.attach(new FrameStream(carrier, { writeBuffer: 2, heartbeatMs: 0, retryMs: 0, stallTimeoutMs: 0, goodbye: true }, runtime, '', log), 'new', 0, count % 2 === 0, count + 1)
    opened.push({ session, carrier })
  }
  return { runtime, endpoint, tabs: opened }
}

function * updatesIn ({ carrier }: Tab): Generator<{ name: string, data: any }> {
  for (const frame of carrier.writes.join('').split('\n\n')) {
    const name = /^event: (.*)$/m.exec(frame)?.[1]
    if (name !== undefined && name !== 'tether') yield { name, data: JSON.parse(/^data: (.*)$/m.exec(frame)![1]!) }
  }
}

/** What a subscriber must get of one topic. */
interface Stay {
  /** Newest publication of each key when it subscribed, and of those that followed. */
  readonly retained: Map<number, number>
  readonly newest: Map<number, number>
  readonly log: number[]
}

const kinds = ['value', 'value', 'value', 'log', 'subscribe', 'subscribe', 'unsubscribe', 'send', 'note', 'freeze', 'thaw', 'turn', 'turn', 'tick'] as const

const steps = fc.array(fc.record({
  kind: fc.constantFrom(...kinds),
  tab: fc.nat({ max: 5 }),
  id: fc.nat({ max: 1 }),
  key: fc.nat({ max: 2 })
}), { minLength: 20, maxLength: 150, size: 'max' })

t.test('a retained value never comes after a later one, and none is missed in between', async (t) => {
  let concluded = 0
  let inStep = 0
  await fc.assert(fc.asyncProperty(steps, async (steps) => {
    const { runtime, endpoint, tabs } = await openWorld(6)
    const live = endpoint.context.live as Handler<unknown, any, any>
    const turn = async () => {
      do await setImmediate()
      while (!runtime.scheduler.isIdle)
    }
    /** Newest publication of each key, by topic. */
    const values = [new Map<number, number>(), new Map<number, number>()]
    /** By tab and topic: all stays so far, the present one last; null while it is not subscribed. */
    const stays = tabs.map(() => [[], []] as Array<Array<Stay>>)
    const present = tabs.map(() => [null, null] as Array<Stay | null>)
    let at = 0
    for (const { kind, tab: index, id, key } of steps) {
      const { session, carrier } = tabs[index]!
      at++
      if (kind === 'value') {
        live.topic('host', { id }).publish('value', { key, at })
        values[id]!.set(key, at)
        for (const stay of present) stay[id]?.newest.set(key, at)
      } else if (kind === 'log') {
        live.topic('host', { id }).publish('log', at)
        for (const stay of present) stay[id]?.log.push(at)
      } else if (kind === 'subscribe' || kind === 'unsubscribe') {
        // Commands wait while the client takes nothing.
        if (!session.feed.hasRoom || session.inbox.length > 0) continue
        const event = `tether.${kind}`
        const faults: never[] = []
        session.accept(event, endpoint.contract.event(event)!.read({ topic: 'host', params: { id } }, '', false, faults), 0, 0)
        await null
        await null
        if (kind === 'unsubscribe') present[index]![id] = null
        else {
          concluded++
          const before = present[index]![id]
          if (before === null) {
            const stay = { retained: new Map(values[id]), newest: new Map(values[id]), log: [] }
            present[index]![id] = stay
            stays[index]![id]!.push(stay)
          }
        }
      } else if (kind === 'send') session.send('note', at)
      else if (kind === 'note') live.broadcast('note', at)
      else if (kind === 'freeze') { if (carrier.room > 0) carrier.room = key + 1 } else if (kind === 'thaw') carrier.drain(Infinity)
      else if (kind === 'turn') await turn()
      else await setImmediate()
      inStep += tabs.filter(({ session }) => session.isInStep).length
    }
    for (const { carrier } of tabs) carrier.drain(Infinity)
    await turn()
    await turn()
    for (const [index, tab] of tabs.entries()) {
      for (const id of [0, 1]) {
        const name = `host?id=${id}`
        const logs: number[] = []
        const got = new Map<number, number>()
        /** Outcomes so far. */
        let outcomes = 0
        for (const { name: update, data } of updatesIn(tab)) {
          if (update === `log@${name}`) logs.push(data)
          if (update === `value@${name}`) {
            ok(data.at >= (got.get(data.key) ?? 0), 'an older value came after a newer one')
            got.set(data.key, data.at)
          }
          if (update === 'tether.topic' && data.name === name) {
            equal(data.ok, true)
            outcomes++
            // All values of that time are there before the outcome, or newer ones.
            const stay = stays[index]![id]![0]!
            if (outcomes === 1) for (const [key, value] of stay.retained) ok((got.get(key) ?? 0) >= value, 'a retained value is missing before the outcome')
          }
        }
        deepStrictEqual(logs, stays[index]![id]!.flatMap(({ log }) => log))
        const last = present[index]![id]
        if (last !== null && last !== undefined) for (const [key, value] of last.newest) equal(got.get(key), value, 'the newest value arrived')
        else if (stays[index]![id]!.length > 0) for (const [key, value] of stays[index]![id]!.at(-1)!.newest) equal(got.get(key), value, 'the newest value of its time arrived')
      }
    }
    for (const { session, carrier } of tabs) {
      session.destroy()
      if (!carrier.isClosed) carrier.cut()
    }
    equal(endpoint.cohorts.size, 0)
    equal(live.stats.subscriptions, 0)
    equal(live.stats.topics, values.filter(({ size }) => size > 0).length)
    equal(runtime.budget.weight, live.stats.retainedBytes)
  }), { numRuns: 80 * effort })
  t.ok(concluded > 500, `${concluded} subscriptions`)
  t.ok(inStep > 1_000, `${inStep} sessions were in step after a step`)
})

t.test('a broadcast to a topic is one to a cohort', async (t) => {
  const { runtime, endpoint, tabs } = await openWorld(6)
  const live = endpoint.context.live as Handler<unknown, any, any>
  for (const { session } of tabs) session.accept('tether.subscribe', endpoint.contract.event('tether.subscribe')!.read({ topic: 'host', params: { id: 0 } }, '', false, []), 0, 0)
  const turn = async () => {
    do await setImmediate()
    while (!runtime.scheduler.isIdle)
  }
  for (let count = 0; count < 4; count++) {
    live.topic('host', { id: 0 }).publish('log', count)
    await turn()
  }
  t.ok(tabs.every(({ session }) => session.isInStep), 'all subscribers are in step')
  t.equal(endpoint.cohorts.size, 2, 'one cohort for each kind of reader')
})

t.test('a session that moves keeps its topics, and nobody is asked', async (t) => {
  const { runtime, endpoint, tabs: [from, to] } = await openWorld(2)
  const live = endpoint.context.live as Handler<unknown, any, any>
  t.equal(live.stats.subscriptions, 0)
  from!.session.accept('tether.subscribe', endpoint.contract.event('tether.subscribe')!.read({ topic: 'host', params: { id: 0 } }, '', false, []), 0, 0)
  await setImmediate()
  const { topics } = endpoint
  const snapshot = JSON.parse(JSON.stringify(topics!.snapshot(from!.session)))
  t.strictSame(snapshot, [{ topic: 'host', name: 'host?id=0', params: { id: 0 }, given: { id: 0 }, held: '', epoch: 0 }])
  t.strictSame(topics!.snapshot(to!.session), [])
  from!.session.destroy()
  topics!.restore(to!.session, [...snapshot, ...snapshot, { ...snapshot[0], topic: 'gone', name: 'gone' }])
  t.equal(live.topic('host', { id: 0 }).publish('log', 1), 1)
  do await setImmediate()
  while (!runtime.scheduler.isIdle)
  t.strictSame([...updatesIn(to!)], [{ name: 'log@host?id=0', data: 1 }])
  to!.session.destroy()
  t.equal(live.stats.subscriptions, 0)
})

t.test('a frozen session takes its topics to its next node', async (t) => {
  const [one, two] = [await openWorld(1), await openWorld(0)]
  const [{ session }] = one.tabs as [Tab]
  const [here, there] = [one, two].map(({ endpoint }) => endpoint.context.live as Handler<unknown, any, any>) as [Handler<unknown, any, any>, Handler<unknown, any, any>]
  session.accept('tether.subscribe', one.endpoint.contract.event('tether.subscribe')!.read({ topic: 'host', params: { id: 0 } }, '', false, []), 0, 0)
  do await setImmediate()
  while (!one.runtime.scheduler.isIdle)
  const snapshot = await session.freeze('moved', { deadlineMs: 1_000 })
  t.equal(here.stats.subscriptions, 0)
  two.endpoint.registry.reserve(null, null)
  const restored = await two.endpoint.restore(session.id, decodeSnapshot(encodeSnapshot(snapshot!)), { from: 'moved', deadlineMs: 100 })
  t.equal(there.stats.subscriptions, 1)
  t.equal(there.topic('host', { id: 0 }).publish('log', 7), 1)
  t.equal(there.topic('host', { id: 1 }).publish('log', 8), 0)
  const carrier = new ScriptedCarrier(2_000)
  restored.attach(new FrameStream(carrier, { writeBuffer: 2, heartbeatMs: 0, retryMs: 0, stallTimeoutMs: 0, goodbye: true }, two.runtime, '', log), 'resumed', 1, true, 1)
  do await setImmediate()
  while (!two.runtime.scheduler.isIdle)
  t.strictSame([...updatesIn({ session: restored, carrier })], [{ name: 'log@host?id=0', data: 7 }])
  restored.destroy()
  t.equal(there.stats.subscriptions, 0)
})
