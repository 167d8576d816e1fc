import fc from 'fast-check'
import t from 'tap'
import { escapePointer, unescapePointer } from '../../../schemas/json-pointer.ts'

t.test('a key as part of a pointer', async (t) => {
  for (const [key, part] of [['', ''], ['a b', 'a b'], ['a/b', 'a~1b'], ['m~n', 'm~0n'], ['~1', '~01'], ['/~/', '~1~0~1']] as const) {
    t.equal(escapePointer(key), part)
    t.equal(unescapePointer(part), key)
  }
})

t.test('every key comes back, and its part holds no slash', async () => {
  const key = fc.string({ unit: fc.constantFrom('a', '~', '/', '0', '1', '\u{1f600}') })
  fc.assert(fc.property(key, (key) => unescapePointer(escapePointer(key)) === key && !escapePointer(key).includes('/')))
})
