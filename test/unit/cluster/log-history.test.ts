// What a node tells a session of the log that comes from another node.
import { deepStrictEqual, ok } from 'node:assert/strict'
import t from 'tap'
import { ClusterNode } from '../../../plugin/cluster/cluster-node.ts'
import type { LogPosition } from '../../../plugin/cluster/log-position.ts'
import type { EngineSource } from '../../../plugin/cluster/engine.ts'
import type { MemoryHub } from '../../../plugin/cluster/memory/memory-hub.ts'
import { memory, type MemoryOptions } from '../../../plugin/entries/memory.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { LateReader } from '../../cluster/harness/late-reader.ts'
import { effort } from '../../harness/effort.ts'
import { VirtualClock } from './virtual-clock.ts'

const url = '/live'
const lost = 'LOST'

/** Numbers from 0 to below 1, the same for the same seed. */
function randomFrom (seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff
    return state / 0x80000000
  }
}

/** An engine that writes some entries a second time, later: the interface allows it. */
function doubling (hub: MemoryHub, random: () => number, clock: VirtualClock): EngineSource {
  return {
    engineFor: (application) => {
      const engine = hub.engineFor(application)
      const append = async (entry: Buffer) => {
        await engine.append(entry)
        if (random() < 0.2) clock.setTimeout(() => { engine.append(entry).catch(() => {}) }, random() * 50)
      }
      return new Proxy(engine, {
        get: (target, name) => {
          if (name === 'append') return append
          const value: unknown = Reflect.get(target, name)
          return typeof value === 'function' ? value.bind(target) as unknown : value
        }
      })
    }
  }
}

interface Known {
  readonly node: ClusterNode
  readonly seen: string[]
  readonly frames: Frame[]
}

class World {
  readonly clock = new VirtualClock()
  readonly hub: MemoryHub
  readonly nodes: Known[] = []
  readonly #fixed: typeof defaults.fixed
  source: EngineSource
  #count = 0

  constructor (hub: MemoryOptions = {}, fixed: Partial<Record<keyof typeof defaults.fixed, number>> = {}) {
    this.hub = memory({ clock: this.clock, deadlineMs: 200, ...hub })
    this.source = this.hub
    this.#fixed = { ...defaults.fixed, ...fixed } as typeof defaults.fixed
  }

