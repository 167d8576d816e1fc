import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import fastify, { type FastifyRequest } from 'fastify'
import t from 'tap'
import { BroadcastQueue } from '../plugin/broadcast-queue.ts'
import { ByteBudget } from '../plugin/byte-budget.ts'
import { CompiledContract } from '../plugin/compiled-contract.ts'
import { Compression } from '../plugin/compression.ts'
import { Counters } from '../plugin/counters.ts'
import { DeadlineQueue } from '../plugin/deadline-queue.ts'
import { FlushScheduler } from '../plugin/flush-scheduler.ts'
import { FrameRuns } from '../plugin/frame-runs.ts'
import { Http2Connections } from '../plugin/http2-connections.ts'
import type { Runtime } from '../plugin/runtime.ts'
import { SessionHost } from '../plugin/session-host.ts'
import { SessionRegistry, type SessionLimits } from '../plugin/session-registry.ts'
import type { TetherSession } from '../plugin/session.ts'
import { resolveSessionOptions } from '../plugin/stateful.ts'
import type { SessionOptions } from '../plugin/stateful-config.ts'
import { defineContract } from '../schemas/contract.ts'

const { log } = fastify()

function createRuntime (): Runtime {
  const budget = new ByteBudget(Infinity)
  const broadcasts: BroadcastQueue = new BroadcastQueue(budget, () => scheduler.wake())
  const runs = new FrameRuns()
  const scheduler = new FlushScheduler(broadcasts, () => runs.clear())
  return {
    scheduler,
    broadcasts,
    budget,
    runs,
    deadlines: new DeadlineQueue(),
    compression: new Compression(0),
    totals: new Counters(),
    streams: new Set(),
    http2Connections: new Http2Connections(),
    endings: new EventEmitter(),
    draining: false
  }
}

function start ({ limits = {}, maxTombstones = 3, options = {} }: { limits?: Partial<SessionLimits>, maxTombstones?: number, options?: SessionOptions } = {}) {
  let removals = 0
  const registry = new SessionRegistry({ maxSessions: 100, maxDetached: 100, maxPending: 2, pendingMs: 60_000, ...limits }, maxTombstones, () => { removals++ })
  const config = { contract: defineContract({}), on: {}, ...options }
  const host = new SessionHost({
    contract: CompiledContract.of(config.contract),
    limits: resolveSessionOptions(options),
    config,
    bind: undefined,
    trustedOrigins: new Set(),
    runtime: createRuntime(),
    registry,
    log
  })
  return {
    registry,
    host,
    get removals () { return removals },
    async open (): Promise<TetherSession> {
      t.equal(registry.reserve(), true)
      return host.create({} as FastifyRequest, false)
    }
  }
}

t.test('a slot is taken before there is a session', async (t) => {
  const { registry, host } = start({ limits: { maxSessions: 2 } })
  t.equal(registry.reserve(), true)
  t.equal(registry.reserve(), true)
  t.equal(registry.reserve(), false)
  t.equal(registry.reserved, 2)
  registry.release()
  t.equal(registry.reserve(), true, 'one that was given back is there again')

  const session = await host.create({} as FastifyRequest, false)
  t.equal(registry.size, 1)
  t.equal(registry.reserved, 1)
  t.same([...registry], [session])
  t.equal(registry.reserve(), false, 'a session takes its slot')
  session.abandon()
  t.equal(registry.size, 0)
  t.equal(registry.reserve(), true)
})

t.test('the pool of prepared sessions has places of its own', async (t) => {
  const { registry } = start()
  t.equal(registry.reservePending(), true)
  t.equal(registry.reservePending(), true)
  t.equal(registry.reservePending(), false)
  t.equal(registry.pendingCount, 2)
  registry.releasePending()
  t.equal(registry.reservePending(), true)
})

t.test('what is removed is gone everywhere, once', async (t) => {
  const run = start()
  const { registry, host, open } = run
  const session = await open()
  registry.detached(session)
  t.equal(registry.detachedCount, 1)
  registry.remove(session)
  t.equal(registry.size, 0)
  t.equal(registry.detachedCount, 0)
  t.equal(host.sessions.size, 0)
  t.equal(run.removals, 1)
  registry.remove(session)
  t.equal(run.removals, 1)
})

t.test('too many without a stream: the oldest of those that never proved themselves goes first', async (t) => {
  const { registry, open } = start({ limits: { maxDetached: 3 } })
  const [a, b, c, d, e, f] = await Promise.all([open(), open(), open(), open(), open(), open()]) as [TetherSession, TetherSession, TetherSession, TetherSession, TetherSession, TetherSession]
  a.proven = true
  c.proven = true
  for (const session of [a, b, c]) registry.detached(session)
  t.equal(registry.detachedCount, 3)

  registry.detached(d)
  t.equal(registry.detachedCount, 3)
  t.equal(b.isOpen, false, 'b, although a is older')
  registry.attached(d)
  t.equal(registry.detachedCount, 2, 'what has a stream again does not count')
  e.proven = true
  f.proven = true
  registry.detached(e)
  registry.detached(f)
  t.equal(a.isOpen, false, 'where all are proven, the oldest')
  t.same([c, d, e, f].map(({ isOpen }) => isOpen), [true, true, true, true])

  registry.detached(d)
  t.equal(d.isOpen, false, 'the newest, where it is the only one unproven')
  await setImmediate()
  t.same([...registry], [c, e, f], 'they are closed as any other')
  t.equal(registry.isBuried(b.id), false, 'and may come back for a new session')
})

t.test('none without a stream, where none may be', async (t) => {
  const { registry, open } = start({ limits: { maxDetached: 0 } })
  const session = await open()
  registry.detached(session)
  t.equal(registry.detachedCount, 0)
  await session.whenClosed()
  t.equal(registry.size, 0)
})

t.test('tombstones', async (t) => {
  t.test('of sessions that were closed for good', async (t) => {
    const { registry, open } = start()
    const [forGood, reconnect, abandoned] = await Promise.all([open(), open(), open()]) as [TetherSession, TetherSession, TetherSession]
    await forGood.close()
    await reconnect.close('moved', { reconnect: true })
    abandoned.abandon()
    t.equal(registry.isBuried(forGood.id), true)
    t.equal(registry.isBuried(reconnect.id), false)
    t.equal(registry.isBuried(abandoned.id), false)
    t.equal(registry.isBuried('AbCdEfGhIjKlMnOpQrStUv-_'), false)
  })

  t.test('the last so many', async (t) => {
    const { registry, open } = start({ maxTombstones: 3 })
    const sessions = await Promise.all([open(), open(), open(), open()])
    for (const session of sessions) await session.close()
    t.same(sessions.map(({ id }) => registry.isBuried(id)), [false, true, true, true])
    t.equal(registry.tombstoneCount, 3)
  })

  t.test('for as long as a session would be kept', async (t) => {
    const { registry, open } = start({ options: { reconnectMs: 60 } })
    const session = await open()
    const closedAt = performance.now()
    await session.close()
    while (registry.isBuried(session.id)) await setImmediate()
    t.ok(performance.now() - closedAt >= 60)
    t.equal(registry.tombstoneCount, 0, 'what is looked at late is forgotten')
  })
})
