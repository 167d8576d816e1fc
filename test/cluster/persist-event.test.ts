// persist: 'event': no accepted event is lost with its node, whatever the client.
import t from 'tap'
import type { Engine } from '../../plugin/cluster/engine.ts'
import { memory } from '../../plugin/entries/memory.ts'
import { post, request } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { openSocket } from '../e2e/harness/web-socket.ts'
import { startCrashing } from './harness/crashes.ts'
import { startNode } from './harness/nodes.ts'
import { saidAt, stateOf, Tab } from './harness/tabs.ts'

const say = (text: string, seq?: number) => ({ event: 'say', data: { text }, ...seq === undefined ? {} : { seq } })

t.test('events that were accepted run again on the next node, and count once', async (t) => {
  const { nodes: [one, two], told, crash, keptOf } = await startCrashing(t, 2, { persist: 'event' })
  const tab = await Tab.open(one!)
  t.match(await post(one!, tab.session, say('a', 1)), { status: 202, json: { seq: 1 } })
  await until(async () => (await keptOf(tab.session).journal()).length === 0, 'the snapshot empties the journal')
  const answers = [
    await post(one!, tab.session, [say('b', 2), say('c', 3)]),
    await post(two!, tab.session, say('from another node', 4)),
    await request(one!, '/live/say', { headers: { 'x-tether-session': tab.session, 'content-type': 'application/x-www-form-urlencoded' }, body: 'text=form' }),
    await post(one!, tab.session, say('without a number'))
  ]
  t.strictSame(answers.map(({ status }) => status), [202, 202, 204, 202])
  t.notOk('durable' in answers[0]!.json, 'it is')
  await crash(one!)
  await tab.comeTo(two!)
  t.match(tab.reader.controls[0], { verdict: 'gap', accepted: 4 })
  const all = ['a', 'b', 'c', 'from another node', 'form', 'without a number']
  await until(() => saidAt(two!, tab.session).length >= all.length, 'all events')
  t.strictSame(saidAt(two!, tab.session), all)
  const again = told.slice(told.indexOf('two restores crashed') + 1)
  t.strictSame(again, all.slice(all.length - again.length).map((text) => `two says ${text} again`), 'onRestore comes first, and the handlers know')
  t.match(await post(two!, tab.session, say('again', 4)), { status: 202, json: { seq: 4 } }, 'its number is known')
  await post(two!, tab.session, say('d', 5))
  t.equal(told.at(-1), 'two says d')
  t.strictSame(saidAt(two!, tab.session), [...all, 'd'])
  await until(async () => (await keptOf(tab.session).journal()).length === 0, 'the journal is empty')
})

t.test('events that wait behind a slow handler are not lost', async (t) => {
  const gates: Array<() => void> = []
  const again: string[] = []
  const { nodes: [one, two], crash, keptOf } = await startCrashing(t, 2, {
    persist: 'event',
    on: {
      say: async (session, { text }, { redelivered }) => {
        if (redelivered === true) again.push(text)
        if (text.startsWith('slow')) await new Promise<void>((resolve) => { gates.push(resolve) })
        stateOf(session).said.push(text)
      }
    }
  })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, [say('a'), say('slow 1'), say('b'), say('slow 2'), say('c')])
  await until(() => gates.length === 1, 'the first handler')
  // Backups that can wait are due together: once the other one is there, this one waits for its handler.
  const other = await Tab.open(one!)
  await post(one!, other.session, say('other'))
  await until(async () => (await keptOf(other.session).journal()).length === 0, 'a backup')
  gates[0]!()
  await until(() => gates.length === 2, 'the second handler')
  // A backup between the two holds what waits.
  await until(async () => (await keptOf(tab.session).journal()).length === 0, 'a backup')
  await post(one!, tab.session, say('d'))
  await crash(one!)
  await tab.comeTo(two!)
  for (let at = 2; at < 4; at++) {
    const gate = await until(() => gates[at] ?? (saidAt(two!, tab.session).length === 6 ? () => {} : undefined), 'a handler')
    gate()
  }
  await until(() => saidAt(two!, tab.session).length >= 6, 'all events')
  t.strictSame(saidAt(two!, tab.session), ['a', 'slow 1', 'b', 'slow 2', 'c', 'd'])
  t.strictSame(again, ['b', 'slow 2', 'c', 'd'])
})

t.test('where the journal does not take an event, it is refused and does not run', async (t) => {
  const { hub, nodes: [one], told } = await startCrashing(t, 1, { persist: 'event' })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, say('a', 1))
  hub.cut(one!.cluster.node)
  t.match(await post(one!, tab.session, say('b', 2)), { status: 503, json: { code: 'FST_ERR_TETHER_UNAVAILABLE' } })
  hub.mend(one!.cluster.node)
  await until(async () => (await post(one!, tab.session, say('b', 2))).status === 202, 'it is accepted')
  await until(() => told.length >= 2, 'it runs')
  t.strictSame(told, ['one says a', 'one says b'])
})

