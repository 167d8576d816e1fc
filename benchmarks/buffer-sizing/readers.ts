import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { answer } from '../harness/process/child-endpoint.ts'
import { microseconds } from '../harness/process/clock.ts'
import { latencyOf, type Latency } from '../harness/report/latency.ts'
import { countedHeaders } from '../harness/streams/socket-stream.ts'
import { Reader } from './reader.ts'
import type { Speed } from './speed.ts'
import { StampScanner } from './stamp-scanner.ts'

export interface OpenOptions {
  readonly port: number
  readonly updateBytes: number
  readonly speeds: ReadonlyArray<{ readonly name: string, /** Null for no limit. */ readonly bytesPerSecond: number | null }>
  /** Readers of each speed. */
  readonly count: number
}

export interface ReadersReading {
  /** Latency of the events with all their updates since `begin`. */
  readonly latency: Latency
  /** Bytes of one reader since it opened, on average. */
  readonly bytesRead: number
  readonly lost: number
}

const tickMs = 10
const openTimeoutMs = 20_000
const atOnce = 100
const pollMs = 10

let readers: Reader[] = []
const histograms = new Map<string, RecordableHistogram>()

function histogramOf (speed: string): RecordableHistogram {
  let histogram = histograms.get(speed)
  if (histogram === undefined) histograms.set(speed, histogram = createHistogram({ figures: 3 }))
  return histogram
}

async function open ({ port, updateBytes, speeds, count }: OpenOptions): Promise<Record<string, string[]>> {
  await close()
  for (const { name, bytesPerSecond } of speeds) {
    const speed: Speed = { name, bytesPerSecond: bytesPerSecond ?? Number.POSITIVE_INFINITY }
    const histogram = histogramOf(name)
    const onStamp = (at: number): void => { histogram.record(Math.max(1, microseconds() - at)) }
    for (let begun = 0; begun < count; begun += atOnce) {
      const batch = Array.from({ length: Math.min(atOnce, count - begun) }, () =>
        new Reader({ target: { port, headers: countedHeaders }, speed, scanner: new StampScanner(updateBytes), onStamp }))
      readers.push(...batch)
      await Promise.all(batch.map(async (reader) => await reader.open(openTimeoutMs)))
    }
  }
  return Object.fromEntries(speeds.map(({ name }) => [name, ofSpeed(name).map(({ session }) => session)]))
}

function ofSpeed (name: string): Reader[] {
  return readers.filter(({ speed }) => speed.name === name)
}

async function close (): Promise<void> {
  for (const reader of readers) reader.destroy()
  readers = []
  histograms.clear()
  await delay(0)
}

setInterval(() => {
  const now = performance.now()
  for (const reader of readers) reader.tick(now)
}, tickMs).unref()

const calls = {
  open,
  close,
  /** Lets the readers of these speeds read, and starts to count latencies. */
  begin: (speeds: readonly string[]): void => {
    for (const histogram of histograms.values()) histogram.reset()
    const now = performance.now()
    for (const reader of readers) {
      if (speeds.includes(reader.speed.name)) reader.begin(now)
    }
  },
  /** Waits until the readers of a speed have seen a number of answers, at most for a given time. */
  await: async ({ speed, answers, withinMs }: { speed: string, answers: number, withinMs: number }): Promise<void> => {
    const until = performance.now() + withinMs
    while (histogramOf(speed).count < answers && performance.now() < until) await delay(pollMs)
  },
  /** Readings of the readers of each speed, for the number of accepted events of each. */
  end: (accepted: Record<string, number>): Record<string, ReadersReading> => Object.fromEntries(
    Object.entries(accepted).map(([name, count]) => {
      const group = ofSpeed(name)
      return [name, {
        latency: latencyOf(histogramOf(name), { expected: count }),
        bytesRead: group.reduce((sum, reader) => sum + reader.bytesRead, 0) / Math.max(1, group.length),
        lost: group.filter(({ fault }) => fault !== undefined).length
      }]
    }))
}

export type ReadersCalls = typeof calls

answer(calls)
