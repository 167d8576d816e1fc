import type { FastifyBaseLogger } from 'fastify'
import type { UpdateDefinitions } from '../../schemas/contract.ts'
import type { CompiledContract } from '../contract/compiled-contract.ts'
import type { Audience } from '../delivery/audience.ts'
import type { Counters } from '../metrics/counters.ts'
import type { EventTimes } from '../metrics/event-times.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { BroadcastLog } from './broadcast-log.ts'
import type { AnySessionConfig, HandlerContext, SessionOptions } from './config.ts'
import type { Cohorts } from './cohorts.ts'
import type { CommandWatch } from './command-watch.ts'
import type { EventHandler } from './session-inbox.ts'
import type { TopicsPart } from './topics-part.ts'

/** Moves sessions into the cluster's engine, where other nodes find them. */
export interface Freezer<Session> {
  /** Whether the engine can keep a session. One that lost its stream, and never posted or resumed, is not worth it. */
  canFreeze: (session: Session) => boolean
  /** Settles when a session that is on its way to another place has left, or stays; null if it is on no way. */
  departure: (session: Session) => Promise<unknown> | null
  /** Waits until this node has its lease again, at most for a time; null if it has it. */
  awaitLease: (withinMs: number) => Promise<void> | null
  /**
   * Moves a session into the engine.
   *
   * @param retryMs milliseconds after which the client of an open stream may reconnect
   * @returns false if it stays as it was
   */
  freeze: (session: Session, deadlineMs: number, retryMs?: number) => Promise<boolean>
}

/** The endpoint of a session, as the session sees it. */
export interface SessionScope<Session> {
  readonly contract: CompiledContract
  readonly limits: Readonly<Required<SessionOptions>>
  /** How long a prepared session waits for its page, in milliseconds. */
  readonly pendingMs: number
  readonly hooks: AnySessionConfig
  /** By name of the event; one for each event of the contract. */
  readonly handlers: ReadonlyMap<string, EventHandler>
  readonly context: HandlerContext<unknown, UpdateDefinitions>
  /** The context of handlers for an event that may have run before. */
  readonly redelivered?: HandlerContext<unknown, UpdateDefinitions>
  /** Measures the events; null without the option `tuning`. */
  readonly eventTimes?: EventTimes | null
  readonly runtime: Runtime
  /** Its URL pattern, with the prefix. */
  readonly url: string
  readonly log: FastifyBaseLogger
  /** Figures of all its sessions so far. */
  readonly counters: Counters
  readonly commandWatch: CommandWatch
  readonly cohorts: Cohorts
  /** Keeps its sessions in the cluster; null or absent where they stay on this node. */
  readonly keeper?: Freezer<Session> | null
  /** The log that joins the nodes; null for none. */
  readonly broadcastLog: BroadcastLog | null
  /** All sessions, and the groups of the session. */
  /** Null for a contract without topics. */
  readonly topics?: TopicsPart<Session> | null
  /** All sessions, and the groups and topics of the session. */
  audiencesOf: (session: Session) => ReadonlyArray<Audience<any>>
  /** Logs what a handler or hook threw, and calls `onError`. Never throws. */
  report: (session: Session, error: unknown, command: string) => void
  /** The claim of a prepared session is no longer valid: the session has a stream, or its time is over. */
  unpooled: (session: Session) => void
  /** It has a stream. */
  attached: (session: Session) => void
  /** It lost its stream, and waits for a reconnect. */
  detached: (session: Session) => void
  /** It posted its first event. */
  proved: (session: Session) => void
  /** It accepts no more events, and receives no more broadcasts. */
  closing: (session: Session) => void
  /** It is gone. */
  closed: (session: Session) => void
}
