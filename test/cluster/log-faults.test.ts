import t from 'tap'
import type { Engine, EngineSource } from '../../plugin/cluster/engine.ts'
import type { MemoryPassage } from '../../plugin/cluster/memory/memory-engine.ts'
import { memory } from '../../plugin/entries/memory.ts'
import { openReader } from '../e2e/harness/reader.ts'
import { turns, until } from '../e2e/harness/until.ts'
import { holesAreTold } from './harness/weather.ts'
import { labels, seen, startNode, startNodes, type Node } from './harness/nodes.ts'

/** Broadcasts of several nodes, each with a text of its own, a few each turn. */
async function load (nodes: readonly Node[], count: number, during: (index: number) => unknown = () => {}): Promise<string[]> {
  const texts: string[] = []
  for (let index = 0; index < count; index++) {
    for (const [at, { live }] of nodes.entries()) {
      texts.push(`${at}:${index}`)
      live.broadcast('note', { text: `${at}:${index}` })
    }
    await during(index)
    await turns(2)
  }
  return texts
}

t.test('a node whose link breaks, again and again, misses nothing and doubles nothing', async (t) => {
  const { hub, nodes } = await startNodes(t, 3)
  const tabs = await Promise.all(nodes.map((node) => node.connect()))
  const texts = await load(nodes, 60, (index) => {
    const { node } = nodes[index % 3]!.cluster
    if (index % 10 === 3) hub.cut(node)
    if (index % 10 === 9) for (const { cluster } of nodes) hub.mend(cluster.node)
  })
  for (const { reader } of tabs) await until(() => seen(reader).length >= texts.length, 'all updates')
  await turns(30)
  const [first, ...others] = tabs.map(({ reader }) => seen(reader))
  t.strictSame(first!.toSorted(), texts.toSorted())
  for (const other of others) t.strictSame(other, first)
  for (const { cluster } of nodes) t.match(cluster.stats(), { losses: 0, dropped: 0, queuedFrames: 0 })
})

t.test('answers that are lost double nothing: an entry in the log twice counts once', async (t) => {
  let isRough = false
  const weather = ({ what, isAnswer }: MemoryPassage) => isRough && what === 'append' ? Math.random() < 0.2 ? 'lost' : Math.floor(Math.random() * 3) : isAnswer ? 1 : 0
  const { nodes } = await startNodes(t, 3, {}, { weather, deadlineMs: 60 })
  const tabs = await Promise.all(nodes.map((node) => node.connect()))
  isRough = true
  const texts = await load(nodes, 150)
  for (const { reader } of tabs) await until(() => seen(reader).length >= texts.length, 'all updates')
  isRough = false
  await Promise.all(nodes.map(({ live }) => live.synced()))
  await turns(30)
  const [first, ...others] = tabs.map(({ reader }) => seen(reader))
  t.strictSame(first!.toSorted(), texts.toSorted())
  for (const other of others) t.strictSame(other, first)
  for (const at of [0, 1, 2]) t.strictSame(first!.filter((text) => text.startsWith(`${at}:`)), labels(String(at), 150))
})

t.test('while the engine is away, broadcasts wait, sends and local broadcasts flow, and the status says so', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { cluster: { leaseMs: 1_000 } })
  const here = await one!.connect()
  const there = await two!.connect()
  hub.cut(one!.cluster.node)
  await until(() => one!.cluster.status === 'degraded', 'degraded')
  for (const text of labels('w', 10)) one!.live.broadcast('note', { text })
  here.session.send('note', { text: 'private' })
  one!.live.local.broadcast('note', { text: 'local' })
  two!.live.broadcast('note', { text: 'of the other' })
  await until(() => seen(here.reader).length === 2 && seen(there.reader).length === 1, 'what flows')
  t.match(one!.cluster.stats(), { queuedFrames: 10, published: 10 })
  await until(() => one!.cluster.status === 'isolated', 'isolated when the lease has run out')
  await until(() => !two!.cluster.nodes().some(({ name }) => name === one!.cluster.node), 'the other takes it for dead')
  hub.mend(one!.cluster.node)
  await until(() => seen(here.reader).length === 13 && seen(there.reader).length === 11, 'what waited')
  t.strictSame(seen(here.reader), ['private', 'local', 'of the other', ...labels('w', 10)])
  t.strictSame(seen(there.reader), ['of the other', ...labels('w', 10)])
  await until(() => one!.cluster.status === 'ready' && two!.cluster.nodes().length === 2, 'as before')
})

