import { deepStrictEqual, equal } from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { isSyncCallback } from '../../../plugin/commands/sync-callback.ts'
import { ByteBudget } from '../../../plugin/delivery/byte-budget.ts'
import { Counters } from '../../../plugin/metrics/counters.ts'
import { SessionInbox, type EventHandler, type InboxOwner, type InboxScope } from '../../../plugin/sessions/session-inbox.ts'

class Owner implements InboxOwner {
  readonly shortId = 'AbCdEf…'
  timeouts = 0
  readonly reports: Array<[error: unknown, command: string]> = []

  onTimeoutDue (): void { this.timeouts++ }
  report (error: unknown, command: string): void { this.reports.push([error, command]) }
}

interface Given {
  on?: Record<string, (...given: unknown[]) => unknown>
  hooks?: Omit<InboxScope['hooks'], 'on'>
  limits?: Partial<InboxScope['limits']>
  budget?: ByteBudget
}

function start ({ on = {}, hooks = {}, limits = {}, budget = new ByteBudget(Infinity) }: Given = {}) {
  const owner = new Owner()
  const writeSide = { hasRoom: true, isStalled: false }
  const counters = new Counters()
  const handlers = new Map<string, EventHandler>(Object.entries(on).map(([name, handle]) => [name, { handle, isSync: isSyncCallback(handle) }]))
  const scope: InboxScope = { limits: { commandBuffer: 4, handlerTimeoutMs: 50, ...limits }, handlers, hooks: { ...hooks, on }, context: { live: 'live' } }
  const inbox = new SessionInbox(owner, scope, writeSide, budget, counters)
  return { inbox, owner, scope, writeSide, counters, budget }
}

