import t from 'tap'
import { until } from '../e2e/harness/until.ts'
import { startNode, startNodes } from './harness/nodes.ts'
import { connectAnywhere, keeping, type Kept } from './harness/tabs.ts'

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
  await until(() => got.every((texts) => texts.length >= sent.length), 'all updates', 10_000)
  for (const texts of got) t.strictSame(texts.toSorted((left, right) => Number(left) - Number(right)), sent)
  for (const texts of got) t.strictSame(texts, got[0], 'one order')
  const expected = Array.from({ length: emitted.length / clients.length }, (_, index) => String(index))
  const sessions = nodes.flatMap(({ live }) => [...live.sessions])
  t.equal(sessions.length, clients.length)
  for (const session of sessions) t.strictSame((session.state as Kept).said, expected, 'each event once, in order')
  t.strictSame(new Set(verdicts), new Set(['new', 'resumed']))
})
