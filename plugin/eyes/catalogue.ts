import type { Observer } from '../metrics/watch.ts'
import { Samples } from './samples.ts'
import { censusOf, type Subject, type UrlCensus } from './subject.ts'
import { UrlLabels } from './url-labels.ts'

// The names follow OpenTelemetry's: dots between words, the unit apart. Prometheus writes them with `_`, the unit and `_total`.

type Unit = 's' | 'By' | '{connection}' | '{session}' | '{command}' | '{update}' | '{event}' | '{stall}' | '{refusal}' | '{error}' | '{fault}' | '{node}' | '{loss}' | '{disconnect}' | '1'

interface Named {
  readonly name: string
  readonly unit: Unit
  readonly help: string
}

/** A figure that is read when somebody asks. */
export interface Figure extends Named {
  /** `sum`: a number now, of which those of all processes may be added. `gauge`: one that may not. `counter`: it only grows. */
  readonly kind: 'sum' | 'gauge' | 'counter'
  /** Whether it is there only with the option `cluster`. */
  readonly isOfCluster?: boolean
  readonly read: (view: View, samples: Samples) => void
}

/** A figure that is recorded as things happen. */
export interface Distribution extends Named {
  readonly unit: 's'
  readonly buckets: readonly number[]
}

/** The name of a figure for Prometheus. */
export function prometheusName ({ name, unit }: Named, isCounter = false): string {
  const suffix = unit === 's' ? '_seconds' : unit === 'By' ? '_bytes' : ''
  return `${name.replaceAll('.', '_')}${suffix}${isCounter ? '_total' : ''}`
}

const minute = 60
const hour = 60 * minute

/** Streams and sessions live for milliseconds or for hours. */
const lifetimes = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, minute, 2 * minute, 5 * minute, 10 * minute, 30 * minute, hour, 2 * hour, 4 * hour]
const waits = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export const distributions = {
  connection: { name: 'tether.server.connection.duration', unit: 's', help: 'Duration of the streams that have ended, by the reason of the end', buckets: lifetimes },
  session: { name: 'tether.session.duration', unit: 's', help: 'Lifetime of the sessions that have closed, by the reason of the close', buckets: lifetimes },
  command: { name: 'tether.command.duration', unit: 's', help: 'Time from the begin of a handler, hook or function of update() to its end', buckets: waits },
  wait: { name: 'tether.command.wait', unit: 's', help: 'Time that a command waited for its turn', buckets: waits }
} as const satisfies Record<string, Distribution>

/** Reasons of the library. An application may give any text to `close`, which must not become a label. */
const closeReasons = new Set(['closed', 'left', 'reconnect-timeout', 'idle', 'lifetime', 'evicted', 'draining', 'shutdown'])
const ownCommands = new Set(['update', 'onConnect', 'onDisconnect', 'onJoin', 'onLeave', 'onGap', 'onClose'])

export interface LabelLimits {
  readonly maxUrls: number
  readonly maxNames: number
}

/** What one exporter sees of one registered plugin: labels within their limits, and one count of the sessions for all figures of a scrape. */
export class View {
  readonly subject: Subject
  readonly #urls: UrlLabels
  readonly #limits: LabelLimits
  /** URLs and protocols that ever had a stream: their series do not vanish with the last one. */
  readonly #connections = new Map<string, { readonly url: string, readonly transport: string }>()
  #census: readonly UrlCensus[] | null = null
  readonly #commands = new Map<string, Set<string>>()

  constructor (subject: Subject, limits: LabelLimits) {
    this.subject = subject
    this.#limits = limits
    this.#urls = new UrlLabels(limits.maxUrls)
    // The count by name begins now, not at the first scrape.
    const { runtime: { watch }, endpoints } = subject
    watch.maxNames = Math.max(watch.maxNames, limits.maxNames)
    for (const { tally } of endpoints) tally.start(watch.maxNames)
  }

  url (url: string): string {
    return this.#urls.of(url)
  }

