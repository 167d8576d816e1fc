// Sessions with topics that move between nodes, over real sockets.
import { existsSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { EngineSource } from '../../plugin/cluster/engine.ts'
import { local } from '../../plugin/entries/local.ts'
import { memory } from '../../plugin/entries/memory.ts'
import { redis } from '../../plugin/entries/redis.ts'
import type { TopicsConfig } from '../e2e/harness/topics.ts'
import { turns, until } from '../e2e/harness/until.ts'
import { makeDirectory } from './harness/local-under-test.ts'
import { clientKinds } from './harness/redis-clients.ts'
import { program, startRedis } from './harness/redis-process.ts'
import { acquaint, goTo, startTopicNode, updatesOf, verdictOf } from './harness/topic-nodes.ts'

/** A producer for each node, which gives its name and its own values. */
const producing = (...values: number[]): TopicsConfig => ({
  topics: { host: { start: (_params, { publish }) => { for (const [core, v] of values.entries()) publish('cpu', { core, v }) } } }
})

/** Waits until a tab has its outcome, which comes behind the values. */
async function subscribed (node: Awaited<ReturnType<typeof startTopicNode>>) {
  const tab = await node.open()
  await tab.subscribe('host', { id: 'a' })
  await tab.told('host?id=a')
  return tab
}

async function moveValues (t: Test, engine: () => EngineSource): Promise<void> {
  const one = await startTopicNode(t, engine(), producing(1, 5))
  const two = await startTopicNode(t, engine(), producing(2, 5))
  await acquaint(one, two)
  // Its producer runs already, and publishes nothing when another comes.
  await subscribed(two)
  const tab = await subscribed(one)
  t.strictSame(updatesOf(tab), ['cpu {"core":0,"v":1}', 'cpu {"core":1,"v":5}'])
  const there = await goTo(tab, two)
  t.equal(verdictOf(there), 'resumed')
  two.live.topic('host', { id: 'a' }).local.publish('log', 'last')
  await until(() => updatesOf(there).includes('log "last"'), 'the last update')
  t.strictSame(updatesOf(there), ['cpu {"core":0,"v":2}', 'log "last"'], 'the value that differs, and no other')
  const back = await goTo(there, one)
  t.equal(verdictOf(back), 'resumed')
  await until(() => updatesOf(back).length > 0, 'the value')
  t.strictSame(updatesOf(back), ['cpu {"core":0,"v":1}'], 'its producer lingered')
}

t.test('a session that moves gets the values of its new node, where they differ', async (t) => {
  const hub = memory()
  await moveValues(t, () => hub)
})

t.test('the same over the local hub', async (t) => {
  const directory = makeDirectory({ after: (end) => { t.teardown(end) } })
  await moveValues(t, () => local({ directory }))
})

t.test('the same over Redis', { skip: existsSync(program) ? false : `no ${program}` }, async (t) => {
  const server = await startRedis({ after: (end: () => unknown) => { t.teardown(end) } })
  const client = clientKinds[0]!.client(server.port)
  await moveValues(t, () => redis(client))
})

t.test('a frozen session gets the values of now, and a gap for what its new node published to others meanwhile', async (t) => {
  const hub = memory()
  const one = await startTopicNode(t, hub, producing(1))
  const two = await startTopicNode(t, hub, producing(2))
  await acquaint(one, two)
  await subscribed(two)
  const [quiet, lossy] = [await subscribed(one), await subscribed(one)]
  await one.app.tether.drain({ retryMs: 0, spreadMs: 0 })
  const topic = two.live.topic('host', { id: 'a' }).local
  topic.publish('cpu', { core: 0, v: 3 })
  const quietThere = await goTo(quiet, two)
  t.equal(verdictOf(quietThere), 'resumed', 'values are retained')
  await until(() => updatesOf(quietThere).length > 0, 'the value')
  t.strictSame(updatesOf(quietThere), ['cpu {"core":0,"v":3}'])
  topic.publish('log', 'unseen')
  const lossyThere = await goTo(lossy, two)
  t.equal(verdictOf(lossyThere), 'gap')
  await until(() => updatesOf(lossyThere).length > 0, 'the value')
  t.strictSame(updatesOf(lossyThere), ['cpu {"core":0,"v":3}'])
})

t.test('a session takes what the log has for its topics, in order and once, also at a node that starts later', async (t) => {
  const hub = memory()
  const one = await startTopicNode(t, hub)
  const two = await startTopicNode(t, hub)
  await acquaint(one, two)
  const [tab, late, other] = [await subscribed(one), await subscribed(one), await one.open()]
  await other.subscribe('host', { id: 'b' })
  await other.told('host?id=b')
  const topic = two.live.topic('host', { id: 'a' })
  topic.publish('cpu', { core: 0, v: 1 })
  await until(() => updatesOf(late).length === 1 && updatesOf(tab).length === 1, 'the first value')
  await one.app.tether.drain({ retryMs: 0, spreadMs: 0 })
  topic.publish('log', 'first')
  topic.publish('cpu', { core: 1, v: 1 })
  two.live.topic('host', { id: 'b' }).publish('log', 'of another topic')
  topic.publish('log', 'last')
  await two.live.synced()
  await one.app.close()
  const missed = ['log "first"', 'cpu {"core":1,"v":1}', 'log "last"']
  const there = await goTo(tab, two)
  t.equal(verdictOf(there), 'resumed')
  await until(() => updatesOf(there).includes('log "last"'), 'all updates')
  await turns(5)
  t.strictSame(updatesOf(there), missed)
  const three = await startTopicNode(t, hub)
  await acquaint(two, three)
  const lateThere = await goTo(late, three)
  t.equal(verdictOf(lateThere), 'resumed')
  await until(() => updatesOf(lateThere).includes('log "last"'), 'all updates')
  await turns(5)
  t.strictSame(updatesOf(lateThere), missed)
  const otherThere = await goTo(other, three)
  await until(() => updatesOf(otherThere).length > 0, 'its update')
  t.strictSame(updatesOf(otherThere), ['log "of another topic"'])
  topic.publish('log', 'after')
  for (const reader of [there, lateThere]) await until(() => updatesOf(reader).at(-1) === 'log "after"', 'the update after')
})

t.test('where the log no longer has what a session missed, it gets a gap, and the values', async (t) => {
  const hub = memory({ logEntries: 8 })
  const one = await startTopicNode(t, hub)
  const two = await startTopicNode(t, hub)
  await acquaint(one, two)
  const tab = await subscribed(one)
  await one.app.tether.drain({ retryMs: 0, spreadMs: 0 })
  const topic = two.live.topic('host', { id: 'a' })
  for (let v = 0; v < 20; v++) {
    topic.publish('cpu', { core: 0, v })
    topic.publish('log', String(v))
    await two.live.synced()
  }
  const three = await startTopicNode(t, hub)
  await until(() => three.app.tether.cluster!.nodes().length === 3, 'the new node')
  topic.publish('cpu', { core: 1, v: 0 })
  await until(() => three.live.stats.retainedValues > 0, 'the value')
  const there = await goTo(tab, three)
  t.equal(verdictOf(there), 'gap')
  await until(() => updatesOf(there).length > 0, 'the values')
  t.ok(updatesOf(there).includes('cpu {"core":1,"v":0}'))
  const logs = updatesOf(there).filter((update) => update.startsWith('log'))
  t.strictSame(logs, Array.from({ length: logs.length }, (_, index) => `log "${20 - logs.length + index}"`), 'what the log has, behind the gap')
})

t.test('a node that misses a part of the log tells its subscribers, and gives them the values', async (t) => {
  const hub = memory({ logEntries: 4, deadlineMs: 300 })
  const one = await startTopicNode(t, hub)
  const two = await startTopicNode(t, hub)
  await acquaint(one, two)
  const [tab, other] = [await subscribed(one), await one.open()]
  const topic = two.live.topic('host', { id: 'a' })
  topic.publish('cpu', { core: 0, v: 1 })
  await until(() => updatesOf(tab).length === 1, 'the value')
  hub.cut(one.app.tether.cluster!.node)
  for (let count = 0; count < 20; count++) {
    topic.publish('log', String(count))
    await two.live.synced()
  }
  hub.mend(one.app.tether.cluster!.node)
  await until(() => tab.reader.controls.some(({ type }) => type === 'gap'), 'the gap')
  await until(() => updatesOf(tab).filter((update) => update.startsWith('cpu')).length === 2, 'the value again')
  await until(() => other.reader.controls.some(({ type }) => type === 'gap'), 'the gap of others')
  t.strictSame(updatesOf(other), [])
})
