import { toStandardJsonSchema } from '@valibot/to-json-schema'
import t from 'tap'
import * as v from 'valibot'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { conflate, defineContract } from '../../../schemas/contract.ts'
import { checkFeatures, documented, read, written } from './libraries.ts'

interface Tree { name: string, kids: Tree[] }
const Node: v.GenericSchema<Tree> = v.object({ name: v.string(), kids: v.lazy(() => v.array(Node)) })

t.test('what Valibot checks is checked, and what it converts is converted', async (t) => {
  checkFeatures(t, [
    ['an object', v.object({ a: v.string(), 'b/c': v.number() }), { a: 'x', 'b/c': 1 }, { a: 'x', 'b/c': 1 }, { a: 1 }, [/^\/data\/a Invalid type: Expected string but received 1$/, /^\/data\/b~1c Invalid key/]],
    ['items', v.array(v.object({ n: v.pipe(v.number(), v.integer()) })), [{ n: 1 }], [{ n: 1 }], [{ n: 1 }, { n: 1.5 }], [/^\/data\/1\/n Invalid integer/]],
    ['a pipe', v.pipe(v.string(), v.minLength(2), v.maxLength(3)), 'ab', 'ab', 'a', [/^\/data Invalid length/]],
    ['a check', v.object({ a: v.pipe(v.string(), v.check((text) => text.startsWith('x'), 'must begin with x')) }), { a: 'xy' }, { a: 'xy' }, { a: 'yx' }, [/^\/data\/a must begin with x$/]],
    ['a check of the whole', v.pipe(v.object({ from: v.number(), to: v.number() }), v.forward(v.partialCheck([['from'], ['to']], ({ from, to }) => from < to, 'must be more than from'), ['to'])), { from: 1, to: 2 }, { from: 1, to: 2 }, { from: 2, to: 1 }, [/^\/data\/to must be more than from$/]],
    ['rawCheck', v.pipe(v.array(v.string()), v.rawCheck(({ dataset, addIssue }) => { if (dataset.typed && dataset.value.length > 1) addIssue({ message: 'is too long' }) })), ['a'], ['a'], ['a', 'b'], [/^\/data is too long$/]],
    ['a default', v.object({ a: v.optional(v.string(), 'x') }), {}, { a: 'x' }, { a: 1 }, [/^\/data\/a /]],
    ['a fallback', v.object({ a: v.fallback(v.number(), 0), b: v.number() }), { a: 'x', b: 1 }, { a: 0, b: 1 }, { a: 1 }, [/^\/data\/b /]],
    ['a transform', v.object({ a: v.pipe(v.string(), v.transform((text) => text.length)) }), { a: 'abc' }, { a: 3 }, { a: 1 }, [/^\/data\/a /]],
    ['conversion to a number', v.pipe(v.string(), v.toNumber(), v.minValue(5)), '7', 7, '3', [/^\/data Invalid value/]],
    ['trim and case', v.pipe(v.string(), v.trim(), v.toLowerCase(), v.nonEmpty()), ' A ', 'a', '  ', [/^\/data /]],
    ['a brand', v.pipe(v.string(), v.nonEmpty(), v.brand('id')), 'x', 'x', '', [/^\/data /]],
    ['formats', v.object({ e: v.pipe(v.string(), v.email()), u: v.pipe(v.string(), v.uuid()), t: v.pipe(v.string(), v.isoTimestamp()) }), { e: 'a@b.example', u: '7d444840-9dc0-41d1-b245-5ffdce74fad2', t: '2026-01-01T00:00:00.000Z' }, { e: 'a@b.example', u: '7d444840-9dc0-41d1-b245-5ffdce74fad2', t: '2026-01-01T00:00:00.000Z' }, { e: 'a', u: 'b', t: 'd' }, [/\/e /, /\/t /, /\/u /]],
    ['a variant', v.variant('kind', [v.object({ kind: v.literal('a'), n: v.number() }), v.object({ kind: v.literal('b') })]), { kind: 'a', n: 1 }, { kind: 'a', n: 1 }, { kind: 'a' }, [/^\/data\/n /]],
    ['a union', v.union([v.string(), v.number()]), 1, 1, true, [/^\/data Invalid type/]],
    ['a tuple', v.tuple([v.string(), v.number()]), ['a', 1], ['a', 1], ['a', 'b'], [/^\/data\/1 /]],
    ['a record', v.record(v.pipe(v.string(), v.maxLength(2)), v.number()), { ab: 1 }, { ab: 1 }, { ab: 'x' }, [/^\/data\/ab /]],
    ['unknown keys are left out', v.object({ a: v.string() }), { a: 'x', b: 1 }, { a: 'x' }, { b: 1 }, [/^\/data\/a /]],
    ['strict: an unknown key is refused', v.strictObject({ a: v.string() }), { a: 'x' }, { a: 'x' }, { a: 'x', b: 1 }, [/^\/data\/b Invalid key/]],
    ['loose: unknown keys stay', v.looseObject({ a: v.string() }), { a: 'x', b: 1 }, { a: 'x', b: 1 }, { a: 1 }, [/^\/data\/a /]],
    ['a schema that refers to itself', Node, { name: 'a', kids: [{ name: 'b', kids: [] }] }, { name: 'a', kids: [{ name: 'b', kids: [] }] }, { name: 'a', kids: [{ name: 1, kids: [] }] }, [/^\/data\/kids\/0\/name /]],
    ['custom', v.custom<string>((value) => value === 'x', 'must be x'), 'x', 'x', 'y', [/^\/data must be x$/]],
    ['null and optional', v.object({ a: v.nullable(v.string()), b: v.optional(v.string()) }), { a: null }, { a: null }, { a: 1, b: null }, [/\/a /, /\/b /]],
    ['with its JSON Schema beside it', toStandardJsonSchema(v.object({ a: v.pipe(v.string(), v.check((text) => text !== 'y')) })), { a: 'x' }, { a: 'x' }, { a: 'y' }, [/^\/data\/a /]]
  ])
})