function deferred () {
  let resolve!: (value?: unknown) => void
  const promise = new Promise((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}

t.test('an event runs its handler', async (t) => {
  const calls: unknown[] = []
  const { inbox, owner, scope, counters } = start({
    on: {
      add (...given) { calls.push([this, ...given]) }
    }
  })
  inbox.accept('add', { n: 1 }, 1, 100)
  inbox.accept('add', { n: 2 }, 0, 100)
  t.equal(inbox.acceptedSeq, 1, 'one without a number takes none')
  t.same(calls, [], 'behind the present code')
  await setImmediate()
  t.strictSame(calls, [[scope.hooks.on, owner, { n: 1 }, scope.context], [scope.hooks.on, owner, { n: 2 }, scope.context]])
  t.equal(counters.eventsAccepted, 2)
})

t.test('events wait within bounds of count and memory', async (t) => {
  const budget = new ByteBudget(1_000)
  const { inbox, writeSide } = start({ on: { add () {} }, budget })
  writeSide.hasRoom = false
  t.equal(inbox.hasCapacity(4, 9_000), true, 'while nothing waits anywhere, one event passes')
  t.equal(inbox.hasCapacity(5, 1), false)
  inbox.accept('add', {}, 1, 100)
  await setImmediate()
  t.equal(inbox.length, 1)
  t.equal(budget.commands, 100)
  t.equal(inbox.hasCapacity(3, 0), true)
  t.equal(inbox.hasCapacity(4, 0), false)
  t.equal(inbox.hasCapacity(1, 9_000), false)
  writeSide.hasRoom = true
  await setImmediate()
  t.equal(inbox.length, 1, 'it does not look by itself')
  inbox.resume()
  await setImmediate()
  t.equal(inbox.length, 0)
  t.equal(budget.commands, 0)
})

t.test('hooks run in line with events, beyond the capacity, if there are any', async (t) => {
  const calls: string[] = []
  const { inbox, owner, scope } = start({
    limits: { commandBuffer: 1 },
    on: { add: () => { calls.push('add') } },
    hooks: {
      onJoin (...given: unknown[]) {
        t.strictSame([this, ...given], [scope.hooks, owner, 'red', 'context'])
        calls.push('onJoin')
      }
    }
  })
  inbox.accept('add', {}, 1, 0)
  t.equal(inbox.hasCapacity(1, 0), false)
  inbox.queueHook('onJoin', 'red', 'context')
  inbox.queueHook('onLeave', 'red', 'context')
  t.equal(inbox.length, 2)
  await setImmediate()
  t.same(calls, ['add', 'onJoin'])
  let isSettled = false
  inbox.queueLastHook([], () => { isSettled = true })
  await setImmediate()
  t.equal(isSettled, true, 'the last is run without a hook, too')
})

t.test('updates', async (t) => {
  t.test('run behind what waits, and give their result', async (t) => {
    const order: string[] = []
    const { inbox, owner } = start({ on: { add: () => { order.push('add') } } })
    inbox.accept('add', {}, 1, 0)
    const result = inbox.update((session) => {
      order.push('update')
      return session
    })
    t.equal(await result, owner)
    t.same(order, ['add', 'update'])
    t.equal(await inbox.update(async () => 7), 7)
  })

  t.test('within a command run at once, as a part of it', async (t) => {
    const { inbox, owner } = start()
    const error = new Error('inner')
    await inbox.update(async () => {
      t.equal(inbox.isWithinCurrent, true)
      t.equal(await inbox.update(() => 1), 1)
      await t.rejects(inbox.update(() => { throw error }), error)
    })
    t.equal(inbox.isWithinCurrent, false)
    t.strictSame(owner.reports, [[error, 'update']])
  })

  t.test('reject with what they throw, which is reported', async (t) => {
    const { inbox, owner, counters } = start()
    const error = new Error('mine')
    await t.rejects(inbox.update(() => { throw error }), error)
    inbox.update(() => { throw error })
    await setImmediate()
    t.strictSame(owner.reports, [[error, 'update'], [error, 'update']], 'and nobody need listen')
    t.equal(counters.handlerErrors, 2)
  })

  t.test('are refused when too many wait, and after the close', async (t) => {
    const { inbox, writeSide } = start({ limits: { commandBuffer: 1 } })
    writeSide.hasRoom = false
    inbox.update(() => {})
    await t.rejects(inbox.update(() => {}), { code: 'FST_ERR_TETHER_BUSY' })
    inbox.close(() => {})
    await t.rejects(inbox.update(() => {}), { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
  })
})

t.test('a handler has its time, without that of stalls', async (t) => {
  const gate = deferred()
  const { inbox, owner, writeSide } = start({ on: { slow: () => gate.promise, quick () {} }, limits: { handlerTimeoutMs: 1_000 } })
  t.equal(inbox.timeoutAt, Infinity)
  const before = performance.now()
  inbox.accept('slow', {}, 1, 0)
  inbox.accept('quick', {}, 2, 0)
  await setImmediate()
  t.equal(owner.timeouts, 1)
  const at = inbox.timeoutAt
  t.ok(at >= before + 1_000 && at <= performance.now() + 1_000)
  writeSide.isStalled = true
  t.equal(inbox.timeoutAt, Infinity)
  writeSide.isStalled = false
  inbox.excludeStall(at - 900, at - 600)
  // Fractions of a millisecond are rounded on the way.
  t.ok(Math.abs(inbox.timeoutAt - at - 300) < 1e-6)
  t.equal(owner.timeouts, 2)
  inbox.excludeStall(0, at - 1_000)
  t.ok(Math.abs(inbox.timeoutAt - at) < 1e-6, 'a stall counts from the beginning of the handler')
  inbox.timeOut(at)
  t.match(owner.reports, [[{ code: 'FST_ERR_TETHER_HANDLER_TIMEOUT', message: /slow.*1,?000/ }, 'slow']])
  await setImmediate()
  t.equal(inbox.length, 0, 'the next has run')
  t.equal(inbox.timeoutAt, Infinity)
  inbox.timeOut(at)
  inbox.excludeStall(0, 1)
  t.equal(owner.reports.length, 1)
  gate.resolve()
})

t.test('a time of 0 is no limit', async (t) => {
  const gate = deferred()
  const { inbox, owner } = start({ on: { slow: () => gate.promise }, limits: { handlerTimeoutMs: 0 } })
  inbox.accept('slow', {}, 1, 0)
  await setImmediate()
  t.equal(inbox.timeoutAt, Infinity)
  t.equal(owner.timeouts, 0)
  gate.resolve()
})

t.test('closing runs what was accepted, then the last', async (t) => {
  const order: string[] = []
  const { inbox } = start({ on: { add: () => { order.push('add') } }, hooks: { onLeave: () => { order.push('onLeave') } } })
  inbox.accept('add', {}, 1, 0)
  inbox.close(() => { order.push('last') })
  inbox.queueHook('onLeave')
  await setImmediate()
  t.same(order, ['add', 'last', 'onLeave'])
})

t.test('destroying runs nothing more', async (t) => {
  const { inbox, budget } = start({ on: { add: () => t.fail('must not run') } })
  inbox.accept('add', {}, 1, 100)
  const update = inbox.update(() => t.fail('must not run'))
  inbox.destroy()
  await t.rejects(update, { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
  t.equal(inbox.length, 0)
  t.equal(budget.weight, 0)
  await t.rejects(inbox.update(() => {}), { code: 'FST_ERR_TETHER_SESSION_CLOSED' })
})

t.test('a snapshot is plain JSON, and has no event that is not settled', async (t) => {
  const gate = deferred()
  const { inbox, writeSide } = start({ on: { slow: () => gate.promise, quick () {} } })
  t.same(JSON.parse(JSON.stringify(inbox.snapshot())), { acceptedSeq: 0 })
  inbox.accept('quick', {}, 1, 0)
  await setImmediate()
  t.same(inbox.snapshot(), { acceptedSeq: 1 })
  inbox.accept('slow', {}, 2, 0)
  inbox.accept('quick', {}, 0, 0)
  inbox.accept('quick', {}, 3, 0)
  t.same(inbox.snapshot(), { acceptedSeq: 1 }, 'two wait')
  await setImmediate()
  t.same(inbox.snapshot(), { acceptedSeq: 1 }, 'one runs')
  writeSide.hasRoom = false
  gate.resolve()
  await setImmediate()
  t.same(inbox.snapshot(), { acceptedSeq: 2 })
  writeSide.hasRoom = true
  inbox.resume()
  await setImmediate()
  t.same(inbox.snapshot(), { acceptedSeq: 3 })
})

/** An inbox whose handlers settle when the test says, behind the rule by which events are accepted. */
class Run {
  readonly ran: number[] = []
  readonly #gates: Array<() => void> = []
  readonly #parts = start({
    limits: { commandBuffer: Infinity, handlerTimeoutMs: 0 },
    on: {
      quick: (_session, data) => { this.ran.push(data as number) },
      slow: (_session, data) => {
        this.ran.push(data as number)
        return new Promise<void>((resolve) => { this.#gates.push(resolve) })
      }
    }
  })

  get inbox (): SessionInbox { return this.#parts.inbox }

  /** Posts an event; a number is taken once, and never skipped. Returns what the client learns. */
  post (seq: number, data: number, isSlow: boolean): 'accepted' | 'known' | 'gap' {
    const { inbox } = this
    if (seq > inbox.acceptedSeq + 1) return 'gap'
    if (seq !== 0 && seq <= inbox.acceptedSeq) return 'known'
    inbox.accept(isSlow ? 'slow' : 'quick', data, seq, 10)
    return 'accepted'
  }

  settle (): void {
    for (const settle of this.#gates.splice(0)) settle()
  }

  async settleAll (): Promise<void> {
    do {
      this.settle()
      await setImmediate()
    } while (this.inbox.length > 0 || this.#gates.length > 0)
  }
}

type Step = { readonly kind: 'post', readonly offset: number | null, readonly isSlow: boolean } | { readonly kind: 'settle' | 'turn' }

const steps: fc.Arbitrary<Step[]> = fc.array(fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('post' as const), offset: fc.option(fc.integer({ min: -2, max: 3 }), { freq: 5 }), isSlow: fc.boolean() }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('post' as const), offset: fc.constant(1), isSlow: fc.boolean() }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constantFrom('settle' as const, 'turn' as const) }), weight: 2 }
), { maxLength: 30, size: 'max' })

let lastData = 0

function take (run: Run, step: Step, data: number): string | undefined {
  if (step.kind === 'post') return run.post(step.offset === null ? 0 : Math.max(0, run.inbox.acceptedSeq + step.offset), data, step.isSlow)
  if (step.kind === 'settle') run.settle()
}

t.test('a restored inbox continues as if nothing had happened', async (t) => {
  await fc.assert(fc.asyncProperty(steps, steps, async (before, after) => {
    const original = new Run()
    for (const step of before) {
      take(original, step, ++lastData)
      await setImmediate()
    }
    // What is queued runs before.
    await original.settleAll()
    const restored = new Run()
    restored.inbox.restore(JSON.parse(JSON.stringify(original.inbox.snapshot())))
    original.ran.length = 0
    for (const step of after) {
      const data = ++lastData
      equal(take(restored, step, data), take(original, step, data))
      await setImmediate()
      deepStrictEqual([restored.inbox.acceptedSeq, restored.inbox.length, restored.ran], [original.inbox.acceptedSeq, original.inbox.length, original.ran])
    }
    await Promise.all([original.settleAll(), restored.settleAll()])
    deepStrictEqual(restored.ran, original.ran)
  }), { numRuns: 100 })
  t.pass('for any history')
})

t.test('a client that sends again what a snapshot has not got loses no event, and none runs twice that is settled', async (t) => {
  await fc.assert(fc.asyncProperty(steps, async (before) => {
    const original = new Run()
    const sent: Array<{ seq: number, data: number }> = []
    for (const step of before) {
      const data = ++lastData
      const seq = original.inbox.acceptedSeq + 1
      if (take(original, step, data) === 'accepted' && original.inbox.acceptedSeq === seq) sent.push({ seq, data })
      await setImmediate()
    }
    const { acceptedSeq } = original.inbox.snapshot()
    const settled = new Set(original.ran)
    const restored = new Run()
    restored.inbox.restore({ acceptedSeq })
    for (const { seq, data } of sent) restored.post(seq, data, false)
    await restored.settleAll()
    deepStrictEqual(restored.ran, sent.filter(({ seq }) => seq > acceptedSeq).map(({ data }) => data))
    for (const { seq, data } of sent) if (seq <= acceptedSeq) equal(settled.has(data), true)
  }), { numRuns: 100 })
  t.pass('for any history')
})

t.test('onGap waits once, and runs again for a gap that comes while it runs', async (t) => {
  const runs: unknown[][] = []
  let gate = deferred()
  const { inbox, owner, scope } = start({
    hooks: {
      onGap (...given: unknown[]) {
        runs.push([this, ...given])
        return gate.promise
      }
    }
  })
  for (let gap = 0; gap < 100; gap++) inbox.queueGapHook(scope.context)
  t.equal(inbox.length, 1)
  await setImmediate()
  t.strictSame(runs, [[scope.hooks, owner, scope.context]])
  inbox.queueGapHook(scope.context)
  inbox.queueGapHook(scope.context)
  const { resolve } = gate
  gate = deferred()
  gate.resolve()
  resolve()
  await setImmediate()
  t.equal(runs.length, 2)
  t.equal(inbox.length, 0)
})

t.test('without the hook, a gap queues nothing', async (t) => {
  const { inbox, scope } = start()
  inbox.queueGapHook(scope.context)
  t.equal(inbox.length, 0)
})
