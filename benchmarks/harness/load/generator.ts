import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import autocannon, { type Request } from 'autocannon'
import { answer } from '../../../tune/process/child-endpoint.ts'
import { microseconds } from '../process/clock.ts'
import { Recorder, type LoadReading, type Window } from './recorder.ts'

export interface Connection {
  /** Name under which its answers are recorded, together with those of earlier drives of that name. */
  readonly record: string
  /** Requests that it sends again and again. */
  readonly requests: readonly Request[]
}

export interface DriveOptions {
  readonly port: number
  /** Length of the measured window. */
  readonly seconds: number
  readonly connections: readonly Connection[]
  /** Requests a second of each connection, a whole number. Without it each connection sends after each answer. */
  readonly requestsPerSecond?: number
  /** Whether each body is `{"at":…}` with the time of sending, in microseconds. */
  readonly stamped?: boolean
}

/** A second, since autocannon keeps a rate second by second. */
const rampMs = 1_000
/** Time until all connections of a closed loop are open. */
const connectMs = 50
/** Time after the window, so that no connection ends within it. */
const slackSeconds = 0.15
/** Interval at which autocannon checks its duration; its default is a second. */
const sampleInt = 50
const timeoutSeconds = 5

const recorders = new Map<string, Recorder>()

function recorderOf (name: string): Recorder {
  let recorder = recorders.get(name)
  if (recorder === undefined) recorders.set(name, recorder = new Recorder())
  return recorder
}

/**
 * autocannon sends the share of a second as fast as it is answered and then rests until the next, all connections of
 * an instance at once. So at a fixed rate each connection has an instance of its own that begins at its own part of
 * the second: together they come close to an even stream.
 */
async function drive (options: DriveOptions): Promise<void> {
  const { seconds, connections, requestsPerSecond } = options
  const window: Window = { from: Infinity, to: Infinity }
  const startedAt = performance.now()
  const runs: Array<PromiseLike<{ errors: number }>> = []
  if (requestsPerSecond === undefined) {
    runs.push(begin(options, connections, window, connectMs / 1000 + seconds + slackSeconds))
    await delay(connectMs)
  } else {
    for (const [index, connection] of connections.entries()) {
      const part = index / connections.length
      await delay(Math.max(0, startedAt + part * rampMs - performance.now()))
      runs.push(begin(options, [connection], window, (1 - part) * rampMs / 1000 + seconds + slackSeconds))
    }
    await delay(Math.max(0, startedAt + rampMs - performance.now()))
  }
  window.from = performance.now()
  window.to = window.from + seconds * 1000
  const errors = (await Promise.all(runs)).reduce((sum, run) => sum + run.errors, 0)
  for (const record of new Set(connections.map((connection) => connection.record))) recorderOf(record).close(window, errors)
}

function begin (
  { port, requestsPerSecond, stamped = false }: DriveOptions, connections: readonly Connection[], window: Window, duration: number
): PromiseLike<{ errors: number }> {
  const recorderOfClient = new WeakMap<object, Recorder>()
  let next = 0
  const instance = autocannon({
    url: `http://127.0.0.1:${port}`,
    connections: connections.length,
    duration,
    timeout: timeoutSeconds,
    sampleInt,
    ...requestsPerSecond === undefined ? {} : { connectionRate: requestsPerSecond },
    setupClient: (client) => {
      const connection = connections[next]
      next += 1
      if (connection === undefined) return
      recorderOfClient.set(client, recorderOf(connection.record))
      client.setRequests(connection.requests.map((request) => stamped ? { ...request, setupRequest: stamp } : { ...request }))
    }
  })
  instance.on('response', (client, status, bytes, milliseconds) => {
    const now = performance.now()
    recorderOfClient.get(client)?.record(status, milliseconds, now >= window.from && now <= window.to)
  })
  return instance
}

function stamp (request: Request): Request {
  return { ...request, body: `{"at":${microseconds()}}` }
}

const calls = {
  drive,
  /** Returns and removes the record of a name. */
  take: (record: string): LoadReading => {
    const reading = recorderOf(record).reading()
    recorders.delete(record)
    return reading
  }
}

export type LoadCalls = typeof calls

answer(calls)
