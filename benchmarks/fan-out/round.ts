import { Contestant, deliveryOf, type Delivery } from '../harness/broadcast/contestant.ts'
import { withChildren } from '../harness/process/child-process.ts'
import type { Latency } from '../harness/report/latency.ts'
import { rotated, takeTurns } from '../harness/report/rotation.ts'
import { entriesOf, streamsOf, type Workload } from './workload.ts'

export interface RoundSettings {
  readonly warmUpSeconds: number
  /** Length of each measured part. */
  readonly seconds: number
  readonly sliceSeconds: number
  /** Deliveries a second of the part at a fixed rate; 0 skips that part. */
  readonly rate: number
  /** Folder for profiles of the closed loop. */
  readonly profiles?: string
}

/** One kind under one workload in one repeat. */
export interface Round {
  readonly workload: string
  /** Name of the kind, with its blocked readers if it has any. */
  readonly kind: string
  readonly repeat: number
  readonly closedLoop: Delivery
  readonly fixedRate?: Delivery & {
    /** Requested rate. */
    readonly ticksPerSecond: number
    readonly latency: Latency
  }
}

const module = new URL('server.ts', import.meta.url)
const fastestTicksPerSecond = 200
/** Fewest ticks in a slice at a fixed rate. */
const fewestTicks = 5
const mostBytesPerSecond = 100_000_000
const profiledSeconds = 3

/** Runs all kinds of one workload. Their servers are fresh, run side by side and take turns. */
export async function measureRound (
  workload: Workload,
  repeat: number,
  settings: RoundSettings,
  onStep: (step: string) => void
): Promise<Round[]> {
  const { burst, frameBytes, readers, shape } = workload
  const { seconds, sliceSeconds, warmUpSeconds, profiles } = settings
  return await withChildren(async (children) => {
    const contestants: Array<{ name: string, contestant: Contestant }> = []
    for (const { name, kind, blocked } of rotated(entriesOf(workload), repeat)) {
      onStep(`opening ${name}`)
      const contestant = await Contestant.start(children, { kind, module, unit: 'frame', burst, frameBytes, shape, streams: streamsOf(workload) })
      // Blocked readers first, so that a loop over all readers meets them first.
      if (blocked !== undefined) {
        await contestant.openBlocked(blocked.count, blocked.pace)
        await contestant.fillPipes()
      }
      await contestant.open(readers)
      contestants.push({ name, contestant })
    }
    const measure = async (step: string, duration: number, sliceLength: number, pace: { ticksPerSecond?: number } = {}) => {
      onStep(step)
      return await takeTurns(contestants, Math.round(duration / sliceLength), repeat,
        async ({ contestant }) => await contestant.run({ seconds: sliceLength, ...pace }))
    }
    await measure('warming up', warmUpSeconds, sliceSeconds)
    const closedLoops = await measure('closed loop', seconds, sliceSeconds)
    if (profiles !== undefined) {
      for (const { name, contestant } of contestants) {
        onStep(`profiling ${name}`)
        const file = `${name} ${readers}x${burst}x${frameBytes} ${repeat + 1}.cpuprofile`.replaceAll(/[^\w.-]+/g, '-')
        await contestant.run({ seconds: profiledSeconds, profile: `${profiles}/${file}` })
      }
    }
    const ticksPerSecond = tickRate(settings.rate, workload)
    // A slice at a fixed rate holds a whole number of ticks.
    const paced = Math.max(fewestTicks, Math.round(sliceSeconds * ticksPerSecond)) / ticksPerSecond
    const fixedRates = ticksPerSecond > 0 ? await measure('fixed rate', seconds, paced, { ticksPerSecond }) : undefined
    return await Promise.all(contestants.map(async (entry) => {
      const closedLoop = deliveryOf(closedLoops.get(entry) ?? [])
      const round = { workload: workload.name, kind: entry.name, repeat, closedLoop }
      if (fixedRates === undefined) return round
      return { ...round, fixedRate: { ...deliveryOf(fixedRates.get(entry) ?? []), ticksPerSecond, latency: await entry.contestant.latency() } }
    }))
  })
}

function tickRate (rate: number, { readers, burst, frameBytes }: Workload): number {
  const bounded = Math.min(rate, mostBytesPerSecond / frameBytes)
  return Math.min(fastestTicksPerSecond, bounded / (readers * burst))
}
