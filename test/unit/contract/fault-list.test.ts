import { Type, type TSchema } from '@sinclair/typebox'
import t from 'tap'
import { EventValidator } from '../../../plugin/contract/event-validator.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { faultTexts, validatorOf } from './validation.ts'

function json (schema: TSchema, data: unknown): string[] | null {
  return faultTexts(validatorOf(schema).faults(data, '', false))
}

const Point = Type.Object({ x: Type.Number(), y: Type.Number() })
const Shape = Type.Union([
  Type.Object({ kind: Type.Literal('circle'), radius: Type.Number({ minimum: 0 }) }),
  Type.Object({ kind: Type.Literal('box'), width: Type.Number(), height: Type.Number() })
])

t.test('every fault is named', async (t) => {
  const schema = Type.Object({ name: Type.String({ minLength: 2 }), at: Point, tags: Type.Array(Type.String()) })
  t.equal(json(schema, { name: 'ab', at: { x: 1, y: 2 }, tags: [] }), null)
  t.same(json(schema, { name: 'a', at: { x: 'no', z: 1 }, tags: ['a', 5, null] }), [
    '/at/x must be number',
    '/at/y is required',
    '/at/z is not known here',
    '/name must NOT have fewer than 2 characters',
    '/tags/1 must be string',
    '/tags/2 must be string'
  ])
  t.same(json(schema, {}), ['/at is required', '/name is required', '/tags is required'])
  for (const data of [null, undefined, 5, 'text', [], true]) t.same(json(schema, data), [' must be object'], String(data))
})

t.test('a fault is named once', async (t) => {
  t.same(json(Type.Intersect([Point, Type.Object({ x: Type.Number() })]), { y: 1 }), ['/x is required'])
})

t.test('paths are JSON pointers', async (t) => {
  t.same(json(Type.Object({ 'a/b': Type.String(), 'c~d': Type.String() }), { 'a/b': 1 }), ['/a~1b must be string', '/c~0d is required'])
  t.same(json(Type.Object({}), { '~/': 1, '': 1 }), ['/ is not known here', '/~0~1 is not known here'])
  t.same(json(Type.Record(Type.String(), Point), { 'm~/n': { x: 1 } }), ['/m~0~1n/y is required'])
  t.same(faultTexts(new EventValidator('test', Point).faults({ x: 1 }, '/3/data', false)), ['/3/data/y is required'], 'under the one given')
})

