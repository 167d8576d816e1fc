// The way of a session between nodes, over engines of other processes.
import { existsSync } from 'node:fs'
import t, { type Test } from 'tap'
import { local } from '../../plugin/entries/local.ts'
import { redis } from '../../plugin/entries/redis.ts'
import type { EngineSource } from '../../plugin/cluster/engine.ts'
import { post } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { makeDirectory } from './harness/local-under-test.ts'
import { startNode } from './harness/nodes.ts'
import { clientKinds } from './harness/redis-clients.ts'
import { program, startRedis } from './harness/redis-process.ts'
import { keeping, saidAt, Tab } from './harness/tabs.ts'

const say = (text: string, seq: number) => ({ event: 'say', data: { text }, seq })

async function goAround (t: Test, engine: () => EngineSource): Promise<void> {
  const [one, two] = [await startNode(t, engine(), { live: keeping }), await startNode(t, engine(), { live: keeping })]
  const both = [one, two]
  await until(() => both.every(({ cluster }) => cluster.nodes().length === 2 && cluster.status === 'ready'), 'both nodes')
  const tab = await Tab.open(one)
  t.match(await post(two, tab.session, say('a', 1)), { status: 202, json: { seq: 1 } })
  const texts: string[] = []
  for (let round = 0; round < 4; round++) {
    for (const { live } of both) {
      texts.push(`${texts.length}`)
      live.broadcast('note', { text: texts.at(-1)! })
    }
    await tab.goTo(both[(round + 1) % 2]!)
  }
  await until(() => tab.all.length === texts.length, 'all updates')
  t.strictSame(tab.all.toSorted((left, right) => Number(left) - Number(right)), texts)
  t.strictSame(saidAt(one, tab.session), ['a'])
  await one.app.close()
  const three = await startNode(t, engine(), { live: keeping })
  await until(() => three.cluster.status === 'ready', 'the new node')
  t.match(await post(three, tab.session, say('b', 2)), { status: 202, json: { seq: 2 } })
  two.live.broadcast('note', { text: 'last' })
  await tab.goTo(two)
  await until(() => tab.all.at(-1) === 'last', 'the last update')
  t.equal(tab.all.length, texts.length + 1)
  t.strictSame(saidAt(two, tab.session), ['a', 'b'])
  t.strictSame(new Set(tab.verdicts.slice(1)), new Set(['resumed']))
  await two.live.get(tab.session)!.close()
  await until(() => two.live.get(tab.session) === undefined, 'the end')
  t.equal((await post(three, tab.session, say('c', 3))).status, 410)
}

t.test('over the local hub', async (t) => {
  const directory = makeDirectory({ after: (end) => { t.teardown(end) } })
  await goAround(t, () => local({ directory }))
})

t.test('over Redis', { skip: existsSync(program) ? false : `no ${program}` }, async (t) => {
  const scope = { after: (end: () => unknown) => { t.teardown(end) } }
  const server = await startRedis(scope)
  const client = clientKinds[0]!.client(server.port)
  await goAround(t, () => redis(client))
})
