import { Kind, TransformKind, type TSchema } from '@sinclair/typebox'

/** The schemas that `$ref` may name at some place: those with an `$id` around it. Inner ones hide outer ones. */
type Scope = ReadonlyMap<string, NamedSchema>

interface NamedSchema {
  readonly schema: object
  readonly scope: Scope
}

/**
 * A copy of a schema in which every object that does not say otherwise refuses
 * keys that it does not know, and which stands alone: each `$ref` to an `$id` leads to
 * the copy's own `$defs`, so that two schemas may use the same `$id`.
 *
 * @param enumerate whether unions of literals become one `enum`
 */
export function closeSchema (schema: TSchema, enumerate: boolean): object {
  return new SchemaCloser(enumerate).close(schema)
}

class SchemaCloser {
  readonly #enumerate: boolean
  readonly #definitions: Record<string, unknown> = {}
  /** Where in `$defs` the copy of a schema is, on its own and as a part of an intersection. */
  readonly #places = [new Map<object, string>(), new Map<object, string>()] as const

  constructor (enumerate: boolean) {
    this.#enumerate = enumerate
  }

  close (schema: TSchema): object {
    const closed = this.#close(schema, false, new Map()) as Record<string, unknown>
    return { ...closed, $defs: { ...closed.$defs as object, ...this.#definitions } }
  }

  #close (schema: unknown, composed: boolean, outer: Scope): unknown {
    if (!isRecord(schema)) return schema
    if (TransformKind in schema) throw new Error('transforms are not supported, since both sides of the wire share the schema')
    const scope = scopeWithin(schema, outer)
    const { $id, ...copy } = schema
    const target = typeof copy.$ref === 'string' ? scope.get(copy.$ref) : undefined
    if (target !== undefined) copy.$ref = `#/$defs/${this.#define(target, composed)}`
    if (this.#enumerate && isKind(schema, 'Union') && Array.isArray(copy.anyOf) && copy.anyOf.length > 0 && copy.anyOf.every(isLiteral)) {
      // One fault that lists what is allowed, instead of one per literal.
      copy.enum = copy.anyOf.map((literal: { const?: unknown }) => literal.const ?? null)
      delete copy.anyOf
      return copy
    }
    const hasKeys = isRecord(copy.properties) || isRecord(copy.patternProperties)
    for (const keyword of ['properties', 'patternProperties', '$defs', 'definitions']) {
      const children = copy[keyword]
      if (isRecord(children)) copy[keyword] = Object.fromEntries(Object.entries(children).map(([key, child]) => [key, this.#close(child, false, scope)]))
    }
    // Tags come first, so that a branch of a recursive union which is not meant is left before its children are walked.
    if (isRecord(copy.properties)) copy.properties = Object.fromEntries(Object.entries(copy.properties).sort(([, left], [, right]) => Number(isTag(right)) - Number(isTag(left))))
    for (const keyword of ['items', 'additionalItems', 'additionalProperties', 'unevaluatedProperties', 'contains', 'prefixItems']) {
      const child = copy[keyword]
      if (Array.isArray(child)) copy[keyword] = child.map((item) => this.#close(item, false, scope))
      else if (isRecord(child)) copy[keyword] = this.#close(child, false, scope)
    }
    for (const keyword of ['anyOf', 'oneOf']) {
      const children = copy[keyword]
      if (Array.isArray(children)) copy[keyword] = children.map((child) => this.#close(child, composed, scope))
    }
    if (Array.isArray(copy.allOf)) {
      // Each part sees the keys of the others, so only the whole can tell which are unknown.
      copy.allOf = copy.allOf.map((child) => this.#close(child, true, scope))
      if (!composed && copy.unevaluatedProperties === undefined) copy.unevaluatedProperties = false
    } else if (hasKeys && !composed && copy.additionalProperties === undefined && copy.unevaluatedProperties === undefined) {
      copy.additionalProperties = false
    }
    return copy
  }

  /** Puts the copy of a schema that is referred to into `$defs`, once. Returns its name there. */
  #define ({ schema, scope }: NamedSchema, composed: boolean): string {
    const places = this.#places[composed ? 1 : 0]
    let place = places.get(schema)
    if (place === undefined) {
      place = `tether-${this.#places[0].size + this.#places[1].size}`
      // Noted first, since a recursive schema refers to itself.
      places.set(schema, place)
      this.#definitions[place] = this.#close(schema, composed, scope)
    }
    return place
  }
}

/** What a schema and, in a module, its definitions add to the names that may be referred to within it. */
function scopeWithin (schema: Record<string, unknown>, outer: Scope): Scope {
  const named = [schema, ...isRecord(schema.$defs) ? Object.values(schema.$defs) : []]
    .filter((candidate): candidate is { $id: string } => isRecord(candidate) && typeof candidate.$id === 'string')
  if (named.length === 0) return outer
  const scope = new Map(outer)
  for (const candidate of named) scope.set(candidate.$id, { schema: candidate, scope })
  return scope
}

function isKind (schema: object, kind: string): boolean {
  return Kind in schema && schema[Kind] === kind
}

function isLiteral (schema: unknown): boolean {
  return isRecord(schema) && ('const' in schema || schema.type === 'null')
}

function isTag (schema: unknown): boolean {
  return isRecord(schema) && ('const' in schema || 'enum' in schema)
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
