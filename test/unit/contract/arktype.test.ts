import { scope, type } from 'arktype'
import t from 'tap'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { conflate, defineContract } from '../../../schemas/contract.ts'
import { checkFeatures, documented, read, written } from './libraries.ts'

const { tree: Tree } = scope({ tree: { name: 'string', kids: 'tree[]' } }).export()

t.test('what ArkType checks is checked, and what it converts is converted', async (t) => {
  checkFeatures(t, [
    ['an object', type({ a: 'string', 'b/c': 'number' }), { a: 'x', 'b/c': 1 }, { a: 'x', 'b/c': 1 }, { a: 1 }, [/^\/data\/a must be a string \(was a number\)$/, /^\/data\/b~1c must be a number \(was missing\)$/]],
    ['items', type({ n: 'number.integer' }, '[]'), [{ n: 1 }], [{ n: 1 }], [{ n: 1 }, { n: 1.5 }], [/^\/data\/1\/n must be an integer \(was 1\.5\)$/]],
    ['a length', type('2 <= string <= 3'), 'ab', 'ab', 'a', [/^\/data must be at least length 2 \(was 1\)$/]],
    ['narrow', type({ a: type.string.narrow((text, context) => text.startsWith('x') || context.mustBe('a text that begins with x')) }), { a: 'xy' }, { a: 'xy' }, { a: 'yx' }, [/^\/data\/a must be a text that begins with x/]],
    ['narrow of the whole', type({ from: 'number', to: 'number' }).narrow(({ from, to }, context) => from < to || context.reject({ path: ['to'], expected: 'more than from' })), { from: 1, to: 2 }, { from: 1, to: 2 }, { from: 2, to: 1 }, [/^\/data\/to must be more than from/]],
    ['a default', type({ a: 'string = "x"' }), {}, { a: 'x' }, { a: 1 }, [/^\/data\/a /]],
    ['a morph', type({ a: type.string.pipe((text) => text.length) }), { a: 'abc' }, { a: 3 }, { a: 1 }, [/^\/data\/a /]],
    ['conversion to a number', type('string.numeric.parse').to('number >= 5'), '7', 7, '3', [/^\/data must be at least 5/]],
    ['trim and case', type('string.trim').to('string.lower').to('string > 0'), ' A ', 'a', '  ', [/^\/data /]],
    ['a brand', type('string > 0#id'), 'x', 'x', '', [/^\/data /]],
    ['formats', type({ e: 'string.email', u: 'string.uuid', ip: 'string.ip' }), { e: 'a@b.example', u: '7d444840-9dc0-41d1-b245-5ffdce74fad2', ip: '127.0.0.1' }, { e: 'a@b.example', u: '7d444840-9dc0-41d1-b245-5ffdce74fad2', ip: '127.0.0.1' }, { e: 'a', u: 'b', ip: 'c' }, [/\/e /, /\/ip /, /\/u /]],
    ['a discriminated union', type({ kind: "'a'", n: 'number' }).or({ kind: "'b'" }), { kind: 'a', n: 1 }, { kind: 'a', n: 1 }, { kind: 'a' }, [/^\/data\/n /]],
    ['a union', type('string | number'), 1, 1, null, [/^\/data must be a number or a string/]],
    ['a tuple', type(['string', 'number']), ['a', 1], ['a', 1], ['a', 'b'], [/^\/data\/1 /]],
    ['a record', type({ '[string]': 'number' }), { ab: 1 }, { ab: 1 }, { ab: 'x' }, [/^\/data\/ab /]],
    ['unknown keys stay', type({ a: 'string' }), { a: 'x', b: 1 }, { a: 'x', b: 1 }, { b: 1 }, [/^\/data\/a /]],
    ['unknown keys are left out', type({ '+': 'delete', a: 'string' }), { a: 'x', b: 1 }, { a: 'x' }, { b: 1 }, [/^\/data\/a /]],
    ['unknown keys are refused', type({ '+': 'reject', a: 'string' }), { a: 'x' }, { a: 'x' }, { a: 'x', b: 1, 'c/d': 1 }, [/^\/data\/b must be removed$/, /^\/data\/c~1d must be removed$/]],
    ['a schema that refers to itself', Tree, { name: 'a', kids: [{ name: 'b', kids: [] }] }, { name: 'a', kids: [{ name: 'b', kids: [] }] }, { name: 'a', kids: [{ name: 1, kids: [] }] }, [/^\/data\/kids\/0\/name /]],
    ['null and optional', type({ a: 'string | null', 'b?': 'string' }), { a: null }, { a: null }, { a: 1, b: null }, [/\/a /, /\/b /]]
  ])
})

