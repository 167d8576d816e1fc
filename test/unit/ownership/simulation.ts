// Nodes, sessions and clients on a clock of the test. Everything of a node but the session itself is real: a session here has
// a list of events for its state.
import { ok } from 'node:assert/strict'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { ClusterNode } from '../../../plugin/cluster/cluster-node.ts'
import type { MemoryHub } from '../../../plugin/cluster/memory/memory-hub.ts'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { ByteBudget } from '../../../plugin/delivery/byte-budget.ts'
import { memory } from '../../../plugin/entries/memory.ts'
import { defineContract } from '../../../plugin/index.ts'
import { Ownership } from '../../../plugin/ownership/ownership.ts'
import { Acceptance } from '../../../plugin/sessions/acceptance.ts'
import type { Endpoint } from '../../../plugin/sessions/endpoint.ts'
import type { SessionKeeper, Whereabouts } from '../../../plugin/sessions/keeper.ts'
import { createSessionId, refOf } from '../../../plugin/sessions/session-id.ts'
import type { TetherSession } from '../../../plugin/sessions/session.ts'
import type { SessionSnapshot } from '../../../plugin/sessions/snapshot.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { DrainingError } from '../../../schemas/errors.ts'
import { randomFrom } from '../../harness/random.ts'
import { VirtualClock } from '../cluster/virtual-clock.ts'

const contract = CompiledContract.of(defineContract({ events: { add: Type.Object({ seq: Type.Integer() }) }, updates: {} }))
const silent = { info () {}, warn () {}, error () {} }

export const leaseMs = 1_000

class SimulatedSession {
  readonly id: string
  readonly ref: string
  readonly node: SimulatedNode
  readonly boundTo: string | null
  readonly owner = null
  readonly shortId = ''
  readonly stream = null
  readonly connected = true
  readonly proven = true
  readonly takers = null
  events: number[] = []
  acceptedSeq = 0
  moving: Promise<void> | null = null
  isAway = false
  phase = 'open'
  isClosedForGood = false

  constructor (id: string, node: SimulatedNode, boundTo: string | null) {
    this.id = id
    this.ref = refOf(id)
    this.node = node
    this.boundTo = boundTo
  }

  get isOpen (): boolean { return this.phase === 'open' }
  hasCapacity (): boolean { return true }

  accept (_name: string, { seq }: { seq: number }, number: number): void {
    this.acceptedSeq = number
    this.events.push(seq)
  }

  acknowledge (): void {}

  /** Takes a while, and does not succeed always: a handler may run for long. */
  async freeze (): Promise<SessionSnapshot | null> {
    const { world } = this.node
    let settle!: () => void
    this.moving = new Promise((resolve) => { settle = resolve })
    this.isAway = true
    await world.wait(world.random() * 30)
    try {
      if (this.phase !== 'open' || (world.isRough && world.random() < 0.1)) {
        this.isAway = false
        return null
      }
      this.#leave()
      return { ...emptySnapshot, state: JSON.stringify(this.events), acceptedSeq: this.acceptedSeq, boundTo: this.boundTo }
    } finally {
      this.moving = null
      settle()
    }
  }

  #leave (): void {
    this.phase = 'closed'
    this.node.sessions.delete(this.id)
  }

  destroy (): void {
    if (this.phase === 'closed') return
    this.#leave()
    this.node.keeper.ended(this as unknown as TetherSession)
  }

  close (isForGood: boolean): void {
    this.isClosedForGood = isForGood
    this.destroy()
  }
}

const emptySnapshot: SessionSnapshot = {
  state: null,
  stateVersion: 0,
  boundTo: null,
  owner: null,
  everConnected: true,
  proven: true,
  counted: true,
  groups: [],
  acceptedSeq: 0,
  takers: [],
  first: 1,
  frames: [],
  log: null,
  framesAfter: null,
  takenAt: 0,
  ageMs: 0,
  detachedMs: 0,
  idleMs: 0,
  leaveMs: null,
  subscriptions: [],
  replies: []
}

export class SimulatedNode {
  readonly world: World
  readonly cluster: ClusterNode
  readonly ownership: Ownership
  readonly keeper: SessionKeeper
  readonly acceptance: Acceptance
  readonly sessions = new Map<string, SimulatedSession>()
  readonly endpoint: Endpoint
  slots = Infinity
  /** Whether it has not read the log up to the place of any session. */
  isLate = false
  isGone = false

  constructor (world: World) {
    this.world = world
    const { clock, hub } = world
    const options = { ...defaults.cluster, leaseMs, handoverMs: 400, forwardMs: 300, engine: hub }
    this.cluster = new ClusterNode({ options, fixed: defaults.fixed, clock, figures: () => ({ sessions: this.sessions.size, draining: false }) })
    this.ownership = new Ownership({ node: this.cluster, options, maxFrozen: Infinity, fixed: { ...defaults.fixed, recordMs: world.recordMs }, clock, log: () => silent })
    const reserve = () => {
      if (this.slots === 0) return false
      this.slots--
      return true
    }
    const fake = {
      url: '/live',
      contract,
      sessions: this.sessions,
      limits: { ...defaults.stateful, reconnectMs: 600_000 },
      runtime: { draining: false, limits: defaults.fixed, budget: new ByteBudget(1e9, defaults.fixed) },
      registry: { reserve, release: () => { this.slots++ }, get isFull () { return false }, isBuried: () => false },
      boundTo: (request: { boundTo: string | null }) => request.boundTo,
      awaitStream: () => {},
      awaitLog: async () => this.isLate ? 'late' : 'passed',
      restore: async (id: string, snapshot: SessionSnapshot) => {
        await world.wait(world.random() * 20)
        if (fake.runtime.draining) throw new DrainingError()
        if (world.isRough && world.random() < 0.05) throw new Error('deserialize failed')
        const session = this.#make(id, snapshot.boundTo)
        session.events = JSON.parse(snapshot.state!) as number[]
        session.acceptedSeq = snapshot.acceptedSeq
        return session
      }
    }
    this.endpoint = fake as unknown as Endpoint
    this.keeper = this.ownership.keeperFor(this.endpoint)
    Object.assign(fake, { keeper: this.keeper })
    this.acceptance = new Acceptance(this.endpoint)
  }

