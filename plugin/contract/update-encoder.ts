import { types } from 'node:util'
import type { TSchema } from '@sinclair/typebox'
import fastJsonStringify from 'fast-json-stringify'
import { isConflated, isText, isUnnamed, type UpdateDefinition } from '../../schemas/contract.ts'
import { ContractError, SerializationError } from '../../schemas/errors.ts'
import { faultSummary } from '../../schemas/fault-summary.ts'
import { escapePointer } from '../../schemas/json-pointer.ts'
import type { Schema } from '../../schemas/schema-data.ts'
import { checkNow, hasCheck, isStandard, jsonSchemaOf, type StandardSchema } from '../../schemas/standard-schema.ts'
import { messageOf } from '../../schemas/thrown.ts'
import { encodeData, Frame } from '../protocol/frame.ts'
import { closeSchema } from './closed-schema.ts'
import { describeIssues } from './issue-list.ts'
import { jsonView } from './json-view.ts'

/** Turns the data of one update into a frame; its schema is compiled once. */
export class UpdateEncoder {
  /** Whether its data is sent as it is, not as JSON. */
  readonly isText: boolean
  readonly #name: string
  /** The name as it is written. */
  readonly #written: string
  /** Gives the data after the check, the defaults and the transforms of its schema's library; null for a schema that only says how to write it. */
  readonly #check: ((data: unknown) => unknown) | null
  /** Gives the `data:` lines. */
  readonly #write: (data: unknown) => string
  readonly #key: ((data: never) => string | number) | null

  /** @throws `FST_ERR_TETHER_CONTRACT` when the schema cannot be compiled. */
  constructor (name: string, definition: UpdateDefinition) {
    this.#name = name
    this.#written = isUnnamed(definition) ? '' : name
    this.#key = isConflated(definition) ? definition.key : null
    const inner = isConflated(definition) ? definition.update : definition
    this.isText = isText(inner)
    const checking = !isText(inner) && isStandard(inner) && hasCheck(inner) ? inner : null
    this.#check = checking === null ? null : (data) => checked(checking, data)
    this.#write = isText(inner) ? writeText : inLine(checking !== null ? writeJson : jsonWriter(`update "${name}"`, schemaOf(inner)))
  }

  /**
   * @param suffix follows the update's name, such as `@host?id=a` for an update of a topic
   * @throws `FST_ERR_TETHER_SERIALIZATION` for data that the schema refuses or cannot serialise, and what the key function throws.
   */
  encode (data: unknown, suffix = ''): Frame {
    let value = data
    let lines: string
    try {
      if (this.#check !== null) value = this.#check(data)
      lines = this.#write(value)
    } catch (error) {
      throw new SerializationError(`update "${this.#name}"`, messageOf(error))
    }
    const name = `${this.#written}${suffix}`
    const key = this.#key === null ? null : `${name}\n${this.#key(value as never)}`
    // A reader of event streams takes an event without a name for one of the name `message`.
    return new Frame(name === '' ? `${lines}\n` : `event: ${name}\n${lines}\n`, key)
  }
}

function writeText (data: unknown): string {
  if (typeof data !== 'string') throw new TypeError(`a text update takes a string, got ${data === null ? 'null' : typeof data}`)
  return encodeData(data)
}

/** Puts JSON, which has no line ends, into a `data:` line. */
function inLine (write: (data: unknown) => string): (data: unknown) => string {
  return (data) => `data: ${write(data)}\n`
}

/** A schema that only says how to write data. */
export function schemaOf (schema: Schema): TSchema {
  return (isStandard(schema) ? jsonSchemaOf(schema, 'output') : schema) as TSchema
}

/** Gives data after the check of its schema. @throws a `TypeError` that names the faults */
export function checked (schema: StandardSchema, data: unknown): unknown {
  const result = checkNow(schema, data)
  if (result.issues === undefined) return result.value
  throw new TypeError(faultSummary(describeIssues(result.issues, '')))
}

/** Writes data that its schema has checked. A serialiser by JSON Schema would leave out what that cannot say. */
export function writeJson (data: unknown): string {
  const json: string | undefined = JSON.stringify(data)
  if (json === undefined) throw new TypeError(`it is ${typeof data}`)
  refuseLoss(data, '')
  return json
}

/**
 * Refuses a value that JSON would write as another one, such as a map, which would be `{}`. An object's key that is
 * undefined is left out, as a key that is optional.
 */
function refuseLoss (value: unknown, pointer: string): void {
  const lost = lossOf(value)
  if (lost !== null) throw new TypeError(`${pointer || 'it'} is ${lost}, which JSON cannot carry`)
  if (typeof value !== 'object' || value === null) return
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') {
    const given: unknown = toJSON.call(value, pointer.slice(pointer.lastIndexOf('/') + 1))
    // An object may give itself.
    if (given === undefined || given !== value) return refuseLoss(given, pointer)
  }
  if (Array.isArray(value)) {
    // A hole is undefined.
    for (let index = 0; index < value.length; index++) refuseLoss(value[index], `${pointer}/${index}`)
    return
  }
  for (const key of Object.keys(value)) {
    const child = (value as Record<string, unknown>)[key]
    if (child !== undefined) refuseLoss(child, `${pointer}/${escapePointer(key)}`)
  }
}

