// Sessions without a stream, in the engine instead of a node's memory.
import t from 'tap'
import { post } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { startNodes } from './harness/nodes.ts'
import { keeping, saidAt, Tab } from './harness/tabs.ts'

const say = (text: string, seq: number) => ({ event: 'say', data: { text }, seq })

t.test('persist: \'detach\': a session without a stream survives the crash of its node', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { live: { ...keeping, persist: 'detach' }, cluster: { leaseMs: 300 } })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, say('a', 1))
  tab.reader.destroy()
  await until(() => one!.live.get(tab.session) === undefined, 'the freeze')
  // What the node writes behind the record is there after the record.
  one!.live.broadcast('note', { text: 'before' })
  await one!.live.synced()
  hub.cut(one!.cluster.node)
  two!.live.broadcast('note', { text: 'between' })
  await tab.goTo(two!)
  t.equal(tab.verdicts.at(-1), 'resumed')
  t.strictSame(saidAt(two!, tab.session), ['a'])
  await until(() => tab.all.length === 2, 'the updates')
  t.strictSame(tab.all, ['before', 'between'])
})

t.test('an event takes a frozen session out of the engine, and it goes back', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2, { live: { ...keeping, persist: 'detach' } })
  const tab = await Tab.open(one!)
  tab.reader.destroy()
  await until(() => one!.live.get(tab.session) === undefined, 'the freeze')
  for (let seq = 1; seq <= 5; seq++) t.match(await post(seq % 2 === 0 ? one! : two!, tab.session, say(String(seq), seq)), { status: 202, json: { seq } })
  t.strictSame(saidAt(two!, tab.session), ['1', '2', '3', '4', '5'])
  await until(() => two!.live.get(tab.session) === undefined, 'the next freeze')
  await tab.goTo(one!)
  t.equal(tab.verdicts.at(-1), 'resumed')
  t.strictSame(saidAt(one!, tab.session), ['1', '2', '3', '4', '5'])
})

t.test('freezeMs: who posted leaves memory, who never did stays', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2, { live: { ...keeping, freezeMs: 100 } })
  const active = await Tab.open(one!)
  const silent = await Tab.open(one!)
  await post(one!, active.session, say('a', 1))
  // A stream in between starts the time anew.
  await active.goTo(one!)
  active.reader.destroy()
  silent.reader.destroy()
  await until(() => one!.live.get(active.session) === undefined, 'the freeze')
  t.ok(one!.live.get(silent.session))
  await active.goTo(two!)
  await silent.goTo(two!)
  t.strictSame([active.verdicts.at(-1), silent.verdicts.at(-1)], ['resumed', 'resumed'])
})

t.test('maxDetached: who posted goes into the engine, who never did is closed', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2, { live: keeping, tether: { maxDetached: 1 } })
  const tabs = [await Tab.open(one!), await Tab.open(one!), await Tab.open(one!), await Tab.open(one!)]
  for (const { session } of tabs.slice(0, 3)) await post(one!, session, say('a', 1))
  for (const { reader } of tabs.toReversed()) reader.destroy()
  await until(() => [...one!.live.sessions].length === 1, 'one is left')
  const kept = [...one!.live.sessions][0]!.id
  for (const tab of tabs) {
    if (tab.session === kept) continue
    await tab.goTo(two!)
    t.equal(tab.verdicts.at(-1), tab === tabs[3] ? 'expired' : 'resumed')
  }
})
