import { Type, type TSchema } from '@sinclair/typebox'
import t from 'tap'
import { EventValidator } from '../../../plugin/contract/event-validator.ts'

// Each further letter doubles its time: thirty take minutes, sixty for ever.
const slow = '^([a-z]+)+$'
const letters = `${'a'.repeat(60)}!`
const Word = Type.String({ pattern: slow, maxLength: 20 })

const rows: Array<[name: string, schema: TSchema | object, data: unknown]> = [
  ['a string', Word, letters],
  ['limits in another part of an intersection', Type.Unsafe({ allOf: [{ pattern: slow }, { type: 'string' }, { maxLength: 20 }] }), letters],
  ['limits beside a reference', { $id: 'v', $defs: { w: { type: 'string', pattern: slow } }, $ref: '#/$defs/w', maxLength: 20 }, letters],
  ['limits in a reference', { $id: 'v', $defs: { short: { type: 'string', maxLength: 20 } }, allOf: [{ pattern: slow }, { $ref: '#/$defs/short' }] }, letters],
  ['limits beside a union', { type: 'string', maxLength: 20, anyOf: [{ pattern: slow }, { const: 'x' }] }, letters],
  ['limits beside an exclusive union', { type: 'string', maxLength: 20, oneOf: [{ pattern: slow }, { pattern: '^[0-9]+$' }] }, letters],
  ['limits beside what must not be', { type: 'string', maxLength: 20, not: { pattern: slow } }, letters],
  ['limits beside a condition', { type: 'string', maxLength: 20, if: { pattern: slow }, then: { minLength: 1 } }, letters],
  ['a branch of a union', Type.Union([Word, Type.Number()]), letters],
  ['branches of a union', Type.Union([Type.Object({ kind: Type.Literal('a'), word: Word }), Type.Object({ kind: Type.Literal('b'), words: Type.Array(Word) })]), { kind: 'a', word: letters }],
  ['a property', Type.Object({ word: Word, n: Type.Number() }), { word: letters, n: 1 }],
  ['an optional property of an intersection', Type.Intersect([Type.Object({ word: Type.Optional(Word) }), Type.Object({ n: Type.Number() })]), { word: letters, n: 1 }],
  ['items', Type.Array(Word), [letters, letters]],
  ['items of a tuple', Type.Tuple([Word, Word]), [letters, letters]],
  ['contained items', { type: 'array', contains: Word }, [letters]],
  ['names of properties', { type: 'object', additionalProperties: true, propertyNames: Word }, { [letters]: 1 }],
  ['patterns of names', { type: 'object', patternProperties: { [slow]: {} }, propertyNames: { maxLength: 20 } }, { [letters]: 1 }],
  ['patterns of names, by number', { type: 'object', patternProperties: { [slow]: {} }, maxProperties: 1 }, { [letters]: 1, [`${letters}!`]: 1 }],
  ['patterns of names in an intersection', Type.Unsafe({ allOf: [{ patternProperties: { [slow]: {} } }, { propertyNames: { maxLength: 20 } }] }), { [letters]: 1 }],
  ['a format', Type.String({ format: 'url', maxLength: 200 }), `https://a@${'::'.repeat(30_000)}\0`],
  ['different items', Type.Array(Type.Unknown(), { uniqueItems: true, maxItems: 10 }), Array.from({ length: 30_000 }, (_, index) => [index])],
  ['items by number', Type.Array(Type.String({ pattern: '^(a?){12}a{12}$' }), { maxItems: 3 }), Array.from({ length: 3_000 }, () => 'a'.repeat(11))],
  ['properties by number', Type.Record(Type.String(), Type.String({ pattern: '^(a?){12}a{12}$' }), { maxProperties: 3 }), Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [index, 'a'.repeat(11)]))]
]

t.test('limits of a size protect what is slow beyond them', async (t) => {
  for (const [name, schema, data] of rows) {
    // As a field of a form, and as JSON, where it is refused, and again where another fault is explained.
    const validator = new EventValidator('test', Type.Object({ value: schema as TSchema, other: Type.Optional(Type.Number()) }))
    for (const form of [false, true]) {
      validator.faults({ value: null, other: 'x' }, '', form)
      const before = process.cpuUsage()
      const faults = validator.faults({ value: data, other: 'x' }, '', form)
      const { user } = process.cpuUsage(before)
      t.ok(user < 500_000, `${name}, ${form ? 'of a form' : 'of JSON'}: ${user} µs`)
      t.ok(faults!.some(({ path }) => path.startsWith('/value')), `${name}: ${JSON.stringify(faults).slice(0, 120)}`)
    }
  }
})

t.test('a fault of size is the only one of its value, and others are told beside it', async (t) => {
  const schema = Type.Object({ word: Word, list: Type.Array(Type.Number(), { maxItems: 2 }), ok: Type.Array(Type.Number(), { maxItems: 2 }), both: Type.Intersect([Type.Object({ a: Type.Number() }, { maxProperties: 2 }), Type.Object({ b: Type.Number() })]) })
  const faults = new EventValidator('test', schema).faults({ word: letters, list: ['a', 'b', 'c'], ok: ['a', 1], both: { a: 1, b: 2, c: 3 } }, '', false)!
  t.same(faults.map(({ path, message }) => `${path} ${message}`).sort(), [
    '/both must NOT have more than 2 properties',
    '/list must NOT have more than 2 items',
    '/ok/0 must be number',
    '/word must NOT have more than 20 characters'
  ])
})

t.test('what is slow in itself is tried once for each text', async (t) => {
  const text = `https://a@${'::'.repeat(4_000)}\0`
  const url = new EventValidator('test', Type.String({ format: 'url' }))
  const union = new EventValidator('test', Type.Object({ value: Type.Union([Type.Object({ a: Type.String({ format: 'url' }) }), Type.Object({ b: Type.Null() }), Type.String({ format: 'url' })]) }))
  const time = (run: () => unknown): number => {
    const before = process.cpuUsage()
    t.not(run(), null)
    return process.cpuUsage(before).user
  }
  // Compiled before it is measured.
  url.faults('x', '', false)
  for (const form of [false, true]) union.faults({ value: 'x' }, '', form)
  const once = Math.min(...[1, 2, 3].map((n) => time(() => url.faults(`${text}${n}`, '', false))))
  for (const form of [false, true]) {
    const least = Math.min(...[4, 5, 6].map((n) => time(() => union.faults({ value: `${text}${n}` }, '', form))))
    // Checked and explained, in two branches: four times, if each tried it again.
    t.ok(least < 2.5 * once, `${least} µs, ${once} µs for the format alone`)
  }
})
