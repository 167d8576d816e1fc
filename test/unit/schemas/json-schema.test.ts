import { FormatRegistry, Kind, Type as T, TypeRegistry, type TSchema } from '@sinclair/typebox'
import { type as ark } from 'arktype'
import t from 'tap'
import { Type as T1 } from 'typebox'
import * as v from 'valibot'
import * as z from 'zod'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { conflate, defineContract, text } from '../../../schemas/contract.ts'
import type { Fault } from '../../../schemas/errors.ts'

/** What `defineContract` and `stateful` make of a schema. */
function compile (use: 'events' | 'updates', schema: unknown): CompiledContract {
  return CompiledContract.of(defineContract({ [use]: { 'range.set': schema } } as never))
}

class Rule {
  type = 'object'
  properties = { a: { type: 'string' } }
}

TypeRegistry.Set('Even', () => true)
FormatRegistry.Set('iban', () => true)
const Even = T.Unsafe<number>({ [Kind]: 'Even', type: 'number' })
const holdsItself: Record<string, unknown> = { type: 'object' }
holdsItself.properties = { child: holdsItself }
const anything = {}

type Row = [name: string, schema: unknown, message: RegExp]

/** Refused as an event's schema and as an update's. */
const refused: Row[] = [
  ['zod within TypeBox', T.Object({ a: z.string() as never }), /#\/properties\/a is a schema of zod within another schema, .* use zod for the whole schema/],
  ['zod in a list', T.Array(z.string() as never), /#\/items is a schema of zod/],
  ['valibot in a union', T.Union([T.String(), v.number() as never]), /#\/anyOf\/1 is a schema of valibot/],
  ['arktype in definitions', { $defs: { 'a/b': ark('string') }, $ref: '#/$defs/a~1b' }, /#\/\$defs\/a~1b is a schema of arktype/],
  ['zod as additionalProperties', { type: 'object', additionalProperties: z.number() }, /#\/additionalProperties is a schema of zod/],
  ['TypeBox 1, a refinement', T1.Refine(T1.String(), (text) => text.length > 2), /# has a refinement/],
  ['TypeBox 1, a codec', T1.Codec(T1.String()).Decode(Number).Encode(String), /# has a transform \(a codec\)/],
  ['TypeBox 1, a refinement within', T1.Object({ a: T1.Array(T1.Refine(T1.Number(), (n) => n % 2 === 0)) }), /#\/properties\/a\/items has a refinement/],
  ['TypeBox 1, a bigint', T1.Object({ a: T1.BigInt() }), /#\/properties\/a is Type\.BigInt\(\), which JSON cannot carry/],
  ['TypeBox, a transform', T.Transform(T.String()).Decode(Number).Encode(String), /# has a transform/],
  ['TypeBox, a transform within', T.Object({ a: T.Array(T.Transform(T.String()).Decode(Number).Encode(String)) }), /#\/properties\/a\/items has a transform/],
  ['TypeBox, a kind of one\'s own', Even, /# is of the kind "Even"/],
  ['TypeBox, a kind of one\'s own within', T.Record(T.String(), Even), /#\/patternProperties\/.* is of the kind "Even"/],
  ['a date', T.Object({ at: T.Date() }), /#\/properties\/at is Type\.Date\(\), .*date-time/],
  ['bytes', T.Uint8Array(), /Type\.Uint8Array\(\)/],
  ['a bigint', T.BigInt(), /Type\.BigInt\(\)/],
  ['a literal bigint', T.Unsafe({ const: 5n }), /#\/const must be a value that JSON has/],
  ['a symbol', T.Symbol(), /"Symbol"/],
  ['a function as a type', T.Function([], T.String()), /"Function"/],
  ['a promise as a type', T.Promise(T.String()), /"Promise"/],
  ['undefined', T.Union([T.String(), T.Undefined()]), /#\/anyOf\/1 is Type\.Undefined\(\), .*Type\.Optional\(\)/],
  ['void', T.Void(), /Type\.Void\(\)/],
  ['an iterator', T.Iterator(T.String()), /"Iterator"/],
  ['an iterator that is awaited', T.AsyncIterator(T.String()), /"AsyncIterator"/],
  ['a regular expression', T.RegExp(/a/), /Type\.RegExp\(\), .*pattern/],
  ['a keyword misspelt', { type: 'object', propertees: {} }, /#\/propertees is no keyword of JSON Schema; did you mean "properties"\?/],
  ['a limit misspelt', T.String({ minLenght: 5 }), /#\/minLenght is no keyword .* "minLength"\?/],
  ['a limit misspelt, deep', T.Object({ a: T.Union([T.Null(), T.Array(T.Number({ maximun: 5 }))]) }), /#\/properties\/a\/anyOf\/1\/items\/maximun .* "maximum"\?/],
  ['a list of keys misspelt', { type: 'object', properties: { a: {} }, requird: ['a'] }, /"required"\?/],
  ['a keyword of nobody\'s', { type: 'string', shoutable: true }, /#\/shoutable is no keyword of JSON Schema; the name of an annotation of your own begins with "x-"/],
  ['a keyword misspelt in patternProperties', { type: 'object', patternProperties: { '^a/': { type: 'string', patern: 'x' } } }, /#\/patternProperties\/\^a~1\/patern/],
  ['a keyword misspelt in if', { if: { properties: { a: { cosnt: 1 } } }, then: {} }, /#\/if\/properties\/a\/cosnt .* "const"\?/],
  ['a keyword misspelt in not', T.Not(T.String({ lenght: 1 })), /#\/not\/lenght is no keyword/],
  ['a keyword misspelt in an unused definition', { $defs: { a: { typ: 'string' } }, type: 'string' }, /#\/\$defs\/a\/typ .* "type"\?/],
  ['a type misspelt', { type: 'strng' }, /#\/type names no type of JSON, "strng"; did you mean "string"\?/],
  ['draft 4', { type: 'number', minimum: 1, exclusiveMinimum: true }, /#\/exclusiveMinimum must be a number, in place of "minimum"/],
  ['draft 3', { type: 'object', properties: { a: { type: 'string', required: true } } }, /#\/properties\/a\/required/],
  ['a dialect', { $schema: 'http://json-schema.org/draft-04/schema#' }, /#\/\$schema names a dialect that is not known/],
  ['a reference that changes', { $dynamicRef: '#a' }, /#\/\$dynamicRef is not supported: use "\$ref"/],
  ['a reference to nothing', T.Object({ a: T.Ref('Nothing') }), /can't resolve reference Nothing at #\/properties\/a/],
  ['a limit that is none', T.String({ maxLength: '5' as never }), /#\/maxLength must be a whole number from 0, is "5"/],
  ['a limit below nothing', T.Array(T.Null(), { maxItems: -1 }), /#\/maxItems/],
  ['a limit that does not apply', { type: 'number', maxLength: 5 }, /#\/maxLength says nothing of data of the type "number"/],
  ['keys of what is no object', { type: 'string', properties: {} }, /#\/properties says nothing of data of the type "string"/],
  ['a pattern that is none', T.String({ pattern: '(' }), /#\/pattern is no regular expression/],
  ['a pattern of keys that is none', { type: 'object', patternProperties: { '(': {} } }, /#\/patternProperties\/\( is no regular expression/],
  ['a pattern that is an expression', T.String({ pattern: /a/ as never }), /#\/pattern must be the text/],
  ['no types', { type: [] }, /#\/type must be/],
  ['an enum of nothing', { enum: [] }, /#\/enum must be an array of one or more values/],
  ['an enum that is missing', { enum: undefined }, /#\/enum is undefined/],
  ['a type that is missing', { type: undefined }, /#\/type is undefined/],
  ['keys that are no schemas', { type: 'object', properties: { a: 'string' } }, /#\/properties\/a is string/],
  ['a class', new Rule(), /# is an object of a class, Rule/],
  ['a class within', T.Object({ a: new Rule() as never }), /#\/properties\/a is an object of a class, Rule/],
  ['a map of schemas', { type: 'object', properties: new Map() }, /#\/properties must be an object of schemas/],
  ['a function within', T.Object({ a: (() => true) as never }), /#\/properties\/a is a function/],
  ['a constructor within', { type: 'object', properties: { a: String } }, /#\/properties\/a is a function/],
  ['a promise', Promise.resolve(T.String()), /# is a promise: await it/],
  ['an array within', T.Object({ a: [T.String()] as never }), /#\/properties\/a is an array/],
  ['null within', T.Object({ a: null as never }), /#\/properties\/a is null/],
  ['undefined within', { type: 'object', properties: { a: undefined } }, /#\/properties\/a is undefined/],
  ['text() within', T.Object({ a: text() as never }), /#\/properties\/a has fastify-tether\.update beside its keywords/],
  ['a mark of somebody\'s', { type: 'string', [Symbol('check')]: () => false }, /# has check beside its keywords/],
  ['what holds itself', holdsItself, /#\/properties\/child is a schema that holds itself/],
  ['a condition without an outcome', { if: { type: 'string' } }, /#\/if says nothing without/],
  ['an outcome without a condition', { then: { type: 'string' } }, /#\/then says nothing without "if"/],
  ['a count of nothing', { type: 'array', minContains: 2 }, /#\/minContains says nothing without "contains"/],
  ['further items of no list', { type: 'array', items: {}, additionalItems: false }, /#\/additionalItems says nothing/],
  ['an annotation misspelt', T.String({ deafult: 'x' }), /#\/deafult is no keyword of JSON Schema; did you mean "default"\?/],
  ['a map of fields that are named like annotations', { title: T.String(), description: T.String() }, /#\/title must be a string, is an object/],
  ['the same without TypeBox', T.Object({ a: { deprecated: { type: 'boolean' } } as never }), /#\/properties\/a\/deprecated must be true or false, is an object/],
  ['a field named example', { example: T.String() }, /#\/example must be a value, is a schema/],
  ['a field named default', { default: T1.String() }, /#\/default must be a value that JSON has/],
  ['a field named examples', { examples: T.Array(T.String()) }, /#\/examples must be an array of values, is an object/],
  ['schemas for examples', { examples: [z.string()] }, /#\/examples\/0 must be a value, is a schema/],
  ['a field named xml', { xml: T.String() }, /#\/xml must be an object, is a schema/],
  ['a default that is a function', T.String({ default: () => 'x' }), /#\/default must be a value that JSON has/],
  ['an annotation that holds a misspelt schema', { type: 'string', contentSchema: { typ: 'object' } }, /#\/contentSchema\/typ .* "type"\?/],
  ['a value from elsewhere', { type: 'number', maximum: { $data: '1/a' } }, /#\/maximum must be a number/]
]

t.test('what nothing would check is refused', async (t) => {
  for (const [name, schema, message] of refused) {
    t.throws(() => compile('events', schema), { code: 'FST_ERR_TETHER_CONTRACT', message }, name)
    t.throws(() => compile('events', schema), { message: /event "range\.set"/ })
    t.throws(() => compile('updates', schema), { code: 'FST_ERR_TETHER_CONTRACT', message: name === 'a reference to nothing' ? /Nothing/ : message }, `${name}, of an update`)
    t.throws(() => compile('updates', schema), { message: /update "range\.set"/ })
  }
  for (const schema of [null, undefined, true, 5, 'string', [], () => {}, String, T.String]) {
    for (const use of ['events', 'updates'] as const) t.throws(() => compile(use, schema), { code: 'FST_ERR_TETHER_CONTRACT', message: /"range\.set" must be a schema: of TypeBox, or of a library that follows Standard Schema/ }, String(schema))
  }
  t.throws(() => compile('updates', conflate(T.Array(z.string() as never))), { code: 'FST_ERR_TETHER_CONTRACT', message: /update "range\.set" cannot be compiled: #\/items is a schema of zod/ })
})

t.test('of an event alone', async (t) => {
  const rows: Row[] = [
    ['a format that nobody knows', T.Object({ a: T.String({ format: 'emial' }) }), /#\/properties\/a\/format is an unknown format, "emial"; did you mean "email"\?/],
    ['a format of TypeBox\'s registry', T.String({ format: 'iban' }), /unknown format, "iban"/],
    ['a format of other data', T.Integer({ format: 'email' }), /"email" says nothing of data of the type "integer"/],
    ['a number\'s format for a string', T.String({ format: 'int64' }), /"int64" says nothing of data of the type "string"/]
  ]
  for (const [name, schema, message] of rows) {
    t.throws(() => compile('events', schema), { code: 'FST_ERR_TETHER_CONTRACT', message }, name)
    t.doesNotThrow(() => compile('updates', schema), `${name}, of an update, which nothing checks`)
  }
})

t.test('of an update alone: what it would be written without', async (t) => {
  const rows: Row[] = [
    ['keys beside those of an intersection', T.Intersect([T.Object({ a: T.String() })], { unevaluatedProperties: T.Number() }), /#\/unevaluatedProperties names keys that an update would be written without/],
    ['keys that come with others', { type: 'object', properties: { a: {} }, dependentSchemas: { a: { properties: { b: {} } } } }, /#\/dependentSchemas/],
    ['the same of draft 7', { type: 'object', properties: { a: {} }, dependencies: { a: { properties: { b: {} } } } }, /#\/dependencies/]
  ]
  for (const [name, schema, message] of rows) {
    t.throws(() => compile('updates', schema), { code: 'FST_ERR_TETHER_CONTRACT', message }, name)
    t.doesNotThrow(() => compile('events', schema), `${name}, of an event`)
  }
})

t.test('what is checked is taken, and checked', async (t) => {
  const Point = T.Object({ x: T.Number(), y: T.Number() })
  const Node = T.Recursive((Self) => T.Object({ value: T.Number(), children: T.Array(Self) }), { $id: 'Node' })
  const module = T.Module({ Leaf: T.Object({ text: T.String() }), Tree: T.Union([T.Ref('Leaf'), T.Array(T.Ref('Tree'))]), Part: T.Partial(T.Ref('Leaf')) })
  const Recursive = z.object({ name: z.string(), get next () { return Recursive.optional() } })
  // Data that fits, and data that does not; the latter is `anything` where all data fits.
  const rows: Array<[name: string, schema: unknown, good: unknown, bad: unknown]> = [
    ['Any', T.Any(), [1], anything],
    ['Unknown', T.Unknown(), 'x', anything],
    ['{}', {}, { a: 1 }, anything],
    ['Array', T.Array(T.String(), { minItems: 1, uniqueItems: true }), ['a'], ['a', 'a']],
    ['Boolean', T.Boolean(), true, 'true'],
    ['Integer', T.Integer({ multipleOf: 5 }), 10, 11],
    ['Number', T.Number({ exclusiveMinimum: 0 }), 1, 0],
    ['String', T.String({ minLength: 2, pattern: '^a' }), 'ab', 'ba'],
    ['a format', T.String({ format: 'email' }), 'a@b.example', 'nobody'],
    ['a format of a number', T.Integer({ format: 'int32' }), 5, 2 ** 40],
    ['Null', T.Null(), null, 0],
    ['Literal', T.Literal('a'), 'a', 'b'],
    ['Enum', T.Enum({ a: 'x', b: 1 }), 1, 'a'],
    ['Union', T.Union([T.String(), T.Number()]), 5, true],
    ['Intersect', T.Intersect([Point, T.Object({ z: T.Number() })]), { x: 1, y: 1, z: 1 }, { x: 1, y: 1 }],
    ['Intersect of keys beside', T.Intersect([Point, T.Object({ z: T.Number() })], { unevaluatedProperties: false }), { x: 1, y: 1, z: 1 }, { x: 1, y: 1, z: 1, w: 1 }],
    ['Composite', T.Composite([Point, T.Object({ z: T.Number() })]), { x: 1, y: 1, z: 1 }, { x: 1 }],
    ['Partial', T.Partial(Point), {}, { x: 'a' }],
    ['Required', T.Required(T.Partial(Point)), { x: 1, y: 1 }, {}],
    ['Pick', T.Pick(Point, ['x']), { x: 1 }, { y: 1 }],
    ['Omit', T.Omit(Point, ['x']), { y: 1 }, { x: 1 }],
    ['KeyOf', T.KeyOf(Point), 'x', 'z'],
    ['Index', T.Index(Point, ['x']), 1, 'x'],
    ['Mapped', T.Mapped(T.Union([T.Literal('a'), T.Literal('b')]), () => T.Number()), { a: 1, b: 2 }, { a: 1 }],
    ['Exclude', T.Exclude(T.Union([T.Literal('a'), T.Literal('b')]), T.Literal('a')), 'b', 'a'],
    ['Record', T.Record(T.String(), T.Number()), { a: 1 }, { a: 'x' }],
    ['Record of patterns', T.Record(T.TemplateLiteral('a${string}'), T.Number()), { ab: 1 }, { b: 1 }], // eslint-disable-line no-template-curly-in-string
    ['TemplateLiteral', T.TemplateLiteral('a${1|2}'), 'a1', 'a3'], // eslint-disable-line no-template-curly-in-string
    ['Tuple', T.Tuple([T.String(), T.Number()]), ['a', 1], ['a', 1, 1]],
    ['an empty Tuple', T.Tuple([]), [], [1]],
    ['Not', T.Not(T.String()), 1, 'x'],
    ['Never within', T.Object({ a: T.Optional(T.Never()) }), {}, { a: 1 }],
    ['Optional and Readonly', T.Object({ a: T.ReadonlyOptional(T.String()) }), {}, { a: 1 }],
    ['Recursive', Node, { value: 1, children: [{ value: 2, children: [] }] }, { value: 1, children: [{}] }],
    ['Module', module.Import('Tree'), [[{ text: 'a' }]], [[{ text: 1 }]]],
    ['a part of a Module', module.Import('Part'), {}, { text: 1 }],
    ['Extends', T.Extends(T.String(), T.String(), T.Literal('yes'), T.Literal('no')), 'yes', 'no'],
    ['Capitalize', T.Capitalize(T.Literal('a')), 'A', 'a'],
    ['Unsafe', T.Unsafe<string>({ type: 'string', enum: ['a', 'b'] }), 'a', 'c'],
    ['nullable by TypeBox\'s recipe', T.Unsafe<string | null>({ ...T.String(), nullable: true }), null, 1],
    ['nullable without a type', T.Unsafe({ ...T.Union([T.String(), T.Number()]), nullable: true }), null, true],
    ['nullable reference', { $defs: { p: Point }, nullable: true, $ref: '#/$defs/p' }, null, 1],
    ['annotations', T.Object({ a: T.String({ title: 'A', description: 'a', default: 'x', examples: ['y'], example: 'y', deprecated: true, readOnly: true, writeOnly: false, 'x-order': 1, $comment: 'c', contentMediaType: 'text/plain', contentEncoding: 'base64', externalDocs: {}, xml: {} }) }), { a: 'x' }, { a: 1 }],
    ['a discriminator', T.Unsafe({ oneOf: [T.Object({ k: T.Literal('a') }), T.Object({ k: T.Literal('b') })], discriminator: { propertyName: 'k' } }), { k: 'a' }, { k: 'c' }],
    ['a default in a branch', T.Union([T.Object({ a: T.String({ default: 'x' }) }), T.Null()], { default: null }), null, {}],
    ['an option that nobody gave', T.String({ maxLength: undefined, pattern: undefined } as never), 'x', 1],
    ['TypeBox 1', T1.Object({ a: T1.Optional(T1.Array(T1.Enum(['a', 1]))), b: T1.Readonly(T1.String()) }), { a: [1], b: '' }, { a: [2], b: '' }],
    ['TypeBox 1, a cycle', T1.Cyclic({ N: T1.Object({ next: T1.Array(T1.Ref('N')) }) }, 'N'), { next: [{ next: [] }] }, { next: [{}] }],
    ['TypeBox 1, a tuple', T1.Tuple([T1.String(), T1.Immutable(T1.Array(T1.Null()))]), ['a', [null]], ['a', 1]],
    ['TypeBox 1, a tuple of nothing', T1.Tuple([]), [], [1]],
    ['draft 7, a list of no items and further ones', { type: 'array', items: [], additionalItems: { type: 'number' } }, [1], ['a']],
    ['a name that is relative to another', { $id: 'https://example.com/a/root.json', type: 'object', definitions: { p: { $id: 'parts/p.json', definitions: { q: { $id: 'q.json', type: 'string' } }, type: 'number' } }, properties: { a: { $ref: 'https://example.com/a/parts/p.json' }, b: { $ref: '/a/parts/q.json' } } }, { a: 1, b: 'x' }, { a: 1, b: 1 }],
    ['annotations without a value, and a date to show', T.String({ title: undefined, examples: [new Date(0)], example: new Date(0), contentSchema: { type: 'object' } } as never), 'x', 1],
    ['zod\'s JSON Schema', z.toJSONSchema(z.object({ a: z.string().min(2), t: z.tuple([z.string(), z.number()]), r: z.record(z.string(), z.number()), n: z.number().int().nullable() })), { a: 'ab', t: ['a', 1], r: { k: 1 }, n: null }, { a: 'ab', t: ['a', 'b'], r: {}, n: 1 }],
    ['zod\'s JSON Schema, in an object', T.Object({ a: T.Unsafe(z.toJSONSchema(z.discriminatedUnion('k', [z.object({ k: z.literal('a') }), z.object({ k: z.literal('b') })]))) }), { a: { k: 'b' } }, { a: { k: 'c' } }],
    ['zod\'s JSON Schema, recursive', z.toJSONSchema(Recursive), { name: 'a', next: { name: 'b' } }, { name: 'a', next: { name: 1 } }],
    ['zod\'s JSON Schema of draft 7', z.toJSONSchema(z.object({ a: z.array(z.uuid()) }), { target: 'draft-7' }), { a: [] }, { a: ['x'] }],
    ['arktype\'s JSON Schema', ark({ a: 'string', 'b?': 'number > 5' }).toJsonSchema(), { a: 'x', b: 6 }, { a: 'x', b: 5 }],
    ['draft 2020-12', { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'array', prefixItems: [{ type: 'string' }], items: { type: 'number' }, minItems: 1 }, ['a', 1], ['a', 'b']],
    ['draft 2019-09', { type: 'object', properties: { a: {}, b: {} }, dependentRequired: { a: ['b'] }, minProperties: 1 }, { a: 1, b: 1 }, { a: 1 }],
    ['draft 7', { definitions: { p: { $id: '#p', type: 'string' } }, type: 'object', properties: { a: { $ref: '#p' } }, if: { required: ['a'] }, then: { properties: { b: { const: 1 } } }, else: { required: ['c'] } }, { a: 'x', b: 1 }, { a: 'x', b: 2 }],
    ['dependencies of keys', { type: 'object', properties: { a: {}, b: {} }, dependencies: { a: ['b'] } }, { b: 1 }, { a: 1 }],
    ['contains', { type: 'array', contains: { const: 5 }, minContains: 2 }, [5, 5], [5]],
    ['names of properties', { type: 'object', additionalProperties: true, propertyNames: { pattern: '^a', maxLength: 3 } }, { ab: 1 }, { b: 1 }],
    ['true and false within', { type: 'object', properties: { a: true, b: false } }, { a: 1 }, { b: 1 }],
    ['several types', { type: ['string', 'null'], maxLength: 2 }, null, 'abc'],
    ['keys without a type', { properties: { a: { type: 'string' } }, required: ['a'] }, { a: 'x' }, { a: 1 }],
    ['keys beside a union', { type: 'object', properties: { a: { type: 'string' } }, anyOf: [{ properties: { b: { type: 'string' } }, required: ['b'] }, { required: ['a'] }] }, { a: 'x', b: 'y' }, { a: 'x', c: 1 }],
    ['from another realm', JSON.parse('{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}'), { a: '' }, {}],
    ['without a prototype', Object.assign(Object.create(null), { type: 'string' }), '', 1]
  ]
  t.ok(rows.length > 30 && refused.length > 30)
  for (const [name, schema, good, bad] of rows) {
    const validator = compile('events', schema).event('range.set')!
    const check = (data: unknown): Fault[] => {
      const faults: Fault[] = []
      validator.read(structuredClone(data), '', false, faults)
      return faults
    }
    t.same(check(good), [], name)
    if (bad !== anything) t.ok(check(bad).length > 0, `${name}: bad data`)
    t.doesNotThrow(() => compile('updates', schema).encode('range.set', good), `${name}, of an update`)
  }
})

t.test('a schema is left as it is', async (t) => {
  const deeply = (value: unknown): unknown => {
    if (typeof value === 'object' && value !== null) Object.values(value).forEach(deeply)
    return Object.freeze(value)
  }
  const schema = deeply({ $defs: { a: { $id: 'a', type: 'string' } }, anyOf: [{ $ref: 'a', maxLength: 5 }, { properties: { a: { default: 1 } } }], nullable: true }) as TSchema
  t.doesNotThrow(() => {
    const contract = CompiledContract.of(defineContract({ events: { e: schema }, updates: { u: schema } }))
    contract.event('e')!.read({ a: 5 }, '', true, [])
    contract.encode('u', 'x')
  })
})