t.test('an answer that was lost on its way leaves nothing behind', async (t) => {
  const lost = { is: false }
  const wrap = (engine: Engine) => new Proxy(engine, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (name !== 'journal') return typeof value === 'function' ? value.bind(target) as unknown : value
      return async (...given: Parameters<NonNullable<Engine['journal']>>) => {
        const is = await target.journal!(...given)
        if (lost.is) throw new Error('no answer')
        return is
      }
    }
  })
  const { nodes: [one, two], told, crash, keptOf } = await startCrashing(t, 2, { persist: 'event' }, { wrap })
  const tab = await Tab.open(one!)
  lost.is = true
  t.equal((await post(one!, tab.session, say('refused'))).status, 503)
  lost.is = false
  await until(async () => (await keptOf(tab.session).journal()).length === 0, 'the next snapshot')
  await until(async () => (await post(one!, tab.session, say('a'))).status === 202, 'the next event')
  await crash(one!)
  await tab.comeTo(two!)
  await until(() => saidAt(two!, tab.session).length > 0, 'the event')
  t.strictSame(saidAt(two!, tab.session), ['a'])
  t.notMatch(told.join(), /refused/)
})

t.test('posts at the same time keep one order', async (t) => {
  // A slow machine works on all of them for longer than the usual lease.
  const { nodes: [one, two], crash } = await startCrashing(t, 2, { persist: 'event' }, { leaseMs: 3_000 })
  const tab = await Tab.open(one!)
  const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => post(one!, tab.session, say(String(index)))))
  t.ok(answers.every(({ status }) => status === 202))
  const order = [...saidAt(one!, tab.session)]
  t.equal(new Set(order).size, 40)
  await crash(one!)
  await tab.comeTo(two!)
  await until(() => saidAt(two!, tab.session).length >= 40, 'all events')
  t.strictSame(saidAt(two!, tab.session), order)
})

t.test('an engine without a journal refuses the mode', async (t) => {
  const hub = memory()
  class Plain {}
  const engineFor: typeof hub.engineFor = (application) => Object.assign(Object.create(Plain.prototype), {
    ...boundTo(hub.engineFor(application)), can: { durable: false, due: true, journal: false }
  })
  await t.rejects(startNode(t, { engineFor }, { live: { persist: 'event' } }), { code: 'FST_ERR_TETHER_OPTION', message: /option "persist" .*"event".*Plain/ })
  await t.resolves(startNode(t, { engineFor }, { live: { persist: 'command' } }))
})

function boundTo (engine: object): object {
  const names = ['open', 'append', 'range', 'send', 'get', 'put', 'renew', 'nodes', 'due', 'close'] as const
  return Object.fromEntries(names.map((name) => [name, (...given: unknown[]) => (engine as Record<string, (...given: unknown[]) => unknown>)[name]!(...given)]))
}

t.test('over a WebSocket each answer waits for the journal, in the order of the messages', async (t) => {
  let isSlow = false
  const held: Array<() => void> = []
  const slow = (engine: Engine): Engine => {
    const journal = engine.journal!.bind(engine)
    engine.journal = async (...given) => {
      if (isSlow) await new Promise<void>((resolve) => { held.push(resolve) })
      return await journal(...given)
    }
    return engine
  }
  const { nodes: [one, two], crash, keptOf } = await startCrashing(t, 2, { persist: 'event', mode: 'both' } as never, { wrap: slow, leaseMs: 1_500 })
  const tab = await openSocket(one!, '/live', { session: 'new' })
  await until(() => tab.controls.length === 1, 'the hello')
  const { session } = tab.controls[0] as { session: string }
  isSlow = true
  tab.socket.send(JSON.stringify(say('a', 1)))
  // No event: it is refused at once, and told in its turn.
  tab.socket.send('5')
  tab.socket.send(JSON.stringify([say('b', 2), say('c', 3)]))
  await until(() => held.length === 1, 'the journal')
  t.equal(tab.controls.length, 1, 'no answer comes before the journal has the first event')
  t.strictSame(saidAt(one!, session), [])
  isSlow = false
  held[0]!()
  await until(() => tab.controls.length === 4, 'the answers')
  t.match(tab.controls.slice(1), [{ type: 'answer', status: 202, seq: 1 }, { type: 'answer', status: 400 }, { type: 'answer', status: 202, seq: 3 }])
  await crash(one!)
  const openAgain = () => openSocket(two!, '/live', { session, lastEventId: `${session}.0` })
  let again = await openAgain()
  await until(async () => {
    // A node that does not know yet that the other is dead closes.
    if (again.closed && again.controls.length === 0) again = await openAgain()
    return again.controls.length > 0
  }, 'the hello of the next node')
  t.match(again.controls[0], { verdict: 'gap', accepted: 3 })
  await until(() => saidAt(two!, session).length === 3, 'all events')
  t.strictSame(saidAt(two!, session), ['a', 'b', 'c'])
  await until(async () => (await keptOf(session).journal()).length === 0, 'the journal is empty')
})