t.test('beyond queueFrames the oldest is dropped; all nodes tell the gap, at one place', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { cluster: { queueFrames: 5 } })
  const gaps: string[] = []
  const snapshots = await startNode(t, hub, {
    live: {
      onGap: (session) => {
        gaps.push(session.id)
        session.send('note', { text: 'snapshot' })
      }
    }
  })
  const here = await one!.connect()
  const there = await two!.connect()
  const told = await snapshots.connect()
  const away = await snapshots.connect()
  away.reader.destroy()
  await until(() => !away.session.connected, 'a session without a stream')
  one!.live.broadcast('note', { text: 'before' })
  await one!.live.synced()
  await until(() => seen(told.reader).length === 1, 'the first')
  hub.cut(one!.cluster.node)
  await until(() => one!.cluster.status === 'degraded', 'degraded')
  for (const text of labels('w', 20)) one!.live.broadcast('note', { text })
  t.match(one!.cluster.stats(), { queuedFrames: 5, dropped: 15 })
  hub.mend(one!.cluster.node)
  await one!.live.synced()
  const expected = ['before', 'GAP', ...labels('w', 5, 15)]
  await until(() => seen(there.reader).length === 7 && seen(here.reader).length === 7 && seen(told.reader).length === 8, 'the rest')
  t.strictSame(seen(here.reader), expected)
  t.strictSame(seen(there.reader), expected)
  t.strictSame(seen(told.reader).filter((text) => text !== 'snapshot'), expected)
  t.ok(seen(told.reader).indexOf('snapshot') > 1, 'onGap runs behind the gap')
  t.match(here.reader.controls.filter(({ type }) => type === 'gap'), [{ type: 'gap', seq: 2 }], 'a loss takes one number')
  here.reader.destroy()
  const resumed = await openReader(one!, '/live', { headers: { 'last-event-id': `${here.session.id}.5` } })
  await until(() => seen(resumed).length === 2, 'the replay')
  t.match(resumed.controls[0], { verdict: 'resumed', seq: 5 })
  t.strictSame(seen(resumed), labels('w', 2, 18), 'a page that knows of the gap misses nothing more')
  t.strictSame(gaps, [told.session.id], 'onGap runs where a stream is open')
  const again = await openReader(snapshots, '/live', { headers: { 'last-event-id': `${away.session.id}.0` } })
  await until(() => seen(again).length >= 6, 'what is held')
  t.equal(again.controls[0]!.verdict, 'gap')
  t.strictSame(seen(again), ['GAP', ...labels('w', 5, 15)])
  for (const { cluster } of [one!, two!]) t.equal(cluster.stats().losses, 1)
})

t.test('queueBytes bounds what waits; a single larger broadcast passes', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { cluster: { queueBytes: 10_000 } })
  const { reader } = await two!.connect()
  hub.cut(one!.cluster.node)
  await until(() => one!.cluster.status === 'degraded', 'degraded')
  const large = 'x'.repeat(4_000)
  for (const text of labels('w', 5)) one!.live.broadcast('note', { text: `${text}${large}` })
  t.match(one!.cluster.stats(), { queuedFrames: 2, dropped: 3 })
  one!.live.broadcast('note', { text: 'y'.repeat(50_000) })
  t.match(one!.cluster.stats(), { queuedFrames: 1, dropped: 5 })
  hub.mend(one!.cluster.node)
  await until(() => seen(reader).length === 2, 'the gap, and the last')
  t.strictSame(seen(reader), ['GAP', 'y'.repeat(50_000)])
})

