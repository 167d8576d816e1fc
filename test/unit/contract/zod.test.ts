import t from 'tap'
import * as z from 'zod'
import * as mini from 'zod/mini'
import { conflate, defineContract } from '../../../schemas/contract.ts'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { checkFeatures, documented, read, written } from './libraries.ts'

const Node = z.object({ name: z.string(), get next () { return z.optional(Node) } })

t.test('what Zod checks is checked, and what it converts is converted', async (t) => {
  checkFeatures(t, [
    ['an object', z.object({ a: z.string(), 'b/c': z.number() }), { a: 'x', 'b/c': 1 }, { a: 'x', 'b/c': 1 }, { a: 1 }, [/^\/data\/a Invalid input: expected string, received number/, /^\/data\/b~1c Invalid input: expected number/]],
    ['items', z.array(z.object({ n: z.int() })), [{ n: 1 }], [{ n: 1 }], [{ n: 1 }, { n: 1.5 }], [/^\/data\/1\/n .*expected int/]],
    ['a refinement', z.object({ a: z.string().refine((text) => text.startsWith('x'), 'must begin with x') }), { a: 'xy' }, { a: 'xy' }, { a: 'yx' }, [/^\/data\/a must begin with x$/]],
    ['a refinement of the whole', z.object({ from: z.number(), to: z.number() }).refine(({ from, to }) => from < to, { path: ['to'], message: 'must be more than from' }), { from: 1, to: 2 }, { from: 1, to: 2 }, { from: 2, to: 1 }, [/^\/data\/to must be more than from$/]],
    ['superRefine', z.array(z.string()).superRefine((list, context) => { for (const [index, text] of list.entries()) if (text === '') context.addIssue({ code: 'custom', path: [index], message: 'is empty' }) }), ['a'], ['a'], ['', 'a', ''], [/^\/data\/0 is empty$/, /^\/data\/2 is empty$/]],
    ['a default', z.object({ a: z.string().default('x') }), {}, { a: 'x' }, { a: null }, [/^\/data\/a /]],
    ['a catch', z.object({ a: z.number().catch(0), b: z.number() }), { a: 'x', b: 1 }, { a: 0, b: 1 }, { a: 1 }, [/^\/data\/b /]],
    ['a transform', z.object({ a: z.string().transform((text) => text.length) }), { a: 'abc' }, { a: 3 }, { a: 1 }, [/^\/data\/a /]],
    ['a pipe', z.string().transform(Number).pipe(z.number().min(5)), '7', 7, '3', [/^\/data Too small/]],
    ['preprocess', z.preprocess((text) => String(text).trim(), z.string().min(2)), ' ab ', 'ab', ' a ', [/^\/data Too small/]],
    ['coercion', z.object({ n: z.coerce.number() }), { n: '5' }, { n: 5 }, { n: 'x' }, [/^\/data\/n /]],
    ['coercion to a date', z.object({ at: z.coerce.date() }), { at: '2026-01-01T00:00:00.000Z' }, { at: new Date('2026-01-01T00:00:00.000Z') }, { at: 'never' }, [/^\/data\/at /]],
    ['trim and case', z.string().trim().toLowerCase().min(1), ' A ', 'a', '  ', [/^\/data /]],
    ['a brand', z.string().min(1).brand<'id'>(), 'x', 'x', '', [/^\/data /]],
    ['formats', z.object({ e: z.email(), u: z.uuid(), ip: z.ipv4(), t: z.iso.datetime() }), { e: 'a@b.example', u: '7d444840-9dc0-41d1-b245-5ffdce74fad2', ip: '127.0.0.1', t: '2026-01-01T00:00:00Z' }, { e: 'a@b.example', u: '7d444840-9dc0-41d1-b245-5ffdce74fad2', ip: '127.0.0.1', t: '2026-01-01T00:00:00Z' }, { e: 'a', u: 'b', ip: 'c', t: 'd' }, [/\/e /, /\/ip /, /\/t /, /\/u /]],
    ['a discriminated union', z.discriminatedUnion('kind', [z.object({ kind: z.literal('a'), n: z.number() }), z.object({ kind: z.literal('b') })]), { kind: 'a', n: 1 }, { kind: 'a', n: 1 }, { kind: 'a' }, [/^\/data\/n /]],
    ['a tuple', z.tuple([z.string(), z.number()]), ['a', 1], ['a', 1], ['a', 'b'], [/^\/data\/1 /]],
    ['a record', z.record(z.string().max(2), z.number()), { ab: 1 }, { ab: 1 }, { ab: 'x' }, [/^\/data\/ab /]],
    ['unknown keys are left out', z.object({ a: z.string() }), { a: 'x', b: 1 }, { a: 'x' }, { b: 1 }, [/^\/data\/a /]],
    ['strict: unknown keys are refused', z.strictObject({ a: z.string() }), { a: 'x' }, { a: 'x' }, { a: 'x', b: 1, 'c/d': 2 }, [/^\/data\/b is not known here$/, /^\/data\/c~1d is not known here$/]],
    ['loose: unknown keys stay', z.looseObject({ a: z.string() }), { a: 'x', b: 1 }, { a: 'x', b: 1 }, { a: 1 }, [/^\/data\/a /]],
    ['a schema that refers to itself', Node, { name: 'a', next: { name: 'b' } }, { name: 'a', next: { name: 'b' } }, { name: 'a', next: { name: 1 } }, [/^\/data\/next\/name /]],
    ['custom', z.custom<string>((value) => value === 'x', 'must be x'), 'x', 'x', 'y', [/^\/data must be x$/]],
    ['null and optional', z.object({ a: z.string().nullable(), b: z.string().optional() }), { a: null }, { a: null }, { a: 1, b: null }, [/\/a /, /\/b /]],
    ['the small form', mini.object({ a: mini.string().check(mini.minLength(2)) }), { a: 'ab' }, { a: 'ab' }, { a: 'a' }, [/^\/data\/a /]],
    ['its JSON Schema, which carries the check along', z.toJSONSchema(z.object({ a: z.string().min(2) })) as never, { a: 'ab' }, { a: 'ab' }, { a: 'a' }, [/^\/data\/a /]]
  ])
})