  /** The label of a command: events of the contract, up to `maxNames` of them for each URL, and the library's own. */
  command (url: string, name: string): string {
    if (ownCommands.has(name)) return name
    let known = this.#commands.get(this.url(url))
    if (known === undefined) this.#commands.set(this.url(url), known = new Set())
    if (!known.has(name) && known.size >= this.#limits.maxNames) return 'other'
    known.add(name)
    return name
  }

  /** The endpoints, each with its count of sessions. All figures that are read in one turn of the event loop share it. */
  get census (): readonly UrlCensus[] {
    if (this.#census === null) {
      const now = performance.now()
      this.#census = this.subject.endpoints.map((endpoint) => censusOf(endpoint, now))
      setImmediate(() => { this.#census = null })
    }
    return this.#census
  }

  /** Open streams, a sample for each URL and protocol. */
  connections (samples: Samples): void {
    for (const stream of this.subject.runtime.streams) {
      const labels = { url: this.url(stream.url), transport: stream.protocol }
      this.#connections.set(`${labels.url}\n${labels.transport}`, labels)
      samples.add(1, labels)
    }
    for (const labels of this.#connections.values()) samples.add(0, labels)
  }

  /** Records what happens from now on. */
  observer (record: (distribution: Distribution, seconds: number, labels: Readonly<Record<string, string>>) => void): Observer {
    return {
      streamClosed: ({ url, protocol, reason, ms }) => {
        record(distributions.connection, ms / 1_000, { url: this.url(url), transport: protocol, outcome: reason })
      },
      sessionClosed: ({ url, reason, ms }) => {
        record(distributions.session, ms / 1_000, { url: this.url(url), outcome: closeReasons.has(reason) ? reason : 'other' })
      },
      commandEnded: ({ url, command, ms = 0, outcome = 'ok', waitedMs }) => {
        record(distributions.command, ms / 1_000, { url: this.url(url), command: this.command(url, command), outcome })
        if (waitedMs !== null) record(distributions.wait, waitedMs / 1_000, { url: this.url(url) })
      }
    }
  }
}

/** A figure of each URL. */
function ofUrls (read: (census: UrlCensus) => number): Figure['read'] {
  return (view, samples) => {
    for (const census of view.census) samples.add(read(census), { url: view.url(census.endpoint.url) })
  }
}

function ofAll (read: (subject: Subject) => number): Figure['read'] {
  return ({ subject }, samples) => { samples.add(read(subject)) }
}

const states = ['ready', 'degraded', 'isolated'] as const

/** All figures that are read. docs/operations.md says what each means. */
export const figures: readonly Figure[] = [
  { name: 'tether.server.active_connections', unit: '{connection}', kind: 'sum', help: 'Open streams', read: (view, samples) => { view.connections(samples) } },
  {
    name: 'tether.sessions',
    unit: '{session}',
    kind: 'sum',
    help: 'Sessions by state: connected (with a stream), detached (without), pending (no stream yet), closing',
    read: (view, samples) => {
      for (const { endpoint, states } of view.census) for (const [state, count] of Object.entries(states)) samples.add(count, { url: view.url(endpoint.url), state })
    }
  },
  { name: 'tether.sessions.limit', unit: '{session}', kind: 'sum', help: 'The option maxSessions', read: ofAll(({ registry }) => registry.limits.maxSessions) },
  {
    name: 'tether.session.refusals',
    unit: '{refusal}',
    kind: 'counter',
    help: 'Sessions refused, by the limit that was reached',
    read: ({ subject }, samples) => { for (const [outcome, count] of Object.entries(subject.registry.refusals)) samples.add(count as number, { outcome }) }
  },
  { name: 'tether.sessions.blocked', unit: '{session}', kind: 'sum', help: 'Sessions whose write buffer is full, so that no command runs', read: ofUrls(({ blocked }) => blocked) },
  { name: 'tether.blocked', unit: 's', kind: 'counter', help: 'Time in which write buffers were full, of all sessions', read: ofUrls(({ endpoint, blockedMs }) => (endpoint.counters.stalledMs + blockedMs) / 1_000) },
  { name: 'tether.stalls', unit: '{stall}', kind: 'counter', help: 'Times that a write buffer was full', read: ofUrls(({ endpoint }) => endpoint.counters.stalls) },
  {
    name: 'tether.disconnects',
    unit: '{disconnect}',
    kind: 'counter',
    help: 'Streams that the server cut: overflow (too much waited), stalled (the client took nothing)',
    read: (view, samples) => {
      for (const { endpoint: { url, counters } } of view.census) {
        samples.add(counters.overflowDisconnects, { url: view.url(url), outcome: 'overflow' })
        samples.add(counters.stallDisconnects, { url: view.url(url), outcome: 'stalled' })
      }
    }
  },
  {
    name: 'tether.updates',
    unit: '{update}',
    kind: 'counter',
    help: 'Updates of sessions: written (replays included), conflated, dropped',
    read: (view, samples) => {
      for (const { endpoint } of view.census) {
        for (const [update, counts] of endpoint.tally) {
          for (const [outcome, count] of Object.entries(counts)) samples.add(count as number, { url: view.url(endpoint.url), update, outcome })
        }
      }
    }
  },
  { name: 'tether.written', unit: 'By', kind: 'counter', help: 'Bytes written to the streams of sessions, before compression', read: ofUrls(({ endpoint }) => endpoint.counters.bytesWritten) },
  { name: 'tether.events', unit: '{event}', kind: 'counter', help: 'Events accepted', read: ofUrls(({ endpoint }) => endpoint.counters.eventsAccepted) },
  { name: 'tether.commands.waiting', unit: '{command}', kind: 'sum', help: 'Commands that wait for their turn', read: ofUrls(({ commands }) => commands) },
  { name: 'tether.handler.errors', unit: '{error}', kind: 'counter', help: 'Handlers and hooks that threw, rejected or did not settle in time', read: ofUrls(({ endpoint }) => endpoint.counters.handlerErrors) },
  { name: 'tether.buffered', unit: 'By', kind: 'sum', help: 'Bytes of updates held, shared ones once', read: ofAll(({ runtime }) => runtime.budget.used) },
  { name: 'tether.buffered.memory', unit: 'By', kind: 'sum', help: 'Approximate memory of updates held, and of events that wait or run', read: ofAll(({ runtime }) => runtime.budget.weight) },
  { name: 'tether.buffered.memory.limit', unit: 'By', kind: 'sum', help: 'The option maxBufferedBytes', read: ofAll(({ runtime }) => runtime.budget.limit) },
  { name: 'tether.websocket.faults', unit: '{fault}', kind: 'counter', help: 'WebSockets that ended because of what their client sent', read: ofAll(({ runtime }) => runtime.socketFaults) },
  { name: 'tether.draining', unit: '1', kind: 'gauge', help: '1 while the server drains or closes, else 0', read: ofAll(({ runtime }) => Number(runtime.draining)) },
  { name: 'tether.cluster.lag', unit: 's', kind: 'gauge', isOfCluster: true, help: 'Time from a write into the log until it came back', read: ofAll(({ cluster }) => cluster!.stats().lagMs / 1_000) },
  {
    name: 'tether.cluster.status',
    unit: '1',
    kind: 'gauge',
    isOfCluster: true,
    help: '1 for the state of the node, 0 for the others: ready, degraded, isolated',
    read: ({ subject: { cluster } }, samples) => { for (const state of states) samples.add(Number(cluster!.status === state), { state }) }
  },
  { name: 'tether.cluster.nodes', unit: '{node}', kind: 'gauge', isOfCluster: true, help: 'Nodes that this one knows of, itself included', read: ofAll(({ cluster }) => cluster!.nodes().length) },
  { name: 'tether.cluster.updates.waiting', unit: '{update}', kind: 'sum', isOfCluster: true, help: 'Broadcasts of this node that are not back from the log', read: ofAll(({ cluster }) => cluster!.stats().queuedFrames) },
  {
    name: 'tether.cluster.updates',
    unit: '{update}',
    kind: 'counter',
    isOfCluster: true,
    help: 'Broadcasts: published by this node, delivered to it, dropped by it',
    read: ({ subject: { cluster } }, samples) => {
      const { published, delivered, dropped } = cluster!.stats()
      for (const [outcome, count] of Object.entries({ published, delivered, dropped })) samples.add(count, { outcome })
    }
  },
  { name: 'tether.cluster.losses', unit: '{loss}', kind: 'counter', isOfCluster: true, help: 'Times that broadcasts were lost, so that all sessions of this node got a gap', read: ofAll(({ cluster }) => cluster!.stats().losses) }
]

/** The figures that a plugin has. */
export function figuresOf ({ cluster }: Subject): readonly Figure[] {
  return cluster === null ? figures.filter(({ isOfCluster }) => isOfCluster !== true) : figures
}
