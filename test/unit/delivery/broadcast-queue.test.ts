import { deepStrictEqual, equal } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Audience } from '../../../plugin/delivery/audience.ts'
import type { BroadcastMember } from '../../../plugin/delivery/broadcast-member.ts'
import { BroadcastQueue } from '../../../plugin/delivery/broadcast-queue.ts'
import { ByteBudget } from '../../../plugin/delivery/byte-budget.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { defaults } from '../../../schemas/defaults.ts'

class Member implements BroadcastMember {
  readonly isInStep = false
  deliveredUpTo: number
  readonly got: string[] = []
  readonly calls: Array<number | 'scheduled'> = []
  onAppended: () => void = () => {}

  constructor (deliveredUpTo = 0) {
    this.deliveredUpTo = deliveredUpTo
  }

  leaveStep (): void {}

  append (frame: Frame): void {
    this.got.push(frame.text)
  }

  writeAppended (now: number): void {
    this.calls.push(now)
    this.onAppended()
  }

  scheduleAppended (): void {
    this.calls.push('scheduled')
    this.onAppended()
  }
}

function audienceOf (...members: Member[]): Audience<Member> {
  const audience = new Audience<Member>()
  for (const member of members) audience.add(member)
  return audience
}

function queueOf () {
  const budget = new ByteBudget(Infinity)
  const run = { wakes: 0, budget, queue: new BroadcastQueue(budget, { wake: () => { run.wakes++ } }) }
  return run
}

t.test('a call delivers nothing itself, and wakes once', async (t) => {
  const run = queueOf()
  const { queue, budget } = run
  const member = new Member()
  const members = audienceOf(member)
  t.equal(queue.isEmpty, true)
  queue.push(members, null, new Frame('a'))
  queue.push(members, null, new Frame('bc'))
  t.equal(run.wakes, 1)
  t.equal(queue.isEmpty, false)
  t.same(member.got, [])
  t.equal(budget.used, 3, 'what is on its way counts')

  t.equal(queue.deliver(7, Infinity), true)
  t.same(member.got, ['a', 'bc'])
  t.same(member.calls, [7], 'both are written together')
  t.equal(budget.used, 0)
  t.equal(queue.isEmpty, true)
  queue.push(members, null, new Frame('d'))
  t.equal(run.wakes, 2)
})

t.test('one may be left out', async (t) => {
  const { queue } = queueOf()
  const [a, b] = [new Member(), new Member()]
  const members = audienceOf(a, b)
  queue.push(members, null, new Frame('1'))
  queue.push(members, a, new Frame('2'))
  queue.push(members, b, new Frame('3'))
  queue.deliver(0, Infinity)
  t.same(a.got, ['1', '3'])
  t.same(b.got, ['1', '2'])
})

t.test('who catches up gets what is for it at once, and not again', async (t) => {
  const { queue } = queueOf()
  const [a, b] = [new Member(), new Member()]
  queue.push(audienceOf(a), null, new Frame('a'))
  queue.push(audienceOf(b), null, new Frame('b'))
  queue.push(audienceOf(a, b), b, new Frame('not b'))
  queue.catchUp(b)
  t.same(b.got, ['b'])
  t.same(b.calls, ['scheduled'])
  queue.catchUp(b)
  queue.deliver(0, Infinity)
  t.same(b.got, ['b'])
  t.same(a.got, ['a', 'not b'])
})

t.test('a member that came later gets what came later', async (t) => {
  const { queue } = queueOf()
  const members = audienceOf(new Member())
  queue.push(members, null, new Frame('before'))
  const late = new Member(queue.lastNumber)
  members.add(late)
  queue.push(members, null, new Frame('after'))
  queue.deliver(0, Infinity)
  t.same(late.got, ['after'])
})

t.test('delivery goes on where its time was up', async (t) => {
  const { queue } = queueOf()
  const members = audienceOf(...Array.from({ length: 40 }, () => new Member()))
  queue.push(members, null, new Frame('x'))
  const served = () => [...members.members].filter(({ got }) => got.length === 1).length
  // A time that is over already: so long as sixteen take.
  t.equal(queue.deliver(0, 0), false)
  t.equal(served(), 16)
  t.equal(queue.deliver(0, 0), false)
  t.equal(served(), 32)
  t.equal(queue.deliver(0, 0), true)
  t.equal(served(), 40)
})

