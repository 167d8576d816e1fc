// Several nodes over the hub in memory, on a clock of the test: a seed decides what is late, lost and broken.
import { deepStrictEqual, ok } from 'node:assert/strict'
import t from 'tap'
import { ClusterNode } from '../../../plugin/cluster/cluster-node.ts'
import type { MemoryHub } from '../../../plugin/cluster/memory/memory-hub.ts'
import { memory, type MemoryOptions } from '../../../plugin/entries/memory.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { effort } from '../../harness/effort.ts'
import { randomFrom } from '../../harness/random.ts'
import { VirtualClock } from './virtual-clock.ts'

const url = '/live'
const lost = 'LOST'

interface Settings {
  readonly nodes: number
  readonly cluster?: { readonly queueFrames?: number, readonly queueBytes?: number, readonly leaseMs?: number, readonly logMs?: number }
  readonly hub?: MemoryOptions
  /** Share of the calls and answers that are lost while the weather is rough. */
  readonly lostShare: number
}

class World {
  readonly clock = new VirtualClock()
  readonly random: () => number
  readonly hub: MemoryHub
  readonly nodes: ClusterNode[] = []
  readonly seen: string[][] = []
  readonly published: string[][] = []
  readonly #settings: Settings
  isRough = false

  constructor (seed: number, settings: Settings) {
    this.#settings = settings
    this.random = randomFrom(seed)
    this.hub = memory({
      clock: this.clock,
      deadlineMs: 200,
      ...settings.hub,
      weather: () => this.isRough && this.random() < settings.lostShare ? 'lost' : Math.floor(this.random() * (this.isRough ? 40 : 2))
    })
  }

