import { escapePointer } from './json-pointer.ts'
import { isRecord } from './record.ts'

const scalarTypes: ReadonlySet<unknown> = new Set(['string', 'number', 'integer', 'boolean'])

const must = 'must be a string, a number or a boolean'

/**
 * Says why a JSON Schema is not that of a flat object of strings, numbers and booleans; null for one that is.
 *
 * @param schema it has passed the checks of any schema
 */
export function flatFault (schema: unknown, pointer = ''): string | null {
  if (!isRecord(schema)) return `${pointer || 'it'} allows anything`
  const parts = partsOf(schema)
  if (parts !== null) return firstFault(parts.map(([key, part]) => flatFault(part, `${pointer}/${key}`)))
  if ('$ref' in schema || '$recursiveRef' in schema) return `${pointer || 'it'} refers to another schema`
  if (schema.type !== 'object' || schema.nullable === true) return `${pointer || 'it'} must be an object`
  const { additionalProperties: others = false, unevaluatedProperties: rest = false } = schema
  return firstFault([
    ...faultsOfMap(schema.properties, `${pointer}/properties`),
    ...faultsOfMap(schema.patternProperties, `${pointer}/patternProperties`),
    ...others === false ? [] : [scalarFault(others, `${pointer}/additionalProperties`)],
    ...rest === false ? [] : [scalarFault(rest, `${pointer}/unevaluatedProperties`)]
  ])
}

function faultsOfMap (map: unknown, pointer: string): Array<string | null> {
  return Object.entries(isRecord(map) ? map : {}).map(([key, schema]) => scalarFault(schema, `${pointer}/${escapePointer(key)}`))
}

function scalarFault (schema: unknown, pointer: string): string | null {
  if (!isRecord(schema) || schema.nullable === true) return `${pointer} ${must}`
  const { type } = schema
  if (type !== undefined) return [type].flat().every((one) => scalarTypes.has(one)) ? null : `${pointer} ${must}`
  if ('const' in schema) return isScalar(schema.const) ? null : `${pointer} ${must}`
  if (Array.isArray(schema.enum)) return schema.enum.every(isScalar) ? null : `${pointer} ${must}`
  if (Array.isArray(schema.allOf)) return schema.allOf.some((part) => scalarFault(part, pointer) === null) ? null : `${pointer} ${must}`
  const parts = partsOf(schema)
  return parts === null ? `${pointer} ${must}` : firstFault(parts.map(([key, part]) => scalarFault(part, `${pointer}/${key}`)))
}

/** The parts of an intersection or a union, with their places; null for any other schema. */
function partsOf (schema: Record<PropertyKey, unknown>): Array<[string, unknown]> | null {
  for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
    const parts = schema[keyword]
    if (Array.isArray(parts)) return parts.map((part, index) => [`${keyword}/${index}`, part])
  }
  return null
}

function firstFault (faults: Array<string | null>): string | null {
  return faults.find((fault) => fault !== null) ?? null
}

/** Whether a value may be a parameter of a topic. */
export function isScalar (value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
}
