import { Type, type TSchema } from '@sinclair/typebox'
import fc from 'fast-check'
import t from 'tap'
import { EventValidator } from '../../../plugin/contract/event-validator.ts'
import { faultTexts, validatorOf } from './validation.ts'

function json (schema: TSchema, data: unknown): string[] | null {
  return faultTexts(validatorOf(schema).faults(data, '', false))
}

function form (schema: TSchema, data: unknown): string[] | null {
  return faultTexts(validatorOf(schema).faults(data, '', true))
}

const Point = Type.Object({ x: Type.Number(), y: Type.Number() })
const Shape = Type.Union([
  Type.Object({ kind: Type.Literal('circle'), radius: Type.Number({ minimum: 0 }) }),
  Type.Object({ kind: Type.Literal('box'), width: Type.Number(), height: Type.Number() })
])

t.test('keys that the schema does not know', async (t) => {
  const rows: Array<[name: string, schema: TSchema, good: unknown, bad: unknown, faults: string[]]> = [
    ['an object without keys', Type.Object({}), {}, { a: 1 }, ['/a is not known here']],
    ['deep inside', Type.Object({ a: Type.Object({ b: Type.Array(Point) }) }), { a: { b: [{ x: 1, y: 1 }] } }, { a: { b: [{ x: 1, y: 1, z: 1 }] } }, ['/a/b/0/z is not known here']],
    ['in a tuple', Type.Tuple([Point, Type.String()]), [{ x: 1, y: 1 }, 's'], [{ x: 1, y: 1, z: 1 }, 's'], ['/0/z is not known here']],
    ['in a record', Type.Record(Type.String(), Point), { any: { x: 1, y: 1 } }, { any: { x: 1, y: 1, z: 1 } }, ['/any/z is not known here']],
    ['a record of certain keys', Type.Record(Type.Union([Type.Literal('a'), Type.Literal('b')]), Type.Number()), { a: 1, b: 2 }, { a: 1, b: 2, c: 3 }, ['/c is not known here']],
    ['a record of numbers', Type.Record(Type.Number(), Type.Number()), { 1: 1 }, { 1: 1, x: 2 }, ['/x is not known here']],
    ['an intersection', Type.Intersect([Point, Type.Object({ name: Type.String() })]), { x: 1, y: 1, name: 'n' }, { x: 1, y: 1, name: 'n', z: 1 }, ['/z is not known here']],
    ['within a part of an intersection', Type.Intersect([Type.Object({ at: Point }), Type.Object({ name: Type.String() })]), { at: { x: 1, y: 1 }, name: 'n' }, { at: { x: 1, y: 1, z: 1 }, name: 'n' }, ['/at/z is not known here']],
    ['an intersection of intersections', Type.Intersect([Type.Intersect([Point, Type.Object({ a: Type.Null() })]), Type.Object({ b: Type.Null() })]), { x: 1, y: 1, a: null, b: null }, { x: 1, y: 1, a: null, b: null, c: null }, ['/c is not known here']],
    ['an intersection with a union', Type.Intersect([Type.Object({ id: Type.Number() }), Shape]), { id: 1, kind: 'circle', radius: 1 }, { id: 1, kind: 'circle', radius: 1, width: 1 }, ['/width is not known here']],
    ['a branch of a union', Shape, { kind: 'box', width: 1, height: 1 }, { kind: 'box', width: 1, height: 1, radius: 1 }, ['/radius is not known here']],
    ['a composite', Type.Composite([Point, Type.Object({ name: Type.String() })]), { x: 1, y: 1, name: 'n' }, { x: 1, y: 1, name: 'n', z: 1 }, ['/z is not known here']],
    ['a partial', Type.Partial(Point), { y: 1 }, { z: 1 }, ['/z is not known here']],
    ['an optional object', Type.Object({ at: Type.Optional(Point) }), {}, { at: { x: 1, y: 1, z: 1 } }, ['/at/z is not known here']],
    ['beside keys of one schema', Type.Object({}, { additionalProperties: Point }), { any: { x: 1, y: 1 } }, { any: { x: 1, y: 1, z: 1 } }, ['/any/z is not known here']]
  ]
  for (const [name, schema, good, bad, faults] of rows) {
    t.equal(json(schema, good), null, name)
    t.same(json(schema, bad), faults, name)
  }
  t.equal(json(Type.Object({}, { additionalProperties: true }), { a: 1 }), null, 'unless it allows others')
  t.equal(json(Type.Intersect([Point, Type.Object({}, { additionalProperties: true })]), { x: 1, y: 1, z: 1 }), null, 'in a part of it')
  t.equal(json(Type.Intersect([Point], { unevaluatedProperties: true }), { x: 1, y: 1, z: 1 }), null, 'as a whole')
  t.equal(json(Type.Any(), { a: 1 }), null, 'or says nothing of keys')
  t.same(json(Type.Object({}), JSON.parse('{"__proto__":1,"constructor":2,"toString":3}')), ['/__proto__ is not known here', '/constructor is not known here', '/toString is not known here'], 'the keys of prototypes are keys')
  t.same(json(Type.Object({ constructor: Type.String() }), {}), ['/constructor is required'], 'and what a prototype has is not there')
})

