import { inspect } from 'node:util'
import type { TSchema } from '@sinclair/typebox'
import { bodyOf, defineContract, isConflated, isRequest, isText, isUnnamed, type AnyContract, type Topic } from '../../schemas/contract.ts'
import { UnknownTopicError, UnknownUpdateError } from '../../schemas/errors.ts'
import type { Schema } from '../../schemas/schema-data.ts'
import { hasCheck, isStandard, jsonSchemaOf } from '../../schemas/standard-schema.ts'
import { didYouMean } from '../../schemas/suggestion.ts'
import { subscribeEvent, unsubscribeEvent } from '../../schemas/topic-events.ts'
import type { Frame } from '../protocol/frame.ts'
import { CompiledTopic } from './compiled-topic.ts'
import { EventValidator, type EventReader } from './event-validator.ts'
import { ReplyEncoder } from './reply-encoder.ts'
import { documentOf, type DocumentNames } from './schema-document.ts'
import { StandardReader } from './standard-reader.ts'
import { SubscriptionReader } from './subscription-reader.ts'
import { UpdateEncoder } from './update-encoder.ts'

const compiled = new WeakMap<AnyContract, CompiledContract>()

/** Readers of a contract's events, and encoders of its replies and updates. A contract is compiled once, however often it is mounted. */
export class CompiledContract {
  readonly contract: AnyContract
  readonly #events = new Map<string, EventReader>()
  readonly #replies = new Map<string, ReplyEncoder>()
  readonly #updates = new Map<string, UpdateEncoder>()
  readonly #topics: ReadonlyMap<string, CompiledTopic>
  /** Reads which topic a client means; null for a contract without topics. */
  readonly subscriptions: SubscriptionReader | null
  /** Names of the updates that are sent as text. */
  readonly textNames: readonly string[]
  /** Name of the update that is written without it; undefined for none. */
  readonly unnamed: string | undefined

  private constructor (contract: AnyContract) {
    this.contract = contract
    for (const [name, definition] of Object.entries(contract.events as Record<string, object>)) {
      this.#events.set(name, eventReader(name, bodyOf(definition) as Schema))
      if (isRequest(definition)) this.#replies.set(name, new ReplyEncoder(name, definition.reply))
    }
    for (const [name, definition] of Object.entries(contract.updates)) this.#updates.set(name, new UpdateEncoder(name, definition as never))
    this.#topics = new Map(Object.entries(contract.topics ?? {}).map(([name, definition]) => [name, new CompiledTopic(name, definition as Topic)]))
    this.subscriptions = this.#topics.size > 0 ? new SubscriptionReader(this.#topics) : null
    this.textNames = [...[...this.#updates].filter(([, encoder]) => encoder.isText).map(([name]) => name), ...[...this.#topics.values()].flatMap(({ textNames }) => textNames)]
    this.unnamed = Object.entries(contract.updates as Record<string, object>).find(([, definition]) => isUnnamed(definition))?.[0]
  }

  /** @throws `FST_ERR_TETHER_CONTRACT` for a name that is not allowed or a schema that cannot be compiled. */
  static of (contract: AnyContract): CompiledContract {
    let found = compiled.get(contract)
    if (found === undefined) {
      // A contract that did not come from `defineContract` has not been checked yet.
      found = new CompiledContract(defineContract(contract))
      compiled.set(contract, found)
    }
    return found
  }

  /** The JSON Schema of each event's data, for the API document with these names. */
  eventDocuments (names: DocumentNames): Record<string, TSchema> {
    return Object.fromEntries(Object.entries(this.contract.events as Record<string, object>).map(([name, definition]) => [name, documentOf(name, bodyOf(definition) as Schema, names)]))
  }

  /** The JSON Schema of the reply to each request. */
  replyDocuments (names: DocumentNames): Record<string, TSchema> {
    return Object.fromEntries(Object.entries(this.contract.events as Record<string, object>).flatMap(([name, definition]) => isRequest(definition) ? [[name, documentOf(`${name}-reply`, definition.reply, names, 'output')]] : []))
  }

  /** The JSON Schema of each update's data; null for text. */
  updateDocuments (names: DocumentNames): Record<string, TSchema | null> {
    return Object.fromEntries(Object.entries(this.contract.updates as Record<string, object>).map(([name, definition]) => {
      const inner = isConflated(definition) ? definition.update : definition
      return [name, isText(inner) ? null : documentOf(`${name}-update`, inner as Schema, names, 'output')]
    }))
  }

  get eventNames (): string[] {
    return [...this.#events.keys()]
  }

  /** The reader of an event, also of those that subscribe to topics; undefined when the contract has no such event. */
  event (name: string): EventReader | undefined {
    const reader = this.#events.get(name)
    if (reader !== undefined || this.subscriptions === null) return reader
    return name === subscribeEvent || name === unsubscribeEvent ? this.subscriptions : undefined
  }

  get topics (): Iterable<CompiledTopic> {
    return this.#topics.values()
  }

  /** @throws `FST_ERR_TETHER_UNKNOWN_TOPIC` */
  topic (name: string): CompiledTopic {
    const topic = this.#topics.get(name)
    if (topic !== undefined) return topic
    const shown = typeof name === 'string' ? name : inspect(name, { depth: 0 })
    throw new UnknownTopicError(shown, didYouMean(shown, this.#topics.keys()))
  }

  /** Whether an event is a request, so that its sender gets a reply. */
  isRequest (name: string): boolean {
    return this.#replies.has(name)
  }

  get hasRequests (): boolean {
    return this.#replies.size > 0
  }

  /** Writes the reply to a request as JSON. @throws `FST_ERR_TETHER_SERIALIZATION` */
  encodeReply (name: string, value: unknown): string {
    return this.#replies.get(name)!.encode(value)
  }

  /** @throws `FST_ERR_TETHER_UNKNOWN_UPDATE`, `FST_ERR_TETHER_SERIALIZATION` */
  encode (name: string, data: unknown): Frame {
    const encoder = this.#updates.get(name)
    if (encoder === undefined) throw this.#unknown(name)
    return encoder.encode(data)
  }

  #unknown (name: unknown): Error {
    if (typeof name !== 'string') return new UnknownUpdateError(inspect(name, { depth: 0 }), '')
    return new UnknownUpdateError(name, this.#events.has(name) ? `. "${name}" is an event, which comes from the page` : didYouMean(name, this.#updates.keys()))
  }
}

function eventReader (name: string, schema: Schema): EventReader {
  if (!isStandard(schema)) return new EventValidator(name, schema as TSchema)
  return hasCheck(schema) ? new StandardReader(name, schema) : new EventValidator(name, jsonSchemaOf(schema, 'input') as TSchema)
}