  #make (id: string, boundTo: string | null): SimulatedSession {
    ok(!this.sessions.has(id), 'one node makes a session once')
    const session = new SimulatedSession(id, this, boundTo)
    this.sessions.set(id, session)
    return session
  }

  /** Makes a session as a GET does; null if the node cannot now. */
  async open (boundTo: string | null = null): Promise<SimulatedSession | null> {
    const session = this.#make(createSessionId(), boundTo)
    if (await this.keeper.announce(session as unknown as TetherSession)) return session
    session.destroy()
    return null
  }

  /** Brings a session here as a GET does. */
  async get (id: string, boundTo: string | null = null): Promise<Whereabouts> {
    if (!this.keeper.isServing) return 'unavailable'
    const session = this.sessions.get(id)
    if (session !== undefined && session.moving === null) return 'here'
    return await this.keeper.fetch(id, boundTo, () => false)
  }

  /** Posts an event. Gives the status, and the last number accepted. */
  async post (id: string, seq: number, boundTo: string | null = null): Promise<{ status: number, seq: number }> {
    const outcome = await this.acceptance.acceptFor(id, { boundTo } as unknown as FastifyRequest, {
      event: null, body: { event: 'add', data: { seq }, seq }, isForm: false, bytes: 10, sender: null, lastEventId: `${id}.0`
    })
    return { status: outcome.status, seq: outcome.isAccepted ? outcome.seq : 0 }
  }

  /** Stops as a rolling deploy does. */
  async drain (): Promise<void> {
    this.endpoint.runtime.draining = true
    while (this.sessions.size > 0) await Promise.all(Array.from(this.sessions.values(), async (session) => await this.keeper.freeze(session as unknown as TetherSession, 1_000)))
    this.isGone = true
    await this.ownership.leave(1_000)
    await this.cluster.stop()
  }

  /** Is dead from now on. */
  kill (): void {
    this.isGone = true
    this.world.hub.cut(this.cluster.node)
  }
}

export interface Settings {
  /** Share of calls and answers that are lost while the weather is rough. */
  readonly lostShare: number
  readonly recordMs?: number
}

export class World {
  readonly clock = new VirtualClock()
  readonly random: () => number
  readonly recordMs: number
  readonly hub: MemoryHub
  readonly nodes: SimulatedNode[] = []
  isRough = false

  constructor (seed: number, { lostShare, recordMs = defaults.fixed.recordMs }: Settings) {
    this.recordMs = recordMs
    this.random = randomFrom(seed)
    this.hub = memory({
      clock: this.clock,
      deadlineMs: 100,
      weather: () => this.isRough && this.random() < lostShare ? 'lost' : Math.floor(this.random() * (this.isRough ? 20 : 2))
    })
  }

  /** Whether a node could not renew its lease in time, so that the others may have taken it for dead. */
  get hasLostLease (): boolean {
    return this.nodes.some(({ cluster: { gate: { term, until } } }) => term > 1 || (term === 1 && until <= this.clock.now()))
  }

  get alive (): SimulatedNode[] { return this.nodes.filter(({ isGone }) => !isGone) }
  pick<Item> (items: readonly Item[]): Item { return items[Math.floor(this.random() * items.length)]! }
  wait (ms: number): Promise<void> { return new Promise((resolve) => { this.clock.setTimeout(resolve, ms) }) }

  async add (): Promise<SimulatedNode> {
    const node = new SimulatedNode(this)
    this.nodes.push(node)
    await node.cluster.start(silent)
    node.ownership.start()
    return node
  }

  /** Lets time pass until a promise is settled. */
  async run<Result> (promise: Promise<Result>, mostMs = 600_000): Promise<Result> {
    const state = { isSettled: false }
    const settle = () => { state.isSettled = true }
    promise.then(settle, settle)
    const until = this.clock.now() + mostMs
    while (!state.isSettled && this.clock.now() < until) await this.clock.pass(5)
    ok(state.isSettled, 'it ends')
    return await promise
  }

  /** At most one node serves a session at any time. */
  checkOwners (id: string): void {
    const serving = this.nodes.filter(({ isGone, keeper, sessions }) => !isGone && keeper.isServing && sessions.get(id)?.isOpen === true)
    ok(serving.length <= 1, `${serving.length} nodes serve one session`)
  }

  async stop (): Promise<void> {
    await this.run(Promise.all(this.alive.map(async (node) => {
      await node.ownership.leave(100)
      await node.cluster.stop()
    })))
  }
}
