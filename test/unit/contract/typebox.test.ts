import { Type as T0 } from '@sinclair/typebox'
import t from 'tap'
import { Type as T1 } from 'typebox'
import type { Schema } from '../../../schemas/schema-data.ts'
import { defineContract } from '../../../schemas/contract.ts'
import { checkFeatures, documented, read, type Feature } from './libraries.ts'

/** Features that both versions have; the second one lacks some types of the first one. */
function common (T: typeof T0): Feature[] {
  const Point = T.Object({ x: T.Number(), y: T.Number() })
  return [
    ['an object', T.Object({ a: T.String(), 'b/c': T.Number() }), { a: 'x', 'b/c': 1 }, { a: 'x', 'b/c': 1 }, { a: 1 }, [/^\/data\/a must be string$/, /^\/data\/b~1c is required$/]],
    ['unknown keys are refused', Point, { x: 1, y: 1 }, { x: 1, y: 1 }, { x: 1, y: 1, z: 1 }, [/^\/data\/z is not known here$/]],
    ['unknown keys stay where they are allowed', T.Object({ x: T.Number() }, { additionalProperties: true }), { x: 1, z: 1 }, { x: 1, z: 1 }, { x: 'a', z: 1 }, [/^\/data\/x must be number$/]],
    ['a default', T.Object({ a: T.String({ default: 'x' }) }), {}, { a: 'x' }, { a: 1 }, [/^\/data\/a must be string$/]],
    ['limits', T.Object({ a: T.String({ minLength: 2, pattern: '^x' }), n: T.Integer({ minimum: 5 }) }), { a: 'xy', n: 5 }, { a: 'xy', n: 5 }, { a: 'yx', n: 4 }, [/^\/data\/a must match pattern/, /^\/data\/n must be >= 5$/]],
    ['a format', T.String({ format: 'email' }), 'a@b.example', 'a@b.example', 'a', [/^\/data must match format "email"$/]],
    ['a union of objects with a tag', T.Union([T.Object({ kind: T.Literal('a'), n: T.Number() }), T.Object({ kind: T.Literal('b') })]), { kind: 'a', n: 1 }, { kind: 'a', n: 1 }, { kind: 'a' }, [/^\/data\/n is required$/]],
    ['an intersection', T.Intersect([Point, T.Object({ z: T.Number() })]), { x: 1, y: 1, z: 1 }, { x: 1, y: 1, z: 1 }, { x: 1, y: 1 }, [/^\/data\/z is required$/]],
    ['a tuple', T.Tuple([T.String(), T.Number()]), ['a', 1], ['a', 1], ['a', 'b'], [/^\/data\/1 must be number$/]],
    ['a record', T.Record(T.String(), T.Number()), { ab: 1 }, { ab: 1 }, { ab: 'x' }, [/^\/data\/ab must be number$/]]
  ]
}

for (const [name, T] of [['@sinclair/typebox', T0], ['typebox', T1 as unknown as typeof T0]] as const) {
  t.test(`what ${name} says is checked`, async (t) => {
    // An update is written by its schema, and not checked.
    checkFeatures(t, common(T), { checksUpdates: false })
  })

  t.test(`of ${name}, a form is converted, and the API document shows it`, async (t) => {
    const Fields = T.Object({ n: T.Number({ minimum: 5 }), on: T.Boolean({ default: false }), tags: T.Array(T.String()) })
    t.same(read(Fields, { n: '5', tags: 'a' }, { form: true }), { value: { n: 5, on: false, tags: ['a'] } })
    t.same(read(Fields, { n: '4', tags: 'a' }, { form: true }), { faults: ['/data/n must be >= 5'] })
    t.equal(documented(Fields), Fields)
  })
}

t.test('of typebox alone', async (t) => {
  checkFeatures(t, [
    ['a cycle', T1.Cyclic({ Node: T1.Object({ name: T1.String(), kids: T1.Array(T1.Ref('Node')) }) }, 'Node'), { name: 'a', kids: [{ name: 'b', kids: [] }] }, { name: 'a', kids: [{ name: 'b', kids: [] }] }, { name: 'a', kids: [{ name: 1, kids: [] }] }, [/^\/data\/kids\/0\/name must be string$/]],
    ['an enum', T1.Enum(['s', 'm']), 's', 's', 'l', [/^\/data must be one of "s", "m"$/]],
    ['a script', T1.Script('{ a: string, b?: number }') as unknown as Schema, { a: 'x' }, { a: 'x' }, { b: 'y' }, [/^\/data\/a is required$/, /^\/data\/b must be number$/]]
  ], { checksUpdates: false })
})

t.test('what would not be run is refused by name', async (t) => {
  const rows: Array<[Schema, RegExp]> = [
    [T1.Refine(T1.String(), () => true), /has a refinement/],
    [T1.Object({ a: T1.Refine(T1.String(), () => true) }), /#\/properties\/a has a refinement/],
    [T1.Codec(T1.String()).Decode(Number).Encode(String), /has a transform/],
    [T0.Object({ a: T0.Transform(T0.String()).Decode(Number).Encode(String) }), /#\/properties\/a has a transform/],
    [T0.Date(), /JSON cannot carry/],
    [T1.BigInt(), /JSON cannot carry/]
  ]
  for (const [schema, message] of rows) {
    for (const part of ['events', 'updates']) t.throws(() => defineContract({ [part]: { a: schema } }), { code: 'FST_ERR_TETHER_CONTRACT', message })
  }
})
