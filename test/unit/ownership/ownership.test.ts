// Several nodes over the hub in memory, on a clock of the test: a seed decides what is late, lost and broken.
import { deepStrictEqual, ok } from 'node:assert/strict'
import t from 'tap'
import type { Whereabouts } from '../../../plugin/sessions/keeper.ts'
import { effort } from '../../harness/effort.ts'
import { leaseMs, World, type SimulatedNode } from './simulation.ts'

/** One page: it posts events one at a time, at any node, and comes back with its stream now and then. */
class Page {
  readonly world: World
  id: string | null = null
  /** Events that were accepted. */
  seq = 0
  sessions = 0
  moves = 0
  refusals = 0
  readonly mayExpire: boolean

  constructor (world: World, mayExpire: boolean) {
    this.world = world
    this.mayExpire = mayExpire
  }

  async live (steps: number): Promise<void> {
    const { world } = this
    for (let step = 0; step < steps; step++) {
      await world.wait(world.random() * 40)
      if (world.alive.length === 0) continue
      const node = world.pick(world.alive)
      if (this.id === null) await this.#open(node)
      else if (world.random() < 0.3) await this.#get(node)
      else await this.#post(node)
      if (this.id !== null) world.checkOwners(this.id)
    }
  }

  async #open (node: SimulatedNode): Promise<void> {
    if (!node.keeper.isServing) return
    this.id = (await node.open())?.id ?? null
    this.seq = 0
    if (this.id !== null) this.sessions++
  }

  async #get (node: SimulatedNode): Promise<void> {
    const had = node.sessions.has(this.id!)
    const where = await node.get(this.id!)
    if (where === 'unavailable' || where === 'full') this.refusals++
    else if (where === 'here') {
      if (!had) this.moves++
    } else this.#expire(where)
  }

  async #post (node: SimulatedNode): Promise<void> {
    const { status, seq } = await node.post(this.id!, this.seq + 1)
    if (status === 202) {
      ok(seq === this.seq + 1, `accepted ${seq} for ${this.seq + 1}`)
      this.seq = seq
    } else if (status === 404) this.#expire('absent')
    else {
      ok(status === 503, `status ${status}`)
      this.refusals++
    }
  }

  #expire (where: string): void {
    // Where three renewals in a row are lost, the rules say that the session may be.
    ok(this.mayExpire || this.world.hasLostLease, `the session is ${where}`)
    this.id = null
  }

  /** When all is well again, its session is where it asks for it, and has each event once. */
  async assertWhole (seed: number): Promise<void> {
    if (this.id === null) return
    const { world } = this
    const node = world.pick(world.alive)
    let where = await node.get(this.id)
    for (let attempt = 0; attempt < 20 && where === 'unavailable'; attempt++) {
      await world.wait(100)
      where = await node.get(this.id)
    }
    if (where !== 'here') return this.#expire(where)
    const { events } = node.sessions.get(this.id)!
    // The answer to the last one may be lost.
    const expected = Array.from({ length: Math.max(this.seq, events.length) }, (_, index) => index + 1)
    ok(events.length <= this.seq + 1, `seed ${seed}: ${events.length} events of ${this.seq}`)
    deepStrictEqual(events, expected, `seed ${seed}: each event once`)
  }
}

async function storm (world: World, seed: number, pages: readonly Page[], steps: number, during: () => Promise<void>): Promise<void> {
  world.isRough = true
  await world.run(Promise.all([...pages.map(async (page) => { await page.live(steps) }), during()]))
  world.isRough = false
  for (const { cluster } of world.alive) world.hub.mend(cluster.node)
  await world.clock.pass(3 * leaseMs)
  for (const page of pages) await world.run(page.assertWhole(seed))
  await world.stop()
}

t.test('whatever answers are lost, a session has one owner, and each event counts once', async (t) => {
  let moves = 0
  for (let seed = 1; seed <= 4 * effort; seed++) {
    const world = new World(seed, { lostShare: 0.04 })
    for (let count = 0; count < 3; count++) await world.run(world.add())
    const pages = Array.from({ length: 4 }, () => new Page(world, false))
    await storm(world, seed, pages, 30, async () => {})
    moves += pages.reduce((sum, page) => sum + page.moves, 0)
  }
  t.ok(moves > 30, `${moves} moves`)
})

t.test('all nodes are replaced one by one, and no session ends', async (t) => {
  let moves = 0
  for (let seed = 1; seed <= 2 * effort; seed++) {
    const world = new World(seed, { lostShare: 0.02 })
    for (let count = 0; count < 3; count++) await world.run(world.add())
    const pages = Array.from({ length: 6 }, () => new Page(world, false))
    await storm(world, seed, pages, 60, async () => {
      for (const node of [...world.nodes]) {
        await world.wait(150)
        await world.add()
        await node.drain()
      }
    })
    moves += pages.reduce((sum, page) => sum + page.moves, 0)
  }
  t.ok(moves > 20, `${moves} moves`)
})

