import { Type } from '@sinclair/typebox'
import { type } from 'arktype'
import t from 'tap'
import * as v from 'valibot'
import { z } from 'zod'
import { conflate, defineContract, isConflated, isText, request, text, topic } from '../../../schemas/contract.ts'

const refused = (message: RegExp | string) => ({ code: 'FST_ERR_TETHER_CONTRACT', name: 'FastifyError', message })

t.test('a contract is what was declared, frozen', async (t) => {
  const schema = Type.Object({})
  const events = { pause: schema }
  const contract = defineContract({ events, updates: { row: text() } })
  t.equal(contract.events.pause, schema)
  t.equal(contract.updates.row, text())
  t.ok(Object.isFrozen(contract) && Object.isFrozen(contract.events) && Object.isFrozen(contract.updates))
  Object.assign(events, { later: schema })
  t.same(Object.keys(contract.events), ['pause'], 'what is added later is not in it')
})

t.test('either part may be left out', async (t) => {
  t.same(defineContract({}), { events: {}, updates: {} })
  t.same(defineContract({ updates: { a: text() } }).events, {})
})

t.test('a name that cannot be used is named', async (t) => {
  for (const name of ['error', 'tether.close', 'a b', 'constructor', '__proto__']) {
    const definitions = JSON.parse(`{"${name}":{}}`)
    t.throws(() => defineContract({ events: definitions }), refused(new RegExp(`^the event name "${name}" `)))
    t.throws(() => defineContract({ updates: definitions }), refused(new RegExp(`^the update name "${name}" `)))
  }
})

t.test('what is no contract', async (t) => {
  for (const bad of [null, undefined, 5, 'x', [], () => {}]) t.throws(() => defineContract(bad as never), refused('defineContract() takes an object with "events" and "updates"'))
  for (const bad of [null, 5, 'x', [], () => {}]) {
    t.throws(() => defineContract({ events: bad as never }), refused('"events" of a contract must be an object'))
    t.throws(() => defineContract({ updates: bad as never }), refused('"updates" of a contract must be an object'))
  }
  t.throws(() => defineContract({ event: {} } as never), refused('a contract has no part "event", only "events", "updates" and "topics". Did you mean "events"?'))
})

t.test('what is no definition', async (t) => {
  for (const bad of [null, undefined, 5, 'string', [], () => {}]) {
    t.throws(() => defineContract({ events: { a: bad as never } }), refused('event "a" must be a schema: of TypeBox, or of a library that follows Standard Schema, such as Zod, Valibot or ArkType'))
    t.throws(() => defineContract({ updates: { a: bad as never } }), refused('update "a" must be a schema: of TypeBox, or of a library that follows Standard Schema, such as Zod, Valibot or ArkType, or conflate(…) or text()'))
    t.throws(() => conflate(bad as never), refused('conflate() takes a schema or text()'))
  }
  t.throws(() => defineContract({ events: { a: text() as never } }), refused('event "a" must be a schema: of TypeBox, or of a library that follows Standard Schema, such as Zod, Valibot or ArkType'))
  t.throws(() => defineContract({ events: { a: conflate(Type.String()) as never } }), refused('event "a" must be a schema: of TypeBox, or of a library that follows Standard Schema, such as Zod, Valibot or ArkType'))
  t.throws(() => conflate(conflate(Type.String()) as never), refused('conflate() takes a schema or text()'))
  for (const bad of [null, 5, 'series', {}]) t.throws(() => conflate(Type.String(), bad as never), refused('the key of conflate() must be a function'))
})

t.test('sorts of updates are told apart', async (t) => {
  const schema = Type.Object({ series: Type.String() })
  const key = ({ series }: { series: string }) => series
  const conflated = conflate(schema, key)
  t.equal(conflated.update, schema)
  t.equal(conflated.key, key)
  t.equal(conflate(schema).key({} as never), '')
  t.ok(Object.isFrozen(conflated) && Object.isFrozen(text()))
  t.same([schema, conflated, text(), conflate(text())].map((definition) => [isConflated(definition), isText(definition)]), [[false, false], [true, false], [false, true], [true, false]])
})

t.test('a request is of two schemas', async (t) => {
  const body = Type.Object({ article: Type.String() })
  const reply = Type.Object({ order: Type.Integer() })
  const order = request(body, reply)
  t.equal(order.body, body)
  t.equal(order.reply, reply)
  t.ok(Object.isFrozen(order))
  t.equal(defineContract({ events: { order } }).events.order, order)
  for (const bad of [undefined, null, 5, [], () => {}, text(), conflate(body), order]) {
    t.throws(() => request(body, bad as never), refused('request() takes two schemas: of the data, and of the reply'))
    t.throws(() => request(bad as never, reply), refused('request() takes two schemas: of the data, and of the reply'))
  }
  t.throws(() => defineContract({ updates: { order: order as never } }), refused('update "order" must be a schema'))
  t.throws(() => conflate(order as never), refused('conflate() takes a schema or text()'))
})

t.test('both schemas of a request are checked', async (t) => {
  const fine = Type.Object({})
  t.throws(() => defineContract({ events: { order: request(Type.Date(), fine) } }), refused(/the schema of event "order" cannot be compiled/))
  t.throws(() => defineContract({ events: { order: request(fine, Type.Date()) } }), refused(/the schema of the reply to event "order" cannot be compiled/))
  t.throws(() => defineContract({ events: { order: request(fine, Type.String({ format: 'no-such' })) } }), refused(/the reply to event "order".*unknown format/))
  t.throws(() => defineContract({ events: { order: request(fine, Type.Object({}, { unevaluatedProperties: true })) } }), refused(/names keys that a reply would be written without/))
})