t.test('JSON is not coerced', async (t) => {
  t.same(json(Type.Object({ n: Type.Number() }), { n: '1' }), ['/n must be number'])
  t.same(json(Type.Object({ n: Type.Integer() }), { n: 1.5 }), ['/n must be integer'])
  t.same(json(Type.Object({ b: Type.Boolean() }), { b: 'true' }), ['/b must be boolean'])
  t.same(json(Type.Object({ s: Type.String() }), { s: 5 }), ['/s must be string'])
  t.same(json(Type.Object({ a: Type.Array(Type.String()) }), { a: 'x' }), ['/a must be array'])
  t.same(json(Type.Object({ n: Type.Null() }), { n: '' }), ['/n must be null'])
})

t.test('the fields of a form are', async (t) => {
  const schema = Type.Object({
    n: Type.Number(),
    i: Type.Integer(),
    b: Type.Boolean(),
    s: Type.String(),
    a: Type.Array(Type.Integer()),
    one: Type.Union([Type.Literal(1), Type.Literal(2)]),
    mixed: Type.Union([Type.Literal('auto'), Type.Literal(5)]),
    either: Type.Union([Type.Number(), Type.Null()])
  })
  const data: Record<string, unknown> = { n: '1.5', i: '7', b: 'true', s: '12', a: '3', one: '2', mixed: '5', either: '4' }
  t.equal(form(schema, data), null)
  t.same(data, { n: 1.5, i: 7, b: true, s: '12', a: [3], one: 2, mixed: 5, either: 4 })
  t.same(form(schema, { n: 'x', i: '1.5', b: 'yes', s: ['a', 'b'], a: ['1', 'x'], one: '3', mixed: 'no', either: 'x' }), [
    '/a/1 must be integer',
    '/b must be boolean',
    '/either must be number or null',
    '/i must be integer',
    '/mixed must be one of "auto", 5',
    '/n must be number',
    '/one must be one of 1, 2',
    '/s must be string'
  ])
  t.same(form(Type.Object({}), { a: '1' }), ['/a is not known here'])
  t.same(form(Type.Array(Type.Object({ a: Type.String() })), { a: 'x' }), [' must be array'], 'but a form is an object, whatever the schema')
})

t.test('numbers that are none, or endless', async (t) => {
  const schema = Type.Object({ n: Type.Optional(Type.Number()), i: Type.Optional(Type.Integer()) })
  t.same(json(schema, JSON.parse('{"n":1e400,"i":-1e400}')), ['/i must be integer', '/n must be number'])
  t.same(form(schema, { n: '1e400', i: 'Infinity' }), ['/i must be integer', '/n must be number'])
  t.same(json(schema, { n: NaN }), ['/n must be number'])
  t.equal(json(schema, JSON.parse('{"n":1e308,"i":123456789012345678901234567890}')), null, 'large ones are numbers')
})

t.test('defaults are filled in', async (t) => {
  const schema = Type.Object({ range: Type.String({ default: '1h' }), deep: Type.Object({ n: Type.Number({ default: 5 }) }) })
  for (const check of [json, form]) {
    const data = { deep: {} }
    t.equal(check(schema, data), null)
    t.same(data, { range: '1h', deep: { n: 5 } })
  }
})

