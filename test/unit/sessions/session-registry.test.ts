import { equal } from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import fastify, { type FastifyRequest } from 'fastify'
import t from 'tap'
import { resolveSessionOptions } from '../../../plugin/app/options.ts'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import type { SessionOptions } from '../../../plugin/sessions/config.ts'
import { Endpoint } from '../../../plugin/sessions/endpoint.ts'
import { SessionRegistry, type SessionLimits } from '../../../plugin/sessions/session-registry.ts'
import type { TetherSession } from '../../../plugin/sessions/session.ts'
import { createRuntime } from '../../../plugin/streams/runtime.ts'
import { defineContract } from '../../../schemas/contract.ts'

const { log } = fastify()
const nobody = { boundTo: null, owner: null, connection: null }

function start ({ limits = {}, maxTombstones = 3, options = {}, hooks = {} }: { limits?: Partial<SessionLimits>, maxTombstones?: number, options?: SessionOptions, hooks?: { onJoin?: () => void, onLeave?: () => void } } = {}) {
  let removals = 0
  const registry = new SessionRegistry<TetherSession>({ maxSessions: 100, maxPerBinding: 0, maxPerAddress: 0, maxPerConnection: 0, maxDetached: 100, maxPending: 2, pendingMs: 60_000, ...limits }, maxTombstones, () => { removals++ })
  const config = { contract: defineContract({}), on: {}, ...options, ...hooks }
  const endpoint = new Endpoint({
    contract: CompiledContract.of(config.contract),
    limits: resolveSessionOptions(options),
    config,
    bind: undefined,
    trustedOrigins: new Set(),
    runtime: createRuntime(Infinity, 0),
    registry,
    log
  })
  return {
    registry,
    endpoint,
    get removals () { return removals },
    async open (owner: string | null = null): Promise<TetherSession> {
      t.equal(registry.reserve(owner, null), true)
      return endpoint.create({} as FastifyRequest, { boundTo: null, owner, connection: null }, false)
    }
  }
}

t.test('a slot is taken before there is a session', async (t) => {
  const { registry, endpoint } = start({ limits: { maxSessions: 2 } })
  t.equal(registry.reserve(null, null), true)
  t.equal(registry.reserve(null, null), true)
  t.equal(registry.reserve(null, null), false)
  t.equal(registry.reserved, 2)
  registry.release(null, null)
  t.equal(registry.reserve(null, null), true, 'one that was given back is there again')

  const session = await endpoint.create({} as FastifyRequest, nobody, false)
  t.equal(registry.size, 1)
  t.equal(registry.reserved, 1)
  t.same([...registry], [session])
  t.equal(registry.reserve(null, null), false, 'a session takes its slot')
  session.destroy()
  t.equal(registry.size, 0)
  t.equal(registry.reserve(null, null), true)
})

t.test('the pool of prepared sessions has places of its own', async (t) => {
  const { registry } = start()
  t.equal(registry.reserveUnclaimed(), true)
  t.equal(registry.reserveUnclaimed(), true)
  t.equal(registry.reserveUnclaimed(), false)
  t.equal(registry.unclaimedCount, 2)
  registry.releaseUnclaimed()
  t.equal(registry.reserveUnclaimed(), true)
})

