import t from 'tap'
import type { LiveConfig } from '../e2e/harness/live.ts'
import { post } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { startNode, startNodes } from './harness/nodes.ts'
import { connectAnywhere, keeping, saidAt, Tab, type Kept } from './harness/tabs.ts'

t.test('all nodes are replaced under load, behind a balancer that picks any node', async (t) => {
  const { hub, nodes: first } = await startNodes(t, 3, { live: keeping })
  let nodes = [...first]
  const clients = Array.from({ length: 6 }, () => connectAnywhere(t, () => nodes))
  const got = clients.map((client) => {
    const texts: string[] = []
    client.on('note', ({ text }) => { texts.push(text) })
    client.onGap(() => { texts.push('GAP') })
    return texts
  })
  const verdicts: string[] = []
  for (const client of clients) client.onState((_state, { verdict }) => { if (verdict !== undefined) verdicts.push(verdict) })
  await until(() => clients.every(({ state }) => state === 'open'), 'all clients')
  const sent: string[] = []
  const emitted: Array<Promise<unknown>> = []
  const load = { isOn: true }
  const loading = (async () => {
    for (let count = 0; load.isOn; count++) {
      sent.push(String(count))
      nodes[count % nodes.length]!.live.broadcast('note', { text: String(count) })
      if (count % 5 === 0) emitted.push(...clients.map((client) => client.emit('say', { text: String(count / 5) })))
      await new Promise((resolve) => { setTimeout(resolve, 4) })
    }
  })()
  for (const old of first) {
    const fresh = await startNode(t, hub, { live: keeping })
    await until(() => fresh.cluster.status === 'ready', 'the new node')
    nodes = [...nodes.filter((node) => node !== old), fresh]
    await old.app.tether.drain({ retryMs: 0, spreadMs: 50 })
    await old.app.close()
  }
  load.isOn = false
  await loading
  await Promise.all(emitted)
  await until(() => got.every((texts) => texts.length >= sent.length), 'all updates')
  for (const texts of got) t.strictSame(texts.toSorted((left, right) => Number(left) - Number(right)), sent)
  for (const texts of got) t.strictSame(texts, got[0], 'one order')
  const expected = Array.from({ length: emitted.length / clients.length }, (_, index) => String(index))
  const sessions = nodes.flatMap(({ live }) => [...live.sessions])
  t.equal(sessions.length, clients.length)
  for (const session of sessions) t.strictSame((session.state as Kept).said, expected, 'each event once, in order')
  t.strictSame(new Set(verdicts), new Set(['new', 'resumed']))
})

t.test('a node that stops without its lease waits for it, and loses no session', async (t) => {
  const closed: string[] = []
  const live: LiveConfig = { ...keeping, onClose: (_session, reason) => { closed.push(reason) } }
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { live, cluster: { leaseMs: 500 } })
  const tab = await Tab.open(one!)
  t.match(await post(one!, tab.session, { event: 'say', data: { text: 'before' }, seq: 1 }), { status: 202 })
  hub.cut(one!.cluster.node)
  await until(() => one!.cluster.status === 'isolated', 'the end of the lease')
  const drained = one!.app.tether.drain({ timeoutMs: 10_000, retryMs: 0, spreadMs: 0 })
  hub.mend(one!.cluster.node)
  await drained
  await tab.goTo(two!)
  t.strictSame(tab.verdicts, ['new', 'resumed'])
  t.strictSame(saidAt(two!, tab.session), ['before'])
  t.strictSame(closed, [])
})

t.test('a session that is on its way to another node while its own begins to stop arrives there', async (t) => {
  let go!: () => void
  let isFreezing = false
  const gate = new Promise<void>((resolve) => { go = resolve })
  const closed: string[] = []
  const live: LiveConfig = {
    ...keeping,
    onFreeze: async () => {
      isFreezing = true
      await gate
    },
    onClose: (_session, reason) => { closed.push(reason) }
  }
  const { nodes: [one, two] } = await startNodes(t, 2, { live })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, { event: 'say', data: { text: 'before' }, seq: 1 })
  const gone = tab.goTo(two!)
  await until(() => isFreezing, 'the session on its way')
  const drained = one!.app.tether.drain({ timeoutMs: 10_000, retryMs: 0, spreadMs: 0 })
  go()
  await Promise.all([gone, drained])
  t.strictSame(tab.verdicts, ['new', 'resumed'])
  t.strictSame(saidAt(two!, tab.session), ['before'])
  t.strictSame(closed, [])
})

t.test('a node that never gets its lease back still stops in time', async (t) => {
  const { hub, nodes: [one] } = await startNodes(t, 2, { live: keeping, cluster: { leaseMs: 500 } })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, { event: 'say', data: { text: 'before' }, seq: 1 })
  hub.cut(one!.cluster.node)
  await until(() => one!.cluster.status === 'isolated', 'the end of the lease')
  const startedAt = performance.now()
  await one!.app.tether.drain({ timeoutMs: 600, retryMs: 0, spreadMs: 0 })
  t.ok(performance.now() - startedAt < 15_000)
  t.equal(one!.app.tether.stats().sessions, 0)
})
