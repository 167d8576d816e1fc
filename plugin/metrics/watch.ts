import { channel } from 'node:diagnostics_channel'
import type { CommandMessage, SessionCloseMessage, SessionOpenMessage, StreamCloseMessage, StreamOpenMessage } from './messages.ts'

/** An exporter of one registered plugin: what the process's channels publish of all plugins, it gets of this one alone. */
export interface Observer {
  readonly streamOpened?: (message: StreamOpenMessage) => void
  readonly sessionClosed?: (message: SessionCloseMessage) => void
  readonly streamClosed?: (message: StreamCloseMessage) => void
  readonly commandEnded?: (message: CommandMessage) => void
  /** Runs a command within something of its own. It calls `run` once, and gives its result. */
  readonly runCommand?: (message: CommandMessage, run: () => unknown) => unknown
}

/** What takes a trace from one node of a cluster to another. */
export interface TraceLink {
  /** The running trace as text for other nodes; undefined where none runs. Never throws. */
  readonly carry: () => string | undefined
  /** Runs a function once in the trace that another node has carried here. What `run` throws is thrown. */
  readonly within: <Result>(carried: string, run: () => Result) => Result
  /** The same for the delivery of a broadcast, which has a span of its own. */
  readonly deliver: (carried: string, delivery: DeliveryMessage, run: () => void) => void
}

/** A broadcast that has come by the cluster's log. */
export interface DeliveryMessage {
  /** The URL pattern whose sessions get it; null for an event of `cluster.emit` and a change of a value. */
  readonly url: string | null
  /** The name of an event of `cluster.emit`; null for anything else. */
  readonly event: string | null
  /** The node that sent it. */
  readonly node: string
}

// Held here: a channel that nobody refers to loses its subscribers.
const sessionOpen = channel('tether:session.open')
const sessionClose = channel('tether:session.close')
const streamOpen = channel('tether:stream.open')
const streamClose = channel('tether:stream.close')

/**
 * Tells observers and the diagnostics channels what happens to sessions and streams. Callers ask first
 * whether anybody listens, so that nobody makes a message for nobody.
 */
export class Watch {
  /** Replaced as a whole at each change, so that a loop over it is not disturbed. */
  observers: readonly Observer[] = []
  /** Names of updates that each URL counts apart; 0 while nobody wants to know. */
  maxNames = 0
  /** Takes traces to other nodes; null while nobody traces. */
  traceLink: TraceLink | null = null

  get seesSessionOpen (): boolean { return sessionOpen.hasSubscribers }
  get seesSessionClose (): boolean { return this.observers.length > 0 || sessionClose.hasSubscribers }
  get seesStreamOpen (): boolean { return this.observers.length > 0 || streamOpen.hasSubscribers }
  get seesStreamClose (): boolean { return this.observers.length > 0 || streamClose.hasSubscribers }

  /** Adds an observer. Returns the function that removes it. */
  add (observer: Observer): () => void {
    this.observers = [...this.observers, observer]
    return () => { this.observers = this.observers.filter((other) => other !== observer) }
  }

  sessionOpened (message: SessionOpenMessage): void {
    sessionOpen.publish(message)
  }

  sessionClosed (message: SessionCloseMessage): void {
    tell(this.observers, 'sessionClosed', message)
    sessionClose.publish(message)
  }

  streamOpened (message: StreamOpenMessage): void {
    tell(this.observers, 'streamOpened', message)
    streamOpen.publish(message)
  }

  streamClosed (message: StreamCloseMessage): void {
    tell(this.observers, 'streamClosed', message)
    streamClose.publish(message)
  }
}

type Told = 'streamOpened' | 'sessionClosed' | 'streamClosed' | 'commandEnded'

/** Tells all observers. What one throws changes nothing: an exporter of the application must not break its sessions. */
export function tell<Name extends Told> (observers: readonly Observer[], name: Name, message: Parameters<NonNullable<Observer[Name]>>[0]): void {
  for (const observer of observers) {
    try {
      observer[name]?.(message as never)
    } catch { /* The figure is lost. */ }
  }
}