t.test('a codec takes its wire form, and an update is written by its output', async (t) => {
  const date = z.codec(z.iso.datetime(), z.date(), { decode: (text) => new Date(text), encode: (at) => at.toISOString() })
  t.same(read(z.object({ at: date }), { at: '2026-01-01T00:00:00Z' }), { value: { at: new Date('2026-01-01T00:00:00Z') } })
  t.same(read(z.object({ at: date }), { at: 'never' }), { faults: ['/data/at Invalid ISO datetime'] })
  t.same(written(z.object({ at: z.date() }), { at: new Date(0) }), { at: '1970-01-01T00:00:00.000Z' })
  t.same(read(z.object({ at: z.date() }), { at: '1970-01-01T00:00:00.000Z' }), { faults: ['/data/at Invalid input: expected date, received string'] }, 'no JSON is a date')
})

t.test('what JSON cannot carry is refused by name', async (t) => {
  const rows: Array<[z.ZodType, unknown, RegExp]> = [
    [z.object({ m: z.map(z.string(), z.number()) }), { m: new Map([['a', 1]]) }, /\/m is a Map, which JSON cannot carry/],
    [z.array(z.set(z.string())), [new Set(['a'])], /\/0 is a Set/],
    [z.object({ n: z.unknown() }), { n: NaN }, /\/n is NaN/],
    [z.bigint(), 5n, /BigInt/],
    [z.undefined(), undefined, /it is undefined/]
  ]
  for (const [schema, data, message] of rows) t.throws(() => written(schema, data), { code: 'FST_ERR_TETHER_SERIALIZATION', message })
  t.same(written(z.object({ a: z.string().optional() }), { a: undefined }), {}, 'a key that is optional is left out')
})

t.test('what is asynchronous, or throws, is refused at the first use, by a code', async (t) => {
  const down = new Error('down')
  const schemas = [
    z.object({ a: z.string().refine(async () => true) }),
    z.object({ a: z.string().transform(async (text) => text) }),
    z.object({ a: z.string().refine(() => { throw down }) })
  ]
  for (const schema of schemas) {
    t.throws(() => read(schema, { a: 'x' }), { code: 'FST_ERR_TETHER_SCHEMA', statusCode: 422, message: 'The schema of event "test" could not check its data', event: 'test', errors: [{ path: '/data' }], cause: /it is asynchronous/ })
    t.throws(() => written(schema, { a: 'x' }), { code: 'FST_ERR_TETHER_SERIALIZATION', message: /asynchronous/ })
  }
  t.throws(() => read(schemas[2]!, { a: 'x' }), { cause: { cause: down } }, 'the log has what was thrown')
  await new Promise(setImmediate)
})

