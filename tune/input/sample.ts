interface Schema {
  readonly [keyword: string]: unknown
}

const deepest = 12

/** A value that a JSON Schema of an API document allows. `resolve` follows its references. */
export function sampleOf (schema: unknown, resolve: (reference: string) => unknown, depth = 0): unknown {
  if (typeof schema !== 'object' || schema === null || depth > deepest) return null
  const { $ref, example, examples, default: fallback, const: constant, enum: choices, oneOf, anyOf, allOf } = schema as Schema
  const below = (part: unknown): unknown => sampleOf(part, resolve, depth + 1)
  if (typeof $ref === 'string') return below(resolve($ref))
  if (example !== undefined) return example
  if (Array.isArray(examples) && examples.length > 0) return examples[0]
  if (constant !== undefined) return constant
  if (fallback !== undefined) return fallback
  if (Array.isArray(choices)) return choices[0]
  for (const alternatives of [oneOf, anyOf]) if (Array.isArray(alternatives)) return below(alternatives[0])
  if (Array.isArray(allOf)) return Object.assign({}, ...allOf.map(below))
  return ofType(schema as Schema, below)
}

function ofType (schema: Schema, below: (part: unknown) => unknown): unknown {
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type
  if (type === 'object' || schema.properties !== undefined) {
    const required = new Set(Array.isArray(schema.required) ? schema.required : [])
    return Object.fromEntries(Object.entries((schema.properties ?? {}) as object).filter(([name]) => required.has(name)).map(([name, part]) => [name, below(part)]))
  }
  if (type === 'array') return Array.from({ length: numberOf(schema.minItems, 0) }, () => below(schema.items))
  if (type === 'integer' || type === 'number') return numberIn(schema, type === 'integer' ? 1 : 0.5)
  if (type === 'boolean') return false
  if (type === 'string') return textOf(schema)
  return null
}

function numberIn (schema: Schema, step: number): number {
  const low = schema.exclusiveMinimum !== undefined ? numberOf(schema.exclusiveMinimum, 0) + step : numberOf(schema.minimum, Number.NaN)
  const high = schema.exclusiveMaximum !== undefined ? numberOf(schema.exclusiveMaximum, 0) - step : numberOf(schema.maximum, Number.NaN)
  const unit = numberOf(schema.multipleOf, 0)
  const wanted = Number.isNaN(low) ? Number.isNaN(high) ? 1 : Math.min(1, high) : low
  const value = unit === 0 ? wanted : Math.ceil(wanted / unit) * unit
  return step === 1 ? Math.ceil(value) : value
}

const formats: Readonly<Record<string, string>> = {
  'date-time': '2030-01-01T00:00:00Z',
  date: '2030-01-01',
  time: '00:00:00Z',
  email: 'a@example.com',
  uuid: '00000000-0000-4000-8000-000000000000',
  uri: 'https://example.com/',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1'
}

function textOf (schema: Schema): string {
  const ready = formats[String(schema.format)]
  return ready ?? 'x'.repeat(Math.min(numberOf(schema.maxLength, Infinity), Math.max(1, numberOf(schema.minLength, 1))))
}

function numberOf (value: unknown, fallback: number): number {
  return typeof value === 'number' ? value : fallback
}
