import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from '../harness/load/generator.ts'
import { Load } from '../harness/load/load.ts'
import { countStatuses, isAccepted, type LoadReading } from '../harness/load/recorder.ts'
import { withChildren } from '../harness/process/child-process.ts'
import { rotated, takeTurns } from '../harness/report/rotation.ts'
import { Contestant } from './contestant.ts'
import { baseline, type Kind } from './kind.ts'
import type { ServerReading } from './server.ts'

export interface Settings {
  readonly sessions: number
  readonly connections: number
  /** Measured time for each kind, part and repeat, in slices. */
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly repeats: number
  /** Share of the rate that the bare route reached in the closed loop. */
  readonly rateFraction: number
}

/** One part of one repeat of one kind. */
export interface Measurement extends LoadReading {
  /** Events that were accepted in the measured windows and whose handler ran. */
  readonly eventsPerSecond: number
  /** Accepted events whose handler did not run; there must be none. */
  readonly unhandled: number
  readonly processorMicrosecondsPerEvent: number
  /** Share of one processor that the server used. */
  readonly busyShare: number
}

export interface Round {
  readonly kind: string
  readonly repeat: number
  readonly requestsPerSecond: number
  readonly closedLoop: Measurement
  readonly fixedRate: Measurement
}

/** Kinds take turns this often, so that other work on the machine affects all of them alike. */
const closedSliceSeconds = 1
/** Longer slices, since the rate needs an unmeasured second to become even. */
const rateSliceSeconds = 2
/** Time in which the handlers of the last accepted events run. */
const lastHandlersMs = 100

/** Runs all kinds once in turns, with fresh servers: closed loop, then fixed rate. */
export async function measureRound (kinds: readonly Kind[], repeat: number, settings: Settings): Promise<Round[]> {
  const { sessions, connections, seconds, warmUpSeconds, rateFraction } = settings
  return await withChildren(async (children) => {
    const load = await Load.start(children)
    const contestants: Contestant[] = []
    for (const kind of kinds) contestants.push(await Contestant.start(children, kind, sessions))

    const drive = async (contestant: Contestant, duration: number, perSecond?: number): Promise<void> => {
      const { kind: { name: record }, port } = contestant
      const pace = perSecond === undefined ? {} : { requestsPerSecond: perSecond / sessions }
      await load.drive({ port, seconds: duration, connections: connectionsOf(contestant, record, perSecond === undefined ? connections : sessions), ...pace })
      await delay(lastHandlersMs)
    }
    const measure = async (sliceSeconds: number, perSecond?: number): Promise<Map<Contestant, Measurement>> => {
      const slices = await takeTurns(contestants, Math.ceil(seconds / sliceSeconds), repeat,
        async (contestant) => await contestant.watch(async () => await drive(contestant, sliceSeconds, perSecond)))
      const measurements = new Map<Contestant, Measurement>()
      for (const [contestant, served] of slices) measurements.set(contestant, join(await load.take(contestant.kind.name), served))
      return measurements
    }

    for (const contestant of rotated(contestants, repeat)) {
      await drive(contestant, warmUpSeconds)
      await load.take(contestant.kind.name)
    }
    const closedLoop = await measure(closedSliceSeconds)
    const bare = contestants.find(({ kind }) => kind.name === baseline)
    if (bare === undefined) throw new Error('there is no baseline')
    // Many connections with a small share each keep the rate even; a share is a whole number.
    const wanted = closedLoop.get(bare)!.eventsPerSecond * rateFraction
    const requestsPerSecond = Math.max(1, Math.round(wanted / sessions)) * sessions
    // Warms up the load generator's own code; otherwise the first kind would be measured with cold code.
    await drive(bare, 1, requestsPerSecond)
    await load.take(baseline)
    const fixedRate = await measure(rateSliceSeconds, requestsPerSecond)
    return await Promise.all(contestants.map(async (contestant) => {
      await contestant.requireOpenStreams()
      return {
        kind: contestant.kind.name,
        repeat,
        requestsPerSecond,
        closedLoop: closedLoop.get(contestant)!,
        fixedRate: fixedRate.get(contestant)!
      }
    }))
  })
}

/** Spreads the requests over the connections: each gets its own part, or shares one when there are too few. */
function connectionsOf ({ requests }: Contestant, record: string, count: number): Connection[] {
  return Array.from({ length: count }, (_, index) => {
    const own = requests.filter((request, position) => position % count === index)
    return { record, requests: own.length > 0 ? own : [requests[index % requests.length]!] }
  })
}

function join (answered: LoadReading, slices: readonly ServerReading[]): Measurement {
  const handled = slices.reduce((sum, slice) => sum + slice.handled, 0)
  const processorMicroseconds = slices.reduce((sum, slice) => sum + slice.processorMicroseconds, 0)
  const unhandled = Math.max(0, countStatuses(answered.statuses, isAccepted) - handled)
  const eventsPerSecond = (answered.accepted - unhandled) / answered.seconds
  const processorMicrosecondsPerEvent = processorMicroseconds / handled
  return {
    ...answered,
    eventsPerSecond,
    unhandled,
    processorMicrosecondsPerEvent,
    busyShare: processorMicrosecondsPerEvent * eventsPerSecond / 1e6
  }
}
