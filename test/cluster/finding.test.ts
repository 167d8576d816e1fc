// Sessions, users and groups over all nodes, for the application.
import { existsSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { EngineSource } from '../../plugin/cluster/engine.ts'
import { local } from '../../plugin/entries/local.ts'
import { memory } from '../../plugin/entries/memory.ts'
import { redis } from '../../plugin/entries/redis.ts'
import { startLive, type LiveConfig } from '../e2e/harness/live.ts'
import { post, readWhole } from '../e2e/harness/request.ts'
import { counting } from '../e2e/harness/claim.ts'
import { until } from '../e2e/harness/until.ts'
import { makeDirectory } from './harness/local-under-test.ts'
import { startNode, startNodes, type Node } from './harness/nodes.ts'
import { clientKinds } from './harness/redis-clients.ts'
import { program, startRedis } from './harness/redis-process.ts'
import { keeping, Tab } from './harness/tabs.ts'

const say = (text: string, seq: number) => ({ event: 'say', data: { text }, seq })
const as = (user: string) => ({ headers: { 'x-user': user } })
const ofUsers: LiveConfig = { ...keeping, bind: (request) => request.headers['x-user'] as string }
const note = (text: string) => ['note', { text }] as const

async function findAll (t: Test, engine: () => EngineSource): Promise<void> {
  const live: LiveConfig = { ...ofUsers, freezeMs: 1 }
  const nodes = [await startNode(t, engine(), { live }), await startNode(t, engine(), { live })]
  const [one, two] = nodes as [Node, Node]
  await until(() => nodes.every(({ cluster }) => cluster.nodes().length === 2 && cluster.status === 'ready'), 'both nodes')
  const here = await Tab.open(one, as('u1'))
  const there = await Tab.open(two, as('u1'))
  const other = await Tab.open(two, as('u2'))
  const away = await Tab.open(two, as('u1'))
  await request(two, away, 'u1')
  away.reader.destroy()
  await until(() => two.live.get(away.session) === undefined, 'the freeze')

  t.equal(one.live.user('u1').send(...note('for u1')), 1, 'the sessions of this node')
  for (const tab of [here, there]) await until(() => tab.all.includes('for u1'), 'the update')
  await away.goTo(one, as('u1'))
  await until(() => away.all.includes('for u1'), 'the update, when it comes back')
  t.strictSame(other.all, [])

  const found = await one.live.find(there.session)
  t.match(found, { node: two.cluster.node, connected: true })
  t.equal(found!.ref, two.live.get(there.session)!.ref)
  t.match(await two.live.find(found!.ref), { ref: found!.ref, node: two.cluster.node, connected: true })
  t.equal(await found!.send(...note('for one')), true)
  await until(() => there.all.includes('for one'), 'the update')

  for (const [node, tab] of [[one, here], [two, there], [two, other]] as const) node.live.group('some').add(node.live.get(tab.session)!)
  for (const node of nodes) await until(() => node.live.group('some').size === 3, 'the size')
  t.strictSame(nodes.map((node) => node.live.group('some').local.size), [1, 2])
  const members = await one.live.group('some').members()
  t.strictSame(members.map(({ node }) => node), [one.cluster.node, two.cluster.node, two.cluster.node], 'those of this node first')
  t.equal((await one.live.group('some').members({ limit: 2 })).length, 2)
  await t.rejects(found!.close('over', { reconect: true } as object), { code: 'FST_ERR_TETHER_ARGUMENT' })
  t.equal(await found!.close('over'), true)
  await until(() => there.reader.controls.some(({ reason }) => reason === 'over'), 'the goodbye')
  await until(() => two.live.get(there.session) === undefined, 'its end')
  t.equal(await found!.close(), false)
  t.equal(await one.live.find(there.session), null)
  for (const node of nodes) await until(() => node.live.group('some').size === 2, 'the size')
  await two.app.close()
  await until(() => one.live.group('some').size === 1, 'the size without the node')
}

async function request (node: Node, tab: Tab, user: string): Promise<void> {
  const response = await fetch(`${node.origin}/live`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-tether-session': tab.session, 'x-user': user }, body: JSON.stringify(say('x', 1)) })
  t.equal(response.status, 202)
}

t.test('users, sessions and groups over the hub in memory', (t) => {
  const hub = memory({ deadlineMs: 1_000 })
  return findAll(t, () => hub)
})

t.test('over the local hub', (t) => {
  const directory = makeDirectory({ after: (end) => { t.teardown(end) } })
  return findAll(t, () => local({ directory }))
})

t.test('over Redis', { skip: existsSync(program) ? false : `no ${program}` }, async (t) => {
  const server = await startRedis({ after: (end: () => unknown) => { t.teardown(end) } })
  const client = clientKinds[0]!.client(server.port)
  await findAll(t, () => redis(client))
})

t.test('all of it works without a cluster', async (t) => {
  const server = await startLive(t, { live: { ...keeping, bind: (request) => Number(request.headers['x-user']) } })
  const [one, two] = [await server.connect(as('1')), await server.connect(as('2'))]
  t.equal(server.live.user(1).send(...note('for 1')), 1)
  t.equal(server.live.user('1').send(...note('again')), 1)
  t.equal(server.live.user('nobody').send(...note('nobody')), 0)
  await until(() => one.reader.blocks.filter(({ event }) => event === 'note').length === 2, 'the updates')
  t.equal(two.reader.blocks.filter(({ event }) => event === 'note').length, 0)
  const found = (await server.live.find(two.session.id))!
  t.match(found, { ref: two.session.ref, node: 'local', connected: true })
  t.equal(two.session.ref.length, 22)
  t.match(await server.live.find(two.session.ref), { ref: two.session.ref })
  server.live.group('g').add(two.session)
  t.equal(server.live.group('g').size, 1)
  t.strictSame((await server.live.group('g').members()).map(({ ref }) => ref), [two.session.ref])
  t.equal(await found.send(...note('found')), true)
  await until(() => two.reader.blocks.some(({ event }) => event === 'note'), 'the update')
  t.equal(await found.close('over'), true)
  t.equal(await found.close(), false)
  t.equal(await found.send(...note('late')), false)
  t.equal(server.live.user('2').send(...note('late')), 0)
  t.equal(await server.live.find(two.session.id), null)
  t.strictSame(await server.live.group('g').members(), [])
  // A session that comes later is in both indexes.
  const three = await server.connect(as('2'))
  t.equal(server.live.user('2').send(...note('later')), 1)
  t.ok(await server.live.find(three.session.ref))
})

t.test('what is no user, session or limit', async (t) => {
  const { live } = await startLive(t, {})
  const argument = { code: 'FST_ERR_TETHER_ARGUMENT' }
  for (const id of [undefined, null, NaN, {}]) t.throws(() => live.user(id as never), argument)
  t.throws(() => live.user('x').send('note', undefined as never), { code: 'FST_ERR_TETHER_SERIALIZATION' })
  t.throws(() => live.user('x').send('nothing' as never, {} as never), { code: 'FST_ERR_TETHER_UNKNOWN_UPDATE' })
  for (const limit of [0, -1, 1.5, '5']) await t.rejects(live.group('g').members({ limit: limit as number }), argument)
  await t.rejects(live.group('g').members({ limt: 5 } as never), { ...argument, message: 'members() has no option "limt". Did you mean "limit"?' })
  await t.rejects(live.group('g').members(5 as never), { ...argument, message: 'the options of members() must be an object, got number' })
  for (const id of ['', 'short', 'x'.repeat(24), 'x'.repeat(22), undefined, 5]) t.equal(await live.find(id as string), null)
})

t.test('a session in the engine is found, gets its updates, and can be closed there', async (t) => {
  const closed: string[] = []
  const live: LiveConfig = { ...keeping, persist: 'detach', onClose: (session, reason) => { closed.push(`${reason} ${session.ref} ${(session.state as { said: string[] }).said.join()}`) } }
  const { nodes: [one, two] } = await startNodes(t, 2, { live })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, say('a', 1))
  tab.reader.destroy()
  await until(() => one!.live.get(tab.session) === undefined, 'the freeze')
  const found = (await two!.live.find(tab.session))!
  t.match(found, { node: null, connected: false })
  t.equal(await found.send(...note('frozen')), true)
  await tab.goTo(one!)
  await until(() => tab.all.includes('frozen'), 'the update')
  t.equal(tab.all.length, 1, 'once')
  tab.reader.destroy()
  await until(() => one!.live.get(tab.session) === undefined, 'the next freeze')
  t.equal(await found.close('over'), true)
  t.strictSame(closed, [`over ${found.ref} a`])
  t.equal(await found.close('over'), false)
  t.equal((await readWhole(one!, '/live', counting(tab.session, 0))).status, 204, 'closed for good')
})

t.test('a user\'s update that the log has forgotten is told as a gap', async (t) => {
  const live: LiveConfig = { ...keeping, bind: () => 'me', persist: 'detach' }
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { live }, { logEntries: 4 })
  const tab = await Tab.open(one!)
  tab.reader.destroy()
  await until(() => one!.live.get(tab.session) === undefined, 'the freeze')
  two!.live.user('me').send(...note('lost'))
  for (let round = 0; round < 8; round++) {
    two!.live.broadcast('note', { text: `${round}` })
    await two!.live.synced()
  }
  // This node has not read what the others still have in memory.
  const late = await startNode(t, hub, { live })
  await tab.goTo(late)
  t.equal(tab.verdicts.at(-1), 'gap')
})

