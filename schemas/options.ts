import { Type, type TObject, type TOptional, type TSchema } from '@sinclair/typebox'
import { defaults } from './defaults.ts'
import { optionTable, type OptionRow, type WholeNumberRow } from './option-table.ts'
import { longestTimerMs } from './timer.ts'

// An error message quotes the description of a schema as the allowed values.

/** Makes the schema of an option from its row. */
function schemaOf (row: OptionRow): TSchema {
  if ('unit' in row) return wholeNumber(row)
  if ('choices' in row) return oneOf(row.choices, `${quoted(row.choices, 'or')}; default "${row.default}"`)
  if ('each' in row) return Type.Array(oneOf(row.each), { minItems: 1, uniqueItems: true, description: `a list of ${quoted(row.each, 'and')}; default ${JSON.stringify(row.default)}` })
  return Type.Boolean({ description: `true or false; default ${row.default}` })
}

function wholeNumber (row: WholeNumberRow): TSchema {
  const minimum = 'zero' in row ? 0 : row.least
  const isTime = row.unit === 'ms'
  const range = isTime ? `from ${minimum} to ${longestTimerMs}` : `of at least ${minimum}`
  const zero = 'zero' in row ? ` (0: ${row.zero})` : ''
  const fallback = 'default' in row ? row.default : row.defaultInWords
  return Type.Integer({ minimum, maximum: isTime ? longestTimerMs : Number.MAX_SAFE_INTEGER, description: `a whole number ${range}${zero}; default ${fallback}` })
}

function oneOf (words: readonly string[], description?: string): TSchema {
  return Type.Union(words.map((word) => Type.Literal(word)), description === undefined ? {} : { description })
}

function quoted (words: readonly string[], conjunction: 'and' | 'or'): string {
  const all = words.map((word) => `"${word}"`)
  return `${all.slice(0, -1).join(', ')} ${conjunction} ${all.at(-1)}`
}

function schemasOf<Table extends Readonly<Record<string, OptionRow>>> (table: Table): { [Name in keyof Table]: TOptional<TSchema> } {
  return Object.fromEntries(Object.entries(table).map(([name, row]) => [name, Type.Optional(schemaOf(row))])) as { [Name in keyof Table]: TOptional<TSchema> }
}

const closed = { additionalProperties: false }

/** A function. JSON Schema cannot say this; the option validator checks it. */
function callback (description = 'a function') {
  return Type.Optional(Type.Unsafe<unknown>({ callable: true, description }))
}

const accessOptions = {
  // The option validator knows what an origin is.
  trustedOrigins: Type.Optional(Type.Array(Type.Unsafe<string>({ origin: true }), {
    description: 'a list of origins, each a scheme, host and port without a path, such as "https://app.example.com"; default none'
  })),
  bind: callback()
}

const compressionOptionsSchema = Type.Object(schemasOf(optionTable.compression), closed)
const { own, encodings } = compressionOptionsSchema.properties

/** The function that takes a group of options, as error messages name it, and the schema of the group. */
export interface OptionGroup {
  readonly where: string
  readonly schema: TObject
}

/** An engine, or an object that names one. The option validator checks the parts of the object. */
const clusterOption = Type.Optional(Type.Unsafe<unknown>({
  cluster: true,
  description: 'an engine, such as local() of "fastify-tether/local" returns, or an object with engine, name, leaseMs, logMs, queueFrames, queueBytes and others'
}))

/** The route of figures for sizing. The option validator checks that it has a function. */
const tuningOption = Type.Optional(Type.Unsafe<unknown>({
  tuning: true,
  description: 'an object with authorize, a function that allows or refuses a request for the figures'
}))

