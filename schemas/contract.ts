import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { ContractError } from './errors.ts'
import { checkSchema, type SchemaUse } from './json-schema.ts'
import { nameFault, type NameCheck } from './name.ts'
import { isRecord } from './record.ts'
import type { ReceivedOutput, Schema, SchemaInput, SchemaOutput } from './schema-data.ts'
import { checkStandard, completeJsonSchema, hasCheck, isStandard, jsonSchemaOf, type SchemaSide, type StandardSchema } from './standard-schema.ts'
import { didYouMean } from './suggestion.ts'
import { flatFault } from './topic-params.ts'

const kind = Symbol('fastify-tether.update')

/** An update sent as raw text; made by {@link text}. */
export interface TextUpdate {
  readonly [kind]: 'text'
  /** Whether it is written without its name. */
  readonly unnamed: boolean
}

/** An update that keeps only the newest waiting value of each key; made by {@link conflate}. */
export interface ConflatedUpdate<Update extends Schema | TextUpdate = Schema | TextUpdate> {
  readonly [kind]: 'conflate'
  readonly update: Update
  readonly key: (data: never) => string | number
}

/** How an update is declared: a {@link Schema} (every value arrives, as JSON), {@link text} or {@link conflate}. */
export type UpdateDefinition = Schema | TextUpdate | ConflatedUpdate

/** The data that `send` and `broadcast` take for an update of this definition: before the schema's defaults and transforms. */
export type UpdateData<Definition> =
  Definition extends ConflatedUpdate<infer Update> ? UpdateData<Update>
    : Definition extends TextUpdate ? string : SchemaInput<Definition>

/** The data of an update after the schema's defaults and transforms; the key function of {@link conflate} gets it. */
export type UpdateOutput<Definition> =
  Definition extends ConflatedUpdate<infer Update> ? UpdateOutput<Update>
    : Definition extends TextUpdate ? string : SchemaOutput<Definition>

/** The data of an update as a client gets it: {@link UpdateOutput}, as JSON carries it. */
export type ReceivedData<Definition> =
  Definition extends ConflatedUpdate<infer Update> ? ReceivedData<Update>
    : Definition extends TextUpdate ? string : ReceivedOutput<Definition>

/** An event whose sender gets a reply; made by {@link request}. */
export interface RequestDefinition<Body extends Schema = Schema, Reply extends Schema = Schema> {
  readonly [kind]: 'request'
  /** Schema of the event's data. */
  readonly body: Body
  /** Schema of the reply. */
  readonly reply: Reply
}

/** How an event is declared: a {@link Schema} of its data, or {@link request}. */
export type EventDefinition = Schema | RequestDefinition

/** The schema of an event's data. */
type BodyOf<Definition> = Definition extends { readonly [kind]: 'request', readonly body: infer Body } ? Body : Definition

type DataOf<Body> = Body extends TSchema ? Static<Body> : SchemaOutput<Body>

/** The data that an event's handler gets: after the schema's defaults and transforms. */
export type EventData<Definition> = DataOf<BodyOf<Definition>>

/** The data that a client emits with an event: before the schema's defaults and transforms. */
export type EventInput<Definition> = SchemaInput<BodyOf<Definition>>

/** What the handler of a {@link request} returns: before the defaults and transforms of the reply's schema. */
export type ReplyData<Definition> = Definition extends { readonly [kind]: 'request', readonly reply: infer Reply } ? SchemaInput<Reply> : never

/** The reply as the client gets it: after the defaults and transforms of its schema, as JSON carries it. */
export type ReceivedReply<Definition> = Definition extends { readonly [kind]: 'request', readonly reply: infer Reply } ? ReceivedOutput<Reply> : never

/** What an event's handler may return: the reply of a request, anything otherwise; or a promise for it. */
export type HandlerResult<Definition> = Definition extends { readonly [kind]: 'request', readonly reply: infer Reply } ? SchemaInput<Reply> | PromiseLike<SchemaInput<Reply>> : unknown

export type EventSchemas = Record<string, EventDefinition>
export type UpdateDefinitions = Record<string, UpdateDefinition>

/** Updates for the sessions that subscribe to them, once for each set of parameters; made by {@link topic}. */
export interface Topic<Params extends Schema = Schema, Updates extends UpdateDefinitions = UpdateDefinitions> {
  readonly [kind]: 'topic'
  /** Schema of the parameters. */
  readonly params: Params
  readonly updates: Updates
}

