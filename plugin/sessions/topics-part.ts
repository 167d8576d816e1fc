import type { Offset } from '../cluster/engine.ts'
import type { Audience } from '../delivery/audience.ts'
import type { Frame } from '../protocol/frame.ts'
import type { LiveTopic } from './api.ts'
import type { EventHandler } from './session-inbox.ts'

/** The log that joins the nodes, as topics see it. */
export interface TopicLog {
  publish: (group: null, frame: Frame, except: null, epoch?: number) => void
}

/** Says of updates in a part of the log whether they count. */
export interface EpochFilter {
  /** Reads a broadcast that is for no session; false for any other. */
  read: (url: string, frame: Frame) => boolean
  /** Whether an update of a topic counts that a producer of this epoch published. */
  admits: (topic: string, epoch: number) => boolean
}

/** A topic, as its subscribers see it. */
export interface TopicMembership {
  /** Its name with its parameters. */
  readonly name: string
  readonly audience: Audience<any>
}

/** One subscription of a session, as JSON. */
export interface SubscriptionSnapshot {
  readonly topic: string
  /** The topic's name with its parameters. */
  readonly name: string
  readonly params: Readonly<Record<string, unknown>>
  /** The parameters as the client sent them. */
  readonly given: Readonly<Record<string, unknown>>
  /** Names the retained values that the session has; empty for none. */
  readonly held: string
  /** Epoch of the topic's producer in the cluster; 0 for none. */
  readonly epoch: number
}

/** Figures of the topics of one endpoint. */
export interface TopicFigures {
  /** Topics that have subscribers, a producer or retained values. */
  topics: number
  /** Subscriptions of all sessions. */
  subscriptions: number
  /** Values that are retained. */
  retainedValues: number
  /** Bytes of memory for these. */
  retainedBytes: number
}

/** The topics of one endpoint, as its other parts see them. */
export interface TopicsPart<Session> {
  /** The handlers of the events by which clients subscribe, by name. */
  readonly handlers: ReadonlyMap<string, EventHandler>
  readonly figures: TopicFigures
  /**
   * The application's view of a topic.
   *
   * @param log to other nodes; null for this node alone
   * @throws `FST_ERR_TETHER_UNKNOWN_TOPIC`, `FST_ERR_TETHER_ARGUMENT`
   */
  topic: (name: string, params: unknown, log: TopicLog | null) => LiveTopic
  /** The application's views of all topics. */
  all: (log: TopicLog | null) => Iterable<LiveTopic>
  /** Publishes a frame that came from another node, or back from the log, where it has the place `at`. */
  deliver: (frame: Frame, at: Offset, epoch: number | undefined) => void
  /** A part of the log is lost for this node. */
  lost: () => void
  /** Follows producers through the part of the log that a session with these subscriptions missed. */
  epochsFor: (subscriptions: readonly SubscriptionSnapshot[]) => EpochFilter
  /** Queues the retained values of all its topics for a session whose client has lost updates. */
  refresh: (session: Session) => void
  /** Subscribes a new session to the topics that its URL names. */
  subscribeByUrl: (session: Session, query: unknown) => void
  /** The subscriptions of a session that moves. */
  snapshot: (session: Session) => SubscriptionSnapshot[]
  /** Takes a session into the topics of a snapshot: nobody is asked. Call {@link resume} in the same turn. */
  restore: (session: Session, subscriptions: readonly SubscriptionSnapshot[]) => void
  /**
   * Sends a restored session the values that it does not have. It gets a gap instead if this node's producers published
   * meanwhile what is not retained: after a gap it gets all values when its client comes.
   *
   * @param replayed texts of the values that it got from the log since its snapshot, by key; null if it got a gap already
   * @param takenAt when the snapshot was made, in milliseconds of the wall clock
   */
  resume: (session: Session, subscriptions: readonly SubscriptionSnapshot[], replayed: ReadonlyMap<string, string> | null, takenAt: number) => void
  /** Takes a session out of all its topics. */
  forget: (session: Session) => void
  /** Ends all producers. */
  stop: () => void
}