t.test('with persist: \'never\', the nodes are asked', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2, { live: { ...keeping, persist: 'never' } })
  const tab = await Tab.open(two!)
  const found = (await one!.live.find(tab.session))!
  t.match(found, { node: two!.cluster.node, connected: true })
  t.equal(await one!.live.find('x'.repeat(24)), null)
  t.equal(await found.close('over'), true)
  await until(() => tab.reader.ended, 'the end')
  t.equal(await found.close('over'), false)
})

t.test('where a node does not answer, members() says so', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { live: keeping, cluster: { forwardMs: 200 } })
  hub.freeze(two!.cluster.node)
  await t.rejects(one!.live.group('g').members(), { code: 'FST_ERR_TETHER_UNAVAILABLE' })
  t.strictSame(await one!.live.group('g').local.members(), [])
})

t.test('sizes come to a node that starts late, and are right again after a loss', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { live: keeping })
  const tabs = [await Tab.open(one!), await Tab.open(one!)]
  for (const name of ['a', 'b', '__proto__']) one!.live.group(name).add(one!.live.get(tabs[0]!.session)!)
  const late = await startNode(t, hub, { live: keeping })
  for (const name of ['a', 'b', '__proto__']) await until(() => late.live.group(name).size === 1 && two!.live.group(name).size === 1, 'the sizes')
  hub.empty()
  one!.live.group('a').add(one!.live.get(tabs[1]!.session)!)
  one!.live.group('b').delete(one!.live.get(tabs[0]!.session)!)
  await until(() => late.live.group('a').size === 2 && late.live.group('b').size === 0, 'the new sizes')
  t.equal(late.live.group('a').local.size, 0)
})
