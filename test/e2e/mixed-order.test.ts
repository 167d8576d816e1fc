import t from 'tap'
import { exactly } from './harness/claim.ts'
import { startLive, type LiveSession } from './harness/live.ts'
import type { Reader } from './harness/reader.ts'
import { rows } from './harness/rows.ts'
import { protocols } from './harness/server.ts'
import { turns, until } from './harness/until.ts'

interface Member {
  readonly session: LiveSession
  reader: Reader
  /** What it is to get, in order. */
  readonly expected: number[]
  /** What earlier streams brought it. */
  readonly earlier: number[]
  readonly groups: Set<string>
}

/** Uniform whole numbers below a bound, the same ones for a seed. */
function numbersOf (seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * bound)
  }
}

const names = ['a', 'b', 'c']

for (const protocol of protocols) {
  t.test(`${protocol}: sends and broadcasts arrive in the order of the calls, whoever joins, leaves, comes back or closes`, async (t) => {
    for (const seed of [1, 2, 3]) {
      const random = numbersOf(seed)
      const { connect, live } = await startLive(t, { protocol, live: { replayFrames: 10_000, replayBytes: 10_000_000, queueFrames: 10_000 } })
      const connectOne = async (index: number): Promise<Member> => {
        const { session, reader } = await connect({ headers: { 'x-tether-session': index % 2 === 0 ? 'new' : undefined } })
        return { session, reader, expected: [], earlier: [], groups: new Set() }
      }
      const members: Member[] = []
      for (let index = 0; index < 8; index++) members.push(await connectOne(index))
      const closed = new Set<Member>()
      let number = 0
      const give = (wanted: (member: Member) => boolean): void => {
        for (const member of members) if (!closed.has(member) && wanted(member)) member.expected.push(number)
      }
      for (let step = 0; step < 600; step++) {
        const member = members[random(members.length)]!
        const name = names[random(names.length)]!
        const group = live.group(name)
        const operation = random(100)
        number++
        if (operation < 30) {
          live.broadcast('row', String(number))
          give(() => true)
        } else if (operation < 50) {
          group.broadcast('row', String(number))
          give(({ groups }) => groups.has(name))
        } else if (operation < 60) {
          group.broadcastExcept(member.session, 'row', String(number))
          give((other) => other.groups.has(name) && other !== member)
        } else if (operation < 78) {
          // Handlers that were accepted before may still send; this is not one.
          if (closed.has(member)) continue
          member.session.send('row', String(number))
          give((other) => other === member)
        } else if (operation < 86) {
          if (group.add(member.session)) member.groups.add(name)
        } else if (operation < 92) {
          if (group.delete(member.session)) member.groups.delete(name)
        } else if (operation < 97) {
          await turns(1 + random(3))
        } else if (operation < 99) {
          if (closed.has(member)) continue
          // What it has seen, it has; the rest comes again.
          member.reader.destroy()
          const seen = rows(member.reader)
          member.earlier.push(...seen)
          const header = exactly(member.session.id, member.earlier.length)
          member.reader = (await connect({ headers: header })).reader
        } else if (closed.size < 2) {
          member.session.close()
          closed.add(member)
        }
      }
      for (const { expected, earlier, reader } of members) {
        await until(() => earlier.length + rows(reader).length >= expected.length, 'everything')
      }
      await turns(5)
      for (const [index, { expected, earlier, reader }] of members.entries()) {
        t.same([...earlier, ...rows(reader)], expected, `seed ${seed}, session ${index + 1}`)
      }
      t.same(live.group('a').size + live.group('b').size + live.group('c').size,
        members.filter((member) => !closed.has(member)).reduce((sum, { groups }) => sum + groups.size, 0), 'who closed is in no group')
      for (const { reader } of members) reader.destroy()
    }
  })
}
