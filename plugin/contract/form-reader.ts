import type { ValidateFunction } from 'ajv/dist/2019.js'
import { defaults } from '../../schemas/defaults.ts'
import { isRecord } from '../../schemas/record.ts'
import { compilePattern, compileTest } from './schema-compiler.ts'

type Schema = Record<string, unknown>

/**
 * Converts a form's fields, which are strings, to the types of a closed schema. A field that
 * fits unchanged stays. Of a union, the first branch that fits unchanged decides, otherwise
 * the first branch that fits after conversion.
 */
export class FormReader {
  readonly #schema: Schema
  readonly #definitions: Schema
  readonly #tests = new Map<Schema, ValidateFunction>()
  readonly #patterns = new Map<string, { test: (text: string) => boolean }>()
  /** How many branches may still be tried for this form: they multiply with the depth of recursive data. */
  #branchesLeft = 0

  constructor (schema: Schema) {
    this.#schema = schema
    this.#definitions = schema.$defs as Schema | undefined ?? {}
  }

  /** Converts the fields in place. Data that is no object, or fits nothing, stays. */
  read (data: unknown): void {
    this.#branchesLeft = defaults.fixed.explainedBranches
    const converted = this.#convert(data, this.#schema)
    // A branch of a union is tried on a copy, whose fields move back into the form.
    if (converted === data || !isRecord(data) || !isRecord(converted)) return
    for (const [key, value] of Object.entries(converted)) setField(data, key, value)
  }

