import t from 'tap'
import * as v from 'valibot'
import * as z from 'zod'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { defineContract } from '../../../schemas/contract.ts'
import type { StandardProperties, StandardSchema } from '../../../schemas/standard-schema.ts'
import { documented, read, written } from './libraries.ts'

/** A schema of a library of nobody's. */
function schemaOf (properties: Partial<StandardProperties>): StandardSchema {
  return { '~standard': { version: 1, vendor: 'own', ...properties } }
}

t.test('what cannot be used is refused by name, with a word on what to do', async (t) => {
  const rows: Array<[unknown, RegExp]> = [
    [schemaOf({}), /"test" cannot be used: it is a schema of own that neither checks data nor gives a JSON Schema/],
    [schemaOf({ version: 2 as never, validate: () => ({ value: 1 }) }), /version 2 of Standard Schema, and only version 1 is known/],
    [schemaOf({ vendor: undefined as never }), /a library without a name/],
    [schemaOf({ jsonSchema: { input: () => { throw new Error('no') }, output: () => ({}) } }), /gives no JSON Schema of draft 2020-12 or draft 7/],
    [schemaOf({ jsonSchema: { input: () => ({ type: 'string' }), output: () => ({ type: 'number' }) } }), /it converts data, and has no check of its own to do it/],
    [schemaOf({ jsonSchema: { input: () => ({ type: 'strng' }), output: () => ({ type: 'strng' }) } }), /#\/type names no type of JSON, "strng"/],
    [z, /must be a schema|cannot be compiled/],
    [z.string, /must be a schema: of TypeBox, or of a library that follows Standard Schema, such as Zod, Valibot or ArkType/],
    [{ a: z.string() }, /#\/a is no keyword of JSON Schema/],
    [[z.string()], /must be a schema/],
    [{ '~standard': 5, type: 'string' }, /has ~standard beside its keywords|cannot be compiled/]
  ]
  for (const [schema, message] of rows) {
    for (const part of ['events', 'updates']) t.throws(() => CompiledContract.of(defineContract({ [part]: { test: schema } } as never)), { code: 'FST_ERR_TETHER_CONTRACT', message })
  }
})

t.test('a conversion is told from a default', async (t) => {
  const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more })
  const text = { type: 'string' }
  const number = { type: 'number' }
  const pairs: Array<[isTaken: boolean, input: Record<string, unknown>, output: Record<string, unknown>]> = [
    [true, object({ a: { ...text, default: 'x' } }), object({ a: text }, { required: ['a'], additionalProperties: false })],
    [true, object({ required: text, default: text, additionalProperties: text }), object({ required: text, default: text, additionalProperties: text })],
    [false, object({ required: text }), object({ required: number })],
    [false, object({ default: text }), object({ default: number })],
    [false, object({ additionalProperties: text }), object({ additionalProperties: number })],
    [false, object({ default: text }), object({})],
    [false, object({}, { additionalProperties: text }), object({}, { additionalProperties: number })],
    [false, object({ a: text }), object({ a: text }, { required: ['a'] })],
    [false, { enum: [{ default: 1 }] }, { enum: [{ default: 2 }] }],
    [false, { type: 'array', items: text }, { type: 'array', items: number }]
  ]
  for (const [isTaken, input, output] of pairs) {
    for (const part of ['events', 'updates']) {
      const define = () => defineContract({ [part]: { test: schemaOf({ jsonSchema: { input: () => input, output: () => output } }) } })
      const what = `${part}: ${JSON.stringify(input)} and ${JSON.stringify(output)}`
      if (isTaken) t.doesNotThrow(define, what)
      else t.throws(define, { code: 'FST_ERR_TETHER_CONTRACT', message: /it converts data/ }, what)
    }
  }
})

t.test('a library is asked once how forms are converted', async (t) => {
  let asked = 0
  const none = schemaOf({ validate: (value) => ({ value }), jsonSchema: { input: () => { asked++; throw new Error('no') }, output: () => ({}) } })
  const reader = CompiledContract.of(defineContract({ events: { test: none } })).event('test')!
  reader.read({ a: '1' }, '', true, [])
  const first = asked
  t.ok(first > 0)
  for (let form = 0; form < 5; form++) reader.read({ a: '1' }, '', true, [])
  t.equal(asked, first)
})

