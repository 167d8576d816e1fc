import { deepStrictEqual, equal, ok } from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import fc from 'fast-check'
import t from 'tap'
import { MemoryRelief } from '../../../plugin/app/memory-relief.ts'
import { resolveSessionOptions } from '../../../plugin/app/options.ts'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import type { SessionOptions } from '../../../plugin/sessions/config.ts'
import { Endpoint } from '../../../plugin/sessions/endpoint.ts'
import { SessionRegistry } from '../../../plugin/sessions/session-registry.ts'
import type { TetherSession } from '../../../plugin/sessions/session.ts'
import { FrameStream } from '../../../plugin/streams/frame-stream.ts'
import { createRuntime } from '../../../plugin/streams/runtime.ts'
import { conflate, defineContract } from '../../../schemas/contract.ts'
import { defaults } from '../../../schemas/defaults.ts'
import type { Limits } from '../../../schemas/limits.ts'
import { effort } from '../../harness/effort.ts'
import { ScriptedCarrier } from './scripted-carrier.ts'

const contract = defineContract({
  events: {},
  updates: { note: Type.String(), reading: conflate(Type.Object({ key: Type.Integer(), value: Type.Integer() }), ({ key }) => String(key)) }
})
const log = { info () {}, debug () {}, warn () {}, error () {} } as unknown as FastifyBaseLogger
const noLimits = { maxSessions: 1_000, maxPerBinding: 0, maxPerAddress: 0, maxPerConnection: 0, maxDetached: 1_000, maxPending: 0, pendingMs: 1_000 }
const groupNames = ['a', 'b', 'c']

interface Tab {
  readonly session: TetherSession
  readonly isCounted: boolean
  readonly carriers: ScriptedCarrier[]
}

/** An endpoint and its sessions; with `alone`, none of them ever comes into step. */
class World {
  readonly runtime
  readonly endpoint: Endpoint
  readonly tabs: Tab[] = []
  readonly #pieceBytes: number
  #arrivals = 0

  constructor (options: SessionOptions, limits: Limits, pieceBytes: number, alone: boolean, memory = 1e9) {
    this.#pieceBytes = pieceBytes
    this.runtime = createRuntime(memory, 0, limits)
    this.endpoint = new Endpoint({
      contract: CompiledContract.of(contract),
      limits: resolveSessionOptions(options),
      config: { contract, initialState: () => null },
      bind: undefined,
      trustedOrigins: new Set(),
      runtime: this.runtime,
      registry: new SessionRegistry(noLimits, 0, () => {}),
      log
    })
    if (alone) this.endpoint.cohorts.settle = () => {}
  }

  async open (isCounted: boolean): Promise<void> {
    const applicant = { boundTo: null, owner: null, connection: null }
    this.endpoint.registry.reserve(null, null)
    const session = await this.endpoint.create({} as FastifyRequest, applicant, false)
    this.tabs.push({ session, isCounted, carriers: [] })
    this.connect(this.tabs.length - 1, null)
  }