t.test('nodes that lose their lease or die end sessions, but never serve one twice', async (t) => {
  let sessions = 0
  for (let seed = 1; seed <= 3 * effort; seed++) {
    const world = new World(seed, { lostShare: 0.02 })
    for (let count = 0; count < 4; count++) await world.run(world.add())
    const pages = Array.from({ length: 4 }, () => new Page(world, true))
    await storm(world, seed, pages, 100, async () => {
      for (let count = 0; count < 6; count++) {
        await world.wait(world.random() * 600)
        const { node } = world.pick(world.alive).cluster
        if (world.random() < 0.5) world.hub.cut(node)
        else world.hub.freeze(node)
        await world.wait(world.random() * 2_000)
        world.hub.mend(node)
      }
      world.pick(world.alive).kill()
    })
    sessions += pages.reduce((sum, page) => sum + page.sessions, 0)
  }
  t.ok(sessions > 10, `${sessions} sessions`)
})

async function worldOf (count: number, recordMs = 600_000): Promise<{ world: World, nodes: SimulatedNode[] }> {
  const world = new World(1, { lostShare: 0, recordMs })
  for (let index = 0; index < count; index++) await world.run(world.add())
  await world.clock.pass(leaseMs)
  return { world, nodes: world.nodes }
}

t.test('a session goes where its page asks for it, and nowhere for others', async (t) => {
  const { world, nodes: [one, two, three] } = await worldOf(3)
  const { id } = (await world.run(one!.open('mine')))!
  t.equal(await world.run(two!.get(id, 'other')), 'foreign')
  t.equal((await world.run(two!.post(id, 1, 'other'))).status, 403)
  t.equal((await world.run(two!.post(id, 1, 'mine'))).status, 202)
  t.ok(one!.sessions.has(id), 'a POST leaves it where it is')
  t.equal(await world.run(two!.get(id, 'mine')), 'here')
  t.notOk(one!.sessions.has(id))
  t.equal((await world.run(one!.post(id, 2, 'mine'))).status, 202)
  t.equal((await world.run(three!.post(id, 2, 'mine'))).status, 202, 'known already')
  t.equal((await world.run(three!.post(id, 9, 'mine'))).status, 409)
  t.strictSame(two!.sessions.get(id)!.events, [1, 2])
  await world.stop()
})

t.test('requests at several nodes at once leave it at one', async (t) => {
  const { world, nodes } = await worldOf(4)
  const { id } = (await world.run(nodes[0]!.open()))!
  for (let round = 0; round < 5; round++) {
    const found = await world.run(Promise.all(nodes.flatMap((node) => [node.get(id), node.get(id)])))
    t.ok(found.includes('here'))
    t.notOk(found.includes('absent'))
    t.equal(nodes.filter(({ sessions }) => sessions.has(id)).length, 1)
  }
  await world.stop()
})

t.test('the end of a session is known on every node', async (t) => {
  const { world, nodes: [one, two] } = await worldOf(2)
  const closed = (await world.run(one!.open()))!
  const left = (await world.run(one!.open()))!
  closed.close(true)
  left.close(false)
  t.equal(await world.run(two!.get(closed.id)), 'ended')
  t.equal((await world.run(two!.post(closed.id, 1))).status, 410)
  t.equal(await world.run(two!.get(left.id)), 'absent')
  t.equal((await world.run(two!.post(left.id, 1))).status, 404)
  t.equal((await world.run(two!.post('a'.repeat(24), 1))).status, 404)
  t.equal((await world.run(two!.post('no id', 1))).status, 404)
  await world.stop()
})

t.test('a node without room leaves a session to others', async (t) => {
  const { world, nodes: [one, two, three] } = await worldOf(3)
  const { id } = (await world.run(one!.open()))!
  await world.run(one!.post(id, 1))
  two!.slots = 0
  t.equal(await world.run(two!.get(id)), 'full')
  t.equal(await world.run(three!.get(id)), 'here')
  t.strictSame(three!.sessions.get(id)!.events, [1])
  await world.stop()
})

