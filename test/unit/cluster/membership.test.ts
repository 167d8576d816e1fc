import t from 'tap'
import { Membership, type MembershipParts } from '../../../plugin/cluster/membership.ts'
import { VirtualClock } from './virtual-clock.ts'

const card = { sessions: 3, startedAt: 5, draining: false }

function start (engine: Partial<MembershipParts['engine']>) {
  const clock = new VirtualClock()
  const membership = new Membership({ node: 'self', leaseMs: 1_000, clock, card: () => card, engine: { renew: async () => {}, nodes: async () => new Map(), ...engine } })
  return { clock, membership }
}

t.test('the lease counts from before the node asked', async (t) => {
  const { clock, membership } = start({ renew: () => new Promise((resolve) => { clock.setTimeout(resolve, 400) }) })
  t.equal(membership.leaseUntil, 0)
  const askedAt = clock.now()
  const renewed = membership.renew()
  await clock.pass(400)
  await renewed
  t.equal(membership.leaseUntil, askedAt + 1_000)
})

t.test('a lease that was not renewed runs out', async (t) => {
  const { membership } = start({ renew: () => Promise.reject(new Error('no answer')) })
  await t.rejects(membership.renew(), { message: 'no answer' })
  t.equal(membership.leaseUntil, 0)
})

t.test('cards of others are read with care', async (t) => {
  const cards = { good: '{"sessions":7,"startedAt":9,"draining":true,"more":1}', empty: '', list: '[]', null: 'null', odd: '{"sessions":"7","startedAt":null,"draining":1}' }
  const { membership } = start({ nodes: async () => new Map(Object.entries({ self: 'old', ...cards }).map(([name, text]) => [name, Buffer.from(text)])) })
  await membership.read()
  const nothing = { isSelf: false, sessions: 0, startedAt: 0, draining: false }
  t.strictSame(membership.nodes, [
    { name: 'self', isSelf: true, ...card },
    { name: 'good', isSelf: false, sessions: 7, startedAt: 9, draining: true },
    ...['empty', 'list', 'null', 'odd'].map((name) => ({ name, ...nothing }))
  ])
  t.equal(membership.has('self'), true)
  membership.left('good')
  t.equal(membership.has('good'), false)
})

t.test('another node waits for lost records for a lease at most', async (t) => {
  let recoveringMs = 400
  let wroteAt = 1
  const { clock, membership } = start({ nodes: async () => new Map([['other', Buffer.from(JSON.stringify({ wroteAt, recoveringMs }))]]) })
  t.equal(membership.recoveringUntil, 0)
  const readAt = clock.now()
  await membership.read()
  t.equal(membership.recoveringUntil, readAt + 400)
  await clock.pass(300)
  await membership.read()
  t.equal(membership.recoveringUntil, readAt + 400, 'the same card says nothing new')
  wroteAt = 2
  recoveringMs = 1e9
  await membership.read()
  t.equal(membership.recoveringUntil, readAt + 300 + 1_000)
  membership.left('other')
  t.equal(membership.recoveringUntil, 0)
})

t.test('a late list does not replace a later one', async (t) => {
  const answers: Array<(nodes: Map<string, Buffer>) => void> = []
  const { membership } = start({ nodes: () => new Promise((resolve) => { answers.push(resolve) }) })
  const reads = [membership.read(), membership.read()]
  answers[1]!(new Map([['new', Buffer.from('{}')]]))
  answers[0]!(new Map([['old', Buffer.from('{}')]]))
  await Promise.all(reads)
  t.strictSame(membership.nodes.map(({ name }) => name), ['self', 'new'])
})

t.test('a list counts that comes while a later one is asked for', async (t) => {
  const answers: Array<(nodes: Map<string, Buffer>) => void> = []
  const { membership } = start({ nodes: () => new Promise((resolve) => { answers.push(resolve) }) })
  const first = membership.read()
  membership.read()
  answers[0]!(new Map([['one', Buffer.from('{}')]]))
  await first
  t.equal(membership.has('one'), true, 'whoever asked must not take it for dead')
})

t.test('the wall clocks of all nodes bound the time', async (t) => {
  const wall = Date.now()
  const cards = { ahead: wall + 60_000, behind: wall - 60_000 }
  const { clock, membership } = start({ nodes: async () => new Map(Object.entries(cards).map(([name, wroteAt]) => [name, Buffer.from(JSON.stringify({ ...card, wroteAt }))])) })
  const near = (time: number, expected: number) => Math.abs(time - expected) < 5_000
  t.ok(near(membership.wallTime.earliest, wall) && near(membership.wallTime.latest, wall), 'alone')
  await membership.read()
  t.ok(near(membership.wallTime.latest, wall + 60_000))
  t.ok(near(membership.wallTime.earliest, wall - 60_000))
  // The clock of a node goes on while its card is the same.
  await clock.pass(30_000)
  await membership.read()
  t.ok(near(membership.wallTime.latest, wall + 90_000))
})

t.test('nodes whose clocks agree change nothing', async (t) => {
  const { membership } = start({ nodes: async () => new Map([['late', Buffer.from(JSON.stringify({ ...card, wroteAt: Date.now() - 300 }))], ['old', Buffer.from(JSON.stringify(card))]]) })
  await membership.read()
  const before = Date.now()
  const { earliest, latest } = membership.wallTime
  for (const time of [earliest, latest]) t.ok(time >= before && time <= Date.now())
})
