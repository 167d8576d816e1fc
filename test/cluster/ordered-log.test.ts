import { Type } from '@sinclair/typebox'
import t from 'tap'
import { memory } from '../../plugin/entries/memory.ts'
import { defineContract, text } from '../../plugin/index.ts'
import { startLive } from '../e2e/harness/live.ts'
import { openReader, type Reader } from '../e2e/harness/reader.ts'
import { turns, until } from '../e2e/harness/until.ts'
import { labels, seen, startNode, startNodes } from './harness/nodes.ts'

const delays = [{}, { weather: ({ what, isAnswer }: { what: string, isAnswer: boolean }) => isAnswer || what === 'entry' ? Math.floor(Math.random() * 12) : Math.floor(Math.random() * 4) }]

for (const [index, hubOptions] of delays.entries()) {
  t.test(`concurrent broadcasts of three nodes reach every member in one order${index === 0 ? '' : ', over a slow engine'}`, async (t) => {
    const { nodes } = await startNodes(t, 3, {}, hubOptions)
    const tabs: Array<{ at: number, group: string | null, reader: Reader }> = []
    for (const [at, node] of nodes.entries()) {
      for (const group of ['a', 'b', null]) {
        const { reader, session } = await node.connect()
        if (group !== null) node.live.group(group).add(session)
        tabs.push({ at, group, reader })
      }
    }
    const rounds = 30
    await Promise.all(nodes.map(async ({ live }, at) => {
      for (let round = 0; round < rounds; round++) {
        live.broadcast('note', { text: `all:${at}:${round}` })
        live.group('a').broadcast('note', { text: `a:${at}:${round}` })
        live.group('b').broadcast('note', { text: `b:${at}:${round}` })
        live.group('b').broadcast('note', { text: `b2:${at}:${round}` })
        await turns(round % 4)
      }
      await live.synced()
    }))
    const counts = { a: 2, b: 3, null: 1 }
    for (const { group, reader } of tabs) await until(() => seen(reader).length >= 3 * rounds * counts[`${group as 'a'}`], `all updates of ${group}`)
    await turns(30)
    for (const group of ['a', 'b', null]) {
      const [first, ...others] = tabs.filter((tab) => tab.group === group).map(({ reader }) => seen(reader))
      t.equal(first!.length, 3 * rounds * counts[`${group as 'a'}`], `${group}: each once`)
      for (const other of others) t.strictSame(other, first, `${group}: one order on all nodes`)
      for (const at of [0, 1, 2]) {
        for (const kind of ['all', 'a', 'b']) t.strictSame(first!.filter((text) => text.startsWith(`${kind}:${at}:`)), kind === 'all' || kind === group ? labels(`${kind}:${at}`, rounds) : [], 'the order of the calls')
      }
    }
    // The order that members of both kinds share is the same too.
    const common = (group: string | null) => seen(tabs.find((tab) => tab.group === group)!.reader).filter((text) => text.startsWith('all:'))
    t.strictSame(common('a'), common(null))
    t.strictSame(common('b'), common(null))
    await until(() => nodes.every(({ cluster }) => cluster.stats().queuedFrames === 0), 'the answers to the last entries')
    for (const { cluster } of nodes) t.match(cluster.stats(), { queuedFrames: 0, queuedBytes: 0, losses: 0, dropped: 0, rejected: 0, published: 4 * rounds })
  })
}

t.test('a broadcast gives the number of members on this node, at once', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2)
  const { session } = await one!.connect()
  await one!.connect()
  await two!.connect()
  t.equal(one!.live.broadcast('note', { text: 'x' }), 2)
  t.equal(two!.live.broadcast('note', { text: 'x' }), 1)
  one!.live.group('g').add(session)
  t.equal(one!.live.group('g').broadcast('note', { text: 'x' }), 1)
  t.equal(two!.live.group('g').broadcast('note', { text: 'x' }), 0)
  t.equal(one!.live.group('g').broadcastExcept(session, 'note', { text: 'x' }), 0)
  t.throws(() => one!.live.broadcast('note', { text: undefined } as never), { code: 'FST_ERR_TETHER_SERIALIZATION' })
  t.throws(() => one!.live.broadcast('nota' as 'note', { text: 'x' }), { code: 'FST_ERR_TETHER_UNKNOWN_UPDATE' })
})

