// persist: 'command': what a session did survives the crash of its node, and its client sends the rest again.
import t from 'tap'
import { counting, exactly } from '../e2e/harness/claim.ts'
import { post } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { connectTo, startCrashing } from './harness/crashes.ts'
import type { Node } from './harness/nodes.ts'
import { comeTo, saidAt, stateOf, Tab } from './harness/tabs.ts'

const say = (text: string, seq: number) => ({ event: 'say', data: { text }, seq })

/** Waits until the engine has all that a session accepted. */
async function durable (node: Node, session: string, last: number): Promise<void> {
  await until(async () => (await post(node, session, say('', last))).json.durable === undefined, 'all is in the engine')
}

t.test('a session with an open stream survives the crash of its node, and its client is told the gap', async (t) => {
  const { nodes: [one, two], told, crash, keptOf } = await startCrashing(t, 2, { persist: 'command', onConnect: (session, { verdict, restored }) => { told.push(`${verdict} ${restored}`) } })
  const tab = await Tab.open(one!)
  one!.live.group('some').add(one!.live.get(tab.session)!)
  t.match(await post(one!, tab.session, say('a', 1)), { status: 202, json: { seq: 1, durable: 0 } }, 'the answer does not wait for the engine')
  await post(one!, tab.session, say('b', 2))
  await durable(one!, tab.session, 2)
  await crash(one!)
  await tab.comeTo(two!)
  t.match(tab.reader.controls[0], { verdict: 'gap', accepted: 2, session: tab.session })
  t.strictSame(saidAt(two!, tab.session), ['a', 'b'])
  t.ok(two!.live.group('some').local.has(two!.live.get(tab.session)!), 'its groups too')
  await until(() => told.includes('gap crashed'), 'onConnect')
  t.strictSame(told, ['new null', 'one says a', 'one says b', 'two restores crashed', 'gap crashed'])
  t.match(await keptOf(tab.session).record(), { status: 'live', owner: two!.cluster.node, epoch: 2 })

  two!.live.group('some').broadcast('note', { text: 'on' })
  await post(two!, tab.session, say('c', 3))
  await until(() => tab.all.includes('on'), 'updates')
  t.strictSame(saidAt(two!, tab.session), ['a', 'b', 'c'])
  two!.live.get(tab.session)!.close()
  await until(async () => (await keptOf(tab.session).record())?.status !== 'live', 'the record ends')
  t.notMatch(await keptOf(tab.session).record(), { backup: Buffer }, 'and its backup with it')
})

t.test('a client that loses the hello of the gap is told again', async (t) => {
  const { nodes: [one, two, three], crash } = await startCrashing(t, 3, { persist: 'command' })
  const tabs: Tab[] = []
  for (const isCounting of [true, false]) {
    const tab = await Tab.open(one!, { isCounting })
    await post(one!, tab.session, say('a', 1))
    one!.live.get(tab.session)!.send('note', { text: 'private' })
    await until(() => tab.all.includes('private'), 'the update')
    await durable(one!, tab.session, 1)
    tabs.push(tab)
  }
  const lasts = tabs.map(({ last }) => last)
  await crash(one!)
  for (const [index, tab] of tabs.entries()) {
    for (const node of [two!, two!, three!]) {
      const reader = await comeTo(node, { headers: tab.isCounting ? counting(tab.session, lasts[index]!) : exactly(tab.session, lasts[index]!) })
      await until(() => reader.controls.length > 0, 'the hello')
      t.equal(reader.controls[0]!.verdict, 'gap')
      reader.destroy()
    }
  }
})

t.test('a session that had no event yet survives too', async (t) => {
  const { nodes: [one, two], crash } = await startCrashing(t, 2, { persist: 'command' })
  const tab = await Tab.open(one!)
  const { session } = tab
  await crash(one!)
  t.equal(await tab.comeTo(two!), 'gap')
  t.equal(tab.reader.session, session)
})

t.test('the client sends again what the engine did not have, and each event counts once', async (t) => {
  const { hub, nodes: [one, two], crash } = await startCrashing(t, 2, { persist: 'command' })
  const target = { origin: one!.origin }
  const client = connectTo(t, target)
  await client.emit('say', { text: 'a' })
  await durable(one!, client.session!, 1)
  hub.cut(one!.cluster.node)
  // Its lease still runs.
  const sent = Promise.all(['b', 'c', 'd'].map((text) => client.emit('say', { text })))
  await Promise.race([sent, until(() => one!.cluster.status === 'isolated', 'its end')])
  t.comment(`the node has run ${saidAt(one!, client.session!).length} events`)
  target.origin = two!.origin
  await crash(one!)
  await sent
  const last = client.emit('say', { text: 'e' })
  await until(() => two!.live.get(client.session!) !== undefined && saidAt(two!, client.session!).length >= 5, 'all events')
  await last
  t.strictSame(saidAt(two!, client.session!), ['a', 'b', 'c', 'd', 'e'])
})

t.test('half of a handler is in no backup', async (t) => {
  let release = () => {}
  const { nodes: [one, two], crash } = await startCrashing(t, 2, {
    persist: 'command',
    on: {
      say: async (session, { text }) => {
        stateOf(session).said.push(`${text} begins`)
        if (text === 'slow') {
          session.send('note', { text: 'half' })
          await new Promise<void>((resolve) => { release = resolve })
        }
        stateOf(session).said.push(`${text} ends`)
      }
    }
  })
  const target = { origin: one!.origin }
  const client = connectTo(t, target)
  await client.emit('say', { text: 'a' })
  await durable(one!, client.session!, 1)
  await client.emit('say', { text: 'slow' })
  await until(() => saidAt(one!, client.session!).includes('slow begins'), 'the handler runs')
  target.origin = two!.origin
  await crash(one!)
  await until(() => two!.live.get(client.session!) !== undefined && saidAt(two!, client.session!).includes('slow begins'), 'the handler runs again')
  release()
  await until(() => saidAt(two!, client.session!).length === 4, 'its end')
  t.strictSame(saidAt(two!, client.session!), ['a begins', 'a ends', 'slow begins', 'slow ends'])
})

