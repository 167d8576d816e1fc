import t from 'tap'
import { createSessionId, refOf, shortSessionId } from '../../../plugin/sessions/session-id.ts'

const count = 20_000
const ids = Array.from({ length: count }, () => createSessionId())

t.test('24 characters that need no escape anywhere', async (t) => {
  t.equal(ids.find((id) => !/^[A-Za-z0-9_-]{24}$/.test(id)), undefined)
})

t.test('no two alike', async (t) => {
  t.equal(new Set(ids).size, count)
})

t.test('each of the 144 bits is set in about half of them', async (t) => {
  const set = new Array<number>(144).fill(0)
  for (const id of ids) {
    for (const [index, byte] of Buffer.from(id, 'base64url').entries()) {
      for (let bit = 0; bit < 8; bit++) set[index * 8 + bit]! += (byte >> bit) & 1
    }
  }
  t.equal(Buffer.from(ids[0]!, 'base64url').length, 18)
  // Seven standard deviations: one run in a thousand million fails by chance.
  const tolerance = 7 * Math.sqrt(count) / 2
  t.same(set.filter((times) => Math.abs(times - count / 2) > tolerance), [])
})

t.test('is shown shortened', async (t) => {
  t.equal(shortSessionId('abcdefghijklmnopqrstuvwx'), 'abcdef…')
})

t.test('has a ref for other nodes: the same each time, of another length, and without the id', async (t) => {
  const id = 'abcdefghijklmnopqrstuvwx'
  t.match(refOf(id), /^[A-Za-z0-9_-]{22}$/)
  t.equal(refOf(id), refOf(id))
  t.equal(new Set(ids.slice(0, 1_000).map(refOf)).size, 1_000)
  t.notMatch(refOf(id), id.slice(0, 6))
})