t.test('broadcastExcept leaves out one session, and no other on any node', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2)
  const here = await one!.connect()
  const beside = await one!.connect()
  const there = await two!.connect()
  for (const [node, { session }] of [[one, here], [one, beside], [two, there]] as const) node!.live.group('g').add(session)
  one!.live.group('g').broadcastExcept(here.session, 'note', { text: 'not here' })
  two!.live.group('g').broadcastExcept(there.session, 'note', { text: 'not there' })
  await one!.live.synced()
  await two!.live.synced()
  one!.live.broadcast('note', { text: 'end' })
  for (const { reader } of [here, beside, there]) await until(() => seen(reader).includes('end'), 'the end')
  t.strictSame(seen(here.reader), ['not there', 'end'])
  t.strictSame(seen(there.reader), ['not here', 'end'])
  t.strictSame(seen(beside.reader).toSorted(), ['end', 'not here', 'not there'])
  t.throws(() => one!.live.group('g').broadcastExcept(there.session, 'note', { text: 'x' }), { code: 'FST_ERR_TETHER_ARGUMENT' })
})

t.test('no id of a session reaches the engine', async (t) => {
  const hub = memory()
  const written: Buffer[] = []
  const node = await startNode(t, {
    engineFor: (application) => {
      const engine = hub.engineFor(application)
      const append = engine.append.bind(engine)
      engine.append = (entry) => {
        written.push(entry)
        return append(entry)
      }
      return engine
    }
  })
  const { session } = await node.connect()
  node.live.group('g').add(session)
  node.live.group('g').broadcastExcept(session, 'note', { text: 'x' })
  await node.live.synced()
  t.match(Buffer.concat(written).toString(), /"g","[\w-]{22}"/)
  t.notOk(Buffer.concat(written).includes(session.id))
})

t.test('live.local stays on its node, and takes its place at once', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2)
  const here = await one!.connect()
  const there = await two!.connect()
  one!.live.group('g').add(here.session)
  two!.live.group('g').add(there.session)
  one!.live.broadcast('note', { text: 'through the log' })
  t.equal(one!.live.local.broadcast('note', { text: 'local' }), 1)
  t.equal(one!.live.local.group('g').broadcast('note', { text: 'local group' }), 1)
  t.equal(one!.live.group('g').local.broadcast('note', { text: 'group local' }), 1)
  t.equal(one!.live.group('g').local.size, 1)
  t.equal(one!.live.local.local, one!.live.local)
  t.equal(one!.live.local.get(here.session.id), here.session)
  await until(() => seen(here.reader).length === 4 && seen(there.reader).length > 0, 'the updates')
  await turns(20)
  t.strictSame(seen(here.reader), ['local', 'local group', 'group local', 'through the log'])
  t.strictSame(seen(there.reader), ['through the log'])
})

t.test('a send after synced() stands behind the broadcasts before it', async (t) => {
  const { nodes: [one] } = await startNodes(t, 2, {}, { weather: ({ what }) => what === 'entry' ? 20 : 0 })
  const { reader, session } = await one!.connect()
  one!.live.broadcast('note', { text: 'first' })
  await session.send('note', { text: 'overtakes' })
  await one!.live.synced()
  await session.send('note', { text: 'last' })
  await until(() => seen(reader).length === 3, 'all three')
  t.strictSame(seen(reader), ['overtakes', 'first', 'last'])
})

t.test('without a cluster all is as before', async (t) => {
  const { app, live, connect } = await startLive(t)
  const { reader, session } = await connect()
  t.equal(app.tether.cluster, null)
  t.equal(live.local, live)
  live.group('g').add(session)
  const group = live.group('g')
  t.equal(group.local, group)
  await live.synced()
  live.broadcast('note', { text: 'a' })
  session.send('note', { text: 'b' })
  live.local.broadcast('note', { text: 'c' })
  await until(() => seen(reader).length === 3, 'all three')
  t.strictSame(seen(reader), ['a', 'b', 'c'])
})

