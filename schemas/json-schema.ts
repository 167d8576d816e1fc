import { Kind } from '@sinclair/typebox'
import { formatNames } from 'ajv-formats/dist/formats.js'
import { ContractError } from './errors.ts'
import { escapePointer } from './json-pointer.ts'
import { isRecord } from './record.ts'
import { editDistance } from './suggestion.ts'

/** The use of a schema: it checks an event's data, or it writes an update's data. */
export type SchemaUse = 'event' | 'update' | 'reply'

type JsonType = 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null'

/** The allowed value of a keyword, and the type of data that it applies to; without `of`, any type. */
interface Keyword {
  readonly holds: keyof typeof holdings
  readonly of?: JsonType
  /** Another keyword; without it, this one has no effect. */
  readonly beside?: string
}

const count = (of: JsonType): Keyword => ({ holds: 'count', of })

const keywords: Readonly<Record<string, Keyword>> = {
  $schema: { holds: 'dialect' },
  $id: { holds: 'string' },
  $anchor: { holds: 'string' },
  $ref: { holds: 'string' },
  $recursiveRef: { holds: 'string' },
  $recursiveAnchor: { holds: 'boolean' },
  $defs: { holds: 'schemaMap' },
  definitions: { holds: 'schemaMap' },
  type: { holds: 'type' },
  const: { holds: 'json' },
  enum: { holds: 'list' },
  nullable: { holds: 'boolean' },
  multipleOf: { holds: 'positive', of: 'number' },
  minimum: { holds: 'number', of: 'number' },
  maximum: { holds: 'number', of: 'number' },
  exclusiveMinimum: { holds: 'number', of: 'number' },
  exclusiveMaximum: { holds: 'number', of: 'number' },
  minLength: count('string'),
  maxLength: count('string'),
  pattern: { holds: 'pattern', of: 'string' },
  format: { holds: 'string' },
  formatMinimum: { holds: 'string', of: 'string', beside: 'format' },
  formatMaximum: { holds: 'string', of: 'string', beside: 'format' },
  formatExclusiveMinimum: { holds: 'string', of: 'string', beside: 'format' },
  formatExclusiveMaximum: { holds: 'string', of: 'string', beside: 'format' },
  minItems: count('array'),
  maxItems: count('array'),
  uniqueItems: { holds: 'boolean', of: 'array' },
  items: { holds: 'items', of: 'array' },
  prefixItems: { holds: 'schemas', of: 'array' },
  additionalItems: { holds: 'schema', of: 'array' },
  unevaluatedItems: { holds: 'schema', of: 'array' },
  contains: { holds: 'schema', of: 'array' },
  minContains: { ...count('array'), beside: 'contains' },
  maxContains: { ...count('array'), beside: 'contains' },
  minProperties: count('object'),
  maxProperties: count('object'),
  required: { holds: 'strings', of: 'object' },
  properties: { holds: 'schemaMap', of: 'object' },
  patternProperties: { holds: 'patternMap', of: 'object' },
  additionalProperties: { holds: 'schema', of: 'object' },
  unevaluatedProperties: { holds: 'schema', of: 'object' },
  propertyNames: { holds: 'schema', of: 'object' },
  dependentRequired: { holds: 'dependencies', of: 'object' },
  dependentSchemas: { holds: 'schemaMap', of: 'object' },
  dependencies: { holds: 'dependencies', of: 'object' },
  allOf: { holds: 'schemas' },
  anyOf: { holds: 'schemas' },
  oneOf: { holds: 'schemas' },
  not: { holds: 'schema' },
  if: { holds: 'schema' },
  then: { holds: 'schema', beside: 'if' },
  else: { holds: 'schema', beside: 'if' }
}

/**
 * Keywords of JSON Schema and OpenAPI that describe data and check nothing; so do `x-…`. Their values are
 * checked, because a map of fields with such names (`{ title: Type.String() }`) would allow anything.
 */
const annotations: Readonly<Record<string, keyof typeof holdings>> = {
  title: 'string',
  description: 'string',
  $comment: 'string',
  default: 'json',
  deprecated: 'boolean',
  readOnly: 'boolean',
  writeOnly: 'boolean',
  examples: 'samples',
  example: 'sample',
  externalDocs: 'object',
  xml: 'object',
  discriminator: 'object',
  contentMediaType: 'string',
  contentEncoding: 'string',
  contentSchema: 'schema'
}