t.test('a node that reads the log late leaves a session to others', async (t) => {
  const { world, nodes: [one, two, three] } = await worldOf(3)
  const { id } = (await world.run(one!.open()))!
  await world.run(one!.post(id, 1))
  two!.isLate = true
  two!.slots = 1
  t.equal(await world.run(two!.get(id)), 'unavailable')
  t.equal(two!.slots, 1)
  t.equal(await world.run(three!.get(id)), 'here')
  t.strictSame(three!.sessions.get(id)!.events, [1])
  // From the engine, too.
  await world.run(three!.keeper.freeze(three!.sessions.get(id) as never, 1_000))
  t.equal(await world.run(two!.get(id)), 'unavailable')
  two!.isLate = false
  t.equal(await world.run(two!.get(id)), 'here')
  t.strictSame(two!.sessions.get(id)!.events, [1])
  await world.stop()
})

t.test('an event that comes while a session goes into the engine and back to its node finds it there', async (t) => {
  const { world, nodes: [one, two] } = await worldOf(2)
  const { id } = (await world.run(two!.open()))!
  const { calls } = one!.cluster
  const ask = calls.ask.bind(calls)
  calls.ask = async (...given) => {
    calls.ask = ask
    t.ok(await two!.keeper.freeze(two!.sessions.get(id) as never, 1_000))
    const reply = await ask(...given)
    t.equal(reply.name, 'none')
    t.equal(await two!.get(id), 'here')
    return reply
  }
  t.strictSame(await world.run(one!.post(id, 1)), { status: 202, seq: 1 })
  await world.stop()
})

t.test('a session leaves for the engine while its node writes the record that the engine has lost', async (t) => {
  const { world, nodes: [one, two] } = await worldOf(2)
  const { id } = (await world.run(one!.open()))!
  await world.run(one!.post(id, 1))
  const { records } = one!.cluster
  const [write, readAgain] = [records.write.bind(records), records.readAgain.bind(records)]
  const held: Array<() => void> = []
  let isWritten: Promise<unknown> = Promise.resolve()
  records.write = async (...given) => {
    if (given[1].status !== 'live') return await write(...given)
    await new Promise<void>((resolve) => { held.push(resolve) })
    const written = write(...given)
    isWritten = written
    return await written
  }
  records.readAgain = async (...given) => {
    held.pop()?.()
    await world.wait(0)
    await isWritten
    return await readAgain(...given)
  }
  world.hub.empty()
  for (let waited = 0; held.length === 0 && waited < leaseMs; waited++) await world.clock.pass(1)
  t.ok(await world.run(one!.keeper.freeze(one!.sessions.get(id) as never, 1_000)))
  await world.clock.pass(2 * leaseMs)
  t.equal(await world.run(two!.get(id)), 'here')
  t.strictSame(two!.sessions.get(id)!.events, [1])
  await world.stop()
})

t.test('an engine that does not answer: what is here is served while the lease runs, and nothing else', async (t) => {
  const { world, nodes: [one, two] } = await worldOf(2)
  const { id } = (await world.run(one!.open()))!
  world.hub.cut(one!.cluster.node)
  await world.clock.pass(1)
  t.equal((await one!.post(id, 1)).status, 202)
  t.equal(await world.run(one!.open()), null)
  t.equal(await world.run(two!.get(id)), 'unavailable')
  await world.clock.pass(leaseMs)
  t.equal((await one!.post(id, 2)).status, 503)
  t.equal(await one!.get(id), 'unavailable')
  world.hub.mend(one!.cluster.node)
  await world.clock.pass(100)
  t.equal((await one!.post(id, 2)).status, 202, 'nobody has taken it')
  await world.stop()
})

t.test('the owner is dead: nobody knows before its lease ends, and then the session has expired', async (t) => {
  const { world, nodes: [one, two] } = await worldOf(2)
  const { id } = (await world.run(one!.open()))!
  await world.clock.pass(leaseMs)
  one!.kill()
  t.equal(await world.run(two!.get(id)), 'unavailable')
  await world.clock.pass(2 * leaseMs)
  t.equal(await world.run(two!.get(id)), 'absent')
  await world.stop()
})

t.test('a request that waits for a dead node is answered when the lease of that node has ended', async (t) => {
  const { world, nodes: [one, two] } = await worldOf(2)
  const { id } = (await world.run(one!.open()))!
  await world.clock.pass(leaseMs)
  one!.kill()
  const killedAt = world.clock.now()
  let where: Whereabouts = 'unavailable'
  while (where === 'unavailable') where = await world.run(two!.get(id))
  t.equal(where, 'absent')
  t.ok(world.clock.now() - killedAt <= leaseMs + 60, `after ${world.clock.now() - killedAt} ms`)
  await world.stop()
})

