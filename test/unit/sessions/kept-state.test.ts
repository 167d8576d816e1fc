import t from 'tap'
import { keepState, reviveState } from '../../../plugin/sessions/kept-state.ts'

class Cart { items = [] }
const circle: { inner: { outer?: unknown } } = { inner: {} }
circle.inner.outer = circle
const shared = { a: 1 }
// eslint-disable-next-line no-sparse-arrays
const sparse = [1, , 3]

t.test('what JSON keeps', async (t) => {
  for (const state of [null, 0, -1.5, '', 'ä\u2028', true, [], {}, [1, [2, null]], { a: { b: [{ c: 'd' }] } }, Object.assign(Object.create(null), { a: 1 }), [shared, shared], { ['__proto__']: 1 }]) {
    t.same(await reviveState(keepState(state, {}), 1, {}, 1), state)
  }
  t.equal(keepState(undefined, {}), null)
  t.equal(keepState({ a: undefined, b: 1 }, {}), '{"b":1}', 'a property that is undefined reads the same')
})

t.test('what JSON cannot keep is named by its path', async (t) => {
  const faults: Array<[state: unknown, fault: string]> = [
    [new Map(), 'it is a Map: give serialize and deserialize'],
    [{ cart: { items: new Map() } }, '"/cart/items" is a Map: give serialize and deserialize'],
    [{ tags: [1, new Set()] }, '"/tags/1" is a Set: give serialize and deserialize'],
    [{ at: new Date() }, '"/at" is a Date, which JSON keeps as something else: give serialize and deserialize'],
    [{ bytes: Buffer.from('x') }, '"/bytes" is a Buffer, which JSON keeps as something else: give serialize and deserialize'],
    [{ bytes: new Uint8Array(2) }, '"/bytes" is an Uint8Array: give serialize and deserialize'],
    [{ timer: setTimeout(() => {}, 0) }, '"/timer" is a Timeout: give serialize and deserialize'],
    [{ cart: new Cart() }, '"/cart" is a Cart: give serialize and deserialize'],
    [{ a: /x/ }, '"/a" is a RegExp: give serialize and deserialize'],
    [{ a: Promise.resolve() }, '"/a" is a Promise: give serialize and deserialize'],
    [{ a: new Error('x') }, '"/a" is an Error: give serialize and deserialize'],
    [{ 'a/b': { '~': () => {} } }, '"/a~1b/~0" is a function'],
    [{ a: Symbol('x') }, '"/a" is a symbol'],
    [{ a: 1n }, '"/a" is a BigInt'],
    [{ a: [NaN] }, '"/a/0" is NaN'],
    [{ a: -Infinity }, '"/a" is -Infinity'],
    [[undefined], '"/0" is undefined'],
    [sparse, '"/1" is undefined'],
    [circle, '"/inner/outer" refers to an object that contains it'],
    [{ get a () { throw new Error('locked') } }, '"/a" cannot be read: locked']
  ]
  for (const [state, fault] of faults) t.throws(() => keepState(state, {}), { code: 'FST_ERR_TETHER_STATE', message: `the state of a session cannot be kept as JSON: ${fault}` }, fault)
})

t.test('deep nesting is an error, not a crash', async (t) => {
  let deep: unknown = 1
  for (let level = 0; level < 200_000; level++) deep = [deep]
  t.throws(() => keepState(deep, {}), { code: 'FST_ERR_TETHER_STATE' })
})

t.test('serialize gives what is kept', async (t) => {
  const options = { serialize (this: unknown, state: { at: Date, cache: unknown }) { return { at: state.at, self: this === options } } }
  const text = keepState({ at: new Date(0), cache: new Map() }, options)
  t.equal(text, '{"at":"1970-01-01T00:00:00.000Z","self":true}', 'it may give what JSON writes in its own way')
  t.throws(() => keepState(1, { serialize: () => ({ a: new Map() }) }), { message: /"\/a" is a Map/ })
  t.throws(() => keepState(1, { serialize: async () => ({}) }), { message: /it is a Promise/ })
  const cause = new Error('oh')
  t.throws(() => keepState(1, { serialize: () => { throw cause } }), { code: 'FST_ERR_TETHER_STATE', cause })
  t.throws(() => keepState(1, { serialize: () => ({ toJSON: () => { throw cause } }) }), { code: 'FST_ERR_TETHER_STATE', cause })
})

t.test('deserialize gets what was kept', async (t) => {
  const given: unknown[] = []
  const options = {
    deserialize: (data: unknown, context: unknown) => {
      given.push([data, context])
      return 'state'
    }
  }
  t.equal(await reviveState('{"a":1}', 2, options, 3), 'state')
  t.equal(await reviveState(null, 3, options, 3), 'state')
  t.same(given, [[{ a: 1 }, { version: 2 }], [undefined, { version: 3 }]])
  await t.rejects(reviveState('{', 1, {}, 1), { code: 'FST_ERR_TETHER_SNAPSHOT', message: /its state is no JSON/ })
  await t.rejects(reviveState('{}', 2, {}, 1), { code: 'FST_ERR_TETHER_SNAPSHOT', message: /version 2, this node has version 1/ })
})