export type TopicDefinitions = Record<string, Topic>

/** The parameters that `authorize` and `start` get: after the schema's defaults and transforms. */
export type TopicParams<Definition> = unknown extends Definition ? any : Definition extends { readonly [kind]: 'topic', readonly params: infer Params } ? EventData<Params> : never

/** The parameters that a subscriber gives: before the schema's defaults and transforms. */
export type TopicInput<Definition> = unknown extends Definition ? any : Definition extends { readonly [kind]: 'topic', readonly params: infer Params } ? EventInput<Params> : never

/** The updates of a topic. */
export type TopicUpdates<Definition> = unknown extends Definition ? any : Definition extends { readonly [kind]: 'topic', readonly updates: infer Updates extends UpdateDefinitions } ? Updates : never

/** The events, updates and topics that a page and its session exchange. */
export interface Contract<
  Events extends EventSchemas = EventSchemas,
  Updates extends UpdateDefinitions = UpdateDefinitions,
  Topics extends TopicDefinitions = {}
> {
  /** Browser to server: each event's name and the schema of its data, or a {@link request}. */
  readonly events: Events
  /** Server to browser: each update's name and how it is written. */
  readonly updates: Updates
  /** Each topic's name, its parameters and its updates. */
  readonly topics?: Topics
}

/** A contract of any events, updates and topics, for generic code. */
export type AnyContract = Contract<any, any, any>

type Checked<Definitions> = {
  readonly [Name in keyof Definitions]: NameCheck<Name> extends true ? Definitions[Name] : NameCheck<Name>
}

/**
 * Declares the events, updates and topics of a session.
 *
 * @param contract `events` maps a name to a {@link Schema} or {@link request}; `updates` maps a name
 * to a {@link Schema}, {@link conflate} or {@link text}; `topics` maps a name to a {@link topic}. Each may be left out.
 * @returns the contract, frozen; types are inferred from it everywhere.
 * @throws `FST_ERR_TETHER_CONTRACT` for a name that is not allowed (names are
 * `[A-Za-z0-9._-]{1,64}`; not `open`, `error`, `message`, `tether…` or a prototype
 * key), for a value that is not a schema, for a second update that is unnamed, and for a TypeBox schema or a JSON Schema with a part that
 * would not be checked: an unknown keyword, a refinement, a transform, an object of another library.
 * TypeScript refuses such names too. `stateful` compiles the schemas, and throws the same
 * error for a schema that cannot be compiled.
 * @example
 * const contract = defineContract({
 *   events: { pause: Type.Object({}) },
 *   updates: { notice: Type.Object({ text: Type.String() }) }
 * })
 */
export function defineContract<Events extends EventSchemas = {}, Updates extends UpdateDefinitions = {}, Topics extends TopicDefinitions = {}> (
  contract: { readonly events?: Events & Checked<Events>, readonly updates?: Updates & Checked<Updates>, readonly topics?: Topics & Checked<Topics> }
): Contract<Events, Updates, Topics> {
  if (!isRecord(contract)) throw new ContractError('defineContract() takes an object with "events" and "updates", and with "topics" where there are any')
  for (const key of Object.keys(contract)) {
    if (!parts.includes(key)) throw new ContractError(`a contract has no part "${key}", only "events", "updates" and "topics"${didYouMean(key, parts)}`)
  }
  const events = namesChecked('event', contract.events)
  const updates = namesChecked('update', contract.updates)
  for (const [name, schema] of Object.entries(events)) {
    if (!isDefinition(schema) || (kind in schema && !isRequest(schema))) throw new ContractError(`event "${name}" must be ${aSchema}, or request(…)`)
    checkAny(`event "${name}"`, bodyOf(schema), 'event', 'input')
    if (isRequest(schema)) checkAny(`the reply to event "${name}"`, schema.reply, 'reply', 'output')
  }
  let unnamed: string | null = null
  for (const [name, definition] of Object.entries(updates)) {
    if (!isDefinition(definition) || isRequest(definition)) throw new ContractError(`update "${name}" must be ${aSchema}, or conflate(…) or text()`)
    const inner = isConflated(definition) ? definition.update : definition
    if (!isText(inner)) checkAny(`update "${name}"`, inner, 'update', 'output')
    else if (inner.unnamed) {
      if (unnamed !== null) throw new ContractError(`update "${name}" cannot be unnamed: "${unnamed}" is already, and a page could not tell the two apart`)
      unnamed = name
    }
  }
  const topics = namesChecked('topic', contract.topics)
  for (const [name, definition] of Object.entries(topics)) checkTopic(name, definition)
  return Object.freeze({ events, updates, ...contract.topics !== undefined && { topics } }) as Contract<Events, Updates, Topics>
}

