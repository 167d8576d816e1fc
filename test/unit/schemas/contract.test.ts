import { Type } from '@sinclair/typebox'
import t from 'tap'
import { conflate, defineContract, isConflated, isText, request, text } from '../../../schemas/contract.ts'

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
  t.throws(() => defineContract({ event: {} } as never), refused('a contract has no part "event", only "events" and "updates"'))
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
