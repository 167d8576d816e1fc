import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import autocannon, { type Request } from 'autocannon'
import { answer } from '../harness/child-endpoint.ts'
import { Recorder, type LoadReading } from './recorder.ts'

export interface LoadOptions {
  /** Under which name the answers are recorded, together with those of earlier slices of that name. */
  readonly record: string
  readonly port: number
  /** Duration of this slice. */
  readonly seconds: number
  readonly connections: number
  /** Spread evenly over the connections; a connection sends those of its share in turn. */
  readonly requests: readonly Request[]
  /** Of all connections together; without it each sends as soon as it has been answered. */
  readonly requestsPerSecond?: number
}

const recorders = new Map<string, Recorder>()

function recrotated (name: string): Recorder {
  const recorder = recorders.get(name) ?? new Recorder()
  recorders.set(name, recorder)
  return recorder
}

/** How often autocannon looks whether its time is up; by default once a second. */
const sampleInt = 50

/** The requests of one connection among `connections`: a part of its own, or one shared when there are too few. */
function share (requests: readonly Request[], connections: number, index: number): Request[] {
  const own = requests.filter((request, position) => position % connections === index)
  const first = requests[index % requests.length]
  if (first === undefined) throw new Error('there is nothing to send')
  // Copies: autocannon keeps what it builds on the object it was given.
  return (own.length > 0 ? own : [first]).map((request) => ({ ...request }))
}

async function driveClosedLoop (options: LoadOptions, recorder: Recorder): Promise<void> {
  recorder.openWindow(performance.now(), options.seconds)
  let index = 0
  const instance = autocannon({
    url: `http://127.0.0.1:${options.port}`,
    connections: options.connections,
    duration: options.seconds,
    sampleInt,
    setupClient: (client) => {
      client.setRequests(share(options.requests, options.connections, index))
      index += 1
    }
  })
  instance.on('response', recorder.record)
  recorder.errors += (await instance).errors
}

/** A second, since that is the rhythm in which autocannon keeps a rate. */
const rampSeconds = 1

/**
 * autocannon sends the share of a second as fast as it is answered and then rests until the next, all
 * connections at once. So each connection gets an instance of its own, begun at its own part of the second:
 * together they come close to an even stream.
 */
async function driveAtRate (options: LoadOptions, recorder: Recorder, requestsPerSecond: number): Promise<void> {
  const { connections } = options
  const startedAt = performance.now()
  recorder.openWindow(startedAt + rampSeconds * 1000, options.seconds)
  const runs: Array<PromiseLike<{ errors: number }>> = []
  for (let index = 0; index < connections; index += 1) {
    await delay(startedAt + index / connections * rampSeconds * 1000 - performance.now())
    const instance = autocannon({
      url: `http://127.0.0.1:${options.port}`,
      connections: 1,
      connectionRate: Math.round(requestsPerSecond / connections),
      duration: options.seconds + rampSeconds,
      sampleInt,
      setupClient: (client) => client.setRequests(share(options.requests, connections, index))
    })
    instance.on('response', recorder.record)
    runs.push(instance)
  }
  for (const { errors } of await Promise.all(runs)) recorder.errors += errors
}

const calls = {
  drive: async (options: LoadOptions): Promise<void> => {
    const recorder = recrotated(options.record)
    if (options.requestsPerSecond === undefined) await driveClosedLoop(options, recorder)
    else await driveAtRate(options, recorder, options.requestsPerSecond)
  },
  read: (record: string): LoadReading => recrotated(record).reading()
}

export type LoadCalls = typeof calls

answer(calls)