t.test('what is removed is gone everywhere, once', async (t) => {
  const run = start()
  const { registry, endpoint, open } = run
  const session = await open()
  registry.detached(session)
  t.equal(registry.detachedCount, 1)
  endpoint.closed(session)
  t.equal(registry.size, 0)
  t.equal(registry.detachedCount, 0)
  t.equal(endpoint.sessions.size, 0)
  t.equal(run.removals, 1)
  endpoint.closed(session)
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

t.test('too many without a stream: whoever has most pays, the oldest first', async (t) => {
  const { registry, open } = start({ limits: { maxDetached: 5 } })
  const [honest, ...drive] = await Promise.all([open('@1'), open('@2'), open('@2'), open('@2'), open('@2'), open('@2'), open('@2')]) as [TetherSession, ...TetherSession[]]
  const late = await open('@3')
  const unknown = await open()
  registry.detached(honest)
  for (const session of drive.slice(0, 5)) registry.detached(session)
  t.same([honest, ...drive].map(({ isOpen }) => isOpen), [true, false, true, true, true, true, true], 'their own oldest, not the oldest of all')
  registry.detached(late)
  t.same([honest, late, ...drive.slice(0, 3)].map(({ isOpen }) => isOpen), [true, true, false, false, true], 'also when it is another that makes it too many')
  registry.detached(unknown)
  t.same([honest, late, unknown, drive[2]!].map(({ isOpen }) => isOpen), [true, true, true, false], 'what has no owner stands alone')
  registry.detached(drive[5]!)
  t.same([honest, late, unknown, drive[3]!].map(({ isOpen }) => isOpen), [true, true, true, false])
})

t.test('slots of an owner and of a connection', async (t) => {
  const { registry, endpoint, open } = start({ limits: { maxPerBinding: 2, maxPerAddress: 1, maxPerConnection: 2 } })
  t.equal(registry.reserve('=ann', null), true)
  t.equal(registry.reserve('=ann', null), true)
  t.equal(registry.reserve('=ann', null), false)
  t.equal(registry.reserve('@192.0.2.1', null), true)
  t.equal(registry.reserve('@192.0.2.1', null), false)
  t.equal(registry.reserve('=192.0.2.1', null), true, 'a user may be called as an address is')
  registry.release('=ann', null)
  t.equal(registry.reserve('=ann', null), true)
  const raw = { stream: { session: {} } }
  const connection = registry.connectionOf(raw)!
  t.equal(registry.connectionOf({ stream: raw.stream }), connection)
  t.equal(registry.connectionOf({}), null)
  t.equal(registry.reserve(null, connection), true)
  t.equal(registry.reserve(null, connection), true)
  t.equal(registry.reserve(null, connection), false)
  const session = await endpoint.create({} as FastifyRequest, { ...nobody, connection }, false)
  t.equal(connection.sessions, 2)
  const other = registry.connectionOf({ stream: { session: {} } })!
  registry.moved(session, other)
  t.same([connection.sessions, other.sessions], [1, 1])
  registry.moved(session, null)
  session.destroy()
  t.same([connection.sessions, other.sessions], [1, 0])
  t.same(registry.refusals, { maxSessions: 0, maxSessionsPerOwner: 2, maxSessionsPerConnection: 1, pipelined: 0 })
  const ofAnn = await open('=bob')
  t.equal(registry.countOf('=bob'), 1)
  ofAnn.destroy()
  t.equal(registry.countOf('=bob'), 0)
})

t.test('what is counted for owners and connections is what there is, whatever comes and goes', async (t) => {
  const owners = [null, '=a', '=b', '@1', '@2'] as const
  const step = fc.record({
    what: fc.constantFrom('open', 'open', 'open', 'fail', 'close', 'detach', 'attach', 'prove', 'move'),
    owner: fc.constantFrom(...owners),
    connection: fc.nat(2),
    which: fc.nat(20)
  })
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
    const limits = { maxSessions: 9, maxPerBinding: 3, maxPerAddress: 2, maxPerConnection: 4, maxDetached: 4 }
    const { registry, endpoint } = start({ limits })
    const connections = [null, ...[0, 1].map(() => registry.connectionOf({ stream: { session: {} } })!)]
    let live: TetherSession[] = []
    const of = (owner: string | null) => live.filter((session) => session.owner === owner).length
    const on = (connection: unknown) => live.filter((session) => session.connection === connection).length
    for (const { what, owner, connection: index, which } of steps) {
      const connection = connections[index] ?? null
      const session = live[which % Math.max(1, live.length)]
      if (what === 'open' || what === 'fail') {
        const most = owner === null ? Infinity : owner.startsWith('=') ? 3 : 2
        const expected = live.length < 9 && of(owner) < most && (connection === null || on(connection) < 4)
        equal(registry.reserve(owner, connection), expected)
        if (expected && what === 'fail') registry.release(owner, connection)
        else if (expected) live.push(await endpoint.create({} as FastifyRequest, { boundTo: null, owner, connection }, false))
      } else if (session !== undefined) {
        if (what === 'close') session.destroy()
        else if (what === 'detach') registry.detached(session)
        else if (what === 'attach') registry.attached(session)
        else if (what === 'move') registry.moved(session, connection)
        else if (!session.proven) {
          session.proven = true
          registry.proved(session)
        }
      }
      await setImmediate()
      live = live.filter((each) => [...registry].includes(each))
      equal(registry.size, live.length)
      for (const each of owners) if (each !== null) equal(registry.countOf(each), of(each))
      equal(registry.ownerCount, new Set(live.flatMap((each) => each.owner ?? [])).size)
      for (const each of connections) if (each !== null) equal(each.sessions, on(each))
      equal(registry.detachedCount <= 4, true)
    }
    for (const session of live) session.destroy()
    equal(registry.ownerCount, 0)
    equal(registry.detachedCount, 0)
    for (const each of connections) if (each !== null) equal(each.sessions, 0)
  }), { numRuns: 100 })
  t.pass('they agree')
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
    abandoned.destroy()
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

t.test('a session that is destroyed leaves its groups, and runs no hook', async (t) => {
  const told: string[] = []
  const { endpoint, open } = start({ hooks: { onJoin: () => { told.push('onJoin') }, onLeave: () => { told.push('onLeave') } } })
  const session = await open()
  endpoint.groups.group('g').add(session)
  await setImmediate()
  t.same(told, ['onJoin'])
  session.destroy()
  await setImmediate()
  t.equal(endpoint.groups.size, 0)
  t.same(told, ['onJoin'])
})
