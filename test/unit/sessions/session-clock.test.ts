import { equal, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { DeadlineQueue } from '../../../plugin/delivery/deadline-queue.ts'
import { SessionClock, type ClockOwner, type ClockScope, type Deadlines, type Phase } from '../../../plugin/sessions/session-clock.ts'
import { defaults } from '../../../schemas/defaults.ts'

class Owner implements ClockOwner {
  phase: Phase = 'open'
  isBlocked = false
  trimAt = Infinity
  timeoutAt = Infinity
  isConnected = false
  /** What the clock did. */
  readonly done: string[] = []
  readonly #stream = { destroy: () => { this.done.push('cut'); this.isConnected = false } }
  readonly feed
  readonly inbox

  constructor () {
    const owner = this
    this.feed = {
      get stream () { return owner.isConnected ? owner.#stream : null },
      get isBlocked () { return owner.isBlocked },
      get trimAt () { return owner.trimAt },
      patienceMs: 40,
      trim (now: number) {
        owner.done.push('trim')
        owner.trimAt = now + 100
      }
    }
    this.inbox = {
      get timeoutAt () { return owner.timeoutAt },
      timeOut () {
        owner.done.push('time out')
        owner.timeoutAt = Infinity
      }
    }
  }

  leavePool (): void { this.done.push('leave pool') }

  close (reason: string): void {
    this.done.push(reason)
    this.phase = 'closing'
  }
}

/** Notes when it is to wake, as the queue does. */
class Alarm implements Deadlines {
  at = Infinity
  set (_deadline: unknown, at: number): void { this.at = Math.min(this.at, at) }
  remove (): void { this.at = Infinity }
}

const times = { reconnectMs: 30, idleMs: 0, maxLifetimeMs: 0 }

function start ({ limits = {}, pendingMs = 20, owner = {} }: { limits?: Partial<ClockScope['limits']>, pendingMs?: number, owner?: Partial<Owner> } = {}) {
  const alarm = new Alarm()
  const state = Object.assign(new Owner(), owner)
  const clock = new SessionClock(state, { pendingMs, limits: { ...times, ...limits } }, alarm, 1_000)
  return {
    alarm,
    clock,
    owner: state,
    /** Wakes the clock at the time that it has set. Returns when it woke, and what it did; null if it has set none. */
    wake () {
      const { at } = alarm
      if (at === Infinity) return null
      alarm.at = Infinity
      clock.due(at)
      return [at, ...state.done.splice(0)]
    }
  }
}

t.test('each deadline, when it is due and what it does', async (t) => {
  t.test('a claim', async (t) => {
    const { clock, wake } = start({ owner: { phase: 'unclaimed' }, limits: { reconnectMs: 1, idleMs: 1, maxLifetimeMs: 1 } })
    clock.setAll()
    t.same(wake(), [1_020, 'leave pool', 'reconnect-timeout'])
    t.equal(wake(), null)
  })

  t.test('an opening has none', async (t) => {
    const { clock, wake } = start({ owner: { phase: 'opening' }, limits: { reconnectMs: 1, idleMs: 1, maxLifetimeMs: 1 } })
    clock.setAll()
    t.equal(wake(), null)
    clock.leave(1_005)
    t.same(wake(), [1_005 + defaults.fixed.leaveGraceMs, 'left'], 'but for a page that leaves')
  })

  t.test('the grace of a page that leaves, counted from the first goodbye', async (t) => {
    const { clock, wake } = start({ owner: { isConnected: true } })
    clock.leave(1_100)
    clock.leave(1_200)
    t.same(wake(), [1_100 + defaults.fixed.leaveGraceMs, 'left'])
  })

  t.test('a lifetime', async (t) => {
    const { clock, wake } = start({ owner: { isConnected: true }, limits: { maxLifetimeMs: 500 } })
    clock.setAll()
    t.same(wake(), [1_500, 'lifetime'])
  })

  t.test('a reconnect', async (t) => {
    const { clock, wake } = start()
    clock.detachedAt = 1_007
    clock.setAll()
    t.same(wake(), [1_037, 'reconnect-timeout'])
  })

  t.test('a session without a stream or an event', async (t) => {
    const { clock, wake } = start({ limits: { idleMs: 10 } })
    clock.detachedAt = 1_005
    clock.setAll()
    clock.lastEventAt = 1_011
    t.same(wake(), [1_015], 'one that moved costs a look')
    t.same(wake(), [1_021, 'idle'])
  })

  t.test('none of these with a stream', async (t) => {
    const { clock, wake } = start({ owner: { isConnected: true }, limits: { idleMs: 10 } })
    clock.setAll()
    t.equal(wake(), null)
  })

  t.test('the age of the replay log', async (t) => {
    const { clock, owner, wake } = start({ owner: { isConnected: true, trimAt: 1_050 } })
    clock.set('replayAge')
    t.same(wake(), [1_050, 'trim'])
    t.same(wake(), [1_150, 'trim'])
    owner.trimAt = Infinity
    t.same(wake(), [1_250])
    t.equal(wake(), null)
  })

  t.test('the time of a handler', async (t) => {
    const { clock, wake } = start({ owner: { isConnected: true, timeoutAt: 1_060 } })
    clock.set('handler')
    t.same(wake(), [1_060, 'time out'])
    t.equal(wake(), null)
  })

  t.test('patience with a client that blocks the close', async (t) => {
    const { clock, owner, wake } = start({ owner: { phase: 'closing', isConnected: true } })
    clock.closeBy = 1_100
    clock.set('patience')
    t.same(wake(), [1_100], 'it reads')
    owner.isBlocked = true
    t.same(wake(), [1_110, 'cut'])
    t.equal(wake(), null)
  })
})

t.test('a close leaves nothing else to do', async (t) => {
  const { clock, owner, wake } = start({ limits: { reconnectMs: 10, idleMs: 10, maxLifetimeMs: 10 } })
  clock.setAll()
  t.same(wake(), [1_010, 'lifetime'])
  t.equal(owner.phase, 'closing')
})

t.test('a destroyed clock is silent', async (t) => {
  const { clock, owner, alarm } = start()
  clock.setAll()
  clock.destroy()
  t.equal(alarm.at, Infinity)
  clock.setAll()
  clock.set('reconnect')
  t.equal(alarm.at, Infinity)
  clock.due(9_999)
  t.same(owner.done, [], 'also when it was taken out of the queue just before')
})

t.test('it sleeps until there is something to do, and no longer', async (t) => {
  const time = fc.oneof(fc.integer({ min: 1_000, max: 1_100 }), fc.constant(Infinity))
  const state = fc.record({
    phase: fc.constantFrom<Phase>('unclaimed', 'opening', 'open', 'closing'),
    isConnected: fc.boolean(),
    isBlocked: fc.boolean(),
    trimAt: time,
    timeoutAt: time
  })
  const limits = fc.record({ reconnectMs: fc.nat(50), idleMs: fc.nat(50), maxLifetimeMs: fc.nat(50) })
  const moments = fc.record({ detachedAt: fc.integer({ min: 1_000, max: 1_050 }), lastEventAt: fc.integer({ min: 1_000, max: 1_050 }), leaveAt: time, closeBy: fc.integer({ min: 1_000, max: 1_100 }) })
  fc.assert(fc.property(state, limits, moments, fc.nat(50), (state, limits, moments, pendingMs) => {
    const make = () => {
      const run = start({ owner: state, limits, pendingMs })
      Object.assign(run.clock, moments)
      return run
    }
    const { clock, alarm } = make()
    clock.setAll()
    for (let at = 1_000; at <= 1_101; at++) {
      const run = make()
      run.clock.due(at)
      const isDue = run.owner.done.length > 0 || run.clock.closeBy !== moments.closeBy
      equal(isDue, at >= alarm.at, `at ${at}, set for ${alarm.at}`)
    }
    // Whatever it did, it goes on, and comes to an end or to rest.
    for (let count = 0; count < 5 && alarm.at !== Infinity; count++) {
      const { at } = alarm
      alarm.at = Infinity
      clock.due(at)
      ok(alarm.at > at)
    }
  }), { numRuns: 300 })
  t.pass('for any state')
})

t.test('it works with the queue that all share', async (t) => {
  const deadlines = new DeadlineQueue()
  const owner = new Owner()
  const clock = new SessionClock(owner, { pendingMs: 1, limits: { ...times, reconnectMs: 20 } }, deadlines, performance.now())
  clock.setAll()
  t.equal(deadlines.size, 1)
  // The queue lets a process exit.
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  await new Promise<void>((resolve) => {
    owner.close = () => {
      owner.phase = 'closed'
      resolve()
    }
  })
  t.ok(performance.now() >= clock.createdAt + 20)
  t.equal(deadlines.size, 0)
})
