import { Type } from '@sinclair/typebox'
import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import t from 'tap'
import { UpdateEncoder } from '../../../plugin/contract/update-encoder.ts'
import { conflate, text, type UpdateDefinition } from '../../../schemas/contract.ts'
import { effort } from '../../harness/effort.ts'

const encoders = new Map<UpdateDefinition, UpdateEncoder>()

/** Compiled once per definition: it is what takes time here. */
function encode (definition: UpdateDefinition, data: unknown): string {
  let encoder = encoders.get(definition)
  if (encoder === undefined) encoders.set(definition, encoder = new UpdateEncoder('u', definition))
  return encoder.encode(data).text
}

const Sample = Type.Object({ series: Type.String(), v: Type.Number() })
const Node = Type.Recursive((Self) => Type.Object({ value: Type.Number(), children: Type.Array(Self) }), { $id: 'Node' })

t.test('JSON by its schema', async (t) => {
  const rows: Array<[name: string, definition: UpdateDefinition, data: unknown, line: string]> = [
    ['an object', Sample, { series: 'cpu', v: 0.5 }, '{"series":"cpu","v":0.5}'],
    ['keys that the schema does not know stay here', Sample, { series: 'cpu', v: 1, secret: 's' }, '{"series":"cpu","v":1}'],
    ['line ends in strings', Type.String(), 'a\nb\r\u2028"', '"a\\nb\\r\u2028\\""'],
    ['a union', Type.Union([Type.Literal('a'), Type.Number()]), 5, '5'],
    ['an intersection', Type.Intersect([Sample, Type.Object({ t: Type.Integer() })]), { series: 's', v: 1, t: 2 }, '{"series":"s","v":1,"t":2}'],
    ['a recursive schema', Node, { value: 1, children: [{ value: 2, children: [] }] }, '{"value":1,"children":[{"value":2,"children":[]}]}'],
    ['the same in two places', Type.Object({ a: Node, b: Node }), { a: { value: 1, children: [] }, b: { value: 2, children: [] } }, '{"a":{"value":1,"children":[]},"b":{"value":2,"children":[]}}'],
    ['anything', Type.Any(), [1, { a: null }], '[1,{"a":null}]'],
    ['null', Type.Null(), null, 'null'],
    ['a date', Type.String({ format: 'date-time' }), new Date(0), '"1970-01-01T00:00:00.000Z"']
  ]
  for (const [name, definition, data, line] of rows) t.equal(encode(definition, data), `event: u\ndata: ${line}\n\n`, name)
})

t.test('text as it is, a line for each', async (t) => {
  t.equal(encode(text(), '<p>\r\n</p>'), 'event: u\ndata: <p>\ndata: </p>\n\n')
  t.equal(encode(conflate(text()), ''), 'event: u\ndata: \n\n')
})

t.test('what cannot be serialised', async (t) => {
  const cyclic: Record<string, unknown> = {}
  cyclic.self = cyclic
  const rows: Array<[name: string, definition: UpdateDefinition, data: unknown, reason: RegExp]> = [
    ['a missing key', Sample, { v: 1 }, /"series" is required/],
    ['no number', Sample, { series: 's', v: NaN }, /NaN/],
    ['no branch of a union', Type.Union([Type.Literal('a'), Type.Number()]), 'b', /does not match/],
    ['undefined', Sample, undefined, /it is undefined/],
    ['undefined, where anything goes', Type.Any(), undefined, /it is undefined/],
    ['a function, where anything goes', Type.Any(), () => {}, /it is function/],
    ['a symbol, where anything goes', Type.Any(), Symbol('x'), /it is symbol/],
    ['a bigint, where anything goes', Type.Any(), 1n, /BigInt/],
    ['what holds itself', Type.Any(), cyclic, /circular/],
    ['what throws', Sample, { get series () { throw new Error('mine') } }, /mine/],
    ['what throws no error', Type.Any(), { toJSON () { throw null } }, /null/], // eslint-disable-line no-throw-literal
    ['no text', text(), 5, /takes a string, got number/],
    ['null as text', text(), null, /takes a string, got null/],
    ['an object as conflated text', conflate(text()), {}, /takes a string, got object/]
  ]
  for (const [name, definition, data, message] of rows) {
    t.throws(() => encode(definition, data), { code: 'FST_ERR_TETHER_SERIALIZATION', message }, name)
    t.throws(() => encode(definition, data), { message: /^update "u" cannot be serialised: / })
  }
})