/** Keywords that may be undefined, for example from an option that was left out. */
const limits = new Set(['nullable', 'multipleOf', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'pattern', 'format', 'uniqueItems', 'required', 'additionalProperties', '$id', '$anchor', '$schema'])

const jsonTypes = new Set(['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'])
const numberFormats = new Set(['int32', 'int64', 'float', 'double'])
const formats: ReadonlySet<string> = new Set(formatNames)
const dialects = /^https?:\/\/(json-schema\.org\/(draft-0[67]|draft\/2019-09|draft\/2020-12)\/schema|spec\.openapis\.org\/oas\/3\.1\/dialect\/.*)#?$/

/** TypeBox's kinds that keywords describe completely. */
const kinds = new Set(['Any', 'Array', 'Boolean', 'Cyclic', 'Enum', 'Import', 'Integer', 'Intersect', 'Literal', 'Never', 'Not', 'Null', 'Number', 'Object', 'Record', 'Ref', 'String', 'TemplateLiteral', 'This', 'Tuple', 'Union', 'Unknown', 'Unsafe'])
/** Kinds that JSON cannot carry, and what to use instead. */
const foreignKinds: Readonly<Record<string, string>> = {
  Date: 'use Type.String({ format: "date-time" })',
  RegExp: 'use Type.String({ pattern })',
  Uint8Array: 'use Type.String() with base64',
  BigInt: 'use Type.String() or Type.Integer()',
  Undefined: 'use Type.Optional()',
  Void: 'use Type.Null()'
}
const marks = new Set(['TypeBox.Kind', 'TypeBox.Hint', 'TypeBox.Optional', 'TypeBox.Readonly', '~kind', '~optional', '~readonly', '~immutable', '~unsafe'])

const noSchema = 'pass a JSON Schema, or use TypeBox'

/**
 * Refuses a schema with a part that would be neither checked nor written: an unknown keyword, a
 * refinement, a transform, or a type of data beside the keywords, at any depth.
 *
 * @param what the owner of the schema, as in `event "say"`
 * @throws `FST_ERR_TETHER_CONTRACT`, with a JSON pointer into the schema
 */
export function checkSchema (what: string, schema: object, use: SchemaUse): void {
  new SchemaCheck(what, use).root(schema)
}

/** Says why a value is no schema; null for one that may be a schema. */
function foreignReason (value: unknown): string | null {
  if (isRecord(value) && isPlain(value)) return Object.prototype.propertyIsEnumerable.call(value, '~standard') ? standardReason(value) : null
  if ((typeof value === 'object' && value !== null) || typeof value === 'function') {
    if ('~standard' in value) return standardReason(value)
    if (Array.isArray(value)) return `is an array: ${noSchema}`
    if (typeof value === 'function') return `is a function: ${noSchema}`
    if (typeof (value as { then?: unknown }).then === 'function') return 'is a promise: await it'
    const { constructor } = value
    return `is an object of a class${typeof constructor === 'function' && constructor.name !== '' ? `, ${constructor.name}` : ''}, whose checks are not run: ${noSchema}`
  }
  return `is ${value === null ? 'null' : typeof value}: ${noSchema}`
}

function standardReason (value: object): string {
  const standard: unknown = (value as { '~standard'?: unknown })['~standard']
  const vendor = isRecord(standard) && typeof standard.vendor === 'string' ? standard.vendor : 'another library'
  return `is a schema of ${vendor} within another schema, whose checks would not be run: use ${vendor} for the whole schema`
}

class SchemaCheck {
  readonly #what: string
  readonly #use: SchemaUse
  readonly #around = new Set<object>()
  readonly #checked = new Set<object>()

  constructor (what: string, use: SchemaUse) {
    this.#what = what
    this.#use = use
  }

  root (schema: object): void {
    this.schema(schema, '#')
  }

  refuse (pointer: string, reason: string): never {
    throw new ContractError(`the schema of ${this.#what} cannot be compiled: ${pointer} ${reason}`)
  }