t.test('of data that is nested deeply, an error of the check stays one', async (t) => {
  const List: z.ZodType = z.lazy(() => z.array(List).refine(() => { throw new Error('down') }))
  let data: unknown[] = []
  for (let level = 0; level < 100; level++) data = [data]
  t.throws(() => read(List, data), { code: 'FST_ERR_TETHER_SCHEMA' })
})

t.test('a limit of a list holds before its items are checked', async (t) => {
  const many = Array.from({ length: 20_000 }, () => 1)
  t.same(read(z.array(z.string()).max(10), many), { faults: ['/data Too big: expected array to have <=10 items'] })
})

t.test('data that is nested without end is one fault', async (t) => {
  const List: z.ZodType = z.lazy(() => z.array(List))
  let data: unknown[] = []
  for (let level = 0; level < 200_000; level++) data = [data]
  t.same(read(List, data), { faults: ['/data is nested too deeply'] })
})

t.test('faults are cut and bounded', async (t) => {
  const many = read(z.array(z.string()), Array.from({ length: 5_000 }, () => 1))
  t.equal('faults' in many && many.faults.length, 128)
  const long = read(z.record(z.string(), z.string().refine(() => false, 'x'.repeat(10_000))), { [`k${'y'.repeat(10_000)}`]: 'a' })
  t.ok('faults' in long && long.faults[0]!.length < 4_000)
})

t.test('the fields of a form are converted by its JSON Schema, then checked', async (t) => {
  const Fields = z.object({ n: z.number().min(5), on: z.boolean().default(false), tags: z.array(z.string()), id: z.string().transform(Number), c: z.coerce.number(), d: z.custom<string>((value) => value === 'x').optional(), who: z.email().or(z.number()).optional() })
  t.same(read(Fields, { n: '5', on: 'on', tags: 'a', id: '007', c: '1' }, { form: true }), { value: { n: 5, on: true, tags: ['a'], id: 7, c: 1 } })
  t.same(read(Fields, { n: '5', tags: ['a', 'b'], id: '1', c: '1', d: 'x', who: '5' }, { form: true }), { value: { n: 5, on: false, tags: ['a', 'b'], id: 1, c: 1, d: 'x', who: 5 } })
  t.match(read(Fields, { n: '4', tags: 'a', id: '1', c: 'x' }, { form: true }), { faults: [/^\/data\/c /, /^\/data\/n Too small/] })
  t.match(read(Fields, { n: '5', tags: 'a', id: '1', c: '1' }), { faults: [/^\/data\/n /, /^\/data\/tags /] }, 'JSON is not converted')
  t.same(read(Node, { name: 'a', next: { name: 'b' } }, { form: true }), { value: { name: 'a', next: { name: 'b' } } })
})

t.test('the API document shows its JSON Schema, and leaves open what that cannot say', async (t) => {
  t.same(documented(z.object({ a: z.string().min(2).transform(Number), at: z.date().optional() })), { type: 'object', properties: { a: { type: 'string', minLength: 2 }, at: {} }, required: ['a'] })
  t.same(documented(z.custom<string>(() => true)), {})
  const { $ref, $defs } = documented(Node) as { $ref: string, $defs: Record<string, any> }
  t.equal($ref, 'tether-test')
  t.same($defs, { [$ref]: { $id: $ref, type: 'object', properties: { name: { type: 'string' }, next: { $ref } }, required: ['name'] } }, 'references lead to names')
})

t.test('conflate gives its key the output', async (t) => {
  const contract = CompiledContract.of(defineContract({ updates: { latest: conflate(z.object({ host: z.string().trim().default('a') }), ({ host }) => host) } }))
  t.equal(contract.encode('latest', {}).key, 'latest\na')
  t.equal(contract.encode('latest', { host: ' b ' }).key, 'latest\nb')
})