const Loose = Type.Object({
  any: Type.Optional(Type.Any()),
  list: Type.Optional(Type.Array(Type.Unknown())),
  more: Type.Optional(Type.Object({ n: Type.Optional(Type.Number()) }, { additionalProperties: true })),
  record: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  pair: Type.Optional(Type.Unsafe({ type: 'array', items: [{ type: 'object', properties: { a: {} } }], additionalItems: true })),
  at: Type.Optional(Type.Unsafe({ type: 'string', format: 'date' })),
  big: Type.Optional(Type.Integer()),
  name: Type.Optional(Type.String())
})

t.test('what JSON has no word for, where anything goes', async (t) => {
  const none = { toJSON: () => undefined }
  const noneOfThem = [undefined, () => {}, Symbol('x'), none, { toJSON: () => () => {} }]
  for (const value of noneOfThem) {
    const what = typeof value
    t.equal(encode(Loose, { any: value, name: 'undefined' }), 'event: u\ndata: {"name":"undefined"}\n\n', `${what} as a key is left out`)
    t.equal(encode(Loose, { list: [1, value, 'a'] }), 'event: u\ndata: {"list":[1,null,"a"]}\n\n', `${what} in a list is null`)
    t.equal(encode(Loose, { more: { n: 1, x: value, y: 2 }, record: { a: value, b: { c: value, d: 1 } } }), 'event: u\ndata: {"more":{"n":1,"y":2},"record":{"b":{"d":1}}}\n\n', `${what} beside known keys`)
    t.equal(encode(Loose, { pair: [{ a: value }, value] }), 'event: u\ndata: {"pair":[{},null]}\n\n', `${what} in a tuple`)
    t.throws(() => encode(Type.Object({ a: Type.Any() }), { a: value }), { code: 'FST_ERR_TETHER_SERIALIZATION', message: /"a" is required/ }, `${what} where a value must be`)
    t.throws(() => encode(Type.Any(), value), { code: 'FST_ERR_TETHER_SERIALIZATION' }, `${what} alone`)
  }
  const frozen = Object.freeze({ any: undefined, list: Object.freeze([undefined, Object.freeze({ a: undefined, b: 1 })]), record: Object.freeze({ f: () => {}, g: 1 }) })
  t.equal(encode(Loose, frozen), 'event: u\ndata: {"list":[null,{"b":1}],"record":{"g":1}}\n\n', 'frozen data')
  t.equal(encode(Loose, { list: [undefined], at: new Date(2020, 1, 3), big: 12345678901234567890n }), 'event: u\ndata: {"list":[null],"at":"2020-02-03","big":12345678901234567890}\n\n', 'the rest is written as ever')
  class Host {
    #name = 'h'
    extra = () => {}
    get name (): string { return this.#name }
    get list (): unknown[] { return [this.extra] }
  }
  t.equal(encode(Loose, new Host()), 'event: u\ndata: {"list":[null],"name":"h"}\n\n', 'getters of a class')
  t.equal(encode(Type.Any(), { a: NaN, b: [Infinity], c: undefined }), 'event: u\ndata: {"a":null,"b":[null]}\n\n')
  t.throws(() => encode(Loose, { any: { toJSON () { throw new Error('mine') } } }), { code: 'FST_ERR_TETHER_SERIALIZATION', message: /mine/ })
  t.throws(() => encode(Loose, { list: [1n] }), { code: 'FST_ERR_TETHER_SERIALIZATION', message: /BigInt/ })
  t.equal(encode(Type.String(), 'say "undefined"'), 'event: u\ndata: "say \\"undefined\\""\n\n')
  t.throws(() => encode(Type.String(), { toString: () => undefined }), { code: 'FST_ERR_TETHER_SERIALIZATION' })
})

t.test('whatever is sent is JSON, or is not sent', async (t) => {
  const schemas = [Loose, Type.Any(), Type.Array(Type.Any()), Type.Array(Loose), Type.Record(Type.String(), Type.Array(Type.Unknown())), Type.Union([Type.Array(Type.Any()), Type.Object({ any: Type.Any() }, { additionalProperties: true }), Type.Null(), Type.String()]),
    Type.Intersect([Type.Object({ any: Type.Optional(Type.Any()) }), Type.Object({ list: Type.Optional(Type.Array(Type.Any())) })]), Type.Tuple([Type.Any(), Type.String()]), Type.Unsafe({ type: 'object', patternProperties: { '^a': {} }, additionalProperties: { type: ['string', 'null'] } }),
    Type.Unsafe({ type: 'object', properties: { any: { enum: [1] }, list: { items: {} } }, if: { required: ['any'] }, then: { properties: { more: {} } } }), Type.Recursive((Self) => Type.Object({ any: Type.Any(), more: Type.Optional(Self) })), Type.Object({ any: Type.Number(), list: Type.Optional(Type.Array(Type.Integer())), name: Type.Optional(Type.Boolean()) })]
  const value = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof({ depthSize: 'medium' }, fc.constantFrom<unknown>(undefined, null, NaN, Infinity, -0, 5n, Symbol('s'), 'undefined', '"undefined', () => {}, new Date(0), new Date(NaN), /a/, new Map(), { toJSON: () => undefined }, { toJSON: () => 'x' }, { toJSON () { throw new Error('no') } }, { toString: () => undefined }, { toJSON: () => ({ any: undefined, list: [undefined] }) }),
      fc.string(), fc.double(), fc.array(tie('value')), fc.dictionary(fc.oneof(fc.constantFrom('any', 'list', 'more', 'record', 'name', 'at', 'big', 'a', '__proto__'), fc.string()), tie('value')))
  })).value
  let sent = 0
  fc.assert(fc.property(value, (data) => {
    for (const schema of schemas) {
      let text: string
      try {
        text = encode(schema, data)
      } catch (error) {
        if ((error as { code?: string }).code !== 'FST_ERR_TETHER_SERIALIZATION') throw error
        continue
      }
      const line = /^event: u\ndata: (.*)\n\n$/.exec(text)?.[1]
      JSON.parse(line!)
      if (schema === schemas[1] && line !== JSON.stringify(data)) return false
      sent++
    }
    return true
  }), { numRuns: 300 * effort })
  t.ok(sent > 500, `${sent} were sent`)
})

