import { inspect } from 'node:util'
import { Type, type TSchema } from '@sinclair/typebox'
import t from 'tap'
import { OptionValidator } from '../../../plugin/app/option-validator.ts'
import { memory } from '../../../plugin/entries/memory.ts'
import { optionGroups, type OptionGroup } from '../../../schemas/options.ts'

const { plugin, stateful, upgrade, websocket, drain } = optionGroups
const groups: ReadonlyArray<readonly [group: OptionGroup, required: Record<string, unknown>]> = [
  [plugin, {}],
  [upgrade, {}],
  [stateful, { contract: { events: {}, updates: {} } }],
  [websocket, {}],
  [drain, {}]
]

const longestMs = 2_147_483_647

/** Values that an option takes and does not take, told by its schema. */
function examplesOf (schema: TSchema): { good: unknown[], bad: unknown[] } {
  if (schema.type === 'integer') {
    const { minimum, maximum } = schema as unknown as { minimum: number, maximum: number }
    return { good: [minimum, maximum], bad: [minimum - 1, maximum + 1, minimum + 0.5, NaN, Infinity, -Infinity, `${minimum}`, null, true, [], {}, 1n] }
  }
  if (schema.type === 'boolean') return { good: [true, false], bad: ['true', 1, null, {}] }
  if (schema.callable === true) return { good: [() => {}, async () => {}, class {}], bad: ['x', 5, null, {}, true] }
  if (Array.isArray(schema.anyOf) && schema.anyOf.some(({ type }) => type === 'boolean')) {
    return {
      good: [true, false, {}, { own: 'all' }, { own: 'none', encodings: ['zstd', 'br', 'gzip'] }],
      bad: ['gzip', null, 5, [], { own: true }, { encodings: [] }, { encodings: ['deflate'] }, { encodings: ['br', 'br'] }, { level: 5 }]
    }
  }
  if (Array.isArray(schema.anyOf)) return { good: schema.anyOf.map((literal) => literal.const), bad: ['', 'nope', 5, null, {}, [schema.anyOf[0].const]] }
  if (schema.type === 'array') {
    return {
      good: [[], ['https://app.example.com', 'http://localhost:3000', 'capacitor://localhost'], ['https://a.example:443', 'HTTPS://A.Example', 'http://[0::1]', 'https://m\u00fcnchen.example']],
      bad: ['https://app.example.com', null, {}, [5], ['*'], ['https://*.example.com'], ['app.example.com'], ['https://app.example.com/'], ['null'], ['https://a', 'b']]
    }
  }
  if (schema.properties?.constraints !== undefined) {
    return {
      good: [{}, { schema: { tags: ['live'], security: [{ cookie: [] }] }, config: { own: 1 }, logLevel: 'silent', constraints: { host: 'a' } }],
      bad: [null, 5, 'x', [], { schema: 5 }, { logLevel: 'loud' }, { config: [] }, { constraints: 'a' }]
    }
  }
  // Another group has the parts of the object.
  if (schema.cluster === true) return { good: [memory(), {}, { engine: memory() }, Object.create(null)], bad: [null, 5, 'redis', true, [], () => {}, new Map()] }
  if (schema.topics === true) return { good: [{}, { host: {} }], bad: [null, 5, 'x', [], () => {}] }
  if (schema.tuning === true) return { good: [{ authorize: () => true }, { authorize: async () => {} }], bad: [true, null, {}, [], { authorize: true }, { authorise: () => true }, { authorize: () => true, more: 1 }] }
  if (schema.patternProperties !== undefined) return { good: [{}, { a: () => {} }], bad: [null, 5, [], { a: 5 }, { a: () => {}, b: null }] }
  return { good: [{ events: {}, updates: {} }], bad: [null, 5, 'x', [], {}, { events: {} }] }
}

for (const [{ where, schema }, required] of groups) {
  t.test(where, async (t) => {
    const validator = new OptionValidator({ where, schema })
    validator.check({ ...required })
    for (const [name, option] of Object.entries(schema.properties)) {
      const { good, bad } = examplesOf(option)
      t.type(option.description, 'string', `${name} says what is allowed`)
      for (const value of good) t.doesNotThrow(() => validator.check({ ...required, [name]: value }), `${name}: ${inspect(value)}`)
      for (const value of bad) {
        t.throws(() => validator.check({ ...required, [name]: value }), {
          code: 'FST_ERR_TETHER_OPTION',
          name: 'FastifyError',
          message: `option "${name}" of ${where} must be ${option.description}; got ${inspect(value)}`
        }, `${name}: ${inspect(value)}`)
      }
      if (!(name in required)) t.doesNotThrow(() => validator.check({ ...required, [name]: undefined }), `${name} may be undefined`)
    }
  })

  t.test(`${where}: names`, async (t) => {
    const validator = new OptionValidator({ where, schema })
    const names = Object.keys(schema.properties)
    for (const name of ['writebuffer', 'max-sessions', '', 'constructor', 'toString', '__proto__', `${names[0]} `]) {
      const options = JSON.parse(JSON.stringify(required))
      Object.defineProperty(options, name, { value: 5, enumerable: true })
      t.throws(() => validator.check(options), { code: 'FST_ERR_TETHER_OPTION', message: `${where} has no option "${name}"; it has ${names.join(', ')}` }, JSON.stringify(name))
    }
    for (const options of [null, undefined, 5, 'x', [], () => {}]) {
      t.throws(() => validator.check(options), { code: 'FST_ERR_TETHER_OPTION', message: `${where} takes an object of options, got ${inspect(options)}` }, inspect(options))
    }
  })
}

