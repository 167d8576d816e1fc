import { Kind, TransformKind, type TSchema } from '@sinclair/typebox'
import { Ajv2019, type ErrorObject, type ValidateFunction } from 'ajv/dist/2019.js'
import ajvFormats from 'ajv-formats'
import { defaults } from '../schemas/defaults.ts'
import { ContractError, type Fault } from '../schemas/errors.ts'

const addFormats = ajvFormats as unknown as typeof ajvFormats.default

const strictAjv = createAjv(false)
const coercingAjv = createAjv('array')

function createAjv (coerceTypes: false | 'array'): Ajv2019 {
  // JSON's 1e999 is read as Infinity, which no schema's number means.
  const ajv = new Ajv2019({ allErrors: true, strict: false, strictNumbers: true, useDefaults: true, addUsedSchema: false, coerceTypes })
  addFormats(ajv)
  return ajv
}

/**
 * Checks the data of one event, and names every fault.
 *
 * Its schema is compiled once for JSON (no coercion) and once for forms, whose
 * fields are all strings. A key that the schema does not know is a fault, unless
 * the schema allows others.
 */
export class EventValidator {
  readonly #json: ValidateFunction
  readonly #form: ValidateFunction

  /** @throws `FST_ERR_TETHER_CONTRACT` when the schema cannot be compiled. */
  constructor (name: string, schema: TSchema) {
    try {
      const closed = closeSchema(schema, false, pointersById(schema))
      this.#json = strictAjv.compile(closed)
      this.#form = coercingAjv.compile(closed)
    } catch (error) {
      throw new ContractError(`the schema of event "${name}" cannot be compiled: ${(error as Error).message}`)
    }
  }