t.test('a schema that cannot be compiled', async (t) => {
  t.throws(() => new UpdateEncoder('u', Type.Date()), { code: 'FST_ERR_TETHER_CONTRACT', message: /update "u" cannot be compiled/ })
  t.throws(() => new UpdateEncoder('u', conflate(Type.Ref('Nothing'))), { code: 'FST_ERR_TETHER_CONTRACT' })
})

t.test('keys', async (t) => {
  const key = (definition: UpdateDefinition, data: unknown, name = 'u') => new UpdateEncoder(name, definition).encode(data).key
  const bySeries = conflate(Sample, ({ series }) => series)
  t.equal(key(Sample, { series: 'cpu', v: 1 }), null, 'none where every one arrives')
  t.equal(key(bySeries, { series: 'cpu', v: 1 }), key(bySeries, { series: 'cpu', v: 2 }))
  t.not(key(bySeries, { series: 'cpu', v: 1 }), key(bySeries, { series: 'mem', v: 1 }))
  t.not(key(bySeries, { series: 'cpu', v: 1 }), key(bySeries, { series: 'cpu', v: 1 }, 'other'), 'updates do not share keys')
  t.not(key(conflate(text(), () => 'b\nc'), 'x', 'a'), key(conflate(text(), () => 'c'), 'x', 'a.b'))
  t.equal(key(conflate(Sample), { series: 'cpu', v: 1 }), key(conflate(Sample), { series: 'mem', v: 1 }), 'without a function all share one')
  t.not(key(conflate(Sample), { series: 'cpu', v: 1 }), null)
  const error = new Error('no key')
  t.throws(() => key(conflate(Sample, () => { throw error }), { series: 'cpu', v: 1 }), error, 'what the function throws comes through')
  t.throws(() => key(conflate(Sample, () => { throw error }), {}), { code: 'FST_ERR_TETHER_SERIALIZATION' }, 'and is not asked about bad data')
})

t.test('one frame holds one event, whatever its strings', async (t) => {
  const encoders = [
    new UpdateEncoder('u', Type.Object({ s: Type.String() })),
    new UpdateEncoder('u', Type.Object({ s: Type.String({ format: 'unsafe' }) })),
    new UpdateEncoder('u', Type.Object({ s: Type.Any() })),
    new UpdateEncoder('u', Type.Record(Type.String(), Type.String()))
  ]
  const nasty = fc.array(fc.oneof(fc.string({ unit: 'binary', maxLength: 3 }), fc.constantFrom('\n', '\r', '\r\n\r\n', '\0', 'event: x\n', '"')), { maxLength: 5 }).map((parts) => parts.join(''))
  fc.assert(fc.property(nasty, (s) => encoders.every((encoder, index) => {
    const events: Array<{ event?: string | undefined, data: string }> = []
    createParser({ onEvent: (event) => { events.push(event) } }).feed(encoder.encode(index === 3 ? { [s]: s } : { s }).text)
    const [event] = events
    if (events.length !== 1 || event?.event !== 'u') return false
    return Object.entries(JSON.parse(event.data)).every(([key, value]) => value === s && (key === 's' || key === s))
  })))
  t.pass('for any string')
})
