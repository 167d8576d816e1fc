import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import autocannon, { type Request } from 'autocannon'
import { answer } from '../harness/child-endpoint.ts'
import { microseconds } from './clock.ts'
import { latencyOf, type Latency } from './latency.ts'

export interface LoadOptions {
  readonly port: number
  readonly seconds: number
  /** Sessions by the name under which their figures are kept. */
  readonly sessions: Record<string, readonly string[]>
  readonly connectionsPerSession: number
  /** Of each session; without it each connection sends as soon as it has been answered. */
  readonly eventsPerSecond?: number
}

export interface LoadReading {
  /** Of the window that is measured: all connections are up, none has ended yet. */
  readonly seconds: number
  /** Answers with 2xx in that window. */
  readonly accepted: number
  /** Answers with 429 in that window. */
  readonly busy: number
  /** Answers with any other status, in the window and around it. */
  readonly refused: number
  /** Of the 2xx in the window, measured from the request; autocannon's own figures are whole milliseconds. */
  readonly latency: Latency
  /** Requests that got no answer, of all sessions that were driven together. */
  readonly errors: number
}

/** A second, since that is the rhythm in which autocannon keeps a rate. */
const rampMs = 1_000
const mostPhases = 20
/** Odd, so that it reaches all phases. */
const stride = 7
const slackSeconds = 0.3
const sampleMs = 100
const requestTimeoutSeconds = 5

interface Connection {
  readonly name: string
  readonly session: string
}

/** Answers as they come in, by the name that their connection joined under; nothing counts before `open`. */
class Window {
  readonly #names = new WeakMap<object, string>()
  readonly #groups: ReadonlyMap<string, Group>
  #from = Number.POSITIVE_INFINITY
  #to = Number.POSITIVE_INFINITY

  constructor (names: readonly string[]) {
    this.#groups = new Map(names.map((name) => [name, { latencies: createHistogram({ figures: 3 }), accepted: 0, busy: 0, refused: 0 }]))
  }

  join (client: object, name: string): void {
    this.#names.set(client, name)
  }

  open (seconds: number): void {
    this.#from = performance.now()
    this.#to = this.#from + seconds * 1000
  }

  readonly record = (client: object, status: number, bytes: number, milliseconds: number): void => {
    const group = this.#groups.get(this.#names.get(client) ?? '')
    if (group === undefined) return
    const isAccepted = status >= 200 && status <= 299
    if (!isAccepted && status !== 429) group.refused += 1
    const now = performance.now()
    if (now < this.#from || now > this.#to) return
    if (status === 429) group.busy += 1
    if (!isAccepted) return
    group.accepted += 1
    group.latencies.record(Math.max(1, Math.round(milliseconds * 1000)))
  }

  /** @param errors of all groups together: a connection that breaks does not say whose it was */
  readings (errors: number): Record<string, LoadReading> {
    return Object.fromEntries([...this.#groups].map(([name, { latencies, ...counts }]) =>
      [name, { ...counts, errors, seconds: (this.#to - this.#from) / 1000, latency: latencyOf(latencies, counts.accepted) }]))
  }
}

interface Group {
  readonly latencies: RecordableHistogram
  accepted: number
  busy: number
  refused: number
}

function requestTo (session: string): Request {
  return {
    method: 'POST',
    path: '/live/refresh',
    headers: { 'content-type': 'application/json', 'x-tether-session': session },
    body: '{"at":0}',
    setupRequest: (request) => ({ ...request, body: `{"at":${microseconds()}}` })
  }
}

/**
 * autocannon sends the share of a second as fast as it is answered and then rests until the next, all connections
 * of an instance at once. So at a fixed rate several instances begin at different parts of the second, and
 * together they come close to an even stream.
 */
async function drive (options: LoadOptions): Promise<Record<string, LoadReading>> {
  const { port, seconds, connectionsPerSession, eventsPerSecond } = options
  const connections = Object.entries(options.sessions).flatMap(([name, sessions]) =>
    sessions.flatMap((session) => new Array<Connection>(connectionsPerSession).fill({ name, session })))
  const window = new Window(Object.keys(options.sessions))
  const phases = eventsPerSecond === undefined ? [connections] : inPhases(connections)
  const startedAt = performance.now()
  const runs: Array<PromiseLike<{ errors: number }>> = []
  for (const [phase, share] of phases.entries()) {
    await delay(Math.max(0, startedAt + phase / phases.length * rampMs - performance.now()))
    let next = 0
    const instance = autocannon({
      url: `http://127.0.0.1:${port}`,
      connections: share.length,
      duration: seconds + (phases.length - phase) / phases.length + slackSeconds,
      timeout: requestTimeoutSeconds,
      sampleInt: sampleMs,
      ...eventsPerSecond === undefined ? {} : { connectionRate: Math.max(1, Math.round(eventsPerSecond / connectionsPerSession)) },
      setupClient: (client) => {
        const connection = share[next]
        next += 1
        if (connection === undefined) return
        window.join(client, connection.name)
        client.setRequests([requestTo(connection.session)])
      }
    })
    instance.on('response', window.record)
    runs.push(instance)
  }
  window.open(seconds)
  const errors = (await Promise.all(runs)).reduce((sum, result) => sum + result.errors, 0)
  return window.readings(errors)
}

/** Each session's connections fall into different phases, and each phase has about as many. */
function inPhases (connections: readonly Connection[]): Connection[][] {
  const count = Math.min(mostPhases, connections.length)
  return Array.from({ length: count }, (_, phase) => connections.filter((connection, index) => index * stride % count === phase))
    .filter((share) => share.length > 0)
}

const calls = { drive }

export type LoadCalls = typeof calls

answer(calls)
