import { Type, type TSchema } from '@sinclair/typebox'
import fc from 'fast-check'
import t from 'tap'
import { EventValidator } from '../../../plugin/contract/event-validator.ts'
import { effort } from '../../harness/effort.ts'

/** What a handler would get of a form, or the faults, as `path message`. */
function read (schema: TSchema | object, data: unknown): unknown {
  const copy = structuredClone(data)
  const faults = new EventValidator('test', schema as TSchema).faults(copy, '', true)
  return faults === null ? copy : faults.map(({ path, message }) => `${path} ${message}`)
}

t.test('a field that fits as it is stays as it is', async (t) => {
  const value = (schema: TSchema | object, ...fields: Array<[string | string[], unknown]>) => fields.map((field) => [schema, ...field] as const)
  const rows = [
    ...value(Type.Union([Type.String(), Type.Number()]), ['007', '007'], ['', ''], ['1e3', '1e3']),
    ...value(Type.Union([Type.Number(), Type.String()]), ['007', '007'], ['x', 'x']),
    ...value(Type.Union([Type.String(), Type.Null()]), ['', '']),
    ...value(Type.Union([Type.Null(), Type.String()]), ['', '']),
    ...value(Type.Union([Type.Boolean(), Type.String()]), ['true', 'true'], ['on', 'on']),
    ...value(Type.Union([Type.Number(), Type.Null()]), ['007', 7], ['', null]),
    ...value(Type.Union([Type.Null(), Type.Boolean(), Type.Number()]), ['', null], ['true', true], ['on', true], ['0', 0]),
    ...value(Type.Union([Type.Literal('1'), Type.Literal(1)]), ['1', '1']),
    ...value(Type.Union([Type.Literal(1), Type.Literal('auto'), Type.Null()]), ['1', 1], ['auto', 'auto'], ['', null]),
    ...value(Type.Union([Type.Integer(), Type.Array(Type.String())]), ['5', 5], [['5', '6'], ['5', '6']]),
    ...value(Type.Array(Type.Union([Type.String({ pattern: '^0' }), Type.Number(), Type.Null()])), [['007', '7', ''], ['007', 7, null]], ['007', ['007']]),
    ...value(Type.Intersect([Type.Union([Type.String(), Type.Number()]), Type.Unknown()]), ['007', '007']),
    ...value({ allOf: [{ anyOf: [{ type: 'string', maxLength: 3 }, { type: 'number' }] }, { anyOf: [{ type: 'null' }, {}] }] }, ['007', '007'], ['0007', 7]),
    ...value({ oneOf: [{ type: 'number' }, { type: 'string', pattern: '^0' }] }, ['007', '007'], ['7', 7]),
    ...value({ oneOf: [{ type: 'integer' }, { type: 'number', minimum: 0 }] }, ['-7', -7], ['1.5', 1.5]),
    ...value(Type.Union([Type.Union([Type.Null(), Type.Number()]), Type.Union([Type.String({ minLength: 1 }), Type.Boolean()])]), ['007', '007'], ['', null]),
    ...value({ type: ['number', 'string'] }, ['007', '007']),
    ...value({ type: ['number', 'null'] }, ['007', 7], ['', null]),
    ...value({ type: 'number', nullable: true }, ['', null], ['5', 5]),
    ...value({ type: 'string', nullable: true }, ['', '']),
    ...value({ enum: ['1', 2, true, null] }, ['1', '1'], ['2', 2], ['true', true], ['on', true], ['', null]),
    ...value({ const: 5 }, ['5', 5]),
    ...value({ $id: 'v', $defs: { n: { anyOf: [{ type: 'string', pattern: 'x' }, { type: 'number' }] } }, $ref: '#/$defs/n' }, ['x7', 'x7'], ['7', 7]),
    ...value({ if: { type: 'string', pattern: '^#' }, then: {}, else: { type: 'number' } }, ['#7', '#7'], ['7', 7]),
    ...value(Type.Array(Type.Integer(), { maxItems: 2, uniqueItems: true }), ['3', [3]], [['3', '4'], [3, 4]])
  ]
  for (const [schema, field, expected] of rows) t.same(read(Type.Object({ v: schema as TSchema }), { v: field }), { v: expected }, `${JSON.stringify(schema)} of ${JSON.stringify(field)}`)
})

t.test('a checkbox', async (t) => {
  const schema = Type.Object({ a: Type.Optional(Type.Boolean()), b: Type.Boolean({ default: false }), c: Type.Optional(Type.Union([Type.Literal(true), Type.Null()])) })
  t.same(read(schema, { a: 'on', b: 'on', c: 'on' }), { a: true, b: true, c: true })
  t.same(read(schema, {}), { b: false }, 'absence is absence')
  t.same(read(schema, { a: 'false', b: 'true' }), { a: false, b: true })
  t.same(read(schema, { a: 'On' }), ['/a must be boolean'])
  t.same(read(Type.Object({ a: Type.String() }), { a: 'on' }), { a: 'on' }, 'a word is a word where a string is asked for')
})