t.test('a date comes from text, and an update is written by its output', async (t) => {
  t.same(read(type({ at: 'string.date.iso.parse' }), { at: '2026-01-01T00:00:00.000Z' }), { value: { at: new Date('2026-01-01T00:00:00.000Z') } })
  t.same(written(type({ at: 'Date' }), { at: new Date(0) }), { at: '1970-01-01T00:00:00.000Z' })
  t.match(read(type({ at: 'Date' }), { at: '1970-01-01T00:00:00.000Z' }), { faults: [/^\/data\/at must be a Date/] }, 'no JSON is a date')
})

t.test('what JSON cannot carry is refused by name', async (t) => {
  t.throws(() => written(type({ m: 'Map' }), { m: new Map([[1, 2]]) }), { code: 'FST_ERR_TETHER_SERIALIZATION', message: /\/m is a Map, which JSON cannot carry/ })
  t.throws(() => written(type({ n: 'number' }), { n: Infinity }), { message: /\/n is Infinity/ })
  t.throws(() => written(type('bigint'), 5n), { message: /BigInt/ })
})

t.test('a check that throws keeps its error, and a promise is no data', async (t) => {
  const down = new Error('down')
  t.throws(() => read(type.string.pipe(() => { throw down }), 'x'), { code: 'FST_ERR_TETHER_SCHEMA', statusCode: 422, cause: down })
  const later = type({ a: type.string.pipe((text) => Promise.resolve(text)) })
  t.throws(() => written(later, { a: 'x' }), { code: 'FST_ERR_TETHER_SERIALIZATION', message: /\/a is a Promise, which JSON cannot carry/ })
  t.throws(() => read(type.string.pipe(async (text) => text).pipe((text) => text), 'x'), { code: 'FST_ERR_TETHER_CONTRACT' })
  t.throws(() => read(type.string.pipe((text) => Promise.resolve(text)), 'x'), { code: 'FST_ERR_TETHER_SCHEMA', cause: /it is asynchronous/ })
})

t.test('asynchronous functions are refused at once, since ArkType takes their promise for true', async (t) => {
  const slow = [type({ a: type.string.narrow((async () => false) as never) }), type({ 'a?': type({ b: type.string.pipe(async (text) => text) }).array() })]
  for (const schema of slow) {
    for (const part of ['events', 'updates']) t.throws(() => defineContract({ [part]: { slow: schema } }), { code: 'FST_ERR_TETHER_CONTRACT', message: /"slow" cannot be used: it is asynchronous/ })
  }
})

t.test('of data that is nested deeply, an error of the check stays one', async (t) => {
  const Deep = type('unknown[]').narrow(() => { throw new Error('down') })
  let data: unknown[] = []
  for (let level = 0; level < 100; level++) data = [data]
  t.throws(() => read(Deep, data), { code: 'FST_ERR_TETHER_SCHEMA' })
})

t.test('a limit of a list holds before its items are checked', async (t) => {
  const many = Array.from({ length: 20_000 }, () => 1)
  t.match(read(type('string[] <= 10'), many), { faults: [/^\/data must be at most length 10/] })
})

t.test('the fields of a form are converted by its JSON Schema, then checked', async (t) => {
  const Fields = type({ n: 'number >= 5', on: 'boolean = false', tags: 'string[]', id: 'string.numeric.parse', 'at?': 'string.date.iso.parse', 'w?': type.string.narrow((text) => text !== 'y') })
  t.same(read(Fields, { n: '5', on: 'on', tags: 'a', id: '7', w: 'x' }, { form: true }), { value: { n: 5, on: true, tags: ['a'], id: 7, w: 'x' } })
  t.match(read(Fields, { n: '4', tags: 'a', id: '1', w: 'y' }, { form: true }), { faults: [/^\/data\/n must be at least 5/, /^\/data\/w /] })
  t.match(read(Fields, { n: '5', tags: 'a', id: '1' }), { faults: [/^\/data\/n /, /^\/data\/tags /] }, 'JSON is not converted')
})

t.test('the API document shows its JSON Schema, and leaves open what that cannot say', async (t) => {
  t.same(documented(type({ a: 'string >= 2', 'at?': 'Date', 'n?': type.number.narrow(() => true) })), { type: 'object', properties: { a: { type: 'string', minLength: 2 }, at: {}, n: { type: 'number' } }, required: ['a'] })
  const { $ref, $defs } = documented(Tree) as { $ref: string, $defs: Record<string, any> }
  t.equal($defs[$ref].$id, $ref)
  t.equal($defs[$defs[$ref].properties.kids.$ref].items.$ref, $ref)
})

t.test('conflate gives its key the output', async (t) => {
  const contract = CompiledContract.of(defineContract({ updates: { latest: conflate(type({ host: 'string = "a"' }), ({ host }) => host) } }))
  t.equal(contract.encode('latest', {}).key, 'latest\na')
  t.equal(contract.encode('latest', { host: 'b' }).key, 'latest\nb')
})