t.test('what is asynchronous is refused: at once where the schema says so, otherwise at the first use', async (t) => {
  const Slow = v.pipeAsync(v.string(), v.checkAsync(async () => true))
  for (const part of ['events', 'updates']) t.throws(() => defineContract({ [part]: { slow: Slow } }), { code: 'FST_ERR_TETHER_CONTRACT', message: /"slow" cannot be used: it is asynchronous/ })
  t.throws(() => defineContract({ updates: { slow: conflate(v.objectAsync({ a: Slow })) } }), { message: /update "slow" cannot be used: it is asynchronous/ })
  // A synchronous object takes the promise of its entry for a value that passed.
  const parts = [v.object({ a: Slow as never }), v.array(v.object({ a: v.optional(Slow as never) })), v.union([v.string(), Slow as never]), v.pipe(v.string(), v.checkAsync(async () => false) as never)]
  for (const part of parts) t.throws(() => defineContract({ events: { slow: part as never } }), { message: /"slow" cannot be used: it is asynchronous/ })
  const hidden = { '~standard': Slow['~standard'] }
  t.throws(() => read(hidden, 'x'), { code: 'FST_ERR_TETHER_SCHEMA', statusCode: 422 })
  t.throws(() => written(hidden, 'x'), { code: 'FST_ERR_TETHER_SERIALIZATION', message: /asynchronous/ })
})

t.test('of data that is nested deeply, an error of the check stays one', async (t) => {
  const List: v.GenericSchema<unknown[]> = v.pipe(v.array(v.lazy(() => List)), v.check(() => { throw new Error('down') }))
  let data: unknown[] = []
  for (let level = 0; level < 100; level++) data = [data]
  t.throws(() => read(List, data), { code: 'FST_ERR_TETHER_SCHEMA' })
})

