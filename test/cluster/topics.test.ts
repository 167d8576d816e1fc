import t, { type Test } from 'tap'
import { memory } from '../../plugin/entries/memory.ts'
import { startTopics, type TopicReader, type TopicsConfig } from '../e2e/harness/topics.ts'
import { turns, until } from '../e2e/harness/until.ts'

async function startNodes (t: Test, config: TopicsConfig = {}) {
  const hub = memory({ deadlineMs: 300 })
  const nodes = [await startTopics(t, config, { cluster: hub }), await startTopics(t, config, { cluster: hub })] as const
  for (const { app } of nodes) await until(() => app.tether.cluster!.nodes().length === 2 && app.tether.cluster!.status === 'ready', 'all nodes know each other')
  return nodes
}

const updates = (tab: TopicReader) => tab.seen().filter(([name]) => name.includes('@')).map(([name, data]) => `${name.split('@')[0]} ${JSON.stringify(data)}`)

t.test('what is published on one node reaches the subscribers of all, in one order', async (t) => {
  const nodes = await startNodes(t)
  const tabs: TopicReader[] = []
  for (const node of [...nodes, ...nodes]) {
    const tab = await node.open()
    await tab.subscribe('host', { id: 'a' })
    await tab.told('host?id=a')
    tabs.push(tab)
  }
  t.equal(nodes[0].live.topic('host', { id: 'a' }).publish('log', 'first'), 2, 'the subscribers on this node')
  for (let round = 0; round < 20; round++) {
    for (const [at, { live }] of nodes.entries()) live.topic('host', { id: 'a' }).publish('log', `${at}:${round}`)
    await turns(round % 3)
  }
  nodes[1].live.topic('host', { id: 'b' }).publish('log', 'of another topic')
  nodes[1].live.topic('host', { id: 'a' }).local.publish('log', 'here')
  for (const { live } of nodes) await live.synced()
  for (const [index, tab] of tabs.entries()) await until(() => updates(tab).length === 41 + index % 2, 'all updates')
  const of = (tab: TopicReader) => updates(tab).filter((update) => !update.includes('here'))
  for (const tab of tabs) t.strictSame(of(tab), of(tabs[0]!))
})

t.test('every node retains what was published without a producer', async (t) => {
  const nodes = await startNodes(t)
  nodes[0].live.topic('host', { id: 'a' }).publish('cpu', { core: 0, v: 1 })
  nodes[1].live.topic('host', { id: 'a' }).publish('cpu', { core: 1, v: 2 })
  for (const { live } of nodes) await live.synced()
  for (const node of nodes) {
    await until(() => node.live.stats.retainedValues === 2, 'the values')
    const tab = await node.open()
    await tab.subscribe('host', { id: 'a' })
    await tab.told('host?id=a')
    t.strictSame(updates(tab).sort(), ['cpu {"core":0,"v":1}', 'cpu {"core":1,"v":2}'])
  }
})

t.test('each node with subscribers has a producer of its own, for itself', async (t) => {
  let count = 0
  const nodes = await startNodes(t, { topics: { host: { start: (_params, { publish }) => { publish('log', String(++count)) } } } })
  const tabs: TopicReader[] = []
  for (const node of nodes) {
    const tab = await node.open()
    await tab.subscribe('host', { id: 'a' })
    await tab.told('host?id=a')
    tabs.push(tab)
  }
  nodes[0].live.topic('host', { id: 'a' }).publish('log', 'for all')
  for (const tab of tabs) await until(() => updates(tab).length === 2, 'both updates')
  t.strictSame(tabs.map(updates), [['log "1"', 'log "for all"'], ['log "2"', 'log "for all"']])
})
