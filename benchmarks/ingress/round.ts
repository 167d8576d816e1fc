import { setTimeout as delay } from 'node:timers/promises'
import { Load } from '../harness/load/load.ts'
import { countStatuses, isAccepted, type LoadReading } from '../harness/load/recorder.ts'
import { withChildren } from '../harness/process/child-process.ts'
import { separateCores } from '../harness/process/cores.ts'
import { rotated, takeTurns } from '../harness/report/rotation.ts'
import { Contestant } from './contestant.ts'
import { baseline, type Kind } from './kind.ts'
import type { ServerReading } from './server.ts'

export interface Settings {
  readonly sessions: number
  readonly connections: number
  /** Events of one slice of the closed loop. */
  readonly events: number
  /** Such slices of each kind and repeat. */
  readonly rotations: number
  /** Measured time at the fixed rate for each kind and repeat, in slices. */
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly repeats: number
  /** Share of the rate that the bare route reached in the closed loop. */
  readonly rateFraction: number
  /** Folder for profiles of the closed loop. */
  readonly profiles?: string
}

/** One part of one repeat of one kind. */
export interface Measurement extends LoadReading {
  /** Events that were accepted in the measured windows and whose handler ran. */
  readonly eventsPerSecond: number
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

/** More than the time of the warm-up's rate, so that a slice has its events. */
const slack = 1.05
const profiledSeconds = 5
/** Handled events for each accepted one. */
const mostHandled = 1.02
/** Long slices, since the rate needs an unmeasured second to become even. */
const rateSliceSeconds = 2
/** Time in which the handlers of the last accepted events run. */
const lastHandlersMs = 100

/** Runs all kinds in turns, with fresh servers: closed loop, then fixed rate. */
export async function measureRound (kinds: readonly Kind[], repeat: number, settings: Settings, onStep: (step: string) => void): Promise<Round[]> {
  const { sessions, connections, events, rotations, seconds, warmUpSeconds, rateFraction, profiles } = settings
  const cores = separateCores()
  return await withChildren(async (children) => {
    const load = await Load.start(children, cores?.load)
    const contestants: Contestant[] = []
    for (const kind of rotated(kinds, repeat)) contestants.push(await Contestant.start(children, kind, load, sessions, cores))

    const drive = async (contestant: Contestant, duration: number, perSecond?: number): Promise<void> => {
      await contestant.drive(duration, connections, perSecond)
      await delay(lastHandlersMs)
    }
    const measure = async (step: string, turns: number, lengthOf: (contestant: Contestant) => number, perSecond?: number): Promise<Map<Contestant, Measurement>> => {
      const slices = await takeTurns(contestants, turns, repeat, async (contestant) => {
        onStep(`${step}, ${contestant.kind.name}`)
        return await contestant.watch(async () => await drive(contestant, lengthOf(contestant), perSecond))
      })
      const measurements = new Map<Contestant, Measurement>()
      for (const [contestant, served] of slices) measurements.set(contestant, join(contestant.kind.name, await contestant.take(), served))
      return measurements
    }

    /** Seconds in which a contestant handles the events of one slice. */
    const lengths = new Map<Contestant, number>()
    for (const contestant of contestants) {
      onStep(`warming up, ${contestant.kind.name}`)
      await drive(contestant, warmUpSeconds)
      const { accepted, seconds: measured } = await contestant.take()
      lengths.set(contestant, events / (accepted / measured) * slack)
    }
    const closedLoop = await measure('closed loop', rotations, (contestant) => lengths.get(contestant)!)
    if (profiles !== undefined) {
      for (const contestant of contestants) {
        const file = `${profiles}/${contestant.kind.name} ${repeat + 1}.cpuprofile`.replaceAll(/[^\w./-]+/g, '-')
        await contestant.watch(async () => await drive(contestant, profiledSeconds), file)
        await contestant.take()
      }
    }
    const bare = contestants.find(({ kind }) => kind.name === baseline)
    if (bare === undefined) throw new Error('there is no baseline')
    // Each connection's share is a whole number.
    const wanted = closedLoop.get(bare)!.eventsPerSecond * rateFraction
    const requestsPerSecond = Math.max(1, Math.round(wanted / sessions)) * sessions
    // Warms up the load generator's own code; otherwise the first kind would be measured with cold code.
    await drive(bare, 1, requestsPerSecond)
    await bare.take()
    const fixedRate = await measure('fixed rate', Math.ceil(seconds / rateSliceSeconds), () => rateSliceSeconds, requestsPerSecond)
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

/** @throws if the counts of accepted and handled events differ */
function join (kind: string, answered: LoadReading, slices: readonly ServerReading[]): Measurement {
  const handled = slices.reduce((sum, slice) => sum + slice.handled, 0)
  const processorMicroseconds = slices.reduce((sum, slice) => sum + slice.processorMicroseconds, 0)
  const accepted = countStatuses(answered.statuses, isAccepted)
  // autocannon ends with requests on their way, which are handled and not answered.
  if (handled < accepted || handled > accepted * mostHandled) throw new Error(`${kind}: ${handled} events were handled, ${accepted} accepted`)
  const eventsPerSecond = answered.accepted / answered.seconds
  const processorMicrosecondsPerEvent = processorMicroseconds / handled
  return {
    ...answered,
    eventsPerSecond,
    processorMicrosecondsPerEvent,
    busyShare: processorMicrosecondsPerEvent * eventsPerSecond / 1e6
  }
}
