import t from 'tap'
import { isRecord } from '../../../schemas/record.ts'

t.test('an object with keys, and nothing else', async (t) => {
  for (const value of [{}, { a: 1 }, Object.create(null), new Date()]) t.ok(isRecord(value), String(value?.constructor?.name))
  for (const value of [null, undefined, [], 'x', 5, true, () => {}, Symbol('x')]) t.notOk(isRecord(value), String(value))
})
