import type { CompiledTopic } from '../contract/compiled-topic.ts'
import { Audience } from '../delivery/audience.ts'
import type { Deadline } from '../delivery/deadline-queue.ts'
import { Shelf } from '../delivery/retained-values.ts'
import type { TopicConfig, TopicLimits } from '../sessions/config.ts'
import type { TetherSession } from '../sessions/session.ts'
import type { TopicMembership } from '../sessions/topics-part.ts'
import type { HeldValues } from './held-values.ts'
import type { ProducerSeat } from './producer-seat.ts'

export type AnyTopicConfig = TopicConfig<any, any, any>

/** One topic of a contract, with its configuration. */
export interface TopicKind {
  readonly compiled: CompiledTopic
  readonly config: AnyTopicConfig
  readonly limits: Readonly<Required<TopicLimits>>
}

/** The owner of a record. */
interface RecordOwner {
  /** Milliseconds on the clock of sessions and streams. */
  now: () => number
  /** It has no subscriber, and its time to linger is over. */
  onLingered: (record: TopicRecord) => void
  /** Its last value is forgotten. */
  onEmptied: (record: TopicRecord) => void
}

/** One topic with its parameters: its subscribers, its producer and its values. */
export class TopicRecord implements Deadline, TopicMembership {
  readonly name: string
  readonly kind: TopicKind
  readonly audience = new Audience<TetherSession>()
  readonly shelf: Shelf
  /** Set by the first subscriber. */
  params: Readonly<Record<string, unknown>> | null = null
  /** Aborts the producer; null while there is none. */
  producer: AbortController | null = null
  published = 0
  /** When an update was last published for this node alone that is not retained, on the wall clock; 0 for never. */
  unretainedAt = 0
  /** When its producer ends; Infinity while it has subscribers. */
  lingersUntil = Infinity
  /** Which node produces it, where one node does so for all; null otherwise. */
  seat: ProducerSeat | null = null
  /** The latest epoch of such producers that this node knows of. */
  epoch = 0
  /** Whether its values are those of the cluster. */
  isSettled = false
  /** Whether other nodes are asked for them. */
  isFetching = false
  /** Subscriptions that wait until it is settled. */
  interests = 0
  /** Called when it is settled. */
  readonly waiting = new Set<() => void>()
  /** Restored sessions, and the values that they have, until it is settled. */
  readonly restored = new Map<TetherSession, HeldValues>()
  dueAt = 0
  heapIndex = -1
  readonly #owner: RecordOwner

  constructor (name: string, kind: TopicKind, owner: RecordOwner) {
    this.name = name
    this.kind = kind
    this.#owner = owner
    this.shelf = new Shelf(() => owner.onEmptied(this))
  }

  get isWanted (): boolean { return this.audience.size > 0 || this.interests > 0 }
  get isIdle (): boolean { return !this.isWanted && this.producer === null && this.seat?.isProducing !== true }

  /** Whether a value that is published now is kept for later subscribers. */
  get retains (): boolean { return this.kind.config.start === undefined || !this.isIdle }

  due (): void {
    if (this.#owner.now() >= this.lingersUntil) this.#owner.onLingered(this)
  }
}