t.test('whoever takes the session owes the gap, wherever the page goes', async (t) => {
  const { nodes: [one, two, three], crash, told } = await startCrashing(t, 3, { persist: 'command' })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, say('a', 1))
  await durable(one!, tab.session, 1)
  one!.live.broadcast('note', { text: 'before' })
  await until(() => tab.all.includes('before'), 'a broadcast')
  await crash(one!)
  await until(async () => (await post(two!, tab.session, say('b', 2))).status === 202, 'another node takes the session')
  t.equal(await tab.comeTo(three!), 'gap')
  t.strictSame(saidAt(three!, tab.session), ['a', 'b'])
  three!.live.broadcast('note', { text: 'behind' })
  await until(() => tab.all.includes('behind'), 'a broadcast')
  t.strictSame(tab.all, ['before', 'GAP', 'behind'], 'what the page may have does not come again')
  t.strictSame(told, ['one says a', 'two restores crashed', 'two says b', 'three restores moved'])
  await tab.goTo(two!)
  t.equal(tab.verdicts.at(-1), 'resumed', 'it was told')
})

t.test('a node that others took for dead brings the log to its client until that leaves: nothing comes twice', async (t) => {
  const { hub, nodes: [one, two] } = await startCrashing(t, 2, { persist: 'command' })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, say('a', 1))
  await durable(one!, tab.session, 1)
  hub.cut(one!.cluster.node)
  await until(async () => (await post(two!, tab.session, say('b', 2))).status === 202, 'another node takes the session')
  two!.live.broadcast('note', { text: 'in between' })
  await two!.live.synced()
  hub.mend(one!.cluster.node)
  await until(() => tab.all.includes('in between'), 'the log goes on at the first node')
  t.equal(await tab.comeTo(two!), 'gap')
  two!.live.broadcast('note', { text: 'last' })
  await until(() => tab.all.includes('last'), 'updates')
  t.strictSame(tab.all.filter((text) => text === 'in between'), ['in between'])
})

t.test('a crash of the next node, before it wrote anything itself', async (t) => {
  const { nodes: [one, two, three], crash } = await startCrashing(t, 3, { persist: 'command' })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, say('a', 1))
  await durable(one!, tab.session, 1)
  await crash(one!)
  const held = two!.live.get(tab.session)
  t.equal(held, undefined)
  await tab.comeTo(two!)
  await crash(two!)
  t.equal(await tab.comeTo(three!), 'gap')
  t.strictSame(saidAt(three!, tab.session), ['a'])
})

t.test('many commands share writes, and one session has one write at a time', async (t) => {
  const { nodes: [one], puts } = await startCrashing(t, 1, { persist: 'command', commandBuffer: 1_000 })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, say('0', 1))
  await durable(one!, tab.session, 1)
  const before = puts.count
  await post(one!, tab.session, Array.from({ length: 32 }, (_, index) => say(String(index), index + 2)))
  await Promise.all(Array.from({ length: 32 }, () => one!.live.get(tab.session)!.update(() => {})))
  await durable(one!, tab.session, 33)
  t.ok(puts.count - before <= 4, `${puts.count - before} writes for 64 commands`)
  t.equal(puts.most, 1)
})

t.test('a session without a stream whose node dies ends on another one', async (t) => {
  const { nodes: [one], told, crash } = await startCrashing(t, 2, { persist: 'command', reconnectMs: 300 })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, say('a', 1))
  tab.reader.destroy()
  await until(() => one!.live.get(tab.session)?.connected === false, 'it has no stream')
  await durable(one!, tab.session, 1)
  await crash(one!)
  await until(() => told.includes('two closes reconnect-timeout'), 'its end')
  t.equal(told.filter((text) => text.includes('two closes')).length, 1)
})

t.test('answers, heartbeats and hellos say what is durable', async (t) => {
  let release = () => {}
  const { nodes: [one] } = await startCrashing(t, 1, {
    persist: 'command',
    on: { say: (_session, { text }) => text === 'slow' ? new Promise<void>((resolve) => { release = resolve }) : undefined }
  }, { heartbeatMs: 50 })
  const tab = await Tab.open(one!)
  const beats = () => tab.reader.controls.filter(({ type }) => type === 'heartbeat')
  await until(() => beats().length > 0, 'a heartbeat')
  t.notOk('durable' in beats()[0]!, 'no event was accepted')
  await post(one!, tab.session, say('a', 1))
  await until(() => beats().some(({ durable }) => durable === 1), 'a heartbeat that says it')
  t.match(await post(one!, tab.session, say('slow', 2)), { status: 202, json: { seq: 2, durable: 1 } })
  t.match(await post(one!, tab.session, say('slow', 2)), { status: 202, json: { seq: 2, durable: 1 } })
  await tab.goTo(one!)
  t.match(tab.reader.controls[0], { verdict: 'resumed', accepted: 2, durable: 1 })
  release()
  await until(() => beats().some(({ durable }) => durable === 2), 'the next one')
  await tab.goTo(one!)
  t.match(tab.reader.controls[0], { verdict: 'resumed', accepted: 2 })
  t.notOk('durable' in tab.reader.controls[0]!, 'all is')
})