  #convert (value: unknown, schema: unknown): unknown {
    if (!isRecord(schema)) return value
    let result = this.#convertType(value, schema)
    if (typeof schema.$ref === 'string') result = this.#convert(result, this.#definitions[schema.$ref.slice('#/$defs/'.length)])
    if (Array.isArray(schema.allOf)) {
      for (const part of schema.allOf) result = this.#convert(result, part)
    }
    if (schema.if !== undefined) result = this.#convert(result, this.#fits(result, schema.if) ? schema.then : schema.else)
    if (Array.isArray(result)) this.#convertItems(result, schema)
    else if (isRecord(result)) this.#convertFields(result, schema)
    for (const keyword of ['anyOf', 'oneOf']) {
      if (Array.isArray(schema[keyword])) result = this.#convertUnion(result, schema[keyword], keyword)
    }
    return result
  }

  #convertUnion (value: unknown, branches: unknown[], keyword: string): unknown {
    if (branches.some((branch) => this.#fits(value, branch))) return value
    const whole = { [keyword]: branches }
    let meant: { readonly value: unknown } | null = null
    for (const branch of branches) {
      if (this.#branchesLeft-- <= 0) return value
      const converted = this.#convert(copy(value), branch)
      // `oneOf` refuses what fits two branches.
      if (this.#fits(converted, branch) && (keyword === 'anyOf' || this.#fits(converted, whole, branches))) return converted
      // If none fits, the faults are those of the branch that was meant.
      if (meant === null && isRecord(converted) && this.#hasTags(converted, branch)) meant = { value: converted }
    }
    return meant === null ? value : meant.value
  }

  #convertItems (items: unknown[], schema: Schema): void {
    const { items: first, additionalItems } = schema
    for (const [index, item] of items.entries()) {
      items[index] = this.#convert(item, Array.isArray(first) ? index < first.length ? first[index] : additionalItems : first)
    }
  }

  #convertFields (fields: Record<string, unknown>, schema: Schema): void {
    const { properties, patternProperties, additionalProperties, unevaluatedProperties, dependentSchemas, dependencies } = schema
    for (const [key, value] of Object.entries(fields)) {
      const schemas = isRecord(properties) && Object.hasOwn(properties, key) ? [properties[key]] : []
      if (isRecord(patternProperties)) {
        for (const [pattern, child] of Object.entries(patternProperties)) {
          if (this.#pattern(pattern).test(key)) schemas.push(child)
        }
      }
      if (schemas.length === 0) schemas.push(additionalProperties ?? (isRecord(unevaluatedProperties) && !this.#knows(schema, key, 0) ? unevaluatedProperties : undefined))
      let result: unknown = value
      for (const child of schemas) result = this.#convert(result, child)
      if (result !== value) setField(fields, key, result)
    }
    for (const dependents of [dependentSchemas, dependencies]) {
      if (!isRecord(dependents)) continue
      for (const [key, child] of Object.entries(dependents)) {
        if (Object.hasOwn(fields, key)) this.#convert(fields, child)
      }
    }
  }

  /** Whether any part of a schema, such as a part of an intersection, knows a key. */
  #knows (schema: unknown, key: string, depth: number): boolean {
    if (!isRecord(schema) || depth > defaults.fixed.explainedDepth) return false
    const { properties, patternProperties, additionalProperties, allOf, anyOf, oneOf, $ref } = schema
    if (additionalProperties !== undefined || (isRecord(properties) && Object.hasOwn(properties, key))) return true
    if (isRecord(patternProperties) && Object.keys(patternProperties).some((pattern) => this.#pattern(pattern).test(key))) return true
    const parts: unknown[] = [allOf, anyOf, oneOf, schema.if, schema.then, schema.else, typeof $ref === 'string' ? this.#definitions[$ref.slice('#/$defs/'.length)] : undefined].flat()
    return parts.some((part) => this.#knows(part, key, depth + 1))
  }

  #convertType (value: unknown, schema: Schema): unknown {
    const { type } = schema
    const types: unknown[] = type === undefined ? [] : [...Array.isArray(type) ? type : [type], ...schema.nullable === true ? ['null'] : []]
    let result = value
    if (types.length > 0 && !types.some((name) => isOfType(value, name))) {
      for (const name of types) {
        const converted = toType(value, name)
        if (converted !== undefined) {
          result = converted
          break
        }
      }
    }
    const allowed = 'const' in schema ? [schema.const] : Array.isArray(schema.enum) ? schema.enum : null
    if (allowed === null || typeof result !== 'string' || allowed.includes(result)) return result
    for (const literal of allowed) {
      if (toType(result, literal === null ? 'null' : typeof literal) === literal) return literal
    }
    return result
  }

  /** Whether the fields have this branch's tags: the literals that tell the branches of a union apart. */
  #hasTags (fields: Record<string, unknown>, schema: unknown): boolean {
    if (!isRecord(schema)) return false
    if (typeof schema.$ref === 'string') return this.#hasTags(fields, this.#definitions[schema.$ref.slice('#/$defs/'.length)])
    const tags = isRecord(schema.properties) ? Object.entries(schema.properties).filter(([, child]) => isRecord(child) && ('const' in child || Array.isArray(child.enum))) : []
    const inner = [schema.then, ...Array.isArray(schema.allOf) ? schema.allOf : []].filter(isRecord)
    if (!tags.every(([key, child]) => 'const' in (child as Schema) ? (child as Schema).const === fields[key] : ((child as Schema).enum as unknown[]).includes(fields[key]))) return false
    return tags.length > 0 || inner.some((child) => this.#hasTags(fields, child))
  }

  #fits (value: unknown, schema: unknown, key: unknown = schema): boolean {
    if (typeof schema === 'boolean') return schema
    let test = this.#tests.get(key as Schema)
    if (test === undefined) this.#tests.set(key as Schema, test = compileTest({ ...schema as Schema, $defs: this.#definitions }))
    return test(value)
  }

  #pattern (pattern: string): { test: (text: string) => boolean } {
    let compiled = this.#patterns.get(pattern)
    if (compiled === undefined) this.#patterns.set(pattern, compiled = compilePattern(pattern, 'u'))
    return compiled
  }
}

function isOfType (value: unknown, type: unknown): boolean {
  switch (type) {
    case 'null': return value === null
    case 'array': return Array.isArray(value)
    case 'object': return isRecord(value)
    case 'integer': return Number.isInteger(value)
    default: return typeof value === type // eslint-disable-line valid-typeof
  }
}

/** Converts a field to a type; undefined where it cannot be converted. */
function toType (value: unknown, type: unknown): unknown {
  if (type === 'array') return typeof value === 'object' ? undefined : [value]
  // An application's own parser may turn a single field into a list.
  const field = Array.isArray(value) && value.length === 1 ? value[0] : value
  if (field !== value && isOfType(field, type)) return field
  switch (type) {
    case 'string': return typeof field === 'number' || typeof field === 'boolean' ? String(field) : undefined
    case 'number':
    case 'integer': {
      const number = typeof field === 'string' && field.trim() !== '' ? Number(field) : NaN
      return type === 'number' ? Number.isFinite(number) ? number : undefined : Number.isInteger(number) ? number : undefined
    }
    // A checkbox without a value sends `on` when it is checked, and otherwise nothing.
    case 'boolean': return field === 'true' || field === 'on' ? true : field === 'false' ? false : undefined
    case 'null': return field === '' ? null : undefined
    default: return undefined
  }
}

function copy (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy)
  if (!isRecord(value)) return value
  const result: Record<string, unknown> = Object.create(Object.getPrototypeOf(value))
  for (const [key, child] of Object.entries(value)) setField(result, key, copy(child))
  return result
}

/** Sets an own property, even for a key such as `__proto__`, which a parser may have made. */
function setField (fields: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(fields, key, { value, writable: true, enumerable: true, configurable: true })
}
