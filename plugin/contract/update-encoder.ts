import type { TSchema } from '@sinclair/typebox'
import fastJsonStringify from 'fast-json-stringify'
import { isConflated, isText, type UpdateDefinition } from '../../schemas/contract.ts'
import { ContractError, SerializationError } from '../../schemas/errors.ts'
import { messageOf } from '../../schemas/thrown.ts'
import { encodeData, Frame } from '../protocol/frame.ts'
import { closeSchema } from './closed-schema.ts'
import { jsonView } from './json-view.ts'

/** Turns the data of one update into a frame; its schema is compiled once. */
export class UpdateEncoder {
  /** Whether its data is sent as it is, not as JSON. */
  readonly isText: boolean
  readonly #name: string
  readonly #head: string
  /** Gives the `data:` lines. */
  readonly #write: (data: unknown) => string
  readonly #key: ((data: never) => string | number) | null

  /** @throws `FST_ERR_TETHER_CONTRACT` when the schema cannot be compiled. */
  constructor (name: string, definition: UpdateDefinition) {
    this.#name = name
    this.#head = `event: ${name}\n`
    this.#key = isConflated(definition) ? definition.key : null
    const inner = isConflated(definition) ? definition.update : definition
    this.isText = isText(inner)
    this.#write = isText(inner) ? writeText : jsonWriter(name, inner)
  }

  /** @throws `FST_ERR_TETHER_SERIALIZATION` for data that the schema cannot serialise, and what the key function throws. */
  encode (data: unknown): Frame {
    let lines: string
    try {
      lines = this.#write(data)
    } catch (error) {
      throw new SerializationError(this.#name, messageOf(error))
    }
    const key = this.#key === null ? null : `${this.#name}\n${this.#key(data as never)}`
    return new Frame(`${this.#head}${lines}\n`, key)
  }
}

function writeText (data: unknown): string {
  if (typeof data !== 'string') throw new TypeError(`a text update takes a string, got ${data === null ? 'null' : typeof data}`)
  return encodeData(data)
}

function jsonWriter (name: string, schema: TSchema): (data: unknown) => string {
  let stringify: (data: unknown) => string | undefined
  try {
    stringify = fastJsonStringify(closeSchema(schema, { strict: false }), { ajv: { strict: false, logger: false } })
  } catch (error) {
    throw new ContractError(`the schema of update "${name}" cannot be compiled: ${messageOf(error)}`)
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
    return `data: ${json}\n`
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