t.test('a new session gets what comes from the log after its start, on whichever node', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2)
  one!.live.broadcast('note', { text: 'before' })
  await one!.live.synced()
  await until(() => two!.cluster.stats().delivered === 1, 'the first')
  const { reader } = await two!.connect()
  one!.live.broadcast('note', { text: 'after' })
  await until(() => seen(reader).length === 1, 'the second')
  t.strictSame(seen(reader), ['after'])
})

t.test('conflated updates of other nodes conflate here', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2, { live: { minIntervalMs: 300 } })
  const { reader } = await two!.connect()
  one!.live.broadcast('note', { text: 'opens the interval' })
  await until(() => seen(reader).length === 1, 'the first')
  for (let value = 0; value < 20; value++) {
    one!.live.broadcast('sample', { series: 'a', value })
    one!.live.broadcast('sample', { series: 'b', value })
  }
  await one!.live.synced()
  await until(() => reader.updates.length >= 3, 'the samples')
  t.strictSame(reader.updates.slice(1).map(({ data }) => JSON.parse(data!)), [{ series: 'a', value: 19 }, { series: 'b', value: 19 }])
})

t.test('a node delivers updates that its own contract lacks, or writes otherwise', async (t) => {
  const hub = memory()
  const old = await startNode(t, hub)
  const young = await startNode(t, hub, {
    setup: (app) => {
      const live = app.tether.stateful('/next', { contract: defineContract({ updates: { extra: Type.Object({ n: Type.Integer() }), html: text() } }) })
      app.get('/fire', async () => {
        live.broadcast('extra', { n: 1 })
        live.broadcast('html', '<b>\n</b>')
        await live.synced()
        return 'ok'
      })
    }
  })
  const older = await startNode(t, hub, {
    setup: (app) => {
      app.tether.stateful('/next', { contract: defineContract({ updates: { other: Type.Object({}) } }) })
    }
  })
  const reader = await openReader(older, '/next')
  const elsewhere = await old.connect()
  await until(() => reader.controls.length > 0, 'the hello')
  await fetch(`${young.origin}/fire`)
  await until(() => reader.updates.length === 2, 'both updates')
  t.match(reader.updates, [{ event: 'extra', data: '{"n":1}' }, { event: 'html', data: '<b>\n</b>' }])
  t.strictSame(elsewhere.reader.updates, [])
  t.match(old.cluster.stats(), { rejected: 0, losses: 0, delivered: 0 }, 'a URL that is not here is no fault')
})

t.test('a URL is told apart by its whole pattern, an application by its name', async (t) => {
  const hub = memory()
  const one = await startNode(t, hub, {
    setup: (app) => {
      app.register(async (child) => { child.tether.stateful('/live', { contract: defineContract({ updates: {} }) }) }, { prefix: '/v2' })
    }
  })
  const other = await startNode(t, hub, { cluster: { name: 'other' } })
  const inOne = await one.connect()
  const inOther = await other.connect()
  const nested = await openReader(one, '/v2/live')
  await until(() => nested.controls.length > 0, 'the hello')
  one.live.broadcast('note', { text: 'one' })
  other.live.broadcast('note', { text: 'other' })
  await one.live.synced()
  await other.live.synced()
  await until(() => seen(inOne.reader).length > 0 && seen(inOther.reader).length > 0, 'both')
  await turns(20)
  t.strictSame([seen(inOne.reader), seen(inOther.reader), nested.updates], [['one'], ['other'], []])
  t.equal(one.cluster.nodes().length, 1)
})

t.test('over HTTP/2, with exact ids', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2, { protocol: 'h2c' })
  const { reader } = await two!.connect()
  const texts = labels('n', 200)
  for (const text of texts) one!.live.broadcast('note', { text })
  await until(() => seen(reader).length === 200, 'all')
  t.strictSame(seen(reader), texts)
  t.strictSame(reader.updates.map(({ id }) => Number(id?.split('.').at(-1))), texts.map((_, index) => index + 1))
})