const parts = ['events', 'updates', 'topics']

/**
 * Declares an update that keeps only the newest waiting value of each key.
 *
 * A new frame replaces the waiting frame of its key in place, unless a frame of another
 * kind waits behind that one. Then the new frame is appended, so that it never overtakes.
 *
 * @param schema a {@link Schema}, or {@link text}.
 * @param key gives the key of a value, a string or a number. It gets the value after the schema's
 * defaults and transforms. Default: all values share
 * one key. If it throws, `send` and `broadcast` throw the same error.
 * @throws `FST_ERR_TETHER_CONTRACT` for any other schema or key.
 * @example
 * conflate(Sample, (sample) => sample.series)
 * @see docs/flow-control.md
 */
export function conflate<Update extends Schema | TextUpdate> (
  schema: Update,
  key: (data: UpdateOutput<Update>) => string | number = () => ''
): ConflatedUpdate<Update> {
  if (!isDefinition(schema) || isConflated(schema) || isRequest(schema)) throw new ContractError('conflate() takes a schema or text()')
  if (typeof key !== 'function') throw new ContractError('the key of conflate() must be a function')
  return Object.freeze({ [kind]: 'conflate' as const, update: schema, key })
}

/**
 * Declares an event whose sender gets a reply: what its handler returns, or the promise of that. In the client,
 * `await live.request(name, data)` gives it. What the handler throws as `EventError` rejects there with its code; anything
 * else as `TETHER_FAILED`.
 *
 * @param body a {@link Schema} of the event's data.
 * @param reply a {@link Schema} of the reply. A reply that does not fit it is an error of the server.
 * @throws `FST_ERR_TETHER_CONTRACT` for anything else.
 * @example
 * request(Type.Object({ article: Type.String() }), Type.Object({ order: Type.Integer() }))
 */
export function request<Body extends Schema, Reply extends Schema> (body: Body, reply: Reply): RequestDefinition<Body, Reply> {
  for (const schema of [body, reply]) {
    if (!isDefinition(schema) || kind in schema) throw new ContractError('request() takes two schemas: of the data, and of the reply')
  }
  return Object.freeze({ [kind]: 'request' as const, body, reply })
}

/**
 * Declares an update that is sent as raw text (HTML, say), not as JSON. `send` takes a
 * string. All its line ends reach the browser as LF.
 *
 * @param options `unnamed: true`: it is written without its name, and reaches an `EventSource` as `message`, which is all
 * that htmx 4 and Turbo listen to. The client of this package gets it under its name. One update of a contract may be so.
 * @throws `FST_ERR_TETHER_CONTRACT` for any other option.
 */
export function text (options: { readonly unnamed?: boolean } = {}): TextUpdate {
  if (!isRecord(options)) throw new ContractError('text() takes an object of options')
  for (const key of Object.keys(options)) {
    if (key !== 'unnamed') throw new ContractError(`text() has no option "${key}"${didYouMean(key, ['unnamed'])}`)
  }
  const { unnamed = false } = options
  if (typeof unnamed !== 'boolean') throw new ContractError('the option "unnamed" of text() must be true or false')
  return unnamed ? unnamedUpdate : textUpdate
}

const textUpdate: TextUpdate = Object.freeze({ [kind]: 'text' as const, unnamed: false })
const unnamedUpdate: TextUpdate = Object.freeze({ [kind]: 'text' as const, unnamed: true })

export function isText (definition: object): definition is TextUpdate {
  return kind in definition && definition[kind] === 'text'
}

export function isConflated (definition: object): definition is ConflatedUpdate {
  return kind in definition && definition[kind] === 'conflate'
}

export function isRequest (definition: object): definition is RequestDefinition {
  return kind in definition && definition[kind] === 'request'
}

/** The schema of an event's data. */
export function bodyOf (definition: object): object {
  return isRequest(definition) ? definition.body : definition
}

/** Whether an update is written without its name. */
export function isUnnamed (definition: object): boolean {
  const inner = isConflated(definition) ? definition.update : definition
  return isText(inner) && inner.unnamed
}