  schema (schema: unknown, pointer: string): void {
    if (typeof schema === 'boolean') return
    const foreign = foreignReason(schema)
    if (foreign !== null) this.refuse(pointer, foreign)
    const node = schema as Record<string, unknown>
    if (this.#around.has(node)) this.refuse(pointer, 'is a schema that holds itself: use Type.Recursive() or $ref')
    if (this.#checked.has(node)) return
    this.#around.add(node)
    this.#marks(node, pointer)
    for (const [key, value] of Object.entries(node)) this.#keyword(node, key, value, `${pointer}/${escapePointer(key)}`)
    this.#format(node, pointer)
    if (node.if !== undefined && node.then === undefined && node.else === undefined) this.refuse(`${pointer}/if`, 'says nothing without "then" or "else"')
    if (node.additionalItems !== undefined && node.additionalItems !== true && !Array.isArray(node.items)) this.refuse(`${pointer}/additionalItems`, 'says nothing unless "items" is an array')
    if (this.#use !== 'event') this.#written(node, pointer)
    this.#around.delete(node)
    this.#checked.add(node)
  }

  /** Checks symbols and hidden properties, where libraries store their own data. */
  #marks (node: Record<PropertyKey, unknown>, pointer: string): void {
    const foreign = (mark: string) => this.refuse(pointer, /refine/i.test(mark)
      ? 'has a refinement, which would not be run: say it by keywords, or check it in the handler'
      : /transform|codec/i.test(mark)
        ? 'has a transform (a codec), which is not supported, since both sides of the wire share the schema: convert in the handler'
        : `has ${mark} beside its keywords, which no JSON Schema has, and nothing would check: ${noSchema}`)
    for (const key of Reflect.ownKeys(node)) {
      const mark = typeof key === 'symbol' ? key.description ?? 'a symbol' : key
      if (typeof key === 'symbol' ? !marks.has(mark) || Symbol.for(mark) !== key : mark.startsWith('~') && !marks.has(mark) && !(mark === '~standard')) foreign(mark)
    }
    for (const kind of [node[Kind], node['~kind']]) {
      if (kind === undefined || (typeof kind === 'string' && kinds.has(kind))) continue
      const name = String(kind)
      if (Object.hasOwn(foreignKinds, name)) this.refuse(pointer, `is Type.${name}(), which JSON cannot carry: ${foreignKinds[name]}`)
      this.refuse(pointer, `is of the kind "${name}", of which JSON Schema knows nothing: ${noSchema}'s types that JSON has`)
    }
  }

  #keyword (node: Record<string, unknown>, key: string, value: unknown, pointer: string): void {
    if (key.startsWith('x-') || key.startsWith('~')) return
    if (Object.hasOwn(annotations, key)) {
      if (value !== undefined) holdings[annotations[key]!](this, value, pointer)
      return
    }
    if (!Object.hasOwn(keywords, key)) {
      if (value === undefined) return
      this.refuse(pointer, unknownKeyword(key))
    }
    const { holds, of, beside } = keywords[key]!
    if (value === undefined) {
      if (holds === 'count' || limits.has(key)) return
      this.refuse(pointer, 'is undefined: give it a value, or leave it out')
    }
    if (beside !== undefined && node[beside] === undefined) this.refuse(pointer, `says nothing without "${beside}"`)
    const types = typesOf(node)
    if (of !== undefined && types !== null && !types.includes(of) && !(of === 'number' && types.includes('integer'))) {
      this.refuse(pointer, `says nothing of data of the type ${types.map((type) => `"${type}"`).join(' or ')}`)
    }
    if (typeof value === 'boolean' && (key === 'exclusiveMinimum' || key === 'exclusiveMaximum')) this.refuse(pointer, `must be a number, in place of "${key === 'exclusiveMinimum' ? 'minimum' : 'maximum'}" beside it`)
    holdings[holds](this, value, pointer)
  }

  #format (node: Record<string, unknown>, pointer: string): void {
    const { format } = node
    // Nothing checks an update, so its formats are for human readers.
    if (typeof format !== 'string' || this.#use === 'update') return
    if (!formats.has(format)) this.refuse(`${pointer}/format`, `is an unknown format, "${format}"${suggestion(format, formatNames) || ': leave it out, and say it by "pattern"'}`)
    const types = typesOf(node)
    const fits: unknown[] = numberFormats.has(format) ? ['number', 'integer'] : ['string']
    if (types !== null && !types.some((type) => fits.includes(type))) this.refuse(`${pointer}/format`, `"${format}" says nothing of data of the type ${types.map((type) => `"${type}"`).join(' or ')}`)
  }

  /** Refuses keywords that allow more keys than the serialiser writes. */
  #written (node: Record<string, unknown>, pointer: string): void {
    const refuse = (key: string, instead: string) => this.refuse(`${pointer}/${key}`, `names keys that ${this.#use === 'reply' ? 'a reply' : 'an update'} would be written without: ${instead}`)
    if (node.unevaluatedProperties !== undefined && node.unevaluatedProperties !== false) refuse('unevaluatedProperties', 'use "additionalProperties"')
    if (node.dependentSchemas !== undefined) refuse('dependentSchemas', 'use "if" and "then"')
    if (isRecord(node.dependencies) && Object.values(node.dependencies).some((dependency) => !Array.isArray(dependency))) refuse('dependencies', 'use "if" and "then"')
  }
}

