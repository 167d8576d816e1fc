import type { LiveTopic, Session, TopicStats } from '../sessions/api.ts'
import type { TetherSession } from '../sessions/session.ts'
import type { TopicLog } from '../sessions/topics-part.ts'
import type { TopicKind, TopicRecord } from './topic-record.ts'

/** The topics of an endpoint, as a view sees them. */
interface TopicSource {
  record: (name: string) => TopicRecord | undefined
  publish: (kind: TopicKind, name: string, update: string, data: unknown, log: TopicLog | null) => number
  revoke: (session: TetherSession, name: string) => boolean
}

/** The application's view of a topic: a name, looked up at each use. */
export class TopicView implements LiveTopic {
  readonly name: string
  readonly #kind: TopicKind
  readonly #topics: TopicSource
  readonly #log: TopicLog | null

  /** @param log to other nodes; null for this node alone */
  constructor (name: string, kind: TopicKind, topics: TopicSource, log: TopicLog | null) {
    this.name = name
    this.#kind = kind
    this.#topics = topics
    this.#log = log
  }

  get local (): LiveTopic {
    return this.#log === null ? this : new TopicView(this.name, this.#kind, this.#topics, null)
  }

  get size (): number { return this.#topics.record(this.name)?.audience.size ?? 0 }

  get stats (): TopicStats {
    const record = this.#topics.record(this.name)
    return {
      subscribers: record?.audience.size ?? 0,
      retainedValues: record?.shelf.frames.size ?? 0,
      retainedBytes: record?.shelf.weight ?? 0,
      published: record?.published ?? 0,
      running: record !== undefined && record.producer !== null
    }
  }

  publish (name: string, data: unknown): number {
    return this.#topics.publish(this.#kind, this.name, name, data, this.#log)
  }

  revoke (session: Session): boolean {
    return this.#topics.revoke(session as TetherSession, this.name)
  }
}
