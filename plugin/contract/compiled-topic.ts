import { inspect } from 'node:util'
import type { TSchema } from '@sinclair/typebox'
import type { Topic } from '../../schemas/contract.ts'
import { defaults } from '../../schemas/defaults.ts'
import { ContractError, UnknownUpdateError, type Fault } from '../../schemas/errors.ts'
import { escapePointer } from '../../schemas/json-pointer.ts'
import { isRecord } from '../../schemas/record.ts'
import { hasCheck, isStandard, jsonSchemaOf } from '../../schemas/standard-schema.ts'
import { didYouMean } from '../../schemas/suggestion.ts'
import { messageOf } from '../../schemas/thrown.ts'
import { subscribeEvent } from '../../schemas/topic-events.ts'
import { topicName } from '../../schemas/topic-name.ts'
import { isScalar } from '../../schemas/topic-params.ts'
import type { Frame } from '../protocol/frame.ts'
import { EventValidator, type EventReader } from './event-validator.ts'
import { StandardReader } from './standard-reader.ts'
import { UpdateEncoder } from './update-encoder.ts'

/** Parameters that have passed all checks. */
export interface TopicAddress {
  /** After defaults and transforms; frozen. */
  readonly params: Readonly<Record<string, unknown>>
  /** The topic's name, such as `host?id=a`. */
  readonly name: string
}

/** The reader of one topic's parameters, and the encoders of its updates. */
export class CompiledTopic {
  readonly name: string
  /** Names of the updates that are sent as text, such as `alert@host`. */
  readonly textNames: readonly string[]
  readonly #reader: EventReader
  readonly #updates: ReadonlyMap<string, UpdateEncoder>
  /** Most characters of a topic's name, so that the name of no update is too long. */
  readonly #mostCharacters: number

  /** @throws `FST_ERR_TETHER_CONTRACT` when a schema cannot be compiled. */
  constructor (name: string, { params, updates }: Topic) {
    this.name = name
    this.#reader = readerOf(name, params)
    this.#updates = new Map(Object.entries(updates).map(([update, definition]) => [update, new UpdateEncoder(update, definition)]))
    this.textNames = [...this.#updates].filter(([, encoder]) => encoder.isText).map(([update]) => `${update}@${name}`)
    const longest = Math.max(0, ...Object.keys(updates).map(({ length }) => length))
    this.#mostCharacters = defaults.fixed.topicNameLength - longest - '@'.length
  }

  /**
   * Checks parameters and fills in defaults; the data itself stays as it is. Adds every fault to `faults`, with paths below
   * `pointer`, and then gives null.
   *
   * @param coerce whether the parameters are text, which is first converted
   */
  read (data: unknown, pointer: string, coerce: boolean, faults: Fault[]): TopicAddress | null {
    const before = faults.length
    const read = this.#reader.read(isRecord(data) ? { ...data } : data, pointer, coerce, faults)
    if (faults.length === before && !isRecord(read)) faults.push({ path: pointer, message: 'must be an object' })
    if (faults.length > before) return null
    const params = Object.freeze({ ...read as Record<string, unknown> })
    for (const [key, value] of Object.entries(params)) {
      if (value !== undefined && !isScalar(value)) faults.push({ path: `${pointer}/${escapePointer(key)}`, message: 'must be a string, a finite number or a boolean' })
    }
    if (faults.length > before) return null
    const name = this.#nameFor(params)
    if (name === null) faults.push({ path: pointer, message: 'holds half of a surrogate pair, which no name can carry' })
    else if (name.length > this.#mostCharacters) faults.push({ path: pointer, message: `must make a name of at most ${this.#mostCharacters} characters, makes one of ${name.length}` })
    return name === null || faults.length > before ? null : { params, name }
  }

  #nameFor (params: Readonly<Record<string, unknown>>): string | null {
    try {
      return topicName(this.name, params)
    } catch {
      return null
    }
  }

  /**
   * @param topic the topic's name, parameters included
   * @throws `FST_ERR_TETHER_UNKNOWN_UPDATE`, `FST_ERR_TETHER_SERIALIZATION`
   */
  encode (update: string, topic: string, data: unknown): Frame {
    const encoder = this.#updates.get(update)
    if (encoder !== undefined) return encoder.encode(data, `@${topic}`)
    const name = typeof update === 'string' ? update : inspect(update, { depth: 0 })
    throw new UnknownUpdateError(`${name}@${this.name}`, didYouMean(name, this.#updates.keys()))
  }
}

function readerOf (name: string, params: Topic['params']): EventReader {
  try {
    if (!isStandard(params)) return new EventValidator(subscribeEvent, params as TSchema)
    return hasCheck(params) ? new StandardReader(subscribeEvent, params) : new EventValidator(subscribeEvent, jsonSchemaOf(params, 'input') as TSchema)
  } catch (error) {
    throw new ContractError(`the parameters of topic "${name}" cannot be used: ${messageOf(error)}`)
  }
}
