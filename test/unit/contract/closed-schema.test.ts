import { Type } from '@sinclair/typebox'
import t from 'tap'
import { closeSchema } from '../../../plugin/contract/closed-schema.ts'

/** Without TypeBox's own marks. */
function plain (schema: object): unknown {
  return JSON.parse(JSON.stringify(schema))
}

t.test('objects refuse other keys, unless they say otherwise', async (t) => {
  const schema = Type.Object({ open: Type.Object({}, { additionalProperties: true }), closed: Type.Object({}) })
  t.match(plain(closeSchema(schema)), {
    additionalProperties: false,
    properties: { open: { additionalProperties: true }, closed: { additionalProperties: false } }
  })
})

t.test('what is named is referred to by place, and has no name of its own', async (t) => {
  const Node = Type.Recursive((Self) => Type.Object({ next: Type.Array(Self) }), { $id: 'Node' })
  const closed = plain(closeSchema(Type.Object({ a: Node, b: Node })))
  t.notMatch(JSON.stringify(closed), /\$id/)
  const reference = { $ref: '#/$defs/tether-0' }
  t.match(closed, {
    properties: { a: { properties: { next: { items: reference } } }, b: { properties: { next: { items: reference } } } },
    $defs: { 'tether-0': { additionalProperties: false, properties: { next: { items: reference } } } }
  })
})

t.test('a reference leads to a copy, whatever way it names what it means', async (t) => {
  const point = { type: 'object', properties: { x: {} } }
  const closed = { $ref: '#/$defs/tether-0', $defs: { 'tether-0': { ...point, additionalProperties: false } } }
  const rows: Array<[string, object]> = [
    ['a pointer', { $defs: { point }, $ref: '#/$defs/point' }],
    ['a pointer with escapes', { definitions: { 'a/b c': point }, $ref: '#/definitions/a~1b%20c' }],
    ['a name', { $defs: { any: { $id: 'point', ...point } }, $ref: 'point' }],
    ['an anchor', { $defs: { any: { $anchor: 'point', ...point } }, $ref: '#point' }],
    ['a relative address', { $id: 'https://example.com/root.json', $defs: { any: { $id: 'https://example.com/point.json', ...point } }, $ref: 'point.json' }],
    ['a name further in', { $ref: 'point', not: { $defs: { any: { $id: 'point', ...point } }, type: 'null' } }]
  ]
  for (const [name, schema] of rows) t.same({ ...plain(closeSchema(schema as never)) as object, not: undefined }, { ...closed, not: undefined }, name)

  const inner = closeSchema({ properties: { a: { $id: 'a', $defs: { p: { type: 'string' } }, properties: { b: { $ref: '#/$defs/p' } } } }, $defs: { p: { type: 'number' } } } as never)
  t.match(plain(inner), { $defs: { 'tether-0': { type: 'string' } } }, 'a pointer begins at the nearest schema with a name')
  for (const $ref of ['#/$defs/nothing', '#nothing', 'nothing', 'nothing#/a', '#/title', '#/%']) {
    t.throws(() => closeSchema({ title: 'x', properties: { a: { $ref } } } as never), { message: `can't resolve reference ${$ref} at #/properties/a` })
  }
})

t.test('what the drafts call by different names is one', async (t) => {
  const [a, b] = [{ type: 'string' }, { type: 'number' }]
  t.same(closeSchema({ prefixItems: [a, b], items: false } as never), { items: [a, b], additionalItems: false })
  t.same(closeSchema({ prefixItems: [a] } as never), { items: [a] })
  t.same(closeSchema({ items: [a], additionalItems: b } as never), { items: [a], additionalItems: b })
  t.same(closeSchema({ $recursiveRef: '#', minimum: 1, title: 'x', 'x-y': 1, example: 1, $schema: 'https://json-schema.org/draft/2020-12/schema' } as never), { $ref: '#/$defs/tether-0', minimum: 1, $defs: { 'tether-0': { $ref: '#/$defs/tether-0', minimum: 1 } } }, 'annotations are left out')
  t.same(closeSchema({ anyOf: [{ type: 'string', minLength: 1 }], nullable: true } as never), { anyOf: [{ anyOf: [{ type: 'string', minLength: 1 }] }, { type: 'null' }] }, 'nullable without a type')
})

t.test('sizes come before what takes longer beyond them', async (t) => {
  t.same(closeSchema(Type.String({ maxLength: 5 })), { type: 'string', maxLength: 5 }, 'not where nothing does')
  const sizes = [{ maxLength: 5 }]
  t.same(plain(closeSchema(Type.String({ maxLength: 5, pattern: 'a' }))), { type: 'string', allOf: sizes, if: { allOf: sizes }, then: { pattern: 'a' } })
  t.same(plain(closeSchema({ allOf: [{ pattern: 'a' }, { maxLength: 5 }] } as never)), { allOf: sizes, if: { allOf: sizes }, then: { allOf: [{ pattern: 'a' }, { maxLength: 5 }], unevaluatedProperties: false } }, 'those of all parts of an intersection')
})

t.test('unions of literals become one enum', async (t) => {
  const schema = Type.Union([Type.Literal('a'), Type.Literal(1), Type.Null()])
  t.match(plain(closeSchema(schema)), { enum: ['a', 1, null], anyOf: undefined })
  t.match(plain(closeSchema({ oneOf: [{ const: 'a', title: 'A' }, { const: 'b' }] } as never)), { enum: ['a', 'b'], oneOf: undefined })
  t.match(plain(closeSchema(schema, { strict: false })), { enum: undefined, anyOf: [{ const: 'a' }, { const: 1 }, { type: 'null' }] }, 'not where the copy is to be written by')
  t.match(plain(closeSchema(Type.Union([Type.Literal('a'), Type.String()]))), { enum: undefined }, 'nor where there is another branch')
  t.match(plain(closeSchema({ oneOf: [{ const: 'a' }, { const: 'a' }] } as never)), { enum: undefined }, 'nor where two are the same, of which none can be')
})

t.test('tags come before what they are the tags of', async (t) => {
  const schema = Type.Object({ child: Type.Any(), kind: Type.Literal('a'), other: Type.Any() })
  t.same(Object.keys((closeSchema(schema) as typeof schema).properties), ['kind', 'child', 'other'])
})

t.test('defaults stay where they are filled in', async (t) => {
  const schema = Type.Object({ a: Type.Any({ default: { properties: {} } }), b: Type.Union([Type.Object({ c: Type.Any({ default: 1 }) }), Type.Null()]) }, { default: {} })
  t.same(plain(closeSchema(schema)), {
    type: 'object',
    additionalProperties: false,
    required: ['a', 'b'],
    properties: { a: { default: { properties: {} } }, b: { anyOf: [{ type: 'object', additionalProperties: false, required: ['c'], properties: { c: {} } }, { type: 'null' }] } }
  })
})