const holdings = {
  schema: (check: SchemaCheck, value: unknown, pointer: string) => check.schema(value, pointer),
  schemas (check: SchemaCheck, value: unknown, pointer: string) {
    if (!Array.isArray(value) || value.length === 0) check.refuse(pointer, 'must be an array of one or more schemas')
    for (const [index, child] of value.entries()) check.schema(child, `${pointer}/${index}`)
  },
  items (check: SchemaCheck, value: unknown, pointer: string) {
    if (!Array.isArray(value)) return check.schema(value, pointer)
    for (const [index, child] of value.entries()) check.schema(child, `${pointer}/${index}`)
  },
  schemaMap (check: SchemaCheck, value: unknown, pointer: string) {
    if (!isRecord(value) || !isPlain(value)) check.refuse(pointer, 'must be an object of schemas')
    for (const [key, child] of Object.entries(value)) check.schema(child, `${pointer}/${escapePointer(key)}`)
  },
  patternMap (check: SchemaCheck, value: unknown, pointer: string) {
    if (!isRecord(value) || !isPlain(value)) check.refuse(pointer, 'must be an object of schemas')
    for (const [pattern, child] of Object.entries(value)) {
      holdings.pattern(check, pattern, `${pointer}/${escapePointer(pattern)}`)
      check.schema(child, `${pointer}/${escapePointer(pattern)}`)
    }
  },
  dependencies (check: SchemaCheck, value: unknown, pointer: string) {
    if (!isRecord(value) || !isPlain(value)) check.refuse(pointer, 'must be an object')
    for (const [key, child] of Object.entries(value)) {
      if (Array.isArray(child)) holdings.strings(check, child, `${pointer}/${escapePointer(key)}`)
      else if (pointer.endsWith('/dependentRequired')) check.refuse(`${pointer}/${escapePointer(key)}`, 'must be an array of keys')
      else check.schema(child, `${pointer}/${escapePointer(key)}`)
    }
  },
  type (check: SchemaCheck, value: unknown, pointer: string) {
    const types: unknown[] = Array.isArray(value) ? value : [value]
    if (types.length === 0 || new Set(types).size < types.length) check.refuse(pointer, 'must be a type, or an array of different ones')
    for (const type of types) {
      if (typeof type !== 'string' || !jsonTypes.has(type)) check.refuse(pointer, `names no type of JSON, ${show(type)}${suggestion(String(type), [...jsonTypes])}`)
    }
  },
  list (check: SchemaCheck, value: unknown, pointer: string) {
    if (!Array.isArray(value) || value.length === 0) check.refuse(pointer, 'must be an array of one or more values')
    for (const [index, item] of value.entries()) holdings.json(check, item, `${pointer}/${index}`)
  },
  json (check: SchemaCheck, value: unknown, pointer: string) {
    if (!isJson(value, 64)) check.refuse(pointer, 'must be a value that JSON has')
  },
  samples (check: SchemaCheck, value: unknown, pointer: string) {
    if (!Array.isArray(value)) check.refuse(pointer, `must be an array of values, is ${show(value)}`)
    for (const [index, item] of value.entries()) holdings.sample(check, item, `${pointer}/${index}`)
  },
  /** A sample need not be JSON: a date is a good example for a human reader. */
  sample (check: SchemaCheck, value: unknown, pointer: string) {
    if (isSchemaOfLibrary(value)) check.refuse(pointer, 'must be a value, is a schema')
  },
  object (check: SchemaCheck, value: unknown, pointer: string) {
    if (!isRecord(value) || isSchemaOfLibrary(value)) check.refuse(pointer, `must be an object, is ${isSchemaOfLibrary(value) ? 'a schema' : show(value)}`)
  },
  strings (check: SchemaCheck, value: unknown, pointer: string) {
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string') || new Set(value).size < value.length) check.refuse(pointer, 'must be an array of different keys')
  },
  count (check: SchemaCheck, value: unknown, pointer: string) {
    if (!Number.isSafeInteger(value) || (value as number) < 0) check.refuse(pointer, `must be a whole number from 0, is ${show(value)}`)
  },
  number (check: SchemaCheck, value: unknown, pointer: string) {
    if (!Number.isFinite(value)) check.refuse(pointer, `must be a number, is ${show(value)}`)
  },
  positive (check: SchemaCheck, value: unknown, pointer: string) {
    if (!Number.isFinite(value) || (value as number) <= 0) check.refuse(pointer, `must be a number above 0, is ${show(value)}`)
  },
  boolean (check: SchemaCheck, value: unknown, pointer: string) {
    if (typeof value !== 'boolean') check.refuse(pointer, `must be true or false, is ${show(value)}`)
  },
  string (check: SchemaCheck, value: unknown, pointer: string) {
    if (typeof value !== 'string') check.refuse(pointer, `must be a string, is ${show(value)}`)
  },
  pattern (check: SchemaCheck, value: unknown, pointer: string) {
    if (typeof value !== 'string') check.refuse(pointer, `must be the text of a regular expression, is ${show(value)}`)
    try {
      new RegExp(value as string, 'u') // eslint-disable-line no-new
    } catch (error) {
      check.refuse(pointer, `is no regular expression: ${(error as Error).message}`)
    }
  },
  dialect (check: SchemaCheck, value: unknown, pointer: string) {
    if (typeof value !== 'string' || !dialects.test(value)) check.refuse(pointer, `names a dialect that is not known, ${show(value)}: draft 6 to 2020-12 are`)
  }
}

