import { Type } from '@sinclair/typebox'
import t from 'tap'
import * as z from 'zod'
import { ReplyEncoder } from '../../../plugin/contract/reply-encoder.ts'
import type { Schema } from '../../../schemas/schema-data.ts'

const encode = (schema: Schema, value: unknown) => new ReplyEncoder('ask', schema).encode(value)

t.test('a reply is written by its schema', async (t) => {
  const Row = Type.Object({ id: Type.Integer(), at: Type.Optional(Type.String({ format: 'date-time' })), tags: Type.Array(Type.String(), { default: [] }) })
  t.equal(encode(Row, { id: 1, secret: 2, tags: ['a'] }), '{"id":1,"tags":["a"]}')
  t.equal(encode(Row, { id: 1 }), '{"id":1,"tags":[]}', 'with defaults')
  t.same(JSON.parse(encode(Row, { id: 1, at: new Date(0), tags: [] })), { id: 1, at: '1970-01-01T00:00:00.000Z', tags: [] })
  t.equal(encode(Type.Null(), null), 'null')
  t.equal(encode(Type.String(), 'a\n"b"'), '"a\\n\\"b\\""')
  t.equal(encode(Type.Union([Type.Object({ a: Type.Integer() }), Type.Object({ b: Type.Integer() })]), { b: 2 }), '{"b":2}')
  t.equal(encode(z.object({ id: z.int().transform(String) }), { id: 1, secret: 2 }), '{"id":"1"}', 'after the transforms of its library')
})

t.test('a reply that does not fit is refused, with a pointer', async (t) => {
  const cases: Array<[Schema, unknown, RegExp]> = [
    [Type.Object({ id: Type.Integer() }), {}, /\/id is required/],
    [Type.Object({ id: Type.Integer() }), { id: '1' }, /\/id must be integer/],
    [Type.Object({ id: Type.Integer() }), null, /must be object/],
    [Type.Object({ id: Type.Integer() }), undefined, /it is undefined/],
    [Type.Object({ id: Type.String() }), { id: 1 }, /\/id must be string/],
    [Type.Object({ id: Type.String({ format: 'email' }) }), { id: 'x' }, /\/id must match format "email"/],
    [Type.Array(Type.Integer(), { maxItems: 1 }), [1, 2], /must NOT have more than 1 items/],
    [Type.Any(), 1n, /BigInt/],
    [z.object({ id: z.int() }), { id: 1.5 }, /\/id /]
  ]
  for (const [schema, value, message] of cases) t.throws(() => encode(schema, value), { code: 'FST_ERR_TETHER_SERIALIZATION', message }, String(message))
  t.throws(() => encode(Type.Object({ id: Type.Integer() }), {}), { message: /^the reply to event "ask" cannot be serialised: / })
})