t.test('a node that could not read for longer than the log keeps tells a gap', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, {}, { logEntries: 3 })
  const here = await one!.connect()
  const there = await two!.connect()
  hub.cut(two!.cluster.node)
  await until(() => two!.cluster.status === 'degraded', 'degraded')
  for (const text of labels('n', 10)) {
    one!.live.broadcast('note', { text })
    await one!.live.synced()
  }
  hub.mend(two!.cluster.node)
  await until(() => seen(there.reader).includes('n:9'), 'the last')
  t.strictSame(seen(here.reader), labels('n', 10))
  t.strictSame(seen(there.reader), ['GAP', ...labels('n', 3, 7)])
  t.equal(one!.cluster.stats().losses, 0)
})

t.test('an entry that is lost is told at the next beat, even if nothing follows it', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { cluster: { leaseMs: 1_000 } }, { logEntries: 1 })
  const { reader } = await two!.connect()
  hub.cut(two!.cluster.node)
  await until(() => two!.cluster.status === 'degraded', 'degraded')
  let last = ''
  const onlooker = hub.engineFor({ name: 'tether', logMs: 60_000 })
  await onlooker.open('onlooker', { entry: (_at, bytes) => { last = bytes.toString() }, message () {}, up () {}, down () {}, forgot () {} })
  t.teardown(() => onlooker.close())
  one!.live.broadcast('note', { text: 'lost' })
  await until(() => last.includes('lost'), 'the broadcast')
  await until(() => !last.includes('lost'), 'a beat, which takes its place in this small log')
  hub.mend(two!.cluster.node)
  await until(() => seen(reader).length > 0, 'the gap')
  t.strictSame(seen(reader), ['GAP'])
})

t.test('an engine that loses its memory under load: every hole is told', async (t) => {
  const { hub, nodes } = await startNodes(t, 3, { cluster: { leaseMs: 1_000 } }, { weather: () => 1 })
  const tabs = await Promise.all(nodes.map((node) => node.connect()))
  const texts = await load(nodes, 120, (index) => { if (index % 40 === 20) hub.empty() })
  await Promise.all(nodes.map(({ live }) => live.synced()))
  for (const { live } of nodes) live.broadcast('note', { text: 'end' })
  for (const { reader } of tabs) await until(() => seen(reader).filter((text) => text === 'end').length === 3, 'the end')
  const orders = tabs.map(({ reader }) => seen(reader).filter((text) => text !== 'end'))
  for (const at of [0, 1, 2]) {
    const published = texts.filter((text) => text.startsWith(`${at}:`))
    for (const order of orders) t.ok(holesAreTold(order.filter((text) => text === 'GAP' || text.startsWith(`${at}:`)), published), `broadcasts of ${at}`)
  }
  for (const order of orders) t.equal(new Set(order.filter((text) => text !== 'GAP')).size, order.filter((text) => text !== 'GAP').length, 'none twice')
})

