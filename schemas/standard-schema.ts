import { isAsynchronous } from './asynchronous.ts'
import { ContractError } from './errors.ts'
import { isRecord } from './record.ts'

/**
 * A schema of a library that follows Standard Schema or Standard JSON Schema: Zod 4, Valibot, ArkType and others.
 *
 * @see https://standardschema.dev
 */
export interface StandardSchema<Input = unknown, Output = unknown> {
  readonly '~standard': StandardProperties<Input, Output>
}

/** What such a library offers: its check, its JSON Schema, or both. */
export interface StandardProperties<Input = unknown, Output = unknown> {
  readonly version: 1
  readonly vendor: string
  readonly types?: { readonly input: Input, readonly output: Output } | undefined
  readonly validate?: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
  readonly jsonSchema?: StandardConverter
}

/** The outcome of a check: the value after defaults and transforms, or what is wrong. */
export type StandardResult<Output = unknown> =
  | { readonly value: Output, readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

/** One thing that is wrong. */
export interface StandardIssue {
  readonly message: string
  /** Keys from the outermost value inwards. */
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

/** Gives the JSON Schema of the data before (`input`) and after (`output`) defaults and transforms. It may throw. */
export interface StandardConverter {
  readonly input: (options: StandardConverterOptions) => Record<string, unknown>
  readonly output: (options: StandardConverterOptions) => Record<string, unknown>
}

export interface StandardConverterOptions {
  readonly target: 'draft-2020-12' | 'draft-07'
  readonly libraryOptions?: Record<string, unknown> | undefined
}

/** The side of a schema: before or after defaults and transforms. */
export type SchemaSide = keyof StandardConverter

/** Options with which a library writes the parts that JSON Schema can say, and leaves the others open. */
const lenient = {
  // Zod
  unrepresentable: 'any',
  // Valibot
  errorMode: 'ignore',
  // ArkType
  fallback: ({ base }: { base: unknown }) => base
}

/** Whether a value has the properties of a standard schema. Some libraries' schemas are functions. */
export function isStandard (value: unknown): value is StandardSchema {
  return ((typeof value === 'object' && value !== null) || typeof value === 'function') && isRecord((value as { '~standard'?: unknown })['~standard'])
}

/** Whether a standard schema checks data itself. Otherwise its JSON Schema is all that there is. */
export function hasCheck (schema: StandardSchema): boolean {
  return typeof schema['~standard'].validate === 'function'
}

/**
 * Refuses a standard schema that cannot be used.
 *
 * @throws `FST_ERR_TETHER_CONTRACT`
 */
export function checkStandard (what: string, schema: StandardSchema): void {
  const refuse = (reason: string): never => { throw new ContractError(`the schema of ${what} cannot be used: it ${reason}`) }
  const { version, vendor, validate, jsonSchema } = schema['~standard'] as Partial<StandardProperties>
  const name = typeof vendor === 'string' ? vendor : 'a library without a name'
  if (version !== 1) refuse(`is a schema of ${name} by version ${String(version)} of Standard Schema, and only version 1 is known`)
  if (typeof validate !== 'function' && typeof jsonSchema?.input !== 'function') refuse(`is a schema of ${name} that neither checks data nor gives a JSON Schema`)
  if (isAsynchronous(schema)) refuse(`is asynchronous, and data is checked at once, to keep its order: ${instead}`)
}

/** What to do with the parts that are asynchronous. */
const instead = 'leave out what is asynchronous, and check that in the handler'

/**
 * Runs the check of a standard schema.
 *
 * @throws what the check throws, and a `TypeError` if it gives a promise, whose result would come out of order
 */
export function checkNow<Output> (schema: StandardSchema<unknown, Output>, data: unknown): StandardResult<Output> {
  const result = schema['~standard'].validate!(data)
  if (!isPromise(result)) {
    if (result.issues !== undefined || !isPromise(result.value)) return result
    result.value.then(undefined, () => {})
  } else {
    result.then(undefined, () => {})
    const cause = thrownBy(schema, data)
    if (cause instanceof RangeError) throw cause
    if (cause !== undefined) throw new TypeError(`it is asynchronous, or it threw: ${instead}`, { cause })
  }
  throw new TypeError(`it is asynchronous: ${instead}`)
}

/** What a check of Zod threw; undefined for nothing. Zod's `validate` runs it again as an asynchronous one, and gives a promise in any case. */
function thrownBy (schema: object, data: unknown): unknown {
  const { safeParse } = schema as { safeParse?: (data: unknown) => unknown }
  if (typeof safeParse !== 'function') return undefined
  try {
    safeParse.call(schema, data)
    return undefined
  } catch (error) {
    return error
  }
}

function isPromise (value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** The JSON Schema that a standard schema gives, as far as it can say it. Null for none. */
export function jsonSchemaOf (schema: StandardSchema, side: SchemaSide): Record<string, unknown> | null {
  return converted(schema, side) ?? converted(schema, side, lenient)
}

/**
 * The JSON Schema of a standard schema that does not check data itself, so that nothing else would.
 *
 * @throws `FST_ERR_TETHER_CONTRACT` if it gives none, or if it converts data, which JSON Schema cannot do
 */
export function completeJsonSchema (what: string, schema: StandardSchema, side: SchemaSide): Record<string, unknown> {
  const given = converted(schema, side)
  const other = converted(schema, side === 'input' ? 'output' : 'input')
  if (given === null || other === null) throw new ContractError(`the schema of ${what} cannot be used: it has no check of its own, and gives no JSON Schema of draft 2020-12 or draft 7`)
  if (!isSameShape(given, other)) throw new ContractError(`the schema of ${what} cannot be used: it converts data, and has no check of its own to do it`)
  return given
}

function converted (schema: StandardSchema, side: SchemaSide, libraryOptions?: Record<string, unknown>): Record<string, unknown> | null {
  const { jsonSchema } = schema['~standard']
  if (typeof jsonSchema?.[side] !== 'function') return null
  for (const target of ['draft-2020-12', 'draft-07'] as const) {
    try {
      // Only JSON: libraries attach functions, and a default may be a date.
      const given: unknown = JSON.parse(JSON.stringify(jsonSchema[side](libraryOptions === undefined ? { target } : { target, libraryOptions })))
      if (isRecord(given)) {
        const { $schema, ...keywords } = given
        return keywords
      }
    } catch { /* The library cannot write this. */ }
  }
  return null
}

/** Whether two sides of a schema take the same data, but for defaults and for keys that only one of them refuses. */
function isSameShape (left: unknown, right: unknown): boolean {
  if (Array.isArray(left) && Array.isArray(right)) return left.length === right.length && left.every((child, index) => isSameShape(child, right[index]))
  if (!isRecord(left) || !isRecord(right)) return left === right
  return keysOf(left, right).every((keyword) => {
    const [one, other] = [left[keyword], right[keyword]]
    if (keyword === 'default') return true
    if (keyword === 'required') return hasDefaults(left, one, other) && hasDefaults(right, other, one)
    if (closing.has(keyword) && isOpenOrClosed(one) && isOpenOrClosed(other)) return true
    if (literal.has(keyword)) return JSON.stringify(one) === JSON.stringify(other)
    if (maps.has(keyword) && isRecord(one) && isRecord(other)) return keysOf(one, other).every((key) => isSameShape(one[key], other[key]))
    return isSameShape(one, other)
  })
}

/** Whether all keys that only the other side requires have a default. */
function hasDefaults ({ properties }: Record<PropertyKey, unknown>, own: unknown, other: unknown): boolean {
  const required: unknown = own ?? []
  return Array.isArray(required) && Array.isArray(other ?? []) && (other as string[] ?? []).every((key) => required.includes(key) || (isRecord(properties) && isRecord(properties[key]) && 'default' in properties[key]))
}

function isOpenOrClosed (value: unknown): boolean {
  return value === undefined || typeof value === 'boolean' || (isRecord(value) && Object.keys(value).length === 0)
}

function keysOf (left: Record<PropertyKey, unknown>, right: Record<PropertyKey, unknown>): string[] {
  return [...new Set([...Object.keys(left), ...Object.keys(right)])]
}

const closing: ReadonlySet<string> = new Set(['additionalProperties', 'unevaluatedProperties'])
/** Keywords that hold values, not schemas. */
const literal: ReadonlySet<string> = new Set(['const', 'enum', 'examples', 'example'])
/** Keywords that hold schemas by name. */
const maps: ReadonlySet<string> = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies'])
