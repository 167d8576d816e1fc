import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import t from 'tap'
import { resolveSessionOptions } from '../../../plugin/app/options.ts'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { Audience } from '../../../plugin/delivery/audience.ts'
import { Counters } from '../../../plugin/metrics/counters.ts'
import { Cohorts } from '../../../plugin/sessions/cohorts.ts'
import { CommandWatch } from '../../../plugin/sessions/command-watch.ts'
import type { AnySessionConfig, SessionOptions } from '../../../plugin/sessions/config.ts'
import type { EventHandler } from '../../../plugin/sessions/session-inbox.ts'
import type { SessionScope } from '../../../plugin/sessions/session-scope.ts'
import { TetherSession } from '../../../plugin/sessions/session.ts'
import { createRuntime } from '../../../plugin/streams/runtime.ts'
import { defineContract } from '../../../schemas/contract.ts'
import { ManualStream } from './manual-stream.ts'

const contract = defineContract({ events: { slow: Type.Object({}) }, updates: { n: Type.Integer() } })

function start ({ options = {}, hooks = {}, isPrepared = false }: { options?: SessionOptions, hooks?: Partial<AnySessionConfig>, isPrepared?: boolean } = {}) {
  /** What the session tells its endpoint, and its hooks, in order. */
  const told: string[] = []
  const runtime = createRuntime(Infinity, 0)
  const gates: Array<() => void> = []
  const slow: EventHandler = { handle: () => new Promise<void>((resolve) => { gates.push(resolve) }), isSync: false }
  const everyone = new Audience<TetherSession>()
  const limits = resolveSessionOptions(options)
  const scope: SessionScope<TetherSession> = {
    contract: CompiledContract.of(contract),
    limits,
    pendingMs: 10_000,
    hooks: {
      contract,
      onDisconnect: (_session: unknown, reason: string) => { told.push(`onDisconnect ${reason}`) },
      onClose: (_session: unknown, reason: string) => { told.push(`onClose ${reason}`) },
      ...hooks
    },
    handlers: new Map([['slow', slow]]),
    context: { live: null! },
    runtime,
    url: '/live',
    log: null!,
    counters: new Counters(runtime.totals),
    commandWatch: new CommandWatch('/live', runtime.watch),
    cohorts: new Cohorts({ ...runtime, limits, writeBytes: runtime.limits.writeBytes }),
    broadcastLog: null,
    audiencesOf: () => [everyone],
    report: (_session, error) => { told.push(`report ${(error as { code: string }).code}`) },
    unpooled: () => { told.push('unpooled') },
    attached: () => { told.push('attached') },
    detached: () => { told.push('detached') },
    proved: () => { told.push('proved') },
    closing: () => { told.push('closing') },
    closed: () => { told.push('closed') }
  }
  const session = new TetherSession(scope, undefined, { boundTo: null, owner: null, connection: null }, isPrepared ? 'claim' : null)
  t.teardown(() => session.destroy())
  let arrival = 0
  return {
    session,
    runtime,
    told: () => told.splice(0),
    settle: () => { for (const settle of gates.splice(0)) settle() },
    /** Gives it a stream, and lets that write. */
    attach (verdict: 'new' | 'resumed' = 'new', seq = 0, stream = new ManualStream(), counted = true) {
      const given = session.attach(stream, verdict, seq, counted, ++arrival)
      stream.flush(performance.now())
      return { stream, verdict: given }
    }
  }
}

const kinds = (stream: ManualStream) => stream.got.map((text) => /"type":"(\w+)"/.exec(text)?.[1] ?? text.replace(/\n/g, ' ').trim())

t.test('its phases', async (t) => {
  const { session, attach, told } = start({ isPrepared: true })
  t.equal(session.phase, 'unclaimed')
  session.claim()
  t.equal(session.phase, 'opening')
  session.unclaim()
  t.equal(session.phase, 'unclaimed')
  session.claim()
  attach()
  t.equal(session.phase, 'open')
  t.same(told(), ['unpooled', 'attached'])
  session.unclaim()
  t.equal(session.phase, 'open', 'a request that fails late changes nothing')
  const closed = session.close('done')
  t.equal(session.phase, 'closing')
  await closed
  t.equal(session.phase, 'closed')
  t.same(told(), ['closing', 'onDisconnect closed', 'onClose done', 'closed'])
})

t.test('a close that says something else than it can is refused, and the session goes on', async (t) => {
  const { session, attach } = start()
  attach()
  const wrong = { code: 'FST_ERR_TETHER_ARGUMENT' }
  t.throws(() => session.close('done', { reconect: true } as object), { ...wrong, message: /close\(\) has no option "reconect"\. Did you mean "reconnect"\?/ })
  t.throws(() => session.close(new Error('x') as never), { ...wrong, message: /the reason of close\(\) is a string, got object/ })
  t.throws(() => session.close('done', null as never), wrong)
  t.throws(() => session.close('done', { patienceMs: 0 } as object), wrong, 'a way of the plugin alone')
  t.equal(session.phase, 'open')
  await session.close(undefined, undefined)
  t.equal(session.phase, 'closed')
})