t.test('an update loses nothing in silence', async (t) => {
  const any = schemaOf({ validate: (value) => ({ value }) })
  const lost: Array<[unknown, RegExp]> = [
    [{ at: new Date(NaN) }, /\/at is an invalid date, which JSON cannot carry/],
    [{ f: () => 1 }, /\/f is a function/],
    [{ s: Symbol('s') }, /\/s is a symbol/],
    [[1, undefined], /\/1 is undefined/],
    [Array(2), /\/0 is undefined/],
    [{ m: Object.assign(new Map([[1, 2]]), { own: 1 }) }, /\/m is a Map/],
    [{ s: Object.assign(new Set([1]), { own: 1 }) }, /\/s is a Set/],
    [{ e: new Error('no') }, /\/e is an Error/],
    [{ r: /a/ }, /\/r is a RegExp/],
    [{ b: new Uint8Array(2) }, /\/b is a Uint8Array/],
    [{ n: new Number(NaN) }, /\/n is NaN/], // eslint-disable-line no-new-wrappers
    [{ q: new URLSearchParams('a=1') }, /\/q is an? URLSearchParams/],
    [{ o: { toJSON: () => undefined } }, /\/o is undefined/],
    [{ o: { toJSON: () => ({ n: Infinity }) } }, /\/o\/n is Infinity/],
    [Promise.resolve(1), /asynchronous/]
  ]
  for (const [data, message] of lost) t.throws(() => written(any, data), { code: 'FST_ERR_TETHER_SERIALIZATION', message }, String(message))
  class Point { x = 1; #y = 2; get y () { return this.#y } }
  const kept = { a: undefined, at: new Date(0), o: { toJSON: () => 1 }, bare: Object.create(null), p: new Point(), b: Buffer.from('a'), u: new URL('http://a.example/'), n: Object(5) }
  t.same(written(any, kept), JSON.parse(JSON.stringify(kept)))
  class Self { n = 1; toJSON () { return this } }
  t.same(written(any, new Self()), { n: 1 })
})

t.test('a library that gives JSON Schema alone is checked by that', async (t) => {
  const given = { type: 'object', properties: { a: { type: 'string', minLength: 2 }, b: { type: 'number', default: 5 } }, required: ['a'] }
  const schema = schemaOf({ jsonSchema: { input: () => given, output: () => ({ ...given, required: ['a', 'b'], additionalProperties: false }) } })
  t.same(read(schema, { a: 'xy' }), { value: { a: 'xy', b: 5 } })
  t.same(read(schema, { a: 'x', c: 1 }), { faults: ['/data/a must NOT have fewer than 2 characters', '/data/c is not known here'] })
  t.same(written(schema, { a: 'xy', b: 1 }), { a: 'xy', b: 1 })
  t.same(documented(schema), given)
})

t.test('draft 7 is asked for where 2020-12 is not known', async (t) => {
  const asked: string[] = []
  const schema = schemaOf({ validate: (value) => ({ value }), jsonSchema: { input: ({ target }) => { asked.push(target); if (target !== 'draft-07') throw new Error('unknown'); return { $schema: 'http://json-schema.org/draft-07/schema#', type: 'string' } }, output: () => ({}) } })
  t.same(documented(schema), { type: 'string' })
  t.same(asked, ['draft-2020-12', 'draft-07'])
})

t.test('issues of any shape become faults', async (t) => {
  const issues = (list: readonly unknown[]) => schemaOf({ validate: () => ({ issues: list as never }) })
  const rows: Array<[unknown[], string[]]> = [
    [[{ message: 'no' }], ['/data no']],
    [[{ message: 'no', path: [] }, { message: 'no', path: undefined }], ['/data no']],
    [[{ message: 'no', path: ['a', 0, { key: 'b/~' }, Symbol('s')] }], ['/data/a/0/b~1~0/Symbol(s) no']],
    [[], ['/data is refused by its schema']],
    [[{}], ['/data is refused by its schema']]
  ]
  for (const [list, faults] of rows) t.same(read(issues(list), {}), { faults })
})

t.test('the data of the request is what the check gets, and its value is what the handler gets', async (t) => {
  const data = { a: 1 }
  const seen: unknown[] = []
  t.same(read(schemaOf({ validate: (value) => { seen.push(value); return { value: 'other' } } }), data), { value: 'other' })
  t.equal(seen[0], data)
  t.same(read(schemaOf({ validate: () => ({ value: undefined }) }), data), { value: undefined })
})

t.test('a promise is refused, and its rejection is no uncaught error', async (t) => {
  const schema = schemaOf({ validate: async () => { throw new Error('late') } })
  t.throws(() => read(schema, 1), { code: 'FST_ERR_TETHER_SCHEMA' })
  t.throws(() => written(schema, 1), { code: 'FST_ERR_TETHER_SERIALIZATION' })
  await new Promise(setImmediate)
})

t.test('a form whose JSON Schema cannot be compiled is converted as far as it can', async (t) => {
  const pattern = schemaOf({ validate: (value) => ({ value }), jsonSchema: { input: () => ({ type: 'object', properties: { n: { type: 'number' }, a: { type: 'string', pattern: '(', format: 'own' } } }), output: () => ({}) } })
  t.same(read(pattern, { n: '5', a: 'x' }, { form: true }), { value: { n: 5, a: 'x' } })
  const nowhere = schemaOf({ validate: (value) => ({ value }), jsonSchema: { input: () => ({ type: 'object', properties: { n: { type: 'number' }, a: { $ref: '#/$defs/a' } } }), output: () => ({}) } })
  t.same(read(nowhere, { n: '5' }, { form: true }), { value: { n: '5' } })
})

t.test('one contract mixes libraries', async (t) => {
  const contract = CompiledContract.of(defineContract({ events: { a: z.object({ n: z.number() }), b: v.object({ n: v.number() }) }, updates: { c: z.object({ n: z.number() }) } }))
  t.same(contract.eventNames, ['a', 'b'])
  t.equal(contract.encode('c', { n: 1 }).text, 'event: c\ndata: {"n":1}\n\n')
})