t.test('a union of objects', async (t) => {
  const Shape = Type.Union([
    Type.Object({ kind: Type.Literal('circle'), r: Type.Number(), label: Type.Union([Type.String(), Type.Null()]) }),
    Type.Object({ kind: Type.Literal('code'), r: Type.String(), label: Type.Union([Type.Null(), Type.String()]) })
  ])
  t.same(read(Shape, { kind: 'circle', r: '007', label: '' }), { kind: 'circle', r: 7, label: '' })
  t.same(read(Shape, { kind: 'code', r: '007', label: '' }), { kind: 'code', r: '007', label: '' })
  t.same(read(Shape, { kind: 'circle', r: 'x', label: '7' }), ['/r must be number'])
  t.same(read(Shape, { kind: 'circle', r: '7' }), ['/label is required'], 'what can be converted is no fault of a form that has another')
  t.same(read(Type.Object({ shapes: Type.Array(Shape) }), { shapes: [{ kind: 'code', r: '1', label: 'a' }, { kind: 'circle', r: '1', label: 'a' }] }), { shapes: [{ kind: 'code', r: '1', label: 'a' }, { kind: 'circle', r: 1, label: 'a' }] }, 'of a parser that nests')
  const Both = Type.Intersect([Shape, Type.Object({ n: Type.Integer() })])
  t.same(read(Both, { kind: 'code', r: '007', label: '', n: '5' }), { kind: 'code', r: '007', label: '', n: 5 })
  const beside = Type.Intersect([Type.Object({ id: Type.String() })], { unevaluatedProperties: Type.Number() })
  t.same(read(beside, { id: '007', other: '007' }), { id: '007', other: 7 })
})

t.test('keys of prototypes are keys', async (t) => {
  const fields = JSON.parse('{"__proto__":"5","constructor":"6"}')
  const data = JSON.parse('{"__proto__":"5","constructor":"6"}')
  t.equal(new EventValidator('test', Type.Record(Type.String(), Type.Number())).faults(data, '', true), null)
  t.same(Object.entries(data), [['__proto__', 5], ['constructor', 6]])
  t.same(new EventValidator('test', Type.Object({})).faults(fields, '', true)!.map(({ path }) => path), ['/__proto__', '/constructor'])
})

t.test('whatever fits as it is is delivered unchanged; and what is converted fits as JSON', async (t) => {
  const leaf = fc.constantFrom<object>({ type: 'string' }, { type: 'number' }, { type: 'integer', minimum: 3 }, { type: 'boolean' }, { type: 'null' }, { const: '1' }, { const: 1 }, { enum: ['on', 7, null] }, { type: 'string', pattern: '^0' }, { type: 'string', maxLength: 1 }, { type: ['number', 'string'] }, { type: 'number', nullable: true })
  const { schema } = fc.letrec<{ schema: object }>((tie) => ({
    schema: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf,
      fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
      fc.array(tie('schema'), { minLength: 1, maxLength: 2 }).map((oneOf) => ({ oneOf })),
      fc.array(tie('schema'), { minLength: 1, maxLength: 2 }).map((allOf) => ({ allOf })),
      tie('schema').map((items) => ({ type: 'array', items, maxItems: 3 })),
      fc.tuple(tie('schema'), tie('schema')).map(([a, b]) => ({ type: 'object', properties: { a, b }, minProperties: 1 })))
  }))
  const text = fc.constantFrom('', '0', '007', '1', '7', '1.5', 'on', 'true', 'false', 'x', 'null', ' ', '1e400')
  const { field } = fc.letrec<{ field: unknown }>((tie) => ({
    field: fc.oneof({ depthSize: 'small' }, text, text, fc.array(tie('field'), { maxLength: 4 }), fc.dictionary(fc.constantFrom('a', 'b'), tie('field')))
  }))
  let fitting = 0
  let converted = 0
  fc.assert(fc.property(schema, fc.array(fc.record({ a: field, b: field }, { requiredKeys: [] }), { minLength: 5, maxLength: 5 }), (schema, forms) => {
    const whole = { type: 'object', properties: { a: schema, b: schema } }
    const validator = new EventValidator('test', whole as never)
    for (const form of forms) {
      const before = JSON.stringify(form)
      const asItIs = validator.faults(structuredClone(form), '', false) === null
      const data = structuredClone(form)
      const faults = validator.faults(data, '', true)
      if (asItIs) fitting++
      if (asItIs && (faults !== null || JSON.stringify(data) !== before)) return false
      if (faults === null && !asItIs) converted++
      if (faults === null && validator.faults(data, '', false) !== null) return false
      // Each field by itself too, whatever the other needs.
      for (const key of ['a', 'b'] as const) {
        const single = new Map([[key, form[key]]])
        if (form[key] !== undefined && faults === null && validator.faults(structuredClone(Object.fromEntries(single)), '', false) === null && JSON.stringify((data as typeof form)[key]) !== JSON.stringify(form[key])) return false
      }
    }
    return true
  }), { numRuns: 40 * effort })
  t.ok(fitting > 0 && converted > 0, `${fitting} fitted, ${converted} were converted`)
})
