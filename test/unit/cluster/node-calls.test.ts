import t from 'tap'
import { NodeCalls, type Reply } from '../../../plugin/cluster/node-calls.ts'
import { packMessage, unpackMessage } from '../../../plugin/cluster/node-message.ts'
import { VirtualClock } from './virtual-clock.ts'

const unavailable = { code: 'FST_ERR_TETHER_UNAVAILABLE' }

/** Two nodes; `carry` says whether a message arrives, and how often. */
function pair (clock: VirtualClock, limits = { calls: 3, bytes: 10_000 }, carry: (bytes: Buffer) => number = () => 1): { one: NodeCalls, two: NodeCalls } {
  const nodes: Record<string, NodeCalls> = {}
  const make = (own: string) => new NodeCalls({
    limits,
    clock,
    send: async (node, message) => {
      const count = carry(message)
      for (let time = 0; time < count; time++) clock.setTimeout(() => { nodes[node]?.receive(own, message) }, 1)
    }
  })
  const one = nodes.one = make('one')
  const two = nodes.two = make('two')
  return { one, two }
}

t.test('a request gets its reply, also out of order', async (t) => {
  const clock = new VirtualClock()
  const { one, two } = pair(clock)
  two.respond('wait', (from, data) => new Promise<Reply>((resolve) => { clock.setTimeout(() => { resolve({ name: from, data }) }, data as number) }))
  const asked = Promise.all([30, 10].map(async (ms) => await one.ask('two', 'wait', ms, 100)))
  await clock.pass(50)
  t.match(await asked, [{ name: 'one', data: 30 }, { name: 'one', data: 10 }])
  t.equal(one.waiting, 0)
  t.equal(clock.pending, 0, 'no timer is left')
})

t.test('a request without a reply rejects in time, and a late reply is ignored', async (t) => {
  const clock = new VirtualClock()
  const { one, two } = pair(clock)
  two.respond('wait', () => new Promise<Reply>((resolve) => { clock.setTimeout(() => { resolve({ name: 'late', data: null }) }, 200) }))
  const asked = t.rejects(one.ask('two', 'wait', null, 100), unavailable)
  await clock.pass(99)
  t.equal(one.waiting, 1)
  await clock.pass(1)
  await asked
  await clock.pass(500)
  t.equal(one.waiting, 0)
})

t.test('requests that wait are bounded by count and bytes, at both ends', async (t) => {
  const clock = new VirtualClock()
  const { one, two } = pair(clock)
  let served = 0
  two.respond('wait', () => new Promise<Reply>((resolve) => {
    served++
    clock.setTimeout(() => { resolve({ name: 'done', data: null }) }, 20)
  }))
  const three = pair(clock, { calls: 10, bytes: 200 }).one
  const fit = Promise.all([1, 2, 3].map(async () => await one.ask('two', 'wait', null, 100)))
  await t.rejects(one.ask('two', 'wait', null, 100), unavailable, 'beyond the count')
  await t.rejects(three.ask('two', 'wait', 'x'.repeat(200), 100), unavailable, 'beyond the bytes')
  await clock.pass(50)
  await fit
  t.equal(served, 3)
  // A node may be asked by more than one.
  for (let id = 10; id < 15; id++) two.receive('other', packMessage({ kind: 'request', id, name: 'wait', data: null }))
  t.equal(served, 6)
  await clock.pass(50)
  two.receive('other', packMessage({ kind: 'request', id: 20, name: 'wait', data: null }))
  t.equal(served, 7, 'room again')
  await clock.pass(50)
})

t.test('what waits for a dead node is given up, and nothing else', async (t) => {
  const clock = new VirtualClock()
  let begins = 0
  const node = new NodeCalls({ limits: { calls: 5, bytes: 1_000 }, clock, send: async () => {}, onWaiting: () => { begins++ } })
  t.equal(node.waitedMs, 0)
  const dead = t.rejects(node.ask('dead', 'any', null, 1_000), unavailable)
  await clock.pass(30)
  const living = node.ask('living', 'any', null, 1_000)
  t.equal(begins, 1, 'once while any waits')
  t.equal(node.waitedMs, 30)
  node.abandon((name) => name === 'dead')
  await dead
  t.equal(node.waitedMs, 0)
  node.receive('living', packMessage({ kind: 'reply', id: 2, name: 'done', data: null }))
  t.match(await living, { name: 'done' })
  t.equal(clock.pending, 0, 'no timer is left')
})

