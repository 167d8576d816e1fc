import { setTimeout as delay } from 'node:timers/promises'
import { Load } from '../harness/load/load.ts'
import type { LoadReading } from '../harness/load/recorder.ts'
import { withChildren } from '../harness/process/child-process.ts'
import { rotated, takeTurns } from '../harness/report/rotation.ts'
import { Comparison } from '../harness/report/comparison.ts'
import { formatTable } from '../harness/report/table.ts'
import { withCluster } from './cluster.ts'
import { modes, urlOf, type PersistMode } from './persist-mode.ts'

export interface PersistSettings {
  /** Of each mode, each with an open stream. */
  readonly sessions: number
  readonly connections: number
  /** Of one slice of the closed loop. */
  readonly seconds: number
  /** Slices of each mode and repeat. */
  readonly turns: number
}

export interface PersistRound {
  readonly kind: string
  readonly repeat: number
  readonly requestsPerSecond: number
  /** CPU time of the node, for a request. */
  readonly processorMicroseconds: number
  readonly p50: number | null
  readonly p99: number | null
  /** Writes of records and journals, for a request and for a new session. */
  readonly writesPerRequest: number
  readonly writesPerSession: number
}

const again = 'never again'
const persistNames: readonly string[] = [...modes, again]

const withinMs = 120_000
/** What follows a slice: writes behind the last answers. */
const quietMs = 300
const warmUpSeconds = 1

/** One node has an endpoint for each mode. POSTs go to them in turns. */
export async function measurePersist (repeat: number, { sessions, connections, seconds, turns }: PersistSettings, onStep: (step: string) => void): Promise<PersistRound[]> {
  return await withCluster('persist', 'redis', 1, async ({ nodes: [node], pages, redis }) => await withChildren(async (children) => {
    const { process, port } = node!
    const load = await Load.start(children)
    /** Writes so far: the calls of scripts. */
    const writes = async (): Promise<number> => {
      const told = await redis!.admin.info('commandstats')
      return [...told.matchAll(/cmdstat_(?:evalsha|eval|fcall):calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)
    }
    const ids = new Map<PersistMode, readonly string[]>()
    const perSession = new Map<PersistMode, number>()
    for (const mode of rotated(modes, repeat)) {
      onStep(`persist, sessions of ${mode}`)
      const before = await writes()
      ids.set(mode, await pages.call('open', { ports: [port], count: sessions, path: urlOf(mode) }, withinMs))
      await delay(quietMs)
      perSession.set(mode, (await writes() - before) / sessions)
    }
    const drive = async (record: string, duration: number): Promise<void> => {
      const mode = record === again ? modes[0] : record as PersistMode
      const all = ids.get(mode)!
      await load.drive({
        port,
        seconds: duration,
        connections: Array.from({ length: connections }, (_, index) => ({
          record,
          requests: all.filter((_, at) => at % connections === index).map((id) => ({ method: 'POST', path: urlOf(mode), headers: { 'content-type': 'application/json', 'x-tether-session': id }, body: '{"event":"say","data":{"n":1}}' }))
        }))
      })
      await delay(quietMs)
    }
    for (const name of rotated(persistNames, repeat)) {
      onStep(`persist, warming up ${name}`)
      await drive(name, warmUpSeconds)
      await load.take(name)
    }
    const slices = await takeTurns(persistNames, turns, repeat, async (name) => {
      onStep(`persist, ${name}`)
      const [used, before] = [await process.call('used', undefined), await writes()]
      await drive(name, seconds)
      const now = await process.call('used', undefined)
      return { said: now.said - used.said, processorMicroseconds: now.processorMicroseconds - used.processorMicroseconds, writes: await writes() - before }
    })
    return await Promise.all(persistNames.map(async (kind): Promise<PersistRound> => {
      const reading = requireAccepted(kind, await load.take(kind))
      const sum = (of: 'said' | 'processorMicroseconds' | 'writes') => slices.get(kind)!.reduce((total, slice) => total + slice[of], 0)
      return {
        kind,
        repeat,
        requestsPerSecond: reading.accepted / reading.seconds,
        processorMicroseconds: sum('processorMicroseconds') / sum('said'),
        p50: reading.latency.p50,
        p99: reading.latency.p99,
        writesPerRequest: sum('writes') / sum('said'),
        writesPerSession: perSession.get(kind === again ? modes[0] : kind as PersistMode)!
      }
    }))
  }))
}

/** @throws if a request was refused */
function requireAccepted (kind: string, reading: LoadReading): LoadReading {
  const refused = Object.keys(reading.statuses).filter((status) => status !== '202')
  if (reading.accepted === 0 || refused.length > 0) throw new Error(`persist '${kind}': the answers are ${JSON.stringify(reading.statuses)}`)
  return reading
}

export function describePersist (rounds: readonly PersistRound[], { sessions, connections }: PersistSettings): string[] {
  if (rounds.length === 0) return []
  const comparison = new Comparison(rounds, modes[0])
  return [
    `POSTs of an event at one node on Redis, ${connections} connections, ${sessions} sessions of each mode with a state of 150 B`,
    formatTable(persistNames, [
      { title: 'persist', value: (name) => name },
      ...comparison.compared('requests/s', ({ requestsPerSecond }) => requestsPerSecond, 0),
      ...comparison.compared('CPU µs/request', ({ processorMicroseconds }) => processorMicroseconds, 1),
      comparison.median('p50 ms', ({ p50 }) => p50, 2),
      comparison.median('p99 ms', ({ p99 }) => p99, 2),
      comparison.median('writes/request', ({ writesPerRequest }) => writesPerRequest, 2),
      comparison.median('writes/session', ({ writesPerSession }) => writesPerSession, 2)
    ])
  ]
}
