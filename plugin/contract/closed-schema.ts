import type { TSchema } from '@sinclair/typebox'
import { unescapePointer } from '../../schemas/json-pointer.ts'
import { isRecord } from '../../schemas/record.ts'

/** What a `$ref` may name: enclosing schemas with an `$id` (inner ones hide outer ones), and parts of the nearest of them. */
interface Scope {
  readonly names: ReadonlyMap<string, NamedSchema>
  /** The schema that `#` means: the nearest enclosing one with an `$id`, or the outermost. */
  readonly resource: NamedSchema
}

interface NamedSchema {
  readonly schema: unknown
  readonly scope: Scope
}

/** The surroundings of a schema's copy. */
interface Place {
  /** It is a part of an intersection; the other parts know more keys. */
  readonly composed: boolean
  /** It is in a union or the like. The data may belong to another branch, so defaults are not filled in. */
  readonly tentative: boolean
}

const limits = ['minLength', 'maxLength', 'minItems', 'maxItems', 'minProperties', 'maxProperties'] as const
/** Keywords that may take long to check, or lead to others that may. */
const costly = ['pattern', 'format', 'uniqueItems', 'items', 'additionalItems', 'unevaluatedItems', 'contains', 'properties', 'patternProperties', 'propertyNames', 'additionalProperties', 'unevaluatedProperties', 'dependentSchemas', 'dependencies', 'allOf', 'anyOf', 'oneOf', 'not', 'if', '$ref']
/** Keywords that may know more keys of the same object. */
const partial = ['$ref', '$recursiveRef', 'anyOf', 'oneOf', 'if', 'dependentSchemas', 'dependencies']
/** Keywords that check something and hold no schemas. The copy has these and the keywords that hold schemas, and no others. */
const assertions = ['type', 'nullable', 'const', 'enum', 'multipleOf', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', ...limits, 'pattern', 'format', 'formatMinimum', 'formatMaximum', 'formatExclusiveMinimum', 'formatExclusiveMaximum', 'uniqueItems', 'minContains', 'maxContains', 'required', 'dependentRequired']

/** How a schema is closed. */
export interface Closing {
  /** Whether objects refuse unknown keys, and cheap checks guard costly ones. Otherwise the copy is only self-contained. */
  readonly strict: boolean
}

/**
 * Makes a self-contained copy of a schema in the keywords of one draft. It leaves annotations
 * out. Each `$ref` leads to the copy's own `$defs`, so that two schemas may use the same `$id`.
 *
 * A strict copy refuses unknown keys of every object that does not allow them. It turns a
 * union of literals into one `enum`. It checks limits of size (`maxLength` and the like, of
 * all parts of an intersection) before all that takes longer with size, and stops there.
 *
 * @throws for a `$ref` that leads nowhere
 */
export function closeSchema (schema: TSchema, { strict }: Closing = { strict: true }): Record<string, unknown> {
  return new SchemaCloser(strict, schema).close(schema)
}

class SchemaCloser {
  readonly #strict: boolean
  readonly #outermost: Scope
  readonly #definitions: Record<string, unknown> = {}
  /** The name in `$defs` of a schema's copy, for each of its surroundings. */
  readonly #places = new Map<unknown, Map<string, string>>()
  /** All schemas by `$id`; collected when a name is in no scope. */
  #everywhere: Map<string, NamedSchema> | null = null

  constructor (strict: boolean, root: object) {
    this.#strict = strict
    const resource: { schema: object, scope: Scope } = { schema: root, scope: undefined as never }
    this.#outermost = resource.scope = { names: new Map(), resource }
  }

  close (schema: TSchema): Record<string, unknown> {
    const { default: _default, ...closed } = this.#close(schema, { composed: false, tentative: false }, this.#outermost, '#') as Record<string, unknown>
    return Object.keys(this.#definitions).length === 0 ? closed : { ...closed, $defs: this.#definitions }
  }

  #close (schema: unknown, place: Place, outer: Scope, pointer: string): unknown {
    if (!isRecord(schema)) return schema
    const scope = scopeWithin(schema, outer)
    const hasKeys = isRecord(schema.properties) || isRecord(schema.patternProperties)
    // Each part meets the keys of the others, so only the whole knows which keys are unknown.
    const hasParts = Array.isArray(schema.allOf) || (hasKeys && partial.some((keyword) => schema[keyword] !== undefined))
    const { composed, tentative } = place
    const apart: Place = { composed: false, tentative }
    const part: Place = { composed: composed || hasParts, tentative }
    const child = (value: unknown, at: Place, ...path: Array<string | number>) => this.#close(value, at, scope, [pointer, ...path].join('/'))
    const each = (values: unknown[], at: Place, keyword: string) => values.map((value, index) => child(value, at, keyword, index))
    const map = (values: Record<string, unknown>, at: Place, keyword: string) => Object.fromEntries(Object.entries(values).map(([key, value]) => [key, child(value, at, keyword, key)]))

    const copy: Record<string, unknown> = {}
    for (const keyword of assertions) {
      if (schema[keyword] !== undefined) copy[keyword] = schema[keyword]
    }
    if (schema.default !== undefined && !(this.#strict && tentative)) copy.default = schema.default
    // This format would turn off the escaping of strings.
    if (!this.#strict && copy.format === 'unsafe') delete copy.format

    if (this.#strict && !costly.some((keyword) => keyword !== 'anyOf' && keyword !== 'oneOf' && schema[keyword] !== undefined)) {
      // One fault that lists what is allowed, instead of one per literal.
      const literals = literalsOf(schema)
      if (literals !== null) {
        const { nullable, ...rest } = copy
        return { ...copy.type === undefined ? rest : copy, enum: literals }
      }
    }
    const reference = schema.$ref ?? schema.$recursiveRef
    if (typeof reference === 'string') copy.$ref = `#/$defs/${this.#define(this.#resolve(reference, scope, pointer), part, pointer)}`
    for (const [keyword, at] of [['properties', apart], ['patternProperties', apart], ['dependentSchemas', { composed: true, tentative }]] as const) {
      const children = schema[keyword]
      if (isRecord(children)) copy[keyword] = map(children, at, keyword)
    }
    if (isRecord(schema.dependencies)) {
      copy.dependencies = Object.fromEntries(Object.entries(schema.dependencies).map(([key, value]) => [key, Array.isArray(value) ? value : child(value, { composed: true, tentative }, 'dependencies', key)]))
    }
    // Tags come first: the check leaves a wrong branch of a recursive union before it walks the children.
    if (this.#strict && isRecord(copy.properties)) copy.properties = Object.fromEntries(Object.entries(copy.properties).sort(([, left], [, right]) => Number(isTag(right)) - Number(isTag(left))))
    for (const keyword of ['additionalProperties', 'unevaluatedProperties', 'unevaluatedItems'] as const) {
      if (schema[keyword] !== undefined) copy[keyword] = child(schema[keyword], apart, keyword)
    }
    for (const keyword of ['contains', 'propertyNames'] as const) {
      if (schema[keyword] !== undefined) copy[keyword] = child(schema[keyword], { composed: false, tentative: true }, keyword)
    }
    this.#closeItems(schema, copy, (value, ...path) => child(value, apart, ...path))
    for (const keyword of ['anyOf', 'oneOf'] as const) {
      if (Array.isArray(schema[keyword])) copy[keyword] = each(schema[keyword], { composed: part.composed, tentative: true }, keyword)
    }
    for (const keyword of ['not', 'if', 'then', 'else'] as const) {
      if (schema[keyword] !== undefined) copy[keyword] = child(schema[keyword], { composed: true, tentative: tentative || keyword === 'not' || keyword === 'if' }, keyword)
    }
    if (Array.isArray(schema.allOf)) copy.allOf = each(schema.allOf, part, 'allOf')
    if (!this.#strict) return nullableAsUnion(copy)

    if (!composed && copy.additionalProperties === undefined && copy.unevaluatedProperties === undefined) {
      if (hasParts) copy.unevaluatedProperties = false
      else if (hasKeys) copy.additionalProperties = false
    }
    return nullableAsUnion(this.#guard(copy, schema, scope, pointer))
  }

  /** Turns `prefixItems` and `items` of draft 2020-12 into `items` and `additionalItems` of earlier drafts. */
  #closeItems (schema: Record<string, unknown>, copy: Record<string, unknown>, child: (value: unknown, ...path: Array<string | number>) => unknown): void {
    const named = schema.prefixItems !== undefined
    const first = named ? schema.prefixItems : schema.items
    if (!Array.isArray(first)) {
      if (first !== undefined) copy.items = child(first, 'items')
      return
    }
    const rest = named ? schema.items : schema.additionalItems
    // TypeBox 1 writes an empty tuple this way. Ajv refuses a list of no schemas.
    if (first.length === 0) {
      if (rest !== undefined) copy.items = child(rest, named ? 'items' : 'additionalItems')
      return
    }
    copy.items = first.map((item, index) => child(item, named ? 'prefixItems' : 'items', index))
    if (rest !== undefined) copy.additionalItems = child(rest, named ? 'items' : 'additionalItems')
    // Without it, the serialiser assumes `false` where the standard says `true`.
    else if (!this.#strict) copy.additionalItems = true
  }

  /**
   * Puts limits of size before the checks that take longer with size. Ajv alone does not do
   * that: with all errors it checks everything, and otherwise it checks the parts of an
   * intersection before the limits of lists and objects.
   */
  #guard (copy: Record<string, unknown>, schema: Record<string, unknown>, scope: Scope, pointer: string): Record<string, unknown> {
    if (!costly.some((keyword) => copy[keyword] !== undefined)) return copy
    const sizes: object[] = []
    const names: object[] = []
    this.#collectLimits(schema, scope, pointer, new Set(), sizes, names)
    if (sizes.length === 0 && names.length === 0) return copy
    const { type, nullable, default: fallback, propertyNames: _names, ...rest } = copy
    for (const keyword of limits) delete rest[keyword]
    const head = Object.fromEntries(Object.entries({ type, nullable, default: fallback }).filter(([, value]) => value !== undefined))
    let guarded: Record<string, unknown> = rest
    // A name may be as long as the body, and each pattern of names is tried on each name.
    for (const checks of [names, sizes]) {
      if (checks.length > 0 && Object.keys(guarded).length > 0) guarded = { allOf: checks, if: { allOf: checks }, then: guarded }
      else if (checks.length > 0) guarded = { allOf: checks }
    }
    return { ...head, ...guarded }
  }

  /** Collects the limits that hold in every case: the schema's own, and those of all parts of an intersection. */
  #collectLimits (schema: unknown, outer: Scope, pointer: string, seen: Set<unknown>, sizes: object[], names: object[]): void {
    if (!isRecord(schema) || seen.has(schema)) return
    seen.add(schema)
    const scope = scopeWithin(schema, outer)
    const own = Object.fromEntries(limits.filter((keyword) => schema[keyword] !== undefined).map((keyword) => [keyword, schema[keyword]]))
    if (Object.keys(own).length > 0) sizes.push(own)
    if (schema.propertyNames !== undefined) names.push({ propertyNames: this.#close(schema.propertyNames, { composed: false, tentative: true }, scope, `${pointer}/propertyNames`) })
    if (Array.isArray(schema.allOf)) {
      for (const part of schema.allOf) this.#collectLimits(part, scope, pointer, seen, sizes, names)
    }
    const reference = schema.$ref ?? schema.$recursiveRef
    if (typeof reference === 'string') {
      const target = this.#resolve(reference, scope, pointer)
      this.#collectLimits(target.schema, target.scope, pointer, seen, sizes, names)
    }
  }

  /** Puts the copy of a referenced schema into `$defs`, once. Returns its name there. */
  #define ({ schema, scope }: NamedSchema, place: Place, pointer: string): string {
    const places = this.#places.get(schema) ?? new Map<string, string>()
    this.#places.set(schema, places)
    const stance = this.#strict ? `${place.composed} ${place.tentative}` : ''
    let name = places.get(stance)
    if (name === undefined) {
      name = `tether-${Object.keys(this.#definitions).length}`
      // Before the copy is made: a recursive schema refers to itself.
      places.set(stance, name)
      this.#definitions[name] = null
      this.#definitions[name] = this.#close(schema, place, scope, pointer)
    }
    return name
  }

  /** @see RFC 6901, section 6, and JSON Schema Core 2019-09, section 8.2 */
  #resolve (reference: string, scope: Scope, pointer: string): NamedSchema {
    const hash = reference.indexOf('#')
    const name = hash === -1 ? reference : reference.slice(0, hash)
    const fragment = hash === -1 ? '' : reference.slice(hash + 1)
    const base: NamedSchema | undefined = scope.names.get(reference) ?? (name === '' ? scope.resource : scope.names.get(name) ?? this.#named(name, scope))
    const found = base === undefined || fragment === '' || scope.names.has(reference) ? base : fragment.startsWith('/') ? follow(base, fragment) : anchored(base, fragment)
    if (found === undefined || !(typeof found.schema === 'boolean' || isRecord(found.schema))) throw new Error(`can't resolve reference ${reference} at ${pointer}`)
    return found
  }

  #named (name: string, scope: Scope): NamedSchema | undefined {
    if (this.#everywhere === null) {
      this.#everywhere = new Map()
      collectNames(this.#outermost.resource.schema, this.#outermost, this.#everywhere)
    }
    const base = baseOf(scope)
    return this.#everywhere.get(name) ?? (URL.canParse(name, base) ? this.#everywhere.get(new URL(name, base).href) : undefined)
  }
}

/** Adds to a scope the names that a schema and, in a module, its definitions bring. */
function scopeWithin (schema: Record<string, unknown>, outer: Scope): Scope {
  const own = typeof schema.$id === 'string' && !schema.$id.startsWith('#') && schema !== outer.resource.schema
  const named = [schema, ...[schema.$defs, schema.definitions].flatMap((definitions) => isRecord(definitions) ? Object.values(definitions) : [])]
    .filter((candidate): candidate is { $id: string } => isRecord(candidate) && typeof candidate.$id === 'string')
  if (named.length === 0) return outer
  const names = new Map(outer.names)
  const scope: Scope = { names, resource: own ? { schema, scope: outer } : outer.resource }
  for (const candidate of named) names.set(candidate.$id, { schema: candidate, scope })
  return scope
}

/** Finds the part of a schema that a JSON pointer leads to. */
function follow ({ schema, scope }: NamedSchema, pointer: string): NamedSchema | undefined {
  let part: unknown = schema
  let within = scope
  for (const token of pointer.split('/').slice(1)) {
    let key: string
    try {
      key = unescapePointer(decodeURIComponent(token))
    } catch {
      return undefined
    }
    if (typeof part !== 'object' || part === null) return undefined
    if (isRecord(part)) within = scopeWithin(part, within)
    part = Object.hasOwn(part, key) ? (part as Record<string, unknown>)[key] : undefined
  }
  return { schema: part, scope: within }
}

function anchored ({ schema, scope }: NamedSchema, anchor: string): NamedSchema | undefined {
  const found: NamedSchema[] = []
  walk(schema, scope, new Set(), (candidate, within) => {
    if (candidate.$anchor === anchor || candidate.$id === `#${anchor}`) found.push({ schema: candidate, scope: within })
  })
  return found[0]
}

function collectNames (root: unknown, scope: Scope, names: Map<string, NamedSchema>): void {
  walk(root, scope, new Set(), (candidate, within) => {
    const { $id } = candidate
    if (typeof $id !== 'string') return
    const named = { schema: candidate, scope: within }
    for (const name of [$id, absolute(candidate, within)]) {
      if (!names.has(name)) names.set(name, named)
    }
  })
}

/** The base URI of names within a scope; undefined for none. */
function baseOf ({ resource }: Scope): string | undefined {
  const { schema, scope } = resource
  return isRecord(schema) && typeof schema.$id === 'string' ? absolute(schema, scope.resource === resource ? undefined : scope) : undefined
}

/** A schema's `$id`, resolved against those of enclosing schemas. */
function absolute (schema: Record<string, unknown>, scope: Scope | undefined): string {
  const { $id } = schema as { $id: string }
  // An `$id` is not relative to itself.
  const around = scope?.resource.schema === schema ? (scope.resource.scope.resource === scope.resource ? undefined : scope.resource.scope) : scope
  const base = around === undefined ? undefined : baseOf(around)
  return URL.canParse($id, base) ? new URL($id, base).href : $id
}

/** Visits every object within a schema, but not the data in `default` and the like. */
function walk (value: unknown, outer: Scope, seen: Set<unknown>, visit: (candidate: Record<string, unknown>, scope: Scope) => void): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  seen.add(value)
  const scope = isRecord(value) ? scopeWithin(value, outer) : outer
  if (isRecord(value)) visit(value, scope)
  for (const [key, child] of Object.entries(value)) {
    if (key !== 'default' && key !== 'examples' && key !== 'example' && key !== 'const' && key !== 'enum') walk(child, scope, seen, visit)
  }
}

/** Writes `nullable` as a union where it has no `type` beside it: Ajv and the serialiser ignore it there. */
function nullableAsUnion (copy: Record<string, unknown>): Record<string, unknown> {
  const { nullable, ...rest } = copy
  if (nullable === undefined || (nullable === true && copy.type !== undefined && !(copy.type as unknown[]).includes('null'))) return copy
  if (nullable === false || copy.type !== undefined || Object.keys(rest).length === 0) return rest
  const { default: fallback, ...other } = rest
  return { ...fallback === undefined ? {} : { default: fallback }, anyOf: [other, { type: 'null' }] }
}

/** The values of a union of nothing but literals; null for another schema. */
function literalsOf (schema: Record<string, unknown>): unknown[] | null {
  const branches = schema.anyOf ?? schema.oneOf
  if (!Array.isArray(branches) || branches.length === 0 || (schema.anyOf !== undefined && schema.oneOf !== undefined) || schema.enum !== undefined) return null
  const values = [...branches.map(literalOf), ...schema.nullable === true ? [null] : []]
  if (values.includes(undefined) || (schema.oneOf !== undefined && new Set(values).size < values.length)) return null
  return [...new Set(values)]
}

const literalKeywords = new Set(['const', 'type', 'title', 'description', '$comment', 'default', 'deprecated', 'readOnly', 'writeOnly', 'examples', 'example'])

function literalOf (schema: unknown): unknown {
  if (!isRecord(schema)) return undefined
  if (!Object.keys(schema).every((key) => literalKeywords.has(key) || key.startsWith('x-'))) return undefined
  if (schema.type === 'null' && schema.const === undefined) return null
  const { const: value, type } = schema
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean' && value !== null) return undefined
  return type === undefined || type === (value === null ? 'null' : typeof value) || (type === 'integer' && Number.isInteger(value)) ? value : undefined
}

function isTag (schema: unknown): boolean {
  return isRecord(schema) && ('const' in schema || 'enum' in schema)
}