t.test('a request that arrives twice runs once', async (t) => {
  const clock = new VirtualClock()
  const { one, two } = pair(clock, undefined, () => 2)
  let runs = 0
  two.respond('count', () => ({ name: 'done', data: ++runs }))
  const asked = one.ask('two', 'count', null, 100)
  await clock.pass(10)
  t.match(await asked, { name: 'done', data: 1 })
  t.equal(runs, 1)
})

t.test('what a node does not know is refused by a reply, and what is no message is counted', async (t) => {
  const clock = new VirtualClock()
  const replies: unknown[] = []
  const node = new NodeCalls({ limits: { calls: 3, bytes: 1_000 }, clock, send: async (to, bytes) => { replies.push([to, unpackMessage(bytes)]) } })
  node.respond('fails', () => { throw new Error('no') })
  node.receive('other', Buffer.from('[7,0,1,["of a later version"],{}]'))
  node.receive('other', packMessage({ kind: 'request', id: 2, name: 'nothing', data: null }))
  node.receive('other', packMessage({ kind: 'request', id: 3, name: 'fails', data: null }))
  await clock.pass(1)
  const reply = (id: number, name: string) => ['other', { kind: 'reply', id, name, data: null }]
  t.strictSame(replies, [reply(1, 'unknown'), reply(2, 'unknown'), reply(3, 'failed')])
  replies.length = 0
  for (const bytes of ['', '{', '{}', '[]', '[1,0,0,"a",null]', '[1,0,1.5,"a",null]', '[1,2,1,"a",null]', '[1,0,1,"",null]', `[1,0,1,"${'a'.repeat(65)}",null]`, '[1,0,1,5,null]']) node.receive('other', Buffer.from(bytes))
  t.equal(node.rejected, 11)
  node.receive('other', Buffer.from('[7,1,1,"a",null]'))
  t.equal(node.rejected, 12, 'a reply of a later version')
  t.strictSame(replies, [])
})

t.test('a request takes its trace along', async (t) => {
  const clock = new VirtualClock()
  const ran: unknown[] = []
  const traceLink = () => ({
    carry: () => 'a trace',
    within: <Result>(carried: string, run: () => Result) => {
      ran.push(carried)
      return run()
    },
    deliver () {}
  })
  const sent: Buffer[] = []
  const one = new NodeCalls({ limits: { calls: 3, bytes: 1_000 }, clock, traceLink, send: async (_to, bytes) => { sent.push(bytes) } })
  const asked = t.rejects(one.ask('two', 'any', null, 100), unavailable)
  t.equal(String(sent[0]), '[1,0,1,"any",null,"a trace"]')
  const two = new NodeCalls({ limits: { calls: 3, bytes: 1_000 }, clock, traceLink, send: async () => {} })
  const earlier = new NodeCalls({ limits: { calls: 3, bytes: 1_000 }, clock, send: async () => {} })
  for (const node of [two, earlier]) node.respond('any', () => { ran.push('responder'); return { name: 'done', data: null } })
  two.receive('one', sent[0]!)
  t.strictSame(ran, ['a trace', 'responder'])
  earlier.receive('one', sent[0]!)
  t.strictSame(ran, ['a trace', 'responder', 'responder'])
  two.receive('one', Buffer.from('[1,0,2,"any",null,5]'))
  t.equal(ran.length, 4, 'a trace that is none')
  one.close()
  await asked
})

t.test('only the node that was asked may reply', async (t) => {
  const clock = new VirtualClock()
  const node = new NodeCalls({ limits: { calls: 3, bytes: 1_000 }, clock, send: async () => {} })
  const asked = node.ask('two', 'any', null, 100)
  node.receive('three', packMessage({ kind: 'reply', id: 1, name: 'false', data: null }))
  t.equal(node.waiting, 1)
  node.receive('two', packMessage({ kind: 'reply', id: 1, name: 'true', data: null }))
  t.match(await asked, { name: 'true' })
})

t.test('a close rejects what waits', async (t) => {
  const clock = new VirtualClock()
  const { one } = pair(clock)
  const asked = t.rejects(one.ask('two', 'any', null, 100), unavailable)
  one.close()
  await asked
  await t.rejects(one.ask('two', 'any', null, 100), unavailable)
})