  /** The faults of `data`, their paths under `pointer`; null when there are none. Fills in defaults. */
  faults (data: unknown, pointer: string, coerce: boolean): Fault[] | null {
    try {
      if (coerce && !this.#form(data)) return describe(this.#form.errors ?? [], pointer)
      // What was coerced is looked at again, since "1e999" became Infinity.
      if (this.#json(data)) return null
    } catch (error) {
      // A recursive schema walks data as deep as the body allows.
      if (error instanceof RangeError) return [{ path: pointer, message: 'is nested too deeply' }]
      throw error
    }
    return describe(this.#json.errors ?? [], pointer)
  }
}

/** Where in a schema the parts are that others of its parts name by `$id`. */
function pointersById (schema: unknown, pointer = '#', found = new Map<string, string>()): Map<string, string> {
  if (typeof schema !== 'object' || schema === null) return found
  if ('$id' in schema && typeof schema.$id === 'string' && !found.has(schema.$id)) found.set(schema.$id, pointer)
  for (const [key, child] of Object.entries(schema)) pointersById(child, `${pointer}/${encodeURIComponent(escape(key))}`, found)
  return found
}

/**
 * A copy of a schema in which every object that does not say otherwise refuses keys
 * it does not know. References in it are by place, since an id is known to all
 * schemas of an Ajv, and may be in use for another one.
 */
function closeSchema (schema: unknown, composed: boolean, pointers: ReadonlyMap<string, string>): object {
  if (typeof schema !== 'object' || schema === null) return schema as never
  if (TransformKind in schema) throw new Error('transforms are not supported, since both sides of the wire share the schema')
  const copy: Record<string, unknown> = { ...schema }
  delete copy.$id
  if (typeof copy.$ref === 'string') copy.$ref = pointers.get(copy.$ref) ?? copy.$ref
  if (isKind(schema, 'Union') && Array.isArray(copy.anyOf) && copy.anyOf.length > 0 && copy.anyOf.every(isLiteral)) {
    // One fault that lists what is allowed, instead of one per literal.
    copy.enum = copy.anyOf.map((literal: { const: unknown }) => literal.const)
    delete copy.anyOf
    return copy
  }
  const hasKeys = isRecord(copy.properties) || isRecord(copy.patternProperties)
  for (const keyword of ['properties', 'patternProperties', '$defs', 'definitions']) {
    const children = copy[keyword]
    if (isRecord(children)) copy[keyword] = Object.fromEntries(Object.entries(children).map(([key, child]) => [key, closeSchema(child, false, pointers)]))
  }
  for (const keyword of ['items', 'additionalItems', 'additionalProperties', 'unevaluatedProperties', 'contains', 'prefixItems']) {
    const child = copy[keyword]
    if (Array.isArray(child)) copy[keyword] = child.map((item) => closeSchema(item, false, pointers))
    else if (isRecord(child)) copy[keyword] = closeSchema(child, false, pointers)
  }
  for (const keyword of ['anyOf', 'oneOf']) {
    const children = copy[keyword]
    if (Array.isArray(children)) copy[keyword] = children.map((child) => closeSchema(child, composed, pointers))
  }
  if (Array.isArray(copy.allOf)) {
    // Each part sees the keys of the others, so only the whole can tell which are unknown.
    copy.allOf = copy.allOf.map((child) => closeSchema(child, true, pointers))
    if (!composed && copy.unevaluatedProperties === undefined) copy.unevaluatedProperties = false
  } else if (hasKeys && !composed && copy.additionalProperties === undefined && copy.unevaluatedProperties === undefined) {
    copy.additionalProperties = false
  }
  return copy
}

function isKind (schema: object, kind: string): boolean {
  return Kind in schema && schema[Kind] === kind
}

function isLiteral (schema: unknown): boolean {
  return isRecord(schema) && 'const' in schema
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function describe (errors: ErrorObject[], pointer: string): Fault[] {
  const faults: Fault[] = []
  const seen = new Set<string>()
  for (const error of collapseUnions(errors)) {
    const fault = toFault(error, pointer)
    const identity = `${fault.path} ${fault.message}`
    if (seen.has(identity)) continue
    seen.add(identity)
    faults.push(fault)
    if (faults.length === defaults.fixed.faults) break
  }
  return faults
}

/**
 * Ajv reports each branch of a failed union and then the union itself. What helps
 * a reader is the branch that was meant, when one fits better than all others, or
 * else one line for the union.
 */
function collapseUnions (errors: ErrorObject[]): ErrorObject[] {
  let rest = errors
  for (const union of errors) {
    if ((union.keyword !== 'anyOf' && union.keyword !== 'oneOf') || !rest.includes(union)) continue
    const prefix = `${union.schemaPath}/`
    const branches = new Map<string, ErrorObject[]>()
    for (const error of rest) {
      if (!error.schemaPath.startsWith(prefix)) continue
      const branch = error.schemaPath.slice(prefix.length).split('/', 1)[0]!
      const list = branches.get(branch)
      if (list === undefined) branches.set(branch, [error])
      else list.push(error)
    }
    const ranked = [...branches.values()].filter((list) => !list.some((error) => isOtherBranch(error, union)))
      .sort((left, right) => left.length - right.length)
    const meant = ranked.length > 0 && (ranked.length === 1 || ranked[0]!.length < ranked[1]!.length) ? ranked[0]! : null
    rest = rest.filter((error) => error === union ? meant === null : !error.schemaPath.startsWith(prefix) || meant?.includes(error) === true)
  }
  return rest
}

/** Whether an error shows that a branch was not the one meant: the wrong type, or another tag. */
function isOtherBranch (error: ErrorObject, union: ErrorObject): boolean {
  if (error.keyword === 'type') return error.instancePath === union.instancePath
  return error.keyword === 'const' && error.instancePath.split('/').length <= union.instancePath.split('/').length + 1
}

function toFault (error: ErrorObject, pointer: string): Fault {
  const path = pointer + error.instancePath
  const { params } = error
  switch (error.keyword) {
    case 'required': return { path: `${path}/${escape(params.missingProperty)}`, message: 'is required' }
    case 'additionalProperties': return { path: `${path}/${escape(params.additionalProperty)}`, message: 'is not known here' }
    case 'unevaluatedProperties': return { path: `${path}/${escape(params.unevaluatedProperty)}`, message: 'is not known here' }
    case 'enum': return { path, message: `must be one of ${params.allowedValues.map((value: unknown) => JSON.stringify(value)).join(', ')}` }
    case 'const': return { path, message: `must be ${JSON.stringify(params.allowedValue)}` }
    case 'anyOf': case 'oneOf': return { path, message: 'matches none of the allowed forms' }
    default: return { path, message: error.message ?? `fails "${error.keyword}"` }
  }
}

/** @see RFC 6901, section 3 */
function escape (key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