function namesChecked (what: string, definitions: unknown): Record<string, unknown> {
  if (definitions === undefined) return Object.freeze({})
  if (!isRecord(definitions)) throw new ContractError(`"${what}s" of a contract must be an object`)
  for (const name of Object.keys(definitions)) {
    const fault = nameFault(name)
    if (fault !== null) throw new ContractError(`the ${what} name "${name}" ${fault}`)
  }
  return Object.freeze({ ...definitions })
}

/**
 * Declares a topic: updates for the sessions that subscribe to it. `host` with the parameters `{ id: 'a' }` and `host` with
 * `{ id: 'b' }` are two topics of one declaration.
 *
 * @param definition `params`: a {@link Schema} of a flat object of strings, finite numbers and booleans; default: no
 * parameters. `updates`: as in {@link defineContract}. Of the updates that are declared by {@link conflate}, the server keeps
 * the newest value of each key, and gives these to each new subscriber.
 * @throws `FST_ERR_TETHER_CONTRACT` for anything else; `defineContract` checks the parts, and names the topic.
 * @example
 * topic({ params: Type.Object({ id: Type.String() }), updates: { cpu: conflate(Cpu, (cpu) => cpu.core), alert: Alert } })
 * @see docs/topics.md
 */
export function topic<Params extends Schema = typeof noParams, Updates extends UpdateDefinitions = {}> (
  definition: { readonly params?: Params, readonly updates: Updates & Checked<Updates> }
): Topic<Params, Updates> {
  if (!isRecord(definition)) throw new ContractError('topic() takes an object with "params" and "updates"')
  for (const key of Object.keys(definition)) {
    if (key !== 'params' && key !== 'updates') throw new ContractError(`topic() has no part "${key}", only "params" and "updates"${didYouMean(key, ['params', 'updates'])}`)
  }
  const { params = noParams, updates } = definition
  if (!isRecord(updates)) throw new ContractError('"updates" of topic() must be an object')
  return Object.freeze({ [kind]: 'topic' as const, params: params as Params, updates: Object.freeze({ ...updates }) as Updates })
}

const noParams = Type.Object({})

function checkTopic (name: string, definition: unknown): void {
  if (!isRecord(definition) || (definition as Partial<Topic>)[kind] !== 'topic') throw new ContractError(`topic "${name}" must be what topic() returns`)
  const { params, updates } = definition as unknown as Topic
  const what = `the parameters of topic "${name}"`
  if (!isDefinition(params) || kind in params) throw new ContractError(`${what} must be ${aSchema}`)
  checkAny(what, params, 'event', 'input')
  const fault = isStandard(params) ? standardFault(params) : flatFault(params)
  if (fault !== null) throw new ContractError(`${what} must be a flat object of strings, numbers and booleans: ${fault}`)
  for (const [update, schema] of Object.entries(updates)) checkUpdate(`update "${update}" of topic "${name}"`, update, schema)
}

/** A library's check may convert a parameter on either side. What it gives is checked at each subscription, too. */
function standardFault (params: StandardSchema): string | null {
  const sides = [jsonSchemaOf(params, 'input'), jsonSchemaOf(params, 'output')]
  const faults = sides.map((side) => side === null ? null : flatFault(side))
  return faults.includes(null) ? null : faults[0]!
}

function checkUpdate (what: string, name: string, definition: unknown): void {
  const fault = nameFault(name)
  if (fault !== null) throw new ContractError(`the name of ${what} ${fault}`)
  if (!isDefinition(definition) || isRequest(definition)) throw new ContractError(`${what} must be ${aSchema}, or conflate(…) or text()`)
  const inner = isConflated(definition) ? definition.update : definition
  if (!isText(inner)) checkAny(what, inner, 'update', 'output')
  else if (inner.unnamed) throw new ContractError(`${what} cannot be unnamed: a page could not tell which topic it is of`)
}

const aSchema = 'a schema: of TypeBox, or of a library that follows Standard Schema, such as Zod, Valibot or ArkType'

function checkAny (what: string, schema: object, use: SchemaUse, side: SchemaSide): void {
  if (!isStandard(schema)) return checkSchema(what, schema, use)
  checkStandard(what, schema)
  if (!hasCheck(schema)) checkSchema(what, completeJsonSchema(what, schema, side), use)
}

/** Whether a value may be a schema. Some libraries' schemas are functions; `checkSchema` refuses them by name. */
function isDefinition (value: unknown): value is Record<PropertyKey, unknown> {
  return isRecord(value) || (typeof value === 'function' && '~standard' in value)
}
