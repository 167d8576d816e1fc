import { Type } from '@sinclair/typebox'
import t from 'tap'
import { closeSchema } from '../plugin/closed-schema.ts'

/** Without TypeBox's own marks. */
function plain (schema: object): unknown {
  return JSON.parse(JSON.stringify(schema))
}

t.test('objects refuse other keys, unless they say otherwise', async (t) => {
  const schema = Type.Object({ open: Type.Object({}, { additionalProperties: true }), closed: Type.Object({}) })
  t.match(plain(closeSchema(schema, true)), {
    additionalProperties: false,
    properties: { open: { additionalProperties: true }, closed: { additionalProperties: false } }
  })
})

t.test('what is named is referred to by place, and has no name of its own', async (t) => {
  const Node = Type.Recursive((Self) => Type.Object({ next: Type.Array(Self) }), { $id: 'Node' })
  const closed = plain(closeSchema(Type.Object({ a: Node, b: Node }), true))
  t.notMatch(JSON.stringify(closed), /\$id/)
  const reference = { $ref: '#/$defs/tether-0' }
  t.match(closed, {
    properties: { a: { properties: { next: { items: reference } } }, b: { properties: { next: { items: reference } } } },
    $defs: { 'tether-0': { additionalProperties: false, properties: { next: { items: reference } } } }
  })
})

t.test('definitions of the schema\'s own stay where they are', async (t) => {
  const schema = Type.Unsafe({ $defs: { point: { type: 'object', properties: { x: {} } } }, $ref: '#/$defs/point' })
  t.same(plain(closeSchema(schema, true)), { $defs: { point: { type: 'object', properties: { x: {} }, additionalProperties: false } }, $ref: '#/$defs/point' })
})

t.test('unions of literals become one enum, where asked', async (t) => {
  const schema = Type.Union([Type.Literal('a'), Type.Literal(1), Type.Null()])
  t.match(plain(closeSchema(schema, true)), { enum: ['a', 1, null], anyOf: undefined })
  t.match(plain(closeSchema(schema, false)), { enum: undefined, anyOf: [{ const: 'a' }, { const: 1 }, { type: 'null' }] })
  t.match(plain(closeSchema(Type.Union([Type.Literal('a'), Type.String()]), true)), { enum: undefined }, 'not where there is another branch')
})

t.test('tags come before what they are the tags of', async (t) => {
  const schema = Type.Object({ child: Type.Any(), kind: Type.Literal('a'), other: Type.Any() })
  t.same(Object.keys((closeSchema(schema, true) as typeof schema).properties), ['kind', 'child', 'other'])
})

t.test('what is no schema but looks like one is left alone', async (t) => {
  const schema = Type.Object({ a: Type.Any({ default: { properties: {} }, examples: [{ $id: 'x', properties: {} }] }) })
  t.match(plain(closeSchema(schema, true)), { properties: { a: { default: { properties: {}, additionalProperties: undefined }, examples: [{ $id: 'x', additionalProperties: undefined }] } } })
})