t.test('a limit of a list holds before its items are checked, if it comes first', async (t) => {
  const many = Array.from({ length: 20_000 }, () => 1)
  const outcome = read(v.pipe(v.array(v.unknown()), v.maxLength(10), v.array(v.string())), many)
  t.match(outcome, { faults: [/^\/data Invalid length: Expected <=10/] })
  t.equal('faults' in outcome && outcome.faults.length, 1)
})

t.test('a default value that looks asynchronous is data', async (t) => {
  const schema = v.optional(v.looseObject({}), { async: true })
  t.same(read(v.object({ a: schema }), {}), { value: { a: { async: true } } })
})

t.test('a check that throws keeps its error', async (t) => {
  const down = new Error('down')
  const schema = v.pipe(v.string(), v.check(() => { throw down }))
  t.throws(() => read(schema, 'x'), { code: 'FST_ERR_TETHER_SCHEMA', statusCode: 422, message: /could not check its data$/, cause: down })
  t.throws(() => written(schema, 'x'), { code: 'FST_ERR_TETHER_SERIALIZATION', message: /down/ })
})

t.test('data that is nested without end is one fault', async (t) => {
  let data: Tree = { name: 'a', kids: [] }
  for (let level = 0; level < 100_000; level++) data = { name: 'a', kids: [data] }
  t.same(read(Node, data), { faults: ['/data is nested too deeply'] })
})

t.test('what JSON cannot carry is refused by name', async (t) => {
  t.throws(() => written(v.object({ n: v.number() }), { n: Infinity }), { message: /\/n is Infinity, which JSON cannot carry/ })
  t.throws(() => written(v.object({ a: v.array(v.map(v.string(), v.number())) }), { a: [new Map()] }), { message: /\/a\/0 is a Map/ })
  t.same(written(v.object({ at: v.date() }), { at: new Date(0) }), { at: '1970-01-01T00:00:00.000Z' })
})

t.test('without its JSON Schema, a form stays text and the API document is open', async (t) => {
  const Fields = v.object({ n: v.pipe(v.string(), v.toNumber()), tags: v.optional(v.array(v.string())) })
  t.same(documented(Fields), { description: 'Checked by valibot, which gives no JSON Schema of it' })
  t.same(read(Fields, { n: '5', tags: ['a', 'b'] }, { form: true }), { value: { n: 5, tags: ['a', 'b'] } })
  t.match(read(v.object({ n: v.number() }), { n: '5' }, { form: true }), { faults: [/^\/data\/n Invalid type: Expected number but received "5"/] })
})

t.test('with its JSON Schema, a form is converted and the API document shows it', async (t) => {
  const Fields = toStandardJsonSchema(v.object({ n: v.pipe(v.number(), v.minValue(5)), on: v.optional(v.boolean(), false), tags: v.array(v.string()), id: v.pipe(v.string(), v.toNumber()), at: v.optional(v.date()) }))
  t.same(read(Fields, { n: '5', on: 'on', tags: 'a', id: '007' }, { form: true }), { value: { n: 5, on: true, tags: ['a'], id: 7 } })
  t.match(read(Fields, { n: '4', tags: 'a', id: '1' }, { form: true }), { faults: [/^\/data\/n Invalid value/] })
  t.same(documented(Fields), {
    type: 'object',
    properties: { n: { type: 'number', minimum: 5 }, on: { type: 'boolean', default: false }, tags: { type: 'array', items: { type: 'string' } }, id: { type: 'string' }, at: {} },
    required: ['n', 'tags', 'id']
  })
  const { $ref, $defs } = documented(toStandardJsonSchema(Node)) as { $ref: string, $defs: Record<string, { $id: string }> }
  t.equal($defs[$ref]!.$id, $ref)
})

t.test('conflate gives its key the output', async (t) => {
  const contract = CompiledContract.of(defineContract({ updates: { latest: conflate(v.object({ host: v.optional(v.pipe(v.string(), v.trim()), 'a') }), ({ host }) => host) } }))
  t.equal(contract.encode('latest', {}).key, 'latest\na')
  t.equal(contract.encode('latest', { host: ' b ' }).key, 'latest\nb')
})