t.test('a close runs what was accepted, writes what waits and says goodbye', async (t) => {
  const { session, attach, settle, told } = start()
  const { stream } = attach()
  session.accept('slow', {}, 1, 10)
  session.close('done', { reconnect: true })
  const again = session.close('other')
  t.equal(session.signal.reason, 'done')
  t.equal(session.isClosedForGood, false)
  await setImmediate()
  t.equal(stream.gone, false, 'a handler runs')
  session.send('n', 1)
  settle()
  await again
  t.same(kinds(stream), ['hello', '1 event: n data: 1', 'goodbye'])
  t.match(stream.got.find((text) => text.includes('goodbye')), /"reason":"done","reconnect":true/)
  t.equal(await session.send('n', 2), false)
  t.same(told(), ['attached', 'proved', 'closing', 'onDisconnect closed', 'onClose done', 'closed'])
})

t.test('a session without a stream ever runs no hook', async (t) => {
  const { session, told } = start()
  await session.close()
  t.same(told(), ['closing', 'closed'])
  t.equal(session.isClosedForGood, true)
})

t.test('a close without patience cuts the stream, and waits for no handler', async (t) => {
  const { session, attach, told } = start()
  const { stream } = attach('new', 0, new ManualStream({ room: 0 }))
  session.accept('slow', {}, 1, 10)
  session.closeWith('draining', { reconnect: true, retryMs: 5 })
  await setImmediate()
  t.equal(stream.gone, false)
  await session.closeWith('draining', { patienceMs: 0 })
  t.equal(stream.gone, true)
  t.same(told(), ['attached', 'proved', 'closing', 'report FST_ERR_TETHER_HANDLER_TIMEOUT', 'onDisconnect closed', 'onClose draining', 'closed'])
})

t.test('destroying ends it at once', async (t) => {
  const { session, attach, told, runtime } = start()
  const { stream } = attach()
  session.accept('slow', {}, 1, 10)
  session.send('n', 1)
  const { signal } = session
  session.destroy('moved')
  t.equal(session.phase, 'closed')
  t.equal(signal.reason, 'moved')
  t.equal(stream.gone, true)
  t.equal(session.isClosedForGood, false)
  t.equal(runtime.deadlines.size, 0)
  t.equal(runtime.budget.weight, 0)
  await session.whenClosed()
  await setImmediate()
  session.destroy()
  t.same(told(), ['attached', 'proved', 'closed'], 'no hook runs')
  await t.rejects(session.update(() => {}), { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
  t.equal(await session.send('n', 2), false)
})

t.test('the latest request has it', async (t) => {
  const { session, attach, told } = start()
  const { stream: first } = attach()
  const second = new ManualStream()
  t.equal(session.attach(second, 'resumed', 0, true, 5), 'resumed')
  t.match(first.got.at(-1), /"reason":"replaced"/)
  t.match(first.got.at(-1), new RegExp(`^id: ${session.id}\\.taken$`, 'm'))
  const late = new ManualStream()
  t.equal(session.attach(late, 'resumed', 0, true, 4), null)
  t.match(late.got, [/"reason":"replaced"/])
  t.equal(session.stream, second)
  await setImmediate()
  t.same(told(), ['attached', 'attached', 'onDisconnect replaced'])
})

t.test('verdicts', async (t) => {
  const { session, attach, told } = start({ options: { replayFrames: 1 } })
  t.equal(session.proven, false)
  const { stream, verdict } = attach()
  t.equal(verdict, 'new')
  for (const n of [1, 2, 3]) session.send('n', n)
  stream.flush(performance.now())
  t.equal(attach('resumed', 3).verdict, 'resumed')
  t.equal(session.proven, true)
  t.equal(attach('resumed', 2).verdict, 'resumed')
  const gap = attach('resumed', 1)
  t.equal(gap.verdict, 'gap')
  t.match(gap.stream.got[0], /"verdict":"gap","seq":2/)
  told()
})

t.test('what was dropped before the first stream is a gap of a new session', async (t) => {
  const { session, attach } = start({ options: { queueFrames: 1 } })
  for (const n of [1, 2]) session.send('n', n)
  const { stream } = attach()
  t.same(kinds(stream), ['hello', 'gap 1', '2 event: n data: 2'])
})

t.test('a stream that goes leaves it, while it is open', async (t) => {
  const { session, attach, told } = start()
  const { stream } = attach()
  stream.destroy('client')
  await setImmediate()
  t.equal(session.connected, false)
  t.same(told(), ['attached', 'detached', 'onDisconnect client'])
})

t.test('its times end it', async (t) => {
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  const { session, attach, told } = start({ options: { reconnectMs: 5 } })
  attach().stream.destroy('client')
  await session.whenClosed()
  t.same(told(), ['attached', 'detached', 'onDisconnect client', 'closing', 'onClose reconnect-timeout', 'closed'])
})

t.test('destroying a session that waits for its stream to close runs no hook', async (t) => {
  const { session, attach, told } = start()
  const { stream } = attach('new', 0, new ManualStream({ room: 0 }))
  session.send('n', 1)
  const closed = session.close('done')
  await setImmediate()
  t.equal(stream.closing, true)
  t.equal(stream.gone, false)
  told()
  session.destroy()
  await closed
  await setImmediate()
  t.same(told(), ['closed'])
})