t.test('unions', async (t) => {
  t.test('of literals: one fault that lists them', async (t) => {
    const schema = Type.Object({ range: Type.Union([Type.Literal('1h'), Type.Literal('24h')]) })
    t.equal(json(schema, { range: '24h' }), null)
    for (const range of ['2h', 5, null, {}]) t.same(json(schema, { range }), ['/range must be one of "1h", "24h"'])
    t.same(json(Type.Enum({ a: 'x', b: 'y' }), 'z'), [' must be one of "x", "y"'])
    t.same(json(Type.Union([Type.Literal('auto'), Type.Literal(3), Type.Null()]), 'x'), [' must be one of "auto", 3, null'])
    t.equal(json(Type.Union([Type.Literal('auto'), Type.Null()]), null), null)
    t.same(json(Type.Literal('x'), 'y'), [' must be "x"'])
  })

  t.test('of types: one fault that lists them', async (t) => {
    t.same(json(Type.Union([Type.String(), Type.Number()]), true), [' must be string or number'])
    t.same(json(Type.Array(Type.Union([Type.Object({ a: Type.Null() }), Type.Object({ b: Type.Null() })])), [5]), ['/0 must be object'])
  })

  t.test('with a tag: the faults of the branch that was meant', async (t) => {
    t.equal(json(Shape, { kind: 'circle', radius: 1 }), null)
    t.same(json(Shape, { kind: 'circle', radius: -1 }), ['/radius must be >= 0'])
    t.same(json(Shape, { kind: 'box', width: 'x', depth: 1 }), ['/depth is not known here', '/height is required', '/width must be number'])
    t.same(json(Shape, { kind: 'star' }), ['/kind must be one of "circle", "box"'])
    const tags = Type.Union([
      Type.Object({ kind: Type.Union([Type.Literal('a'), Type.Literal('b')]), x: Type.Number() }),
      Type.Object({ kind: Type.Literal('c'), y: Type.Number() })
    ])
    t.same(json(tags, { kind: 'b', x: 'no' }), ['/x must be number'], 'a branch may have several')
    t.same(json(tags, { kind: 'd', x: 1 }), ['/kind must be one of "a", "b", "c"'])
  })

  t.test('the branch of the one type that fits', async (t) => {
    const schema = Type.Union([Point, Type.Null()])
    t.equal(json(schema, null), null)
    t.same(json(schema, { x: 1, y: 'no' }), ['/y must be number'])
  })

  t.test('the branch that fits best', async (t) => {
    const schema = Type.Union([Type.Object({ a: Type.Number(), b: Type.Number() }), Type.Object({ c: Type.Number() })])
    t.same(json(schema, { a: 1, b: 'no' }), ['/b must be number'])
    t.same(json(schema, { a: 'no', c: 1 }), ['/a is not known here'])
    t.same(json(Type.Union([Type.Object({ a: Type.Number() }), Type.Object({ b: Type.Number() })]), {}), [' matches none of the allowed forms'], 'none, where two fit as well')
    const deep = Type.Union([Type.Object({ at: Type.Object({ v: Type.Literal(1) }) }), Type.Object({ x: Type.Null(), y: Type.Null() })])
    t.same(json(deep, { at: { v: 2 } }), ['/at/v must be 1'], 'a literal further down is no tag')
  })

  t.test('each item of a list is judged by itself', async (t) => {
    t.same(json(Type.Array(Shape), [{ kind: 'circle', radius: 'no' }, { kind: 'box', width: 1, height: 'no' }, { kind: 'circle', radius: 1 }, 5]), [
      '/0/radius must be number',
      '/1/height must be number',
      '/3 must be object'
    ])
  })

  t.test('within unions', async (t) => {
    const schema = Type.Union([
      Type.Object({ type: Type.Literal('draw'), shape: Shape }),
      Type.Object({ type: Type.Literal('move'), to: Type.Union([Point, Type.Literal('home')]) })
    ])
    t.same(json(schema, { type: 'draw', shape: { kind: 'circle', radius: 'no' } }), ['/shape/radius must be number'])
    t.same(json(schema, { type: 'move', to: { x: 1 } }), ['/to/y is required'])
    t.same(json(schema, { type: 'move', to: 'away' }), ['/to matches none of the allowed forms'])
  })

  t.test('of which one alone may fit, as well', async (t) => {
    const exclusive = { oneOf: Shape.anyOf } as unknown as TSchema
    t.equal(json(exclusive, { kind: 'circle', radius: 1 }), null)
    t.same(json(exclusive, { kind: 'circle', radius: -1 }), ['/radius must be >= 0'])
    t.same(json(exclusive, { kind: 'box', width: 'x', depth: 1 }), ['/depth is not known here', '/height is required', '/width must be number'])
    t.same(json(exclusive, { kind: 'star' }), ['/kind must be one of "circle", "box"'])
    t.same(json({ oneOf: [Type.String(), Type.Null()] } as never, 5), [' must be string or null'])
    t.same(json({ type: 'object', properties: { shape: exclusive, range: { oneOf: [{ const: '1h' }, { const: '24h' }] } } } as never, { shape: { kind: 'box', width: 1, height: 'no' }, range: '2h' }), ['/range must be one of "1h", "24h"', '/shape/height must be number'])
    t.same(json({ oneOf: [Type.Number(), Type.Integer()] } as never, 5), [' matches more than one of the allowed forms'])
    t.same(json({ oneOf: [Type.Union([Point, Type.Null()]), Type.String()] } as never, { x: 1 }), ['/y is required'], 'a union within')
  })

  t.test('beside conditions', async (t) => {
    const schema = { type: 'object', properties: { a: { type: 'number' }, b: { type: 'string' } }, if: { properties: { a: { const: 1 } } }, then: { required: ['b'] } } as never
    t.same(json(schema, { a: 1 }), ['/b is required'], 'the condition itself is no fault')
    t.same(json({ type: 'object', properties: { a: false } } as never, { a: 1 }), ['/a is not allowed'])
    t.same(json({ type: ['string', 'null'] } as never, 5), [' must be string or null'])
  })

  t.test('in an intersection do not make known keys unknown', async (t) => {
    t.same(json(Type.Intersect([Type.Object({ id: Type.Number() }), Shape]), { id: 'no', kind: 'circle', radius: 'no' }), ['/id must be number', '/radius must be number'])
  })
})

t.test('an explanation is bounded', async (t) => {
  const { faults, explainedBranches } = defaults.fixed
  const validator = new EventValidator('test', Type.Array(Shape))
  const told = validator.faults(new Array(2000).fill({ kind: 'circle' }), '', false)!
  t.equal(told.length, faults)
  t.same(told.at(-1), { path: `/${faults - 1}/radius`, message: 'is required' })

  // Each branch of each level is another two: what an explanation looks at would double with each.
  const Twofold = Type.Recursive((Self) => Type.Union([
    Type.Object({ child: Self, kind: Type.Literal('a') }),
    Type.Object({ child: Self, kind: Type.Literal('b') }),
    Type.Null()
  ]))
  let data: unknown = 5
  for (let level = 0; level < 60; level++) data = { child: data, kind: 'b' }
  t.ok(2 ** 60 > explainedBranches)
  t.same(json(Twofold, data), [' matches none of the allowed forms'])
})