t.test('beyond its limits the caller waits while they are delivered', async (t) => {
  const { broadcastFrames, broadcastBytes } = defaults.fixed
  const { queue, budget } = queueOf()
  const member = new Member()
  const members = audienceOf(member)
  for (let count = 0; count < broadcastFrames; count++) queue.push(members, null, new Frame('x'))
  t.equal(member.got.length, 0)
  queue.push(members, null, new Frame('x'))
  t.equal(member.got.length, broadcastFrames + 1)
  queue.push(members, null, new Frame('x'.repeat(broadcastBytes)))
  t.equal(member.got.length, broadcastFrames + 1)
  queue.push(members, null, new Frame('x'))
  t.equal(member.got.length, broadcastFrames + 3)
  t.equal(budget.used, 0)
})

t.test('a member may broadcast while it is served, beyond the limits too', async (t) => {
  const { queue } = queueOf()
  const [a, b] = [new Member(), new Member()]
  const members = audienceOf(a, b)
  const expected = ['first']
  a.onAppended = () => {
    a.onAppended = () => {}
    for (let count = 0; count <= defaults.fixed.broadcastFrames; count++) {
      queue.push(members, null, new Frame(`${count}`))
      expected.push(`${count}`)
    }
    queue.catchUp(b)
  }
  queue.push(members, null, new Frame('first'))
  t.equal(queue.deliver(0, Infinity), true)
  t.same(a.got, expected)
  t.same(b.got, expected)
})

t.test('a member that throws does not stop the queue', async (t) => {
  const { queue } = queueOf()
  const member = new Member()
  member.onAppended = () => { throw new Error('broken') }
  queue.push(audienceOf(member), null, new Frame('x'))
  t.throws(() => queue.deliver(0, Infinity), /broken/)
  t.equal(queue.deliver(0, Infinity), true)
  t.equal(queue.isEmpty, true)
})

interface Step {
  readonly kind: 'broadcast' | 'send' | 'join' | 'leave' | 'slice' | 'deliver'
  readonly member: number
  readonly group: number
  readonly except: boolean
}

const steps: fc.Arbitrary<Step[]> = fc.array(fc.record({
  kind: fc.constantFrom('broadcast', 'broadcast', 'send', 'join', 'leave', 'slice', 'deliver'),
  member: fc.nat({ max: 39 }),
  group: fc.nat({ max: 2 }),
  except: fc.boolean()
}), { maxLength: 80, size: 'max' })

t.test('nobody can tell the difference from delivery at once', async (t) => {
  fc.assert(fc.property(steps, (steps) => {
    const { queue, budget } = queueOf()
    const members = Array.from({ length: 40 }, () => new Member())
    const expected = members.map((): string[] => [])
    const groups = Array.from({ length: 3 }, () => audienceOf(...members.slice(0, 20)))
    for (const [index, { kind, member: at, group: groupIndex, except }] of steps.entries()) {
      const member = members[at]!
      const group = groups[groupIndex]!
      if (kind === 'broadcast') {
        queue.push(group, except ? member : null, new Frame(`${index}`))
        for (const [place, other] of members.entries()) {
          if (group.members.has(other) && !(except && other === member)) expected[place]!.push(`${index}`)
        }
      } else if (kind === 'send') {
        queue.catchUp(member)
        member.append(new Frame(`own ${index}`))
        expected[at]!.push(`own ${index}`)
      } else if (kind === 'join' || kind === 'leave') {
        queue.catchUp(member)
        if (kind === 'join') group.add(member)
        else group.delete(member)
      } else queue.deliver(0, kind === 'slice' ? 0 : Infinity)
    }
    queue.deliver(0, Infinity)
    equal(queue.isEmpty, true)
    equal(budget.used, 0)
    deepStrictEqual(members.map(({ got }) => got), expected)
  }), { numRuns: 300 })
  t.pass('for any steps')
})