t.test('what is needed and not given is named', async (t) => {
  const validator = new OptionValidator(stateful)
  for (const options of [{}, { contract: undefined }]) {
    t.throws(() => validator.check(options), { code: 'FST_ERR_TETHER_OPTION', message: 'app.tether.stateful() needs option "contract": what defineContract() returns' })
  }
})

t.test('every time is one that a timer can count', async (t) => {
  const times = groups.flatMap(([{ schema }]) => Object.entries(schema.properties)).filter(([name]) => name.endsWith('Ms'))
  t.ok(times.length > 10)
  for (const [name, { maximum }] of times) t.equal(maximum, longestMs, name)
})

t.test('values in messages are kept short', async (t) => {
  const validator = new OptionValidator({ where: 'here', schema: Type.Object({ a: Type.Optional(Type.String({ description: 'text' })) }, { additionalProperties: false }) })
  try {
    validator.check({ a: { b: { c: 'x'.repeat(1000) }, list: new Array(1000).fill(1), text: 'y'.repeat(1000) } })
    t.fail('must throw')
  } catch (error) {
    t.ok((error as Error).message.length < 400, (error as Error).message)
  }
})

t.test('an option of another function is told where it belongs', async (t) => {
  for (const [{ where, schema }] of groups) {
    const validator = new OptionValidator({ where, schema })
    for (const { where: home, schema: { properties } } of Object.values<OptionGroup>(optionGroups)) {
      for (const name of Object.keys(properties)) {
        if (name in schema.properties) continue
        t.throws(() => validator.check({ [name]: 1 }), { code: 'FST_ERR_TETHER_OPTION', message: new RegExp(`^${where.replace(/[()]/g, '\\$&')} has no option "${name}"; it has .*\\. "${name}" belongs to .*${home.replace(/[()]/g, '\\$&')}`) }, `${name} in ${where}`)
      }
    }
  }
})

t.test('a misspelt option is told what was meant', async (t) => {
  for (const [group, name, meant] of [
    [plugin, 'maxSession', '"maxSessions"'],
    [plugin, 'trusted_origins', '"trustedOrigins"'],
    [stateful, 'initalState', '"initialState"'],
    [stateful, 'onConected', '"onConnect"'],
    [stateful, 'writebuffer', '"writeBuffer", which belongs to app.tether.sse.upgrade()'],
    [upgrade, 'heartbeat', '"heartbeatMs"'],
    [upgrade, 'compresion', '"compression"'],
    [upgrade, 'encoding', '"encodings", which belongs to "compression" of app.tether.sse.upgrade()'],
    [websocket, 'stallTimoutMs', '"stallTimeoutMs"'],
    [drain, 'timeout', '"timeoutMs"']
  ] as const) {
    t.throws(() => new OptionValidator(group).check({ [name]: 1 }), { message: `. Did you mean ${meant}?` }, name)
  }
  for (const name of ['', 'x', 'zebra', 'on', '__proto__', 'x'.repeat(10_000)]) {
    const options = Object.defineProperty({}, name, { value: 5, enumerable: true })
    t.throws(() => new OptionValidator(drain).check(options), { message: /; it has timeoutMs, retryMs, spreadMs(\. "on" belongs to app\.tether\.stateful\(\))?$/ }, name.slice(0, 9))
  }
})

t.test('a part of compression is told of like an option', async (t) => {
  const validator = new OptionValidator(upgrade)
  for (const [name, advice] of [
    ['level', ''],
    ['encoding', '. Did you mean "encodings"?'],
    ['retryMs', '. "retryMs" belongs to app.tether.sse.upgrade() and app.tether.websocket.upgrade() and app.tether.drain()']
  ] as const) {
    t.throws(() => validator.check({ compression: { [name]: 1 } }), { code: 'FST_ERR_TETHER_OPTION', message: `; got { ${name}: 1 }. It has no "${name}"${advice}` })
  }
})