t.test('a topic', async (t) => {
  const params = Type.Object({ id: Type.String() })
  const updates = { cpu: conflate(Type.Number()), alert: text() }
  const contract = defineContract({ topics: { host: topic({ params, updates }), all: topic({ updates: {} }) } })
  t.same(Object.keys(contract.topics!), ['host', 'all'])
  t.equal(contract.topics!.host.params, params)
  t.same(contract.topics!.host.updates, updates)
  t.ok(Object.isFrozen(contract.topics) && Object.isFrozen(contract.topics!.host) && Object.isFrozen(contract.topics!.host.updates))
  for (const bad of [null, undefined, 5, []]) t.throws(() => topic(bad as never), refused('topic() takes an object with "params" and "updates"'))
  t.throws(() => topic({ param: params, updates } as never), refused('topic() has no part "param", only "params" and "updates". Did you mean "params"?'))
  t.throws(() => topic({ params } as never), refused('"updates" of topic() must be an object'))
  for (const bad of [null, 5, params, { params, updates }, text()]) t.throws(() => defineContract({ topics: { host: bad as never } }), refused('topic "host" must be what topic() returns'))
  t.throws(() => defineContract({ topics: [] as never }), refused('"topics" of a contract must be an object'))
  t.throws(() => defineContract({ topics: { tether: topic({ updates }) } as never }), refused('the topic name "tether" begins with "tether"'))
  t.throws(() => defineContract({ topics: { host: topic({ updates: { 'a@b': text() } as never }) } }), refused('the name of update "a@b" of topic "host" must be'))
  t.throws(() => defineContract({ topics: { host: topic({ updates: { a: 5 as never } }) } }), refused('update "a" of topic "host" must be a schema'))
  for (const unnamed of [text({ unnamed: true }), conflate(text({ unnamed: true }))]) t.throws(() => defineContract({ topics: { host: topic({ updates: { a: unnamed } }) } }), refused('update "a" of topic "host" cannot be unnamed'))
  t.throws(() => defineContract({ topics: { host: topic({ updates: { a: Type.Object({ b: Type.String({ minLenght: 1 } as never) }) } }) } }), refused(/update "a" of topic "host".*minLenght/))
})

t.test('the parameters of a topic are flat', async (t) => {
  const made = (params: never) => defineContract({ topics: { host: topic({ params, updates: {} }) } })
  const flat = [
    Type.Object({}),
    Type.Object({ a: Type.String(), b: Type.Number(), c: Type.Integer(), d: Type.Boolean(), e: Type.Optional(Type.String()), f: Type.Literal('x'), g: Type.Literal(1) }),
    Type.Object({ a: Type.Union([Type.Literal('x'), Type.Literal('y')]), b: Type.Enum({ one: 1, two: 'two' }), c: Type.TemplateLiteral([Type.Literal('a-'), Type.String()]), d: Type.Union([Type.String(), Type.Number()]) }),
    Type.Intersect([Type.Object({ a: Type.String() }), Type.Object({ b: Type.String() })]),
    Type.Union([Type.Object({ a: Type.String() }), Type.Object({ b: Type.String() })]),
    Type.Record(Type.String(), Type.String()),
    Type.Unsafe({ type: 'object', properties: { a: { enum: ['x', 1, true] }, b: { type: ['string', 'number'] } } }),
    z.object({ a: z.string(), b: z.number().default(1), c: z.enum(['x', 'y']), d: z.coerce.number(), e: z.string().transform((text) => text.length) }),
    v.object({ a: v.string() }),
    type({ a: 'string', 'b?': 'number' })
  ]
  for (const params of flat) t.doesNotThrow(() => made(params as never), JSON.stringify(params))
  const deep: Array<[unknown, RegExp]> = [
    [Type.String(), /it must be an object/],
    [Type.Array(Type.String()), /it must be an object/],
    [Type.Any(), /it must be an object/],
    [Type.Object({ a: Type.Array(Type.String()) }), /: \/properties\/a must be a string, a number or a boolean/],
    [Type.Object({ a: Type.Object({}) }), /\/properties\/a /],
    [Type.Object({ 'a/b': Type.Null() }), /\/properties\/a~1b /],
    [Type.Object({ a: Type.Any() }), /\/properties\/a /],
    [Type.Object({ a: Type.Union([Type.String(), Type.Null()]) }), /\/properties\/a\/anyOf\/1 /],
    [Type.Object({ a: Type.Unsafe({ type: 'string', nullable: true }) }), /\/properties\/a /],
    [Type.Object({ a: Type.Unsafe({ enum: ['x', null] }) }), /\/properties\/a /],
    [Type.Object({}, { additionalProperties: true }), /\/additionalProperties /],
    [Type.Object({}, { additionalProperties: Type.Array(Type.String()) }), /\/additionalProperties /],
    [Type.Record(Type.String(), Type.Object({})), /\/patternProperties\/|\/additionalProperties/],
    [Type.Intersect([Type.Object({ a: Type.String() }), Type.Object({ b: Type.Array(Type.String()) })]), /\/allOf\/1\/properties\/b /],
    [z.object({ a: z.array(z.string()) }), /\/properties\/a /],
    [z.string(), /must be an object/],
    [z.object({ a: z.any() }), /\/properties\/a /],
    [type({ a: 'string[]' }), /\/properties\/a /]
  ]
  for (const [params, place] of deep) {
    t.throws(() => made(params as never), refused(/^the parameters of topic "host" must be a flat object of strings, numbers and booleans: /), JSON.stringify(params))
    t.throws(() => made(params as never), refused(place), JSON.stringify(params))
  }
})
