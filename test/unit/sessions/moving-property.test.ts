// Sessions that move between nodes, against the same sessions that stay: no client can tell the difference.
import { deepStrictEqual, equal, ok } from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import fc from 'fast-check'
import t from 'tap'
import { resolveSessionOptions } from '../../../plugin/app/options.ts'
import { ClusterNode } from '../../../plugin/cluster/cluster-node.ts'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { memory } from '../../../plugin/entries/memory.ts'
import { Acceptance } from '../../../plugin/sessions/acceptance.ts'
import { Endpoint } from '../../../plugin/sessions/endpoint.ts'
import { SessionRegistry } from '../../../plugin/sessions/session-registry.ts'
import type { Session } from '../../../plugin/sessions/api.ts'
import type { TetherSession } from '../../../plugin/sessions/session.ts'
import { decodeSnapshot, encodeSnapshot } from '../../../plugin/sessions/snapshot.ts'
import { FrameStream } from '../../../plugin/streams/frame-stream.ts'
import { createRuntime } from '../../../plugin/streams/runtime.ts'
import { conflate, defineContract } from '../../../schemas/contract.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { effort } from '../../harness/effort.ts'
import { VirtualClock } from '../cluster/virtual-clock.ts'
import { ScriptedCarrier } from './scripted-carrier.ts'

const contract = defineContract({
  events: { add: Type.Integer() },
  updates: { note: Type.String(), reading: conflate(Type.Object({ key: Type.Integer(), value: Type.Integer() }), ({ key }) => String(key)) }
})
const log = { info () {}, debug () {}, warn () {}, error () {} } as unknown as FastifyBaseLogger
const noLimits = { maxSessions: 1_000, maxPerBinding: 0, maxPerAddress: 0, maxPerConnection: 0, maxDetached: 1_000, maxPending: 0, pendingMs: 1_000 }
const groupNames = ['a', 'b']
const nodeCount = 3
const request = {} as FastifyRequest

interface State { sum: number, events: number[] }

/** One node of an application. */
class Node {
  readonly cluster: ClusterNode
  readonly endpoint: Endpoint
  readonly acceptance: Acceptance

  constructor (hub: ReturnType<typeof memory>, clock: VirtualClock, logTailEntries: number) {
    const fixed = { ...defaults.fixed, logTailEntries }
    this.cluster = new ClusterNode({ options: { ...defaults.cluster, engine: hub }, fixed, clock, figures: () => ({ sessions: 0, draining: false }) })
    this.endpoint = new Endpoint({
      contract: CompiledContract.of(contract),
      limits: resolveSessionOptions({ replayFrames: 1_000, replayAgeMs: 0 }),
      config: {
        contract,
        initialState: (): State => ({ sum: 0, events: [] }),
        on: {
          add: (session: Session, value: number) => {
            const state = session.state as State
            state.sum += value
            state.events.push(value)
            session.send('note', `sum ${state.sum}`)
          }
        }
      },
      bind: undefined,
      trustedOrigins: new Set(),
      runtime: createRuntime(1e9, 0),
      registry: new SessionRegistry(noLimits, 0, () => {}),
      cluster: this.cluster,
      url: '/live',
      log
    })
    this.acceptance = new Acceptance(this.endpoint)
  }
}

/** One page: its session, wherever that is, and what it has received. */
class Page {
  node: Node
  session: TetherSession
  readonly isCounted: boolean
  /** Texts by number. */
  readonly received = new Map<number, string>()
  readonly verdicts: string[] = []
  seq = 0
  eventSeq = 0
  #carrier: ScriptedCarrier | null = null
  #read = 0

  constructor (node: Node, session: TetherSession, isCounted: boolean) {
    this.node = node
    this.session = session
    this.isCounted = isCounted
  }

  get carrier (): ScriptedCarrier | null { return this.#carrier }

  connect (arrival: number): void {
    this.read()
    const carrier = new ScriptedCarrier(65_536)
    const { runtime } = this.node.endpoint
    const stream = new FrameStream(carrier, { writeBuffer: 4, heartbeatMs: 0, retryMs: 0, stallTimeoutMs: 0, goodbye: true }, runtime, '', log)
    this.#carrier = carrier
    this.#read = 0
    this.session.attach(stream, this.session.everConnected ? 'resumed' : 'new', this.seq, this.isCounted, arrival)
  }

  /** Reads what was written to it. */
  read (): void {
    const writes = this.#carrier?.writes ?? []
    for (; this.#read < writes.length; this.#read++) for (const block of writes[this.#read]!.split('\n\n')) this.#take(block)
  }

  #take (block: string): void {
    const lines = block.split('\n')
    const data = lines.find((line) => line.startsWith('data: '))?.slice(6)
    if (data === undefined) return
    if (lines.includes('event: tether')) {
      const control = JSON.parse(data) as { type: string, verdict?: string, seq: number }
      if (control.type === 'hello') this.verdicts.push(control.verdict!)
      if (control.type === 'hello' || control.type === 'gap') this.seq = control.seq
      return
    }
    const id = lines.find((line) => line.startsWith('id: '))
    const number = this.isCounted ? this.seq + 1 : Number(id!.split('.')[1])
    equal(number, this.seq + 1, 'numbers have no hole')
    equal(this.received.has(number), false, `update ${number} comes once`)
    this.seq = number
    this.received.set(number, data)
  }
}

/** An application of several nodes. */
class World {
  readonly clock = new VirtualClock()
  readonly nodes: Node[] = []
  readonly pages: Page[] = []
  readonly moves: boolean
  readonly sizes: number[] = []
  #arrivals = 0
  #speaker = 0