function unknownKeyword (key: string): string {
  if (key === '$dynamicRef' || key === '$dynamicAnchor') return 'is not supported: use "$ref"'
  if (key === 'id') return 'is no keyword of JSON Schema; did you mean "$id"?'
  return `is no keyword of JSON Schema${suggestion(key, [...Object.keys(keywords), ...Object.keys(annotations)]) || '; the name of an annotation of your own begins with "x-"'}`
}

/** `; did you mean "…"?` for a word that is close to a known one; otherwise empty. */
function suggestion (word: string, known: readonly string[]): string {
  let best = ''
  let least = Math.max(2, Math.floor(word.length / 4)) + 1
  if (word.length > 40) return best
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < least && distance < candidate.length / 2) {
      least = distance
      best = candidate
    }
  }
  return best === '' ? '' : `; did you mean "${best}"?`
}

function typesOf ({ type, nullable }: Record<string, unknown>): unknown[] | null {
  if (type === undefined) return null
  return [...Array.isArray(type) ? type : [type], ...nullable === true ? ['null'] : []]
}

function isJson (value: unknown, levels: number): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)) return true
  if (typeof value !== 'object' || levels === 0 || !(Array.isArray(value) || isPlain(value)) || isSchemaOfLibrary(value)) return false
  return Object.values(value as object).every((child) => isJson(child, levels - 1))
}

/** Whether a value is a schema of TypeBox or of another library, and not data. */
function isSchemaOfLibrary (value: unknown): boolean {
  return ((typeof value === 'object' && value !== null) || typeof value === 'function') && (Kind in value || '~kind' in value || '~standard' in value)
}

function show (value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : value === null || typeof value !== 'object' ? String(value) : Array.isArray(value) ? 'an array' : 'an object'
}

/** Whether an object has no class, from any realm. */
function isPlain (value: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(value)
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
}
