import { defaults } from '../../schemas/defaults.ts'
import type { Fault } from '../../schemas/errors.ts'
import { escapePointer } from '../../schemas/json-pointer.ts'
import { isRecord } from '../../schemas/record.ts'
import type { CompiledTopic, TopicAddress } from './compiled-topic.ts'
import type { EventReader } from './event-validator.ts'

const { topicGivenLength: givenLength } = defaults.fixed

/** The data of `tether.subscribe` and `tether.unsubscribe`, checked. */
export interface Subscription extends TopicAddress {
  readonly topic: CompiledTopic
  /** The parameters as the client sent them. */
  readonly given: Readonly<Record<string, unknown>>
}

function isShort (given: unknown): boolean {
  try {
    return JSON.stringify(given).length <= givenLength
  } catch {
    // It is nested too deeply, or an application's own parser gave what JSON cannot hold.
    return false
  }
}

/**
 * Reads which topic a client means. JSON has `topic` and `params`. A form has the name of the topic in the field `topic`,
 * such as `host` or `host?id=a`; its other fields are parameters.
 */
export class SubscriptionReader implements EventReader {
  readonly #topics: ReadonlyMap<string, CompiledTopic>

  constructor (topics: ReadonlyMap<string, CompiledTopic>) {
    this.#topics = topics
  }

  read (data: unknown, pointer: string, isForm: boolean, faults: Fault[]): Subscription | null {
    if (!isRecord(data)) {
      faults.push({ path: pointer, message: 'must be an object with "topic" and "params"' })
      return null
    }
    if (isForm) {
      const { topic, ...fields } = data
      return this.#readName(topic, fields, pointer, faults)
    }
    const { topic, params = {}, ...rest } = data
    for (const key of Object.keys(rest)) faults.push({ path: `${pointer}/${escapePointer(key)}`, message: 'is not known here' })
    return this.#readParams(topic, params, `${pointer}/params`, `${pointer}/topic`, false, faults)
  }

  /** Reads a topic's name, such as `host?id=a`. */
  readName (name: unknown, faults: Fault[]): Subscription | null {
    return this.#readName(name, {}, '', faults)
  }

  #readName (name: unknown, more: Record<PropertyKey, unknown>, pointer: string, faults: Fault[]): Subscription | null {
    const path = `${pointer}/topic`
    if (typeof name !== 'string') return this.#readParams(name, more, pointer, path, true, faults)
    const end = name.indexOf('?')
    if (end === -1) return this.#readParams(name, more, pointer, path, true, faults)
    const params: Record<string, unknown> = {}
    try {
      for (const pair of name.slice(end + 1).split('&')) {
        const equals = pair.indexOf('=')
        if (equals === -1) throw new URIError()
        params[decodeURIComponent(pair.slice(0, equals))] = decodeURIComponent(pair.slice(equals + 1))
      }
    } catch {
      faults.push({ path, message: 'must be the name of a topic, such as "host?id=a"' })
      return null
    }
    return this.#readParams(name.slice(0, end), { ...more, ...params }, pointer, path, true, faults)
  }

  #readParams (name: unknown, given: unknown, pointer: string, path: string, coerce: boolean, faults: Fault[]): Subscription | null {
    const topic = typeof name === 'string' ? this.#topics.get(name) : undefined
    if (topic === undefined) {
      faults.push({ path, message: name === undefined ? 'is required' : `must be one of ${[...this.#topics.keys()].map((known) => JSON.stringify(known)).join(', ')}` })
      return null
    }
    // A library's check may leave out any number of keys that it does not know. The outcome has them all.
    if (!isShort(given)) {
      faults.push({ path: pointer, message: `must have at most ${givenLength} characters as JSON` })
      return null
    }
    const address = topic.read(given, pointer, coerce, faults)
    return address === null || faults.length > 0 ? null : { topic, given: given as Record<string, unknown>, ...address }
  }
}
