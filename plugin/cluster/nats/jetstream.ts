import { EngineError, EngineFullError } from '../../../schemas/errors.ts'
import type { NatsLink } from './link.ts'

/** What JetStream answers to a request that it refuses. */
export class JetStreamError extends EngineError {
  readonly reason: number

  constructor (description: string, reason: number) {
    super(`was refused by JetStream: ${description}`)
    this.reason = reason
  }
}

/** Reasons of JetStream's that mean something to the engine. */
export const reasons = Object.freeze({
  noStream: 10_059,
  nameInUse: 10_058,
  noMessage: 10_037,
  otherRevision: 10_071,
  overlap: 10_065
})

/** Reasons why there is no room: of the account, of the server's resources, memory and disk. */
const noRoom: readonly number[] = [10_002, 10_023, 10_028, 10_047]
/** The reason of any store that failed; the description says whether a limit of the stream was reached. */
const storeFailed = 10_077

export interface StreamConfig {
  readonly name: string
  readonly subjects: readonly string[]
  readonly storage: 'file' | 'memory'
  readonly num_replicas: number
  readonly retention: 'limits'
  readonly discard: 'old' | 'new'
  readonly max_msgs: number
  readonly max_bytes: number
  readonly max_age: number
  readonly max_msgs_per_subject: number
  readonly duplicate_window: number
}

export interface StreamInfo {
  readonly config: StreamConfig
  readonly created: string
  readonly state: { readonly first_seq: number, readonly last_seq: number, readonly subjects?: Readonly<Record<string, number>> }
}

export interface StoredMessage {
  readonly subject: string
  readonly seq: number
  readonly data: Buffer
  /** The server's clock at the write, in milliseconds. */
  readonly time: number
}

type StoredQuery = { readonly seq: number, readonly next_by_subj?: string } | { readonly last_by_subj: string }

/** The requests of JetStream that the engine needs. Each has a deadline: `until`, on the clock of `performance.now()`. */
export class JetStream {
  readonly #link: NatsLink

  constructor (link: NatsLink) {
    this.#link = link
  }

  async #call<Answer> (name: string, body: object | undefined, until: number): Promise<Answer> {
    const { data } = await this.#link.request(`$JS.API.${name}`, body && Buffer.from(JSON.stringify(body)), until)
    return parse<Answer>(data)
  }

  /** @param filter names the subjects to list; none are listed without it */
  async stream (name: string, until: number, filter?: string): Promise<StreamInfo | null> {
    return orNull(this.#call<StreamInfo>(`STREAM.INFO.${name}`, filter === undefined ? undefined : { subjects_filter: filter }, until), reasons.noStream)
  }

  /** Makes a stream, unless another node was faster. */
  async createStream (config: StreamConfig, until: number): Promise<StreamInfo> {
    try {
      return await this.#call<StreamInfo>(`STREAM.CREATE.${config.name}`, config, until)
    } catch (error) {
      if (!(error instanceof JetStreamError) || (error.reason !== reasons.nameInUse && error.reason !== reasons.overlap)) throw error
      const info = await this.stream(config.name, until)
      if (info === null) throw error
      return info
    }
  }

  async updateStream (config: StreamConfig, until: number): Promise<void> {
    await this.#call(`STREAM.UPDATE.${config.name}`, config, until)
  }

  /** Deletes the messages of a subject, or of all subjects, before `seq`. Beyond the last message, the next one gets the number `seq`. */
  async purge (stream: string, seq: number, until: number, filter?: string): Promise<void> {
    await this.#call(`STREAM.PURGE.${stream}`, { seq, ...filter !== undefined && { filter } }, until)
  }

  async deleteMessage (stream: string, seq: number, until: number): Promise<void> {
    await this.#call(`STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true }, until)
  }

  /** Reads a message at the stream's leader, so that it is the newest. */
  async stored (stream: string, query: StoredQuery, until: number): Promise<StoredMessage | null> {
    const answer = await orNull(this.#call<{ message: { subject: string, seq: number, data?: string, time: string } }>(`STREAM.MSG.GET.${stream}`, query, until), reasons.noMessage)
    if (answer === null) return null
    const { subject, seq, data = '', time } = answer.message
    return { subject, seq, data: Buffer.from(data, 'base64'), time: Date.parse(time) }
  }

  /** @returns the number of the stored message */
  async publish (subject: string, payload: Uint8Array, until: number): Promise<number> {
    const { data } = await this.#link.request(subject, payload, until)
    return parse<{ seq: number }>(data).seq
  }

  /**
   * Stores a message if `revision` is the number of the last one with its subject; 0 for none.
   *
   * @returns the number of the stored message; null if the last one has another number
   */
  async replace (subject: string, payload: Uint8Array, revision: number, until: number): Promise<number | null> {
    const headers = this.#link.headers('Nats-Expected-Last-Subject-Sequence', String(revision))
    const { data } = await this.#link.request(subject, payload, until, headers)
    try {
      return parse<{ seq: number }>(data).seq
    } catch (error) {
      if (error instanceof JetStreamError && error.reason === reasons.otherRevision) return null
      throw error
    }
  }

  /** @returns the server's clock when the consumer was made */
  async createConsumer (stream: string, config: Readonly<Record<string, unknown>> & { readonly name: string }, until: number): Promise<number> {
    const { created } = await this.#call<{ created: string }>(`CONSUMER.CREATE.${stream}.${config.name}`, { stream_name: stream, config }, until)
    return Date.parse(created)
  }

  async deleteConsumer (stream: string, name: string, until: number): Promise<void> {
    await this.#call(`CONSUMER.DELETE.${stream}.${name}`, undefined, until)
  }
}

function parse<Answer> (data: Uint8Array): Answer {
  const answer = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString())
  if (answer.error !== undefined) {
    const { description, err_code: reason } = answer.error
    if (noRoom.includes(reason) || (reason === storeFailed && /^maximum/.test(description))) throw new EngineFullError(`JetStream says "${description}"`)
    throw new JetStreamError(description, reason)
  }
  return answer
}

async function orNull<Answer> (answer: Promise<Answer>, reason: number): Promise<Answer | null> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof JetStreamError && error.reason === reason) return null
    throw error
  }
}