  constructor (moves: boolean) {
    this.moves = moves
  }

  async start (logTailEntries: number): Promise<void> {
    const hub = memory({ clock: this.clock })
    for (let count = 0; count < nodeCount; count++) this.nodes.push(new Node(hub, this.clock, logTailEntries))
    const started = this.nodes.map(({ cluster }) => cluster.start(log as never))
    await this.clock.pass(50)
    await Promise.all(started)
    await this.settle()
  }

  async open (isCounted: boolean): Promise<void> {
    const node = this.nodes[0]!
    node.endpoint.registry.reserve(null, null)
    const session = await node.endpoint.create(request, { boundTo: null, owner: null, connection: null }, false)
    const page = new Page(node, session, isCounted)
    this.pages.push(page)
    page.connect(++this.#arrivals)
  }

  async settle (): Promise<void> {
    await this.clock.pass(5)
    do await setImmediate()
    while (!this.nodes.every(({ endpoint }) => endpoint.runtime.scheduler.isIdle))
    for (const page of this.pages) page.read()
  }

  /** The next broadcasts come from a node. The order of those that two nodes call in one turn is open, and may differ between two worlds. */
  async speak (node: number): Promise<void> {
    if (node !== this.#speaker) await this.settle()
    this.#speaker = node
  }

  connect (page: Page): void {
    page.connect(++this.#arrivals)
  }

  cut (page: Page): void {
    page.carrier?.cut()
  }

  async move (page: Page, node: Node, isFrozen: boolean): Promise<void> {
    const wasConnected = page.session.stream !== null
    // A write that is due would be made at once by a freeze, and never by a broken connection.
    if (wasConnected) await this.settle()
    // Of a client that takes nothing, the events wait.
    if (!page.session.inbox.isIdle) page.carrier?.drain(Infinity)
    if (!this.moves) {
      if (wasConnected) this.cut(page)
      if (isFrozen) await this.settle()
      await this.clock.pass(3)
      if (wasConnected) this.connect(page)
      return
    }
    const { session } = page
    const snapshot = await session.freeze('moved', { deadlineMs: 1_000 })
    ok(snapshot !== null)
    equal(page.node.endpoint.sessions.has(session.id), false)
    equal(await session.send('note', 'late'), false)
    const bytes = encodeSnapshot(snapshot)
    this.sizes.push(bytes.length)
    // Meanwhile, broadcasts go on.
    if (isFrozen) await this.settle()
    node.endpoint.registry.reserve(null, null)
    const restoring = node.endpoint.restore(session.id, decodeSnapshot(bytes), { from: isFrozen ? 'frozen' : 'moved', deadlineMs: 1_000 })
    await this.clock.pass(3)
    page.session = await restoring
    page.node = node
    if (wasConnected) this.connect(page)
  }

  /** What clients and handlers have seen. */
  seen (): unknown {
    return this.pages.map(({ session, received, verdicts, eventSeq }) => ({
      received: [...received], verdicts, state: session.state, groups: [...session.groups ?? []].sort(), accepted: session.acceptedSeq, eventSeq
    }))
  }
}

const kinds = ['broadcast', 'broadcast', 'broadcast', 'reading', 'reading', 'except', 'send', 'sendReading', 'join', 'leave', 'event', 'event', 'again', 'fill', 'drain', 'cut', 'connect', 'move', 'move', 'move', 'settle', 'settle'] as const

interface Step { readonly kind: typeof kinds[number], readonly page: number, readonly node: number, readonly group: number, readonly flag: boolean }

const steps: fc.Arbitrary<Step[]> = fc.array(fc.record({
  kind: fc.constantFrom(...kinds),
  page: fc.nat({ max: 2 }),
  node: fc.nat({ max: nodeCount - 1 }),
  group: fc.nat({ max: 2 }),
  flag: fc.boolean()
}), { minLength: 10, maxLength: 60, size: 'max' })

async function apply (world: World, { kind, page: at, node: nodeAt, group, flag }: Step, index: number): Promise<void> {
  const page = world.pages[at % world.pages.length]!
  const { session } = page
  const node = world.nodes[nodeAt]!
  const receiver = groupNames[group] ?? null
  if (kind === 'broadcast' || kind === 'reading') await world.speak(nodeAt)
  const live = node.endpoint.context.live
  const audience = receiver === null ? live : live.group(receiver)
  if (kind === 'broadcast') audience.broadcast('note', `b${index}`)
  else if (kind === 'reading') audience.broadcast('reading', { key: nodeAt, value: index })
  else if (kind === 'except') {
    // It comes from the session's own node, which is another one in each world.
    await world.settle()
    page.node.endpoint.context.live.group(groupNames[group % 2]!).broadcastExcept(session, 'note', `e${index}`)
    if (flag) await world.settle()
    else await world.move(page, node, true)
  } else if (kind === 'send') session.send('note', `s${index}`)
  else if (kind === 'sendReading') session.send('reading', { key: nodeAt, value: index })
  else if (kind === 'join') page.node.endpoint.groups.add(groupNames[group % 2]!, session)
  else if (kind === 'leave') page.node.endpoint.groups.delete(groupNames[group % 2]!, session)
  else if (kind === 'event' || kind === 'again') {
    // An answer may get lost. Then the same event comes again.
    const seq = kind === 'event' ? page.eventSeq + 1 : page.eventSeq
    if (seq === 0) return
    const outcome = page.node.acceptance.acceptFor(session.id, request, { event: null, body: { event: 'add', data: seq, seq }, isForm: false, bytes: 50, sender: flag ? 'tab' : null, lastEventId: undefined })
    ok((await outcome).isAccepted)
    page.eventSeq = seq
  } else if (kind === 'fill') {
    // A full carrier must stay full, or its drain is never reported.
    if (page.carrier !== null && session.stream !== null) page.carrier.room = Math.min(page.carrier.room, 1)
  } else if (kind === 'drain') page.carrier?.drain(Infinity)
  else if (kind === 'cut') {
    await world.settle()
    world.cut(page)
  } else if (kind === 'connect') {
    if (session.stream === null) world.connect(page)
  } else if (kind === 'move') await world.move(page, node, flag)
  else await world.settle()
}

const seed = process.env.TETHER_SEED === undefined ? {} : { seed: Number(process.env.TETHER_SEED) }

t.test('no client can tell that its session moves', async (t) => {
  let moves = 0
  let placed = 0
  await fc.assert(fc.asyncProperty(fc.constantFrom(1, 4, 1_000), fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }), steps, async (tail, readers, steps) => {
    const worlds = [new World(true), new World(false)] as const
    // One after the other: both would share the turns of the event loop.
    for (const world of worlds) {
      await world.start(tail)
      for (const isCounted of readers) await world.open(isCounted)
      await world.settle()
      for (const [index, step] of steps.entries()) await apply(world, step, index)
      for (const page of world.pages) {
        page.carrier?.drain(Infinity)
        if (page.session.stream === null) world.connect(page)
      }
      await world.settle()
    }
    deepStrictEqual(worlds[0].seen(), worlds[1].seen())
    moves += worlds[0].sizes.length
    placed += worlds[0].sizes.filter((size) => size > 0).length
    for (const world of worlds) {
      for (const { session } of world.pages) session.destroy()
      for (const { endpoint } of world.nodes) {
        equal(endpoint.everyone.size, 0)
        equal(endpoint.groups.size, 0)
        equal(endpoint.registry.size, 0)
        equal(endpoint.registry.reserved, 0)
      }
    }
  }), { numRuns: 20 * effort, ...seed })
  t.ok(moves > 50 && placed > 0, `${moves} moves`)
})

t.test('a session gets what it missed, apart from what leaves it out, and conflates as before', async (t) => {
  const world = new World(true)
  await world.start(1_000)
  await world.open(true)
  const page = world.pages[0]!
  const { groups, context: { live } } = page.node.endpoint
  groups.add('a', page.session)
  await world.settle()
  world.cut(page)
  await world.settle()
  page.session.send('reading', { key: 0, value: 1 })
  page.session.send('note', 'between')
  live.group('a').broadcast('note', 'missed')
  live.group('a').broadcastExcept(page.session, 'note', 'not for it')
  live.group('b').broadcast('note', 'for others')
  live.broadcast('reading', { key: 1, value: 2 })
  await world.move(page, world.nodes[1]!, true)
  t.equal(page.node, world.nodes[1])
  page.session.send('reading', { key: 0, value: 3 })
  page.session.send('reading', { key: 1, value: 4 })
  await world.move(page, world.nodes[2]!, false)
  page.session.send('reading', { key: 1, value: 5 })
  world.connect(page)
  await world.settle()
  t.same([...page.received.values()].map((text) => JSON.parse(text) as unknown), [{ key: 0, value: 1 }, 'between', 'missed', { key: 1, value: 5 }, { key: 0, value: 3 }])
  page.session.destroy()
})
