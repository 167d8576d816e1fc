import type { TSchema } from '@sinclair/typebox'
import { unescapePointer } from '../../schemas/json-pointer.ts'
import { isRecord } from '../../schemas/record.ts'
import type { Schema } from '../../schemas/schema-data.ts'
import { isStandard, jsonSchemaOf, type SchemaSide } from '../../schemas/standard-schema.ts'

/** Names of schemas that refer to themselves. They are unique in the API document of one application. */
export class DocumentNames {
  readonly #taken = new Set<string>()

  take (of: string): string {
    const first = `tether-${of}`
    let name = first
    for (let count = 2; this.#taken.has(name); count++) name = `${first}-${count}`
    this.#taken.add(name)
    return name
  }
}

/**
 * The JSON Schema of the data of an event, an update or a reply, for the API document. Where its library gives none, it is
 * open and says so.
 */
export function documentOf (name: string, schema: Schema, names: DocumentNames, side: SchemaSide = 'input'): TSchema {
  if (!isStandard(schema)) return schema as TSchema
  const given = jsonSchemaOf(schema, side) ?? { description: `Checked by ${schema['~standard'].vendor}, which gives no JSON Schema of it` }
  return (hasReference(given) ? named(given, () => names.take(name)) : given) as TSchema
}

/** Makes references lead to names. A pointer would lead elsewhere once the schema is a part of a larger document. */
function named (root: Record<string, unknown>, take: () => string): Record<string, unknown> {
  const names = new Map<string, string>()
  const definitions: Record<string, unknown> = {}
  const nameOf = (pointer: string): string => {
    let name = names.get(pointer)
    if (name === undefined) {
      name = take()
      names.set(pointer, name)
      definitions[name] = { $id: name, ...rewritten(follow(root, pointer)) as object }
    }
    return name
  }
  const rewritten = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rewritten)
    if (!isRecord(value)) return value
    return Object.fromEntries(Object.entries(value).filter(([key]) => key !== '$defs' && key !== 'definitions').map(([key, child]) => [key, key === '$ref' && typeof child === 'string' ? nameOf(child) : rewritten(child)]))
  }
  const top = typeof root.$ref === 'string' ? { $ref: nameOf(root.$ref) } : { $ref: nameOf('#') }
  return { $defs: definitions, ...top }
}

function hasReference (value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return (isRecord(value) && typeof value.$ref === 'string') || Object.values(value).some(hasReference)
}

/** The part of a schema that a pointer such as `#/$defs/a` leads to; open if it leads nowhere. */
function follow (root: Record<string, unknown>, pointer: string): unknown {
  let part: unknown = root
  for (const token of pointer.split('/').slice(1)) part = isRecord(part) || Array.isArray(part) ? (part as Record<string, unknown>)[unescapePointer(decoded(token))] : undefined
  return isRecord(part) ? part : {}
}

function decoded (token: string): string {
  try {
    return decodeURIComponent(token)
  } catch {
    return token
  }
}