t.test('what a foreign hand writes into the log goes to no stream', async (t) => {
  const { hub, nodes: [one] } = await startNodes(t, 1)
  const { reader } = await one!.connect()
  const stranger = hub.engineFor({ name: 'tether', logMs: 60_000 })
  await stranger.open('stranger', { entry () {}, message () {}, up () {}, down () {}, forgot () {} })
  t.teardown(() => stranger.close())
  const write = (value: unknown) => stranger.append(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))
  await write('not an entry')
  await write({ node: 'stranger' })
  one!.live.broadcast('note', { text: 'a' })
  await one!.live.synced()
  await write([1, 'stranger', 1, ['/live'], [[0, null, null, null, 'event: tether\ndata: {"type":"goodbye","reconnect":false}\n\n']]])
  await until(() => seen(reader).length === 2, 'the gap')
  await write([7, 'stranger', 2, 'of a later version'])
  await until(() => one!.cluster.stats().losses === 2, 'the second gap')
  await write([1, 'stranger', 3, ['/live'], [[0, null, null, null, 'event: note\ndata: {"text":"fine"}\n\n']]])
  await until(() => seen(reader).includes('fine'), 'what is allowed')
  t.strictSame(seen(reader), ['a', 'GAP', 'GAP', 'fine'])
  t.match(one!.cluster.stats(), { rejected: 4, losses: 2 })
  t.notOk(reader.text.includes('goodbye'))
})

/** Changes the engines of a hub. */
function changed (source: EngineSource, change: (engine: Engine) => Partial<Engine>): EngineSource {
  return {
    engineFor: (application) => {
      const engine = source.engineFor(application)
      return Object.assign(engine, change(engine))
    }
  }
}

t.test('a broadcast that the engine never takes is lost alone, told and logged', async (t) => {
  const hub = memory()
  const one = await startNode(t, changed(hub, (engine) => {
    const append = engine.append.bind(engine)
    return { append: async (entry) => entry.length > 300_000 ? Promise.reject(new Error('too large for this engine')) : append(entry) }
  }))
  const { reader } = await one.connect()
  one.live.broadcast('note', { text: 'a' })
  one.live.broadcast('note', { text: 'x'.repeat(300_000) })
  one.live.broadcast('note', { text: 'b' })
  await until(() => seen(reader).includes('b'), 'the last')
  t.strictSame(seen(reader), ['a', 'GAP', 'b'])
  t.match(one.errors(), [{ msg: 'the cluster\'s engine cannot take a broadcast, which is lost', url: '/live', err: { message: 'too large for this engine' } }])
})

t.test('other refusals end: the entry is written again, in its place', async (t) => {
  const hub = memory()
  let refusals = 7
  const one = await startNode(t, changed(hub, (engine) => {
    const append = engine.append.bind(engine)
    return { append: async (entry) => entry.includes('/live') && refusals-- > 0 ? Promise.reject(new Error('no room')) : append(entry) }
  }))
  const { reader } = await one.connect()
  for (const text of labels('n', 3)) {
    one.live.broadcast('note', { text })
    await turns(3)
  }
  await until(() => seen(reader).length === 3, 'all')
  t.strictSame(seen(reader), labels('n', 3))
  t.strictSame(one.errors(), [])
})

t.test('a reader that is slow meanwhile gets the gap where it goes on, and what follows', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { cluster: { queueFrames: 2 }, live: { queueFrames: 100_000, queueBytes: 1e9 } })
  const { reader, session } = await two!.connect({ frozen: true })
  const filler = 'x'.repeat(100_000)
  for (let count = 0; !session.stats.stalled && count < 1_000; count++) {
    two!.live.local.broadcast('note', { text: `filler${filler}` })
    await turns(1)
  }
  t.ok(session.stats.stalled)
  hub.cut(one!.cluster.node)
  await until(() => one!.cluster.status === 'degraded', 'degraded')
  for (const text of labels('w', 5)) one!.live.broadcast('note', { text })
  hub.mend(one!.cluster.node)
  await until(() => two!.cluster.stats().losses === 1 && two!.cluster.stats().delivered === 2, 'the loss')
  reader.resume()
  await until(() => seen(reader).includes('w:4'), 'the last')
  t.strictSame(seen(reader).filter((text) => !text.startsWith('filler')), ['GAP', 'w:3', 'w:4'])
  const [gap] = reader.controls.filter(({ type }) => type === 'gap')
  t.ok(gap!.seq > seen(reader).indexOf('GAP'), 'the gap covers what waited')
  t.equal(session.stats.stalled, false)
})
