import fc from 'fast-check'
import t from 'tap'
import { capacityOf, type Sample } from '../../../tune/decision/capacity.ts'
import { fitMemory } from '../../../tune/decision/memory.ts'
import { judge } from '../../../tune/decision/verdict.ts'
import { loadsFor, orderOf, timingFor } from '../../../tune/measure/plan.ts'
import { randomFrom } from '../../../tune/statistics/random.ts'
import { effort } from '../../harness/effort.ts'

/** What a single server that takes so many events a second would show, in windows of a few seconds. */
function samples (most: number, loads: readonly number[], random: () => number, noise = 0.01): Sample[][] {
  return loads.map((offered) => Array.from({ length: 5 }, () => {
    const used = offered / most
    const jitter = 1 + (random() - 0.5) * 2 * noise
    return {
      load: offered,
      offered,
      achieved: Math.min(offered, most * jitter),
      seconds: 5,
      latencyMs: (used < 1 ? 5 + used / (1 - used) * 3 : 5_000 * (used - 1) + 200) * jitter,
      lostShare: 0,
      busyShare: 0
    }
  }))
}

t.test('the capacity of a queue is found within 10 percent, with its interval around it', async () => {
  fc.assert(fc.property(fc.double({ min: 5, max: 20_000, noNaN: true }), fc.double({ min: 0.9, max: 1.15, noNaN: true }), fc.integer({ min: 1, max: 1e6 }), (most, guess, seed) => {
    const found = capacityOf(samples(most, loadsFor(most * guess, 1e9), randomFrom(seed)), 250)!
    return !found.atLeast && Math.abs(found.estimate / most - 1) < 0.1 && found.interval[0] <= found.estimate && found.estimate <= found.interval[1]
  }), { numRuns: 40 * effort })
})

t.test('a latency far below saturation decides where it is asked for', async (t) => {
  const random = randomFrom(3)
  const loads = [100, 200, 300, 400, 500, 600]
  const strict = capacityOf(loads.map((offered) => Array.from({ length: 5 }, () => ({ load: offered, offered, achieved: offered, seconds: 5, latencyMs: offered / 10 * (1 + random() * 0.02), lostShare: 0, busyShare: 0 }))), 35)!
  t.ok(strict.estimate > 320 && strict.estimate < 375, `${strict.estimate}`)
})

t.test('where every load holds, the largest is what is known', async (t) => {
  const { estimate, atLeast } = capacityOf(samples(1_000, [10, 20, 30, 40, 50, 60], randomFrom(1)), 250)!
  t.strictSame([estimate, atLeast], [60, true])
})

t.test('one bad window between good ones is noise', async (t) => {
  const all = samples(1_000, [100, 200, 300, 400, 500, 600], randomFrom(2))
  const disturbed = all.map((group, load) => group.map((sample) => load === 2 ? { ...sample, latencyMs: 900 } : sample))
  t.equal(capacityOf(disturbed, 250)!.atLeast, true)
})

t.test('refused events count as not handled', async (t) => {
  const all = samples(1_000, [100, 200, 300, 400, 500, 600], randomFrom(2)).map((group, load) => group.map((sample) => load > 3 ? { ...sample, lostShare: 0.2 } : sample))
  const { estimate } = capacityOf(all, 250)!
  t.ok(estimate >= 400 && estimate <= 500, `${estimate}`)
})

t.test('channels that refuse some events at any load do not hold at the one where chance let them', async (t) => {
  const random = randomFrom(5)
  const shares = [0.021, 0.052, 0.043, 0.022, 0.01, 0.009]
  const loads = samples(1_000, [100, 150, 200, 230, 250, 290], random).map((group, load) => group.slice(0, 1).map((sample) => ({ ...sample, lostShare: shares[load]!, busyShare: shares[load]! })))
  t.match(capacityOf(loads, 250), { estimate: 0, atLeast: false })
  const few = loads.map((group) => group.map((sample) => ({ ...sample, lostShare: 0.001, busyShare: 0.001 })))
  t.match(capacityOf(few, 250), { atLeast: true })
})

t.test('one repeat says little, so its interval is wide', async (t) => {
  const once = samples(1_000, loadsFor(1_000, 1e9), randomFrom(4)).map((group) => group.slice(0, 1))
  const { estimate, interval: [low, high] } = capacityOf(once, 250)!
  t.ok(low <= estimate * 0.9 + 1e-9 && high >= estimate * 1.1 - 1e-9, `${low} ${estimate} ${high}`)
})

t.test('nothing measured is no capacity', async (t) => {
  t.equal(capacityOf([], 250), null)
})