/** All groups of options. An option in the wrong group gets an error that names the right one. */
export const optionGroups = {
  plugin: {
    where: 'app.register(tether)',
    schema: Type.Object({ ...schemasOf(optionTable.plugin), cluster: clusterOption, tuning: tuningOption, ...accessOptions }, closed)
  },
  cluster: {
    where: '"cluster" of app.register(tether)',
    schema: Type.Object({
      engine: Type.Unsafe<unknown>({ engine: true, description: 'an engine, such as local() of "fastify-tether/local" returns' }),
      name: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: `1 to 64 letters, digits, "-" and "_"; default "${defaults.cluster.name}"` })),
      ...schemasOf(optionTable.cluster)
    }, closed)
  },
  stateful: {
    where: 'app.tether.stateful()',
    schema: Type.Object({
      contract: Type.Unsafe<unknown>({ type: 'object', required: ['events', 'updates'], description: 'what defineContract() returns' }),
      mode: Type.Optional(oneOf(['sse', 'websocket', 'both'], '"sse", "websocket" or "both"; default "sse"')),
      upgrade: callback('what app.tether.sse.upgrade() or app.tether.websocket.upgrade() returns'),
      fallback: callback('what app.tether.sse.upgrade() returns'),
      initialState: callback(),
      on: Type.Optional(Type.Record(Type.String(), Type.Unsafe<unknown>({ callable: true, description: 'a function' }), { description: 'an object with a handler for each event' })),
      // The configuration of each topic is a group of its own.
      topics: Type.Optional(Type.Unsafe<unknown>({ type: 'object', topics: true, description: 'an object with the configuration of each topic' })),
      onConnect: callback(),
      onDisconnect: callback(),
      onClose: callback(),
      onJoin: callback(),
      onLeave: callback(),
      onGap: callback(),
      serialize: callback(),
      deserialize: callback(),
      onFreeze: callback(),
      onRestore: callback(),
      onError: callback(),
      route: Type.Optional(Type.Object({
        schema: Type.Optional(Type.Object({}, { additionalProperties: true })),
        config: Type.Optional(Type.Object({}, { additionalProperties: true })),
        logLevel: Type.Optional(oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])),
        constraints: Type.Optional(Type.Object({}, { additionalProperties: true }))
      }, { ...closed, description: 'an object with schema, config, logLevel (such as "warn") and constraints, as for a route of Fastify; default none' })),
      ...schemasOf(optionTable.stateful),
      ...accessOptions
    }, closed)
  },
  topic: {
    where: '"topics" of app.tether.stateful()',
    schema: Type.Object({ authorize: callback(), start: callback(), ...schemasOf(optionTable.topic) }, closed)
  },
  upgrade: {
    where: 'app.tether.sse.upgrade()',
    schema: Type.Object({
      ...schemasOf(optionTable.stream),
      compression: Type.Optional(Type.Unsafe<unknown>({
        anyOf: [Type.Boolean(), compressionOptionsSchema],
        description: `true, false, or an object with own (${own.description}) and encodings (${encodings.description}); default ${defaults.upgrade.compression}`
      }))
    }, closed)
  },
  compression: {
    where: '"compression" of app.tether.sse.upgrade()',
    schema: compressionOptionsSchema
  },
  websocket: {
    where: 'app.tether.websocket.upgrade()',
    schema: Type.Object({ ...schemasOf(optionTable.stream), ...schemasOf(optionTable.websocket) }, closed)
  },
  drain: {
    where: 'app.tether.drain()',
    schema: Type.Object(schemasOf(optionTable.drain), closed)
  },
  nats: {
    where: 'nats()',
    schema: Type.Object(schemasOf(optionTable.nats), closed)
  },
  memory: {
    where: 'memory()',
    schema: Type.Object({
      ...schemasOf(optionTable.hub),
      weather: callback(),
      clock: Type.Optional(Type.Unsafe<unknown>({ type: 'object', required: ['now', 'setTimeout', 'clearTimeout', 'defer'], description: 'an object with the functions now, setTimeout, clearTimeout and defer' }))
    }, closed)
  },
  local: {
    where: 'local()',
    schema: Type.Object({
      ...schemasOf(optionTable.hub),
      ...schemasOf(optionTable.local),
      directory: Type.Optional(Type.String({ minLength: 1, pattern: '^[^\\0]*$', description: 'the path of a directory' }))
    }, closed)
  },
  redis: {
    where: 'redis()',
    schema: Type.Object(schemasOf(optionTable.redis), closed)
  },
  metrics: {
    where: 'prometheus() and otel()',
    schema: Type.Object(schemasOf(optionTable.metrics), closed)
  },
  inspector: {
    where: 'app.register(inspector)',
    schema: Type.Object({
      authorize: Type.Unsafe<unknown>({ callable: true, description: 'a function that tells of a request whether it may see the inspector' }),
      allow: Type.Optional(Type.Object({
        close: Type.Optional(Type.Boolean()),
        slow: Type.Optional(Type.Boolean())
      }, { ...closed, description: 'an object with close and slow, each true or false; default neither' })),
      ...schemasOf(optionTable.inspector)
    }, closed)
  },
  contract: {
    where: 'defineContract()',
    schema: Type.Object({ events: Type.Unknown(), updates: Type.Unknown(), topics: Type.Unknown() })
  }
} satisfies Record<string, OptionGroup>