t.test('recursion', async (t) => {
  const Node = Type.Recursive((Self) => Type.Object({ value: Type.Number(), children: Type.Array(Self) }), { $id: 'Node' })

  t.test('a recursive schema', async (t) => {
    t.equal(json(Node, { value: 1, children: [{ value: 2, children: [] }] }), null)
    t.same(json(Node, { value: 1, children: [{ value: 'no', children: [], more: 1 }] }), ['/children/0/more is not known here', '/children/0/value must be number'])
  })

  t.test('in several places, and in several events', async (t) => {
    const schema = Type.Object({ left: Node, right: Type.Optional(Node) })
    t.same(json(schema, { left: { value: 1, children: [{ value: 1 }] } }), ['/left/children/0/children is required'])
    const Other = Type.Recursive((Self) => Type.Object({ next: Type.Union([Self, Type.Null()]) }), { $id: 'Node' })
    t.equal(json(Other, { next: { next: null } }), null, 'another schema may have the same $id')
    t.same(json(Type.Object({ node: Node, other: Other }), { node: { value: 1, children: [1] }, other: { next: { next: 1 } } }), [
      '/node/children/0 must be object',
      '/other/next/next must be object or null'
    ], 'even within one event')
  })

  t.test('as a part of an intersection', async (t) => {
    const schema = Type.Intersect([Node, Type.Object({ name: Type.String() })])
    t.equal(json(schema, { name: 'n', value: 1, children: [{ value: 1, children: [] }] }), null)
    t.same(json(schema, { name: 'n', value: 1, children: [{ value: 1, children: [], name: 'n' }], more: 1 }), ['/children/0/name is not known here', '/more is not known here'])
  })

  t.test('a module', async (t) => {
    const module = Type.Module({
      Leaf: Type.Object({ kind: Type.Literal('leaf'), text: Type.String() }),
      Branch: Type.Object({ kind: Type.Literal('branch'), children: Type.Array(Type.Ref('Tree')) }),
      Tree: Type.Union([Type.Ref('Leaf'), Type.Ref('Branch')])
    })
    const schema = module.Import('Tree')
    t.equal(json(schema, { kind: 'branch', children: [{ kind: 'leaf', text: 'x' }] }), null)
    t.same(json(schema, { kind: 'branch', children: [{ kind: 'leaf', text: 5 }, { kind: 'twig' }], more: 1 }), [
      '/children/0/text must be string',
      '/children/1/kind must be one of "leaf", "branch"',
      '/more is not known here'
    ])
  })

  t.test('a part of an intersection that is also whole elsewhere', async (t) => {
    const module = Type.Module({
      Node: Type.Object({ next: Type.Optional(Type.Ref('Node')) }),
      Named: Type.Intersect([Type.Ref('Node'), Type.Object({ name: Type.String() })])
    })
    const schema = module.Import('Named')
    t.equal(json(schema, { name: 'n', next: { next: {} } }), null)
    t.same(json(schema, { name: 'n', next: { name: 'n' }, more: 1 }), ['/more is not known here', '/next/name is not known here'])
  })

  t.test('data as deep as a body may be', async (t) => {
    const List = Type.Recursive((Self) => Type.Array(Self))
    const Either = Type.Recursive((Self) => Type.Union([Type.Array(Self), Type.Null()]))
    for (const levels of [1000, 30_000]) {
      let data: unknown = 5
      for (let level = 0; level < levels; level++) data = [data]
      for (const schema of [List, Either]) t.same(json(schema, data), [' is nested too deeply'], `${levels} levels`)
    }
  })
})

t.test('a schema that cannot be used is refused', async (t) => {
  const rows: Array<[name: string, schema: TSchema, message: RegExp]> = [
    ['a type that JSON does not have', Type.Date(), /cannot be compiled: schema is invalid/],
    ['a reference to nothing', Type.Ref('Nothing'), /can't resolve reference Nothing/],
    ['a pattern that is none', Type.String({ pattern: '(' }), /cannot be compiled/],
    ['a format that nobody knows', Type.String({ format: 'emial' }), /unknown format "emial"/]
  ]
  for (const [name, schema, message] of rows) {
    t.throws(() => new EventValidator('range.set', schema), { code: 'FST_ERR_TETHER_CONTRACT', message }, name)
    t.throws(() => new EventValidator('range.set', schema), { message: /event "range\.set"/ })
  }
  t.same(json(Type.String({ format: 'email' }), 'x'), [' must match format "email"'], 'known formats are checked')
})

t.test('the schema itself is left as it is', async (t) => {
  const schema = Type.Object({ shape: Shape, range: Type.Union([Type.Literal(1), Type.Literal(2)]) })
  const before = JSON.stringify(schema)
  json(schema, {})
  t.equal(JSON.stringify(schema), before)
})

t.test('whatever comes is judged, the same each time, and never thrown at', async (t) => {
  const schema = Type.Object({
    shape: Shape,
    either: Type.Union([Type.String(), Type.Array(Type.Number())]),
    record: Type.Record(Type.String(), Type.Intersect([Point, Type.Object({ name: Type.String() })]))
  })
  const validator = new EventValidator('test', schema)
  const part = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.record({ kind: fc.constantFrom('circle', 'box', 'star'), radius: fc.double() }, { requiredKeys: [] }))
  const data = fc.oneof(fc.jsonValue(), fc.record({ shape: part, either: part, record: fc.dictionary(fc.string(), part) }, { requiredKeys: [] }))
  fc.assert(fc.property(data, (data) => {
    const faults = validator.faults(data, '/data', false)
    if (faults === null) return true
    return faults.length > 0 && faults.every(({ path, message }) => path.startsWith('/data') && message !== '') &&
      JSON.stringify(validator.faults(data, '/data', false)) === JSON.stringify(faults)
  }), { numRuns: 150 })
  t.pass('for any data')
})