t.test('an engine that has lost its last writes: the node that has a session says so again, and it moves with all it has', async (t) => {
  const { world, nodes: [one, two, three] } = await worldOf(3)
  const onlooker = world.hub.engineFor({ name: 'tether', logMs: 60_000 })
  await world.run(onlooker.open('onlooker', { entry () {}, message () {}, up () {}, down () {}, forgot () {} }))
  /** Takes the record back to what it was, as a failover to a replica does that lags. */
  const lose = async (ref: string, value: Buffer) => {
    const { revision } = (await world.run(onlooker.get(ref)))!
    await world.run(onlooker.put(ref, value, revision, { ttlMs: 60_000 }))
  }
  for (const isAway of [true, false]) {
    const { id, ref } = (await world.run(one!.open()))!
    await world.run(one!.post(id, 1))
    const asked = two!.get(id)
    let before = (await world.run(onlooker.get(ref)))!.value
    // With its link up all the time, the node notices when the session leaves: the record is as it was while it moved.
    if (!isAway) while (!before.includes('moving')) before = (await world.run(onlooker.get(ref)))!.value
    t.equal(await world.run(asked), 'here')
    await world.run(two!.post(id, 2))
    await lose(ref, before)
    if (isAway) {
      for (const node of [one!, two!, three!]) world.hub.cut(node.cluster.node)
      await world.clock.pass(10)
      for (const node of [one!, two!, three!]) world.hub.mend(node.cluster.node)
    }
    let where: Whereabouts = 'unavailable'
    for (let attempt = 0; where === 'unavailable' && attempt < 100; attempt++) where = await world.run(three!.get(id))
    t.equal(where, 'here')
    t.strictSame(three!.sessions.get(id)!.events, [1, 2])
    t.notOk(two!.sessions.has(id))
  }
  await world.run(onlooker.close())
  await world.stop()
})

t.test('a session that was on its way to a node that died is whole', async (t) => {
  const { world, nodes: [one, two, three] } = await worldOf(3)
  const { id } = (await world.run(one!.open()))!
  await world.run(one!.post(id, 1))
  // The node that asked dies before it takes the session out of the record.
  const asked = two!.get(id)
  while (one!.sessions.has(id)) await world.clock.pass(1)
  two!.kill()
  await world.run(asked)
  t.equal(await world.run(three!.get(id)), 'unavailable')
  await world.clock.pass(3 * leaseMs)
  t.equal(await world.run(three!.get(id)), 'here')
  t.strictSame(three!.sessions.get(id)!.events, [1])
  await world.stop()
})

t.test('an engine that has forgotten everything gets the records again', async (t) => {
  const { world, nodes: [one, two] } = await worldOf(2)
  const { id } = (await world.run(one!.open()))!
  world.hub.empty()
  await world.clock.pass(2)
  t.not(await world.run(two!.get(id)), 'absent')
  await world.clock.pass(2 * leaseMs)
  t.equal(await world.run(two!.get(id)), 'here')
  await world.stop()
})

t.test('a write in doubt, and then an engine that has forgotten everything: whoever took the session keeps it', async (t) => {
  const { world, nodes: [one, two, three] } = await worldOf(3)
  const onlooker = world.hub.engineFor({ name: 'tether', logMs: 60_000 })
  await world.run(onlooker.open('onlooker', { entry () {}, message () {}, up () {}, down () {}, forgot () {} }))
  const { id, ref } = (await world.run(one!.open()))!
  await world.run(one!.post(id, 1))
  one!.keeper.freeze(one!.sessions.get(id) as never, 1_000)
  for (let looks = 0; (await world.run(onlooker.get(ref)))?.value.includes('frozen') !== true; looks++) if (looks > 1_000) throw new Error('it does not freeze')
  // The record is there, and its node does not know.
  world.hub.cut(one!.cluster.node)
  t.equal(await world.run(two!.get(id)), 'here')
  await world.run(two!.post(id, 2))
  world.hub.cut(two!.cluster.node)
  world.hub.empty()
  world.hub.mend(one!.cluster.node)
  await world.clock.pass(leaseMs / 4)
  world.hub.mend(two!.cluster.node)
  await world.clock.pass(3 * leaseMs)
  t.ok(two!.sessions.has(id), 'it stays where it went')
  let where: Whereabouts = 'unavailable'
  for (let attempt = 0; where === 'unavailable' && attempt < 100; attempt++) where = await world.run(three!.get(id))
  t.equal(where, 'here')
  t.strictSame(three!.sessions.get(id)!.events, [1, 2])
  await world.run(onlooker.close())
  await world.stop()
})

t.test('records are written again before they expire', async (t) => {
  const { world, nodes: [one, two] } = await worldOf(2, 4_000)
  const { id } = (await world.run(one!.open()))!
  await world.clock.pass(10_000)
  t.equal(await world.run(two!.get(id)), 'here')
  await world.stop()
})
