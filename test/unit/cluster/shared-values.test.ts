// Values that several nodes share, over the hub in memory and on a clock of the test.
import { deepStrictEqual, ok } from 'node:assert/strict'
import t from 'tap'
import type { ClusterValue } from '../../../plugin/cluster/api.ts'
import { ClusterNode } from '../../../plugin/cluster/cluster-node.ts'
import { memory, type MemoryOptions } from '../../../plugin/entries/memory.ts'
import type { ClusterOptions } from '../../../plugin/index.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { effort } from '../../harness/effort.ts'
import { randomFrom } from '../../harness/random.ts'
import { VirtualClock } from './virtual-clock.ts'

const names = ['one', 'two', 'three']

class World {
  readonly clock = new VirtualClock()
  readonly random: () => number
  readonly hub
  readonly nodes: ClusterNode[] = []
  readonly #options: Omit<ClusterOptions, 'engine'>
  isRough = false

  constructor (seed: number, options: Omit<ClusterOptions, 'engine'> = {}, hub: MemoryOptions = {}) {
    this.random = randomFrom(seed)
    this.#options = options
    this.hub = memory({ clock: this.clock, deadlineMs: 200, ...hub, weather: () => this.isRough && this.random() < 0.05 ? 'lost' : Math.floor(this.random() * (this.isRough ? 40 : 2)) })
  }

  async add (): Promise<ClusterNode> {
    const node = new ClusterNode({ options: { ...defaults.cluster, leaseMs: 3_000, ...this.#options, engine: this.hub }, fixed: defaults.fixed, clock: this.clock, figures: () => ({ sessions: 0, draining: false }) })
    const started = node.start({ info () {}, warn () {}, error () {} })
    this.nodes.push(node)
    await this.clock.pass(5_000)
    await started
    return node
  }

  any <Value>(list: readonly Value[]): Value {
    return list[Math.floor(this.random() * list.length)]!
  }

  /** What each node has, by name of the value. */
  get views (): unknown[][] {
    return this.nodes.map((node) => names.map((name) => node.value(name, 0).get()))
  }

  async settle (): Promise<void> {
    this.isRough = false
    for (const { node } of this.nodes) this.hub.mend(node)
    await this.clock.pass(15_000)
  }
}

t.test('all nodes come to the same values, whatever is late, lost or broken; and each change counts once', async () => {
  for (let seed = 1; seed <= 3 * effort; seed++) {
    const world = new World(seed)
    for (let at = 0; at < 3; at++) await world.add()
    world.isRough = true
    let sum = 0
    const applied: Array<Promise<boolean>> = []
    for (let step = 0; step < 60; step++) {
      const node = world.any(world.nodes)
      applied.push(node.value('one', 0).add(step))
      sum += step
      if (step % 3 === 0) applied.push(node.value('two', 0).set(step))
      if (world.random() < 0.1) world.any([() => world.hub.cut(node.node), () => world.hub.mend(node.node)])()
      await world.clock.pass(Math.floor(world.random() * 30))
    }
    await world.settle()
    const late = await world.add()
    await world.clock.pass(1_000)
    ok((await Promise.all(applied)).every(Boolean), `seed ${seed}`)
    for (const view of world.views) deepStrictEqual(view, world.views[0], `seed ${seed}`)
    deepStrictEqual(late.value('one', 0).get(), sum, `seed ${seed}: each addition once`)
  }
})

t.test('the same where nodes go and come, and where the log forgets', async () => {
  let losses = 0
  for (let seed = 1; seed <= 3 * effort; seed++) {
    const world = new World(seed, { queueFrames: 6, logMs: 2_000 }, { logEntries: 12 })
    await world.add()
    world.isRough = true
    for (let step = 0; step < 60; step++) {
      const node = world.any(world.nodes)
      node.value(world.any(names), 0)[world.random() < 0.5 ? 'add' : 'set'](step)
      if (world.random() < 0.1) world.any([() => world.hub.cut(node.node), () => world.hub.freeze(node.node), () => world.hub.mend(node.node)])()
      if (step % 15 === 7) await world.add()
      if (step === 40) {
        const stopped = world.nodes.shift()!.stop()
        await world.clock.pass(2_000)
        await stopped
      }
      await world.clock.pass(Math.floor(world.random() * 200))
    }
    await world.settle()
    // A change that all of them apply.
    const isApplied = world.nodes[0]!.value('three', 0).set(1_000)
    await world.clock.pass(5_000)
    ok(await isApplied, `seed ${seed}`)
    for (const view of world.views) deepStrictEqual(view, world.views[0], `seed ${seed}`)
    losses += world.nodes[0]!.stats().losses
  }
  ok(losses > 0, 'something was lost')
})

t.test('nodes that start at the same time agree', async () => {
  for (let seed = 1; seed <= 3 * effort; seed++) {
    const world = new World(seed)
    world.isRough = true
    const changes: Array<Promise<boolean>> = []
    for (let at = 0; at < 3; at++) {
      const started = world.add()
      const value: ClusterValue<number> = world.nodes[at]!.value('one', 0)
      changes.push(value.add(1))
      await started
    }
    await world.settle()
    ok((await Promise.all(changes)).every(Boolean), `seed ${seed}`)
    deepStrictEqual(world.views.map(([one]) => one), [3, 3, 3], `seed ${seed}`)
  }
})

t.test('values are bounded by count and bytes, on all nodes alike', async (t) => {
  const world = new World(1, { maxValues: 2, maxValueBytes: 40 })
  const [one, two] = [await world.add(), await world.add()]
  const at = async (changed: Promise<boolean>) => {
    await world.clock.pass(100)
    return await changed
  }
  t.equal(await at(one.value('a', 0).set(1)), true)
  t.throws(() => one.value('b', '').set('x'.repeat(40)), { code: 'FST_ERR_TETHER_ARGUMENT', message: /maxValueBytes/ })
  // Both take the last place: the log decides.
  const both = [one.value('b', 0).set(1), two.value('c', 0).set(1)]
  await world.clock.pass(100)
  t.strictSame((await Promise.all(both)).toSorted(), [false, true])
  t.throws(() => one.value('d', 0).set(1), { code: 'FST_ERR_TETHER_ARGUMENT', message: /maxValues/ })
  t.strictSame(['a', 'b', 'c'].map((name) => one.value(name, 0).get()), ['a', 'b', 'c'].map((name) => two.value(name, 0).get()))
})

t.test('what is no value is refused', async (t) => {
  const world = new World(1)
  const node = await world.add()
  const argument = { code: 'FST_ERR_TETHER_ARGUMENT' }
  for (const name of ['', 'x'.repeat(129), undefined, 5]) t.throws(() => node.value(name as string, 0), argument)
  t.throws(() => node.value('x', undefined), argument)
  t.throws(() => node.value('x', 0).set(5n as never), argument)
  t.throws(() => node.value('x', 0).add(Infinity), argument)
  t.throws(() => (node.value('x', 'text') as unknown as ClusterValue<number>).add(1), argument)
  const list = node.value('list', [1])
  list.get().push(2)
  t.strictSame(list.get(), [1], 'a copy')
  // A number that another change has replaced is not added to.
  const text = node.value<unknown>('n', 0).set('text')
  const sum = node.value('n', 0).add(1)
  await world.clock.pass(100)
  t.strictSame([await text, await sum, node.value('n', 0).get()], [true, false, 'text'])
})