  async add (): Promise<Known> {
    const node = new ClusterNode({ options: { ...defaults.cluster, engine: this.source }, fixed: this.#fixed, clock: this.clock, figures: () => ({ sessions: 0, draining: false }) })
    const known: Known = { node, seen: [], frames: [] }
    node.subscribe(url, {
      deliver: ({ frame }) => {
        known.seen.push(frame.text)
        known.frames.push(frame)
      },
      lost: () => { known.seen.push(lost) }
    })
    const started = node.start({ info () {}, warn () {}, error () {} })
    await this.clock.pass(50)
    await started
    known.seen.length = 0
    this.nodes.push(known)
    return known
  }

  broadcast ({ node }: Known, group: string | null = null): void {
    node.publish({ url, group, except: null, frame: new Frame(`event: note\ndata: ${this.#count++}\n\n`) })
  }

  /** What a session that comes with a position gets. */
  async missed ({ node }: Known, position: LogPosition, deadlineMs = 5_000): Promise<{ isComplete: boolean, texts: string[] }> {
    const texts: string[] = []
    const reached = node.reach(position, null, deadlineMs).then((isComplete) => {
      node.replay(position, { deliver: ({ frame }) => { texts.push(frame.text) }, lost: () => { texts.push(lost) }, pause: () => {} })
      return { isComplete, texts }
    })
    return await this.#pass(reached)
  }

  /** How a node has come to a position. */
  async arrival ({ node }: Known, position: LogPosition, withinMs: number): Promise<'passed' | 'late' | 'gone'> {
    return await this.#pass(node.arrive(position, withinMs))
  }

  /** Lets time pass until a promise settles. */
  async #pass<Result> (promise: Promise<Result>): Promise<Result> {
    const waiting = { isOver: false }
    const over = () => { waiting.isOver = true }
    promise.then(over, over)
    while (!waiting.isOver) await this.clock.pass(10)
    return await promise
  }

  async stop (): Promise<void> {
    const stopped = Promise.all(this.nodes.map(({ node }) => node.stop()))
    await this.clock.pass(10_000)
    await stopped
  }
}

const text = (number: number) => `event: note\ndata: ${number}\n\n`

t.test('a node that was there has what came since in its tail', async (t) => {
  const world = new World()
  const [one, two] = [await world.add(), await world.add()]
  for (let count = 0; count < 3; count++) world.broadcast(one)
  await world.clock.pass(20)
  const position = one.node.position()!
  t.same((await world.missed(two, position)), { isComplete: true, texts: [] })
  for (let count = 0; count < 3; count++) world.broadcast(count % 2 === 0 ? one : two)
  await world.clock.pass(20)
  t.same((await world.missed(two, position)).texts.sort(), [text(3), text(4), text(5)])
  t.same((await world.missed(one, position)).texts.sort(), [text(3), text(4), text(5)])
  await world.stop()
})

t.test('a node waits until it has read past the position', async (t) => {
  let slow = ''
  const world = new World({ weather: ({ node, what }) => what === 'entry' && node === slow ? 500 : 0 })
  const [one, two] = [await world.add(), await world.add()]
  slow = two.node.node
  world.broadcast(one)
  await world.clock.pass(20)
  const first = one.node.position()!
  t.same(two.seen, [])
  t.same(await world.missed(two, first), { isComplete: true, texts: [] })
  t.same(two.seen, [text(0)])
  world.broadcast(one)
  await world.clock.pass(20)
  const position = one.node.position()!
  t.same(await world.missed(two, position, 100), { isComplete: false, texts: [] }, 'not for ever')
  await world.stop()
})

t.test('a node that reads late is told from a log that has lost the position', async (t) => {
  const world = new World()
  const one = await world.add()
  const late = new LateReader(world.hub)
  world.source = late
  const two = await world.add()
  late.stop()
  world.broadcast(one)
  world.broadcast(one)
  await world.clock.pass(20)
  const position = one.node.position()!
  for (const before of [position.before, null]) {
    t.equal(await world.arrival(two, { ...position, before }, 100), 'late')
    t.equal(await world.arrival(two, { ...position, before, at: `${position.before!}0` }, 100), 'gone')
    t.equal(await world.arrival(two, { ...position, before, at: 'zzz' }, 100), 'gone')
  }
  world.hub.cut(two.node.node)
  t.equal(await world.arrival(two, { ...position, at: 'zzz' }, 100), 'late', 'nobody can tell')
  world.hub.mend(two.node.node)
  const arrival = world.arrival(two, position, 1_000)
  late.goOn()
  t.equal(await arrival, 'passed')
  t.equal(await world.arrival(two, position, 0), 'passed')
  await world.stop()
})

t.test('a node that came later, or kept too little, reads the log again', async (t) => {
  for (const isNew of [true, false]) {
    let ranges = 0
    const world = new World({
      weather: ({ what, isAnswer }) => {
        if (what === 'range' && !isAnswer) ranges++
        return 1
      }
    }, isNew ? {} : { logTailEntries: 2 })
    const one = await world.add()
    let two = isNew ? null : await world.add()
    world.broadcast(one)
    await world.clock.pass(20)
    const position = one.node.position()!
    for (let count = 0; count < 300; count++) {
      world.broadcast(one)
      await world.clock.pass(5)
    }
    two ??= await world.add()
    world.broadcast(two)
    await world.clock.pass(20)
    const found = await world.missed(two, position)
    t.same(found, isNew ? { isComplete: true, texts: Array.from({ length: 301 }, (_, index) => text(index + 1)) } : { isComplete: false, texts: found.texts })
    t.ok(ranges > 0, `${ranges} reads`)
    t.ok(found.texts.includes(text(301)))
    await world.stop()
  }
})

t.test('what the log lost is told', async (t) => {
  const world = new World({ logEntries: 20 })
  const one = await world.add()
  world.broadcast(one)
  await world.clock.pass(20)
  const position = one.node.position()!
  for (let count = 0; count < 50; count++) {
    world.broadcast(one)
    await world.clock.pass(5)
  }
  const two = await world.add()
  const found = await world.missed(two, position)
  t.equal(found.isComplete, false)
  const late = one.node.position()!
  world.broadcast(one)
  await world.clock.pass(20)
  t.same(await world.missed(two, late), { isComplete: true, texts: [text(51)] }, 'a later position is still there')
  await world.stop()
})

t.test('an entry that its node dropped is a loss for those that had not read it', async (t) => {
  const world = new World()
  const [one, two] = [await world.add(), await world.add()]
  world.broadcast(one)
  await world.clock.pass(20)
  const before = two.node.position()!
  world.hub.cut(one.node.node)
  for (let count = 0; count < defaults.cluster.queueFrames + 10; count++) world.broadcast(one)
  world.hub.mend(one.node.node)
  await world.clock.pass(2_000)
  const after = two.node.position()!
  t.equal((await world.missed(two, before)).texts[0], lost)
  t.same(await world.missed(two, after), { isComplete: true, texts: [] })
  await world.stop()
})

t.test('places lead to the same broadcasts on every node', async (t) => {
  const world = new World()
  const [one, two] = [await world.add(), await world.add()]
  for (let count = 0; count < 6; count++) {
    world.broadcast(count % 2 === 0 ? one : two)
    if (count % 3 === 0) await world.clock.pass(5)
  }
  await world.clock.pass(20)
  t.equal(one.node.placeOf(new Frame('event: note\ndata: 0\n\n')), null, 'a frame of this node alone')
  for (const frame of one.frames) t.equal(two.node.frameAt(one.node.placeOf(frame)!.place)?.text, frame.text)
  t.equal(one.frames.length, 6)
  t.equal(one.node.frameAt({ node: 'nobody', counter: 1, index: 0 }), null)
  t.equal(one.node.frameAt({ ...one.node.placeOf(one.frames[0]!)!.place, index: 99 }), null)
  await world.stop()
})

t.test('in bad weather, every node tells the same', async (t) => {
  let found = 0
  let doubles = 0
  for (let seed = 1; seed <= 12 * effort; seed++) {
    const random = randomFrom(seed * 7_919)
    let isRough = false
    const weather = () => isRough && random() < 0.05 ? 'lost' as const : Math.floor(random() * (isRough ? 40 : 2))
    const world = new World({ weather }, seed % 3 === 0 ? { logTailEntries: 8 } : {})
    world.source = doubling(world.hub, random, world.clock)
    const firsts = [await world.add(), await world.add()]
    const positions: Array<{ readonly position: LogPosition, readonly rest: string[], readonly known: Known, readonly from: number }> = []
    isRough = true
    for (let step = 0; step < 60; step++) {
      const known = firsts[Math.floor(random() * 2)]!
      for (let calls = Math.floor(random() * 3); calls > 0; calls--) world.broadcast(known)
      const at = random()
      if (at < 0.05) world.hub.cut(known.node.node)
      else if (at < 0.1) world.hub.freeze(known.node.node)
      else if (at < 0.3) world.hub.mend(known.node.node)
      await world.clock.pass(Math.floor(random() * 40))
      const position = known.node.position()
      if (position !== null) positions.push({ position, rest: known.seen, known, from: known.seen.length })
    }
    isRough = false
    for (const { node } of firsts) world.hub.mend(node.node)
    await world.clock.pass(20_000)
    const late = await world.add()
    world.broadcast(firsts[0]!)
    await world.clock.pass(1_000)
    for (const { position, rest, from } of positions) {
      const expected = rest.slice(from)
      ok(!expected.includes(lost), 'nothing is lost in this weather')
      for (const reader of [...firsts, late]) {
        const { isComplete, texts } = await world.missed(reader, position)
        if (!isComplete) continue
        deepStrictEqual(texts, expected, `seed ${seed}`)
        found++
      }
    }
    doubles += firsts[0]!.node.stats().duplicates
    await world.stop()
  }
  t.ok(found > 500, `${found} replays`)
  t.ok(doubles > 0, `${doubles} entries came twice`)
})