/** Says what a value is that JSON does not have; null for a value that it has. */
function lossOf (value: unknown): string | null {
  switch (typeof value) {
    case 'number': return Number.isFinite(value) ? null : String(value)
    case 'undefined': return 'undefined'
    case 'bigint':
    case 'symbol':
    case 'function': return `a ${typeof value}`
    case 'object': return value === null ? null : lostObject(value)
    default: return null
  }
}

function lostObject (value: object): string | null {
  if (Array.isArray(value)) return null
  if (types.isDate(value)) return Number.isNaN(value.getTime()) ? 'an invalid date' : null
  if (types.isBoxedPrimitive(value)) return lossOf(value.valueOf())
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return null
  const name = Object.prototype.toString.call(value).slice('[object '.length, -1)
  return unwritten.some((isOfType) => isOfType(value)) || (name !== 'Object' && Object.keys(value).length === 0) ? `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}` : null
}

/** Types of objects whose content is not in their keys. */
const unwritten = [types.isMap, types.isSet, types.isWeakMap, types.isWeakSet, types.isPromise, types.isRegExp, types.isNativeError, types.isAnyArrayBuffer, types.isArrayBufferView, types.isGeneratorObject, types.isMapIterator, types.isSetIterator]

/**
 * Makes the function that writes data as JSON by its schema.
 *
 * @throws `FST_ERR_TETHER_CONTRACT` when the schema cannot be compiled.
 */
export function jsonWriter (what: string, schema: TSchema): (data: unknown) => string {
  let stringify: (data: unknown) => string | undefined
  try {
    stringify = fastJsonStringify(closeSchema(schema, { strict: false }), { ajv: { strict: false, logger: false } })
  } catch (error) {
    throw new ContractError(`the schema of ${what} cannot be compiled: ${messageOf(error)}`)
  }
  return (data) => {
    let json = data === undefined ? undefined : stringify(data)
    // Where the schema allows anything, the serialiser writes `undefined` for what JSON cannot carry.
    if (json !== undefined && json.includes('undefined') && !isJson(json)) {
      json = json === 'undefined' ? undefined : stringify(jsonView(data))
      if (json !== undefined && !isJson(json)) throw new TypeError('it holds what JSON has no word for')
    }
    if (json === undefined) throw new TypeError(`it is ${typeof data}`)
    // An object's serialiser takes null for an empty object, even where keys are required.
    if (data === null && json === '{}') throw new TypeError('it is null')
    return json
  }
}

function isJson (text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
