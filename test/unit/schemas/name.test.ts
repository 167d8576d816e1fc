import fc from 'fast-check'
import t from 'tap'
import { nameFault } from '../../../schemas/name.ts'

t.test('names that can be used', async (t) => {
  for (const name of ['a', 'sample', 'range.set', 'A-Z_0.9', '-', '..', '__', 'Error', 'OPEN', 'Message', 'errors', 'opened', 'my.error', 'Tether', 'my.tether', 'teth', 'Constructor', 'x'.repeat(64)]) {
    t.equal(nameFault(name), null, name)
  }
})

t.test('names that cannot, and why', async (t) => {
  const rows: Array<[names: string[], fault: string]> = [
    [['', ' ', 'a b', 'a/b', 'a:b', 'a\n', '\na', 'a\0', 'é', 'a,b', 'a"b', '😀', 'x'.repeat(65)], 'must be 1 to 64 of the characters A-Z a-z 0-9 . _ -'],
    [['open', 'error', 'message'], 'is an event of the browser\'s own'],
    [['tether', 'tether.close', 'tetherx', 'tether-session'], 'begins with "tether", which the protocol keeps for itself'],
    [[...Object.getOwnPropertyNames(Object.prototype), 'prototype'], 'is a key of every object\'s prototype']
  ]
  for (const [names, fault] of rows) {
    for (const name of names) t.equal(nameFault(name), fault, JSON.stringify(name))
  }
})

t.test('whatever can be used needs no escape in a line, a URL, a header or JSON', async (t) => {
  fc.assert(fc.property(fc.oneof(fc.string({ maxLength: 70 }), fc.stringMatching(/^[A-Za-z0-9._-]{1,70}$/)), (name) => {
    if (nameFault(name) !== null) return true
    return name.length <= 64 && encodeURIComponent(name) === name && JSON.stringify(name) === `"${name}"` && !(name in {})
  }), { numRuns: 500 })
  t.pass('for any name')
})