  async add (): Promise<ClusterNode> {
    const options = { ...defaults.cluster, ...this.#settings.cluster, engine: this.hub }
    const node = new ClusterNode({ options, fixed: defaults.fixed, clock: this.clock, figures: () => ({ sessions: 0, draining: false }) })
    const seen: string[] = []
    this.seen.push(seen)
    this.published.push([])
    node.subscribe(url, { deliver: ({ frame }) => { seen.push(frame.text) }, lost: () => { seen.push(lost) } })
    const started = node.start({ info () {}, warn () {}, error () {} })
    await this.clock.pass(50)
    await started
    // What a node may have missed before it was there.
    seen.length = 0
    this.nodes.push(node)
    return node
  }

  broadcast (at: number): void {
    const text = `event: note\ndata: ${at}:${this.published[at]!.length}\n\n`
    this.published[at]!.push(text)
    this.nodes[at]!.publish({ url, group: null, except: null, frame: new Frame(text) })
  }

  /** Broadcasts, and breaks and mends connections, in an order that the seed decides. */
  async storm (steps: number, faults: ReadonlyArray<() => void>): Promise<void> {
    this.isRough = true
    for (let step = 0; step < steps; step++) {
      const count = Math.floor(this.random() * 4)
      for (let call = 0; call < count; call++) this.broadcast(Math.floor(this.random() * this.nodes.length))
      if (this.random() < 0.08) faults[Math.floor(this.random() * faults.length)]!()
      await this.clock.pass(Math.floor(this.random() * 30))
    }
    this.isRough = false
    for (const { node } of this.nodes) this.hub.mend(node)
    const synced = Promise.all(this.nodes.map((node) => node.synced()))
    await this.clock.pass(30_000)
    await synced
  }

  get cuts (): Array<() => void> {
    const any = () => this.nodes[Math.floor(this.random() * this.nodes.length)]!.node
    return [() => this.hub.cut(any()), () => this.hub.freeze(any()), () => this.hub.mend(any()), () => this.hub.mend(any())]
  }

  async stop (): Promise<void> {
    const stopped = Promise.all(this.nodes.map((node) => node.stop()))
    await this.clock.pass(5_000)
    await stopped
  }
}

t.test('whatever is late, lost or broken: each broadcast arrives once, in one order, while log and queue hold it', async () => {
  for (let seed = 1; seed <= 12 * effort; seed++) {
    const world = new World(seed, { nodes: 3, lostShare: 0.05 })
    for (let at = 0; at < 3; at++) await world.add()
    await world.storm(60, world.cuts)
    const [first, ...others] = world.seen
    deepStrictEqual(first!.toSorted(), world.published.flat().toSorted(), `seed ${seed}: each once`)
    for (const other of others) deepStrictEqual(other, first, `seed ${seed}: one order`)
    for (const [at, published] of world.published.entries()) deepStrictEqual(first!.filter((text) => text.includes(`data: ${at}:`)), published, `seed ${seed}: the order of the calls`)
    for (const node of world.nodes) ok(node.status === 'ready' && node.nodes().length === 3, `seed ${seed}: ${node.status}`)
    await world.stop()
  }
})

/** Asserts that each node got the broadcasts of each node in their order, none twice, and was told each hole. */
function assertHolesAreTold (world: World, seed: number): void {
  for (const seen of world.seen) {
    for (const [at, published] of world.published.entries()) {
      let next = 0
      let mayMiss = false
      for (const text of seen) {
        if (text === lost) mayMiss = true
        if (!text.includes(`data: ${at}:`)) continue
        const place = published.indexOf(text)
        ok(place >= next, `seed ${seed}: ${JSON.stringify(text)} comes again or late`)
        ok(place === next || mayMiss, `seed ${seed}: a hole before ${JSON.stringify(text)}`)
        next = place + 1
        mayMiss = false
      }
      ok(next === published.length, `seed ${seed}: the last ones arrive`)
    }
  }
}

t.test('beyond the bounds of the queue, all nodes tell the same losses at the same places', async () => {
  let losses = 0
  for (let seed = 1; seed <= 12 * effort; seed++) {
    const world = new World(seed, { nodes: 3, lostShare: 0.05, cluster: { queueFrames: 4 } })
    for (let at = 0; at < 3; at++) await world.add()
    await world.storm(60, world.cuts)
    const [first, ...others] = world.seen
    for (const other of others) deepStrictEqual(other, first, `seed ${seed}: one order`)
    assertHolesAreTold(world, seed)
    losses += world.nodes[0]!.stats().losses
    await world.stop()
  }
  ok(losses > 0, 'the limits were reached')
})

t.test('where the log or the memory of the engine ends: no hole without a loss that is told, and nothing twice', async () => {
  let losses = 0
  for (let seed = 1; seed <= 12 * effort; seed++) {
    const world = new World(seed, { nodes: 3, lostShare: 0.05, cluster: { queueFrames: 12, leaseMs: 1_000 }, hub: { logEntries: 6 } })
    for (let at = 0; at < 3; at++) await world.add()
    await world.storm(60, [...world.cuts, () => world.hub.empty()])
    for (let at = 0; at < 3; at++) world.broadcast(at)
    await world.clock.pass(5_000)
    assertHolesAreTold(world, seed)
    losses += world.nodes.reduce((sum, node) => sum + node.stats().losses, 0)
    await world.stop()
  }
  ok(losses > 0, 'the limits were reached')
})

t.test('where the engine has lost its memory, a newcomer too waits for the records that others write again', async (t) => {
  const world = new World(1, { nodes: 2, lostShare: 0, cluster: { leaseMs: 1_000 } })
  const witness = await world.add()
  await world.clock.pass(2_000)
  t.equal(witness.isRecovering, false)
  world.hub.empty()
  await world.clock.pass(100)
  t.equal(witness.isRecovering, true)
  const newcomer = await world.add()
  t.equal(newcomer.isRecovering, true)
  await world.clock.pass(1_000)
  t.equal(witness.isRecovering, false)
  await world.clock.pass(500)
  t.equal(newcomer.isRecovering, false)
  const late = await world.add()
  t.equal(late.isRecovering, false)
  await world.stop()
})

t.test('while the engine is away, nobody knows whether it has lost records', async (t) => {
  const world = new World(1, { nodes: 1, lostShare: 0, cluster: { leaseMs: 1_000 } })
  const node = await world.add()
  await world.clock.pass(2_000)
  t.equal(node.isRecovering, false)
  world.hub.cut(node.node)
  await world.clock.pass(5_000)
  t.equal(node.isRecovering, true)
  world.hub.mend(node.node)
  await world.clock.pass(5_000)
  t.equal(node.isRecovering, false)
  await world.stop()
})

t.test('a node leaves no timer', async (t) => {
  const world = new World(1, { nodes: 1, lostShare: 0 })
  await world.add()
  world.broadcast(0)
  await world.clock.pass(100)
  await world.stop()
  await world.clock.pass(60_000)
  t.equal(world.clock.pending, 0)
})