  /** @param seq number of the last update that the client has; null for a new client */
  connect (index: number, seq: number | null): string | null {
    const { session, isCounted, carriers } = this.tabs[index]!
    if (!session.isOpen) return null
    const carrier = new ScriptedCarrier(this.#pieceBytes)
    const stream = new FrameStream(carrier, { writeBuffer: 2, heartbeatMs: 0, retryMs: 0, stallTimeoutMs: 0, goodbye: true }, this.runtime, '', log)
    carriers.push(carrier)
    return session.attach(stream, seq === null ? 'new' : 'resumed', seq ?? 0, isCounted, ++this.#arrivals)
  }

  /** All that clients and applications can see, without the ids of sessions. */
  seen (): unknown {
    return this.tabs.map(({ session, carriers }) => {
      const { stalledMs: _, ...stats } = session.stats
      return {
        stats,
        lastWritten: session.feed.lastWritten,
        // A part of a large text, and all that a carrier took, may end within an id. All ids have one length.
        written: carriers.map(({ writes, isClosed }) => ({ isClosed, lengths: writes.map(({ length }) => length), text: writes.join('').replaceAll(session.id, 'ID').replace(/(id: |session":")[\w-]*$/, '') }))
      }
    })
  }

  get totals (): unknown {
    const { stalledMs: _, ...totals } = this.runtime.totals
    return JSON.parse(JSON.stringify(totals))
  }

  /** Ends everything, and checks that nothing is left behind. */
  empty (): void {
    const { endpoint, runtime, tabs } = this
    for (const { session, carriers } of tabs) {
      session.destroy()
      // A replaced stream waits for its peer.
      for (const carrier of carriers) if (!carrier.isClosed) carrier.cut()
    }
    equal(endpoint.cohorts.size, 0)
    equal(runtime.budget.used, 0)
    equal(runtime.budget.weight, 0)
    equal(endpoint.everyone.targets.size, 0)
    equal(endpoint.groups.size, 0)
    equal(runtime.deadlines.size, 0)
  }

  async turn (): Promise<void> {
    const { scheduler } = this.runtime
    for (let slices = 0; slices === 0 || !scheduler.isIdle; slices++) {
      if (slices === 1_000) throw new Error('the turn never ends')
      await setImmediate()
    }
  }
}

interface Step {
  readonly kind: typeof kinds[number] | 'slice'
  readonly tab: number
  readonly group: number
  readonly number: number
  readonly flag: boolean
}

const kinds = ['broadcast', 'broadcast', 'broadcast', 'reading', 'reading', 'except', 'large', 'burst', 'send', 'sendReading', 'join', 'leave', 'freeze', 'thaw', 'cut', 'reconnect', 'replace', 'acknowledge', 'control', 'ping', 'ping', 'close', 'open', 'turn', 'turn', 'turn', 'turn', 'look'] as const

const steps: fc.Arbitrary<Step[]> = fc.array(fc.record({
  kind: fc.constantFrom(...kinds),
  tab: fc.nat({ max: 9 }),
  group: fc.nat({ max: 3 }),
  number: fc.nat({ max: 9 }),
  flag: fc.boolean()
}), { minLength: 10, maxLength: 150, size: 'max' })

const options: fc.Arbitrary<SessionOptions> = fc.record({
  replayFrames: fc.constantFrom(0, 1, 5, 1_000),
  replayBytes: fc.constantFrom(0, 200, 100_000),
  queueFrames: fc.constantFrom(3, 1_000),
  queueBytes: fc.constantFrom(300, 100_000),
  onOverflow: fc.constantFrom('disconnect', 'dropOldest')
}).map((given) => ({ ...given, replayAgeMs: 0 }))

/** Applies one step; `index` makes its texts unique. */
async function apply (world: World, { kind, tab: at, group, number, flag }: Step, index: number): Promise<unknown> {
  const tab = world.tabs[at % world.tabs.length]!
  const { session, carriers } = tab
  const carrier = carriers.at(-1)!
  const { groups } = world.endpoint
  const receiver = groupNames[group] ?? null
  const name = groupNames[group % 3]!
  if (kind === 'broadcast') return groups.broadcast(null, receiver, 'note', `b${index}`, null)
  if (kind === 'reading') return groups.broadcast(null, receiver, 'reading', { key: number % 3, value: index }, null)
  if (kind === 'except') return groups.broadcast(null, receiver, 'note', `e${index}`, session)
  if (kind === 'large') return groups.broadcast(null, receiver, 'note', 'x'.repeat(number * 40), null)
  if (kind === 'burst') {
    for (let count = 0; count < number * 4; count++) groups.broadcast(null, receiver, flag ? 'note' : 'reading', flag ? `n${index}.${count}` : { key: count % 4, value: count }, null)
    return
  }
  if (kind === 'send') {
    session.send('note', `s${index}`)
    return
  }
  if (kind === 'sendReading') {
    session.send('reading', { key: number % 3, value: index })
    return
  }
  if (kind === 'join') return groups.add(name, session)
  if (kind === 'leave') return groups.delete(name, session)
  if (kind === 'freeze') {
    if (carrier.room > 0) carrier.room = number + 1
    return
  }
  if (kind === 'thaw') return carrier.drain(flag ? Infinity : number + 1)
  if (kind === 'cut') return carrier.cut()
  if (kind === 'reconnect' && session.stream !== null) return
  if (kind === 'reconnect' || kind === 'replace') return world.connect(at % world.tabs.length, flag ? number * 3 : Math.max(0, session.feed.lastWritten - number))
  if (kind === 'acknowledge') return session.acknowledge(Math.max(0, session.stats.framesWritten - number))
  if (kind === 'control') return session.stream?.control(`: ${index}\n\n`)
  if (kind === 'ping') {
    for (let count = 0; count <= number && session.admitPings(1); count++) session.answerPing(index)
    return
  }
  if (kind === 'close') {
    if (number === 0) session.close()
    return
  }
  if (kind === 'open') return await world.open(flag)
  if (kind === 'slice') return await setImmediate()
  if (kind === 'turn') return await world.turn()
  return world.seen()
}

/** The paths at which two values differ. */
function differences (first: unknown, second: unknown, path = ''): string[] {
  if (Object.is(first, second)) return []
  if (typeof first !== 'object' || typeof second !== 'object' || first === null || second === null) return [`${path}: ${String(first)} in step, ${String(second)} alone`]
  const keys = new Set([...Object.keys(first), ...Object.keys(second)])
  return [...keys].flatMap((key) => differences((first as Record<string, unknown>)[key], (second as Record<string, unknown>)[key], `${path}.${key}`))
}

const seed = process.env.TETHER_SEED === undefined ? {} : { seed: Number(process.env.TETHER_SEED) }
const exactly = { ...defaults.fixed, flushSliceMs: Infinity } as unknown as Limits

t.test('nobody can tell that sessions are in step', async (t) => {
  let inStep = 0
  let numbered = 0
  await fc.assert(fc.asyncProperty(options, fc.constantFrom(150, 2_000), fc.array(fc.boolean(), { minLength: 2, maxLength: 6 }), steps, async (options, pieceBytes, readers, steps) => {
    const worlds = [new World(options, exactly, pieceBytes, false), new World(options, exactly, pieceBytes, true)] as const
    for (const world of worlds) for (const isCounted of readers) await world.open(isCounted)
    const isTight = options.queueFrames === 3 || options.queueBytes === 300
    let bursts = 0
    for (const [index, step] of steps.entries()) {
      if (step.kind === 'burst' && ++bursts % 5 === 0) for (const world of worlds) await world.turn()
      // Alone, a member gets its broadcasts as late as it can. If few may wait, its writes then take other parts of them.
      if (isTight) for (const { tabs } of worlds) for (const { session } of tabs) session.catchUp()
      const [first, second] = [await apply(worlds[0], step, index), await apply(worlds[1], step, index)]
      deepStrictEqual(differences(first, second), [], `step ${index}: ${step.kind}`)
      inStep += worlds[0].tabs.filter(({ session }) => session.isInStep).length
    }
    for (const world of worlds) await world.turn()
    deepStrictEqual(differences(worlds[0].seen(), worlds[1].seen()), [])
    deepStrictEqual(differences(worlds[0].totals, worlds[1].totals), [])
    for (const { carriers } of worlds[0].tabs) {
      for (const carrier of carriers) {
        carrier.checkKept()
        numbered += carrier.numbered
      }
    }
    for (const world of worlds) world.empty()
  }), { numRuns: 300 * effort, ...seed })
  t.ok(inStep > 1_000, `${inStep} sessions were in step after a step`)
  t.ok(numbered > 100, `${numbered} writes were of updates with a line before each`)
})

/** Kinds of steps whose outcome does not depend on what was written already. */
const timeless = ['broadcast', 'broadcast', 'broadcast', 'except', 'large', 'burst', 'send', 'join', 'leave', 'freeze', 'thaw', 'cut', 'reconnect', 'control', 'ping', 'slice', 'slice', 'slice', 'turn'] as const

/** The updates of a stream, without control frames and comments. */
function updatesOf (text: string, id: string): string {
  return text.replaceAll(id, 'ID').split('\n\n').filter((frame) => frame.includes('event: note')).join('\n\n')
}

t.test('slices change nothing in what clients get', async (t) => {
  let inStep = 0
  let inRound = 0
  const steps = fc.array(fc.record({
    kind: fc.constantFrom(...timeless),
    tab: fc.nat({ max: 49 }),
    group: fc.nat({ max: 3 }),
    number: fc.nat({ max: 9 })
  }), { minLength: 10, maxLength: 120, size: 'max' })
  await fc.assert(fc.asyncProperty(fc.constantFrom(150, 2_000), fc.boolean(), fc.boolean(), steps, async (pieceBytes, isCounted, isLarge, steps) => {
    const limits = { ...defaults.fixed, flushSliceMs: 0 } as unknown as Limits
    const options = { replayFrames: 10_000, replayBytes: 1_000_000, replayAgeMs: 0, queueFrames: 10_000, queueBytes: 1_000_000 }
    const worlds = [new World(options, limits, pieceBytes, false), new World(options, limits, pieceBytes, true)] as const
    for (const world of worlds) for (let count = 0; count < 50; count++) await world.open(isCounted)
    for (const [index, step] of steps.entries()) {
      // A carrier that fills up and is cut within a large update leaves a part of it.
      if (isLarge ? step.kind === 'freeze' || step.kind === 'thaw' : step.kind === 'large') continue
      for (const world of worlds) {
        await apply(world, { ...step, number: step.kind === 'reconnect' ? 0 : step.number, flag: step.kind === 'burst' }, index)
      }
      inStep += worlds[0].tabs.filter(({ session }) => session.isInStep).length
      inRound += worlds[0].tabs.filter(({ session }) => session.isInStep && session.cohort!.waitingOf(session).frames > 0).length
    }
    const received = []
    for (const world of worlds) {
      for (const { carriers } of world.tabs) for (const carrier of carriers) if (!carrier.isClosed) carrier.drain(Infinity)
      for (const index of world.tabs.keys()) if (world.tabs[index]!.session.stream === null) await apply(world, { kind: 'reconnect', tab: index, group: 0, number: 0, flag: false }, index)
      await world.turn()
      received.push(world.tabs.map(({ session, carriers }) => {
        const { heldFrames, heldBytes, queuedFrames } = session.stats
        return { lastWritten: session.feed.lastWritten, heldFrames, heldBytes, queuedFrames, text: updatesOf(carriers.flatMap(({ writes }) => writes).join(''), session.id) }
      }))
    }
    deepStrictEqual(differences(received[0], received[1]), [])
  }), { numRuns: 60 * effort, ...seed })
  t.ok(inStep > 1_000, `${inStep} sessions were in step after a step`)
  t.ok(inRound > 100, `${inRound} sessions still waited for their round after a step`)
})

t.test('with little memory, no client gets a number twice or out of order, and none is left out in silence', async (t) => {
  let inStep = 0
  let gaps = 0
  await fc.assert(fc.asyncProperty(fc.constantFrom(2_000, 6_000, 20_000), options, fc.constantFrom(0, Infinity), fc.constantFrom(150, 2_000), steps, async (memory, options, flushSliceMs, pieceBytes, steps) => {
    const world = new World(options, { ...defaults.fixed, flushSliceMs } as unknown as Limits, pieceBytes, false, memory)
    const { budget } = world.runtime
    const relief = new MemoryRelief(budget, () => world.tabs.map(({ session }) => session.feed))
    budget.onExceeded = () => relief.run()
    for (let count = 0; count < 6; count++) await world.open(count === 5)
    for (const [index, step] of steps.entries()) {
      if (step.kind !== 'look') await apply(world, step, index)
      inStep += world.tabs.filter(({ session }) => session.isInStep).length
    }
    await world.turn()
    for (const { isCounted, carriers } of world.tabs) {
      if (isCounted) continue
      for (const { writes } of carriers) gaps += gapsIn(writes.join(''))
    }
    world.empty()
  }), { numRuns: 300 * effort, ...seed })
  t.ok(inStep > 1_000, `${inStep} sessions were in step after a step`)
  t.ok(gaps > 0, `${gaps} gaps were reported`)
})

for (const isCounted of [true, false]) {
  for (const [what, length, pieceBytes] of [['small', 10, 2_000], ['many', 70_000, 100_000], ['large', 70_000, 2_000]] as const) {
    t.test(`one slice holds the event loop for some members only: ${what} bytes, ${isCounted ? 'counted' : 'exact ids'}`, async (t) => {
      const world = new World({}, { ...defaults.fixed, flushSliceMs: 0 } as unknown as Limits, pieceBytes, false)
      for (let count = 0; count < 200; count++) await world.open(isCounted)
      await world.turn()
      for (const text of ['finds its cohort', 'comes into step']) {
        world.endpoint.groups.broadcast(null, null, 'note', text, null)
        await world.turn()
      }
      t.equal(world.tabs.filter(({ session }) => session.isInStep).length, 200)
      const written = (): number => world.tabs.filter(({ carriers: [carrier] }) => carrier!.writes.at(-1)!.endsWith('x"\n\n')).length
      world.endpoint.groups.broadcast(null, null, 'note', 'x'.repeat(length), null)
      for (let last = 0, slices = 0; last < 200; slices++) {
        await setImmediate()
        const present = written()
        if (present - last > 32) t.fail(`slice ${slices} wrote to ${present - last}`)
        if (slices > 100) return t.fail(`only ${present} were written to`)
        last = present
      }
      world.empty()
    })
  }
}

for (const isCounted of [true, false]) {
  t.test(`a carrier that ends or fills up within a write of the round: ${isCounted ? 'counted' : 'exact ids'}`, async (t) => {
    const world = new World({}, exactly, 2_000, false)
    for (let count = 0; count < 5; count++) await world.open(isCounted)
    await world.turn()
    for (const text of ['finds its cohort', 'comes into step']) {
      world.endpoint.groups.broadcast(null, null, 'note', text, null)
      await world.turn()
    }
    const carriers = world.tabs.map(({ carriers: [carrier] }) => carrier!)
    carriers[1]!.onWrite = () => { carriers[1]!.cut() }
    carriers[3]!.onWrite = () => { carriers[3]!.fill() }
    world.endpoint.groups.broadcast(null, null, 'note', 'within', null)
    await world.turn()
    for (const carrier of carriers) t.match(carrier.writes.at(-1), /"within"/)
    t.same(world.tabs.map(({ session }) => [session.isInStep, session.connected]), [[true, true], [false, false], [true, true], [false, true], [true, true]])
    world.endpoint.groups.broadcast(null, null, 'note', 'after', null)
    world.endpoint.groups.broadcast(null, null, 'note', 'and after', null)
    await world.turn()
    t.same(world.tabs.map(({ session: { stats } }) => [stats.queuedFrames, stats.stalled]), [[0, false], [2, false], [0, false], [2, true], [0, false]])
    world.empty()
  })
}

/** Checks the numbers of a stream with exact ids. Returns the number of its gaps. */
function gapsIn (text: string): number {
  let last = -1
  let gaps = 0
  // A frozen stream ends within a frame.
  for (const frame of text.split('\n\n').slice(0, -1)) {
    const number = Number(/^id: [^.\n]*\.(\d+)$/m.exec(frame)?.[1])
    if (Number.isNaN(number)) continue
    if (frame.includes('"type":"gap"')) {
      ok(number > last, `a gap to ${number} after ${last}`)
      gaps++
    } else if (last !== -1) equal(number, last + 1)
    last = number
  }
  return gaps
}