t.test('memory that stays of events or of sessions is a leak; memory of clients and chance is none', async () => {
  fc.assert(fc.property(fc.integer({ min: 2_000, max: 100_000 }), fc.integer({ min: 1, max: 1e6 }), fc.constantFrom(null, 'event' as const, 'session' as const), (leak, seed, leaksOf) => {
    const random = randomFrom(seed)
    let events = 0
    let opened = 0
    let before = 0
    const readings = Array.from({ length: 20 }, () => {
      const sessions = Math.round(50 + 100 * random())
      opened += Math.max(0, sessions - before)
      before = sessions
      events += 300
      return { residentBytes: 9e7, heldBytes: 2e7 + sessions * 30_000 + (leaksOf === 'event' ? events * leak : leaksOf === 'session' ? opened * leak * 10 : 0) + random() * 300_000, sessions, events, opened }
    })
    const fit = fitMemory(readings)!
    return fit.leaksOf === leaksOf && (leaksOf !== 'event' || Math.abs(fit.bytesPerEvent / leak - 1) < 0.2) && (leaksOf !== 'session' || Math.abs(fit.bytesPerOpened / leak / 10 - 1) < 0.2)
  }), { numRuns: 30 * effort })
})

t.test('memory that a process takes while it warms up is no leak', async (t) => {
  const random = randomFrom(9)
  const readings = Array.from({ length: 20 }, (_, step) => ({ residentBytes: 9e7, heldBytes: 2e7 + 5e6 * Math.min(1, step / 5) + random() * 100_000, sessions: 50 + (step * 37) % 100, events: 300 * step, opened: 150 }))
  t.equal(fitMemory(readings)!.leaksOf, null)
  t.equal(fitMemory(readings.map((reading) => ({ ...reading, heldBytes: reading.heldBytes + reading.events * 4_000 })))!.leaksOf, 'event')
})

t.test('the exit code follows the target, and noise makes it careful', async (t) => {
  const capacity = { estimate: 200, interval: [190, 210] as const, atLeast: false }
  const parts = { capacity, margin: 0, isGeneratorLimited: false, wereClientsRefused: false, isInDoubt: false, isComplete: true }
  t.equal(judge({ ...parts, target: 150 }), 'meets')
  t.equal(judge({ ...parts, target: 300 }), 'fails')
  t.equal(judge({ ...parts, target: 200 }), 'unknown')
  t.equal(judge({ ...parts, target: null }), 'meets')
  t.equal(judge({ ...parts, target: 185, margin: 0.15 }), 'unknown')
  t.equal(judge({ ...parts, target: 100, margin: 0.15 }), 'meets')
  t.equal(judge({ ...parts, target: 300, isGeneratorLimited: true }), 'unknown')
  t.equal(judge({ ...parts, target: 100, isComplete: false }), 'unknown')
  t.equal(judge({ ...parts, target: 100, wereClientsRefused: true }), 'fails')
  t.equal(judge({ ...parts, capacity: null, target: null }), 'unknown')
  t.equal(judge({ ...parts, target: null, isInDoubt: true }), 'unknown')
  t.equal(judge({ ...parts, target: 100, isInDoubt: true }), 'meets', 'what held did hold')
  t.equal(judge({ ...parts, capacity: { estimate: 0, interval: [0, 1], atLeast: false }, target: null }), 'fails')
  t.equal(judge({ ...parts, capacity: { ...capacity, atLeast: true }, target: 200 }), 'meets')
  t.equal(judge({ ...parts, capacity: { ...capacity, atLeast: true }, target: 300 }), 'unknown')
})

t.test('the plan keeps within its bounds', async () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 9 }), (count, repeat) =>
    [...orderOf(count, repeat)].sort().join() === Array.from({ length: count }, (_, index) => index).join()), runsOf(30))
  fc.assert(fc.property(fc.double({ min: 1, max: 1e5, noNaN: true }), fc.double({ min: 1, max: 1e5, noNaN: true }), (capacity, largest) =>
    loadsFor(capacity, largest).every((load) => load > 0 && load <= largest * 1.00001)), runsOf(50))
  fc.assert(fc.property(fc.integer({ min: 3, max: 8 }), fc.integer({ min: 60, max: 1_200 }), fc.boolean(), (loads, seconds, quick) => {
    const { warmMs, windowMs, repeats } = timingFor({ loads, extra: 2, milliseconds: seconds * 1_000, quick, repeats: null, overheadMs: 700 })
    return repeats >= 1 && (loads * repeats + 2) * (warmMs + windowMs + 700) <= seconds * 1_000
  }), runsOf(50))
})

function runsOf (numRuns: number) {
  return { numRuns: numRuns * effort }
}
