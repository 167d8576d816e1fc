import { Contestant, type Slice } from './contestant.ts'
import type { Kind } from './kind.ts'
import { rotated } from '../harness/rotation.ts'
import type { LatencyReading } from './readers.ts'
import { entriesOf, type Workload } from './workload.ts'

export interface RoundSettings {
  readonly warmUpSeconds: number
  /** Of each measured part. */
  readonly seconds: number
  readonly sliceSeconds: number
  /** Deliveries a second of the part at a fixed rate; 0 leaves that part out. */
  readonly rate: number
  /** Folder for profiles of the closed loop. */
  readonly profiles?: string
}

export interface Measurement {
  readonly ticks: number
  readonly seconds: number
  readonly deliveriesPerSecond: number
  /** Of the server, per frame that reached a reader. */
  readonly processorMicroseconds: number
  /** The part of it outside of system calls; null where that is not known. */
  readonly userMicroseconds: number | null
  /** Of the process of the readers, per frame. */
  readonly readerMicroseconds: number
  /** Of the server, in the end. */
  readonly residentBytes: number
  /** Of the server per frame, slice by slice. */
  readonly processorMicrosecondsOfSlices: readonly number[]
}

export interface Round {
  readonly workload: string
  /** With its blocked readers, where it has some. */
  readonly kind: string
  readonly repeat: number
  readonly closedLoop: Measurement
  readonly fixedRate?: Measurement & {
    /** Asked for. */
    readonly ticksPerSecond: number
    readonly latencyMs: LatencyReading
  }
}

const fastestTicksPerSecond = 200
/** In a slice at a fixed rate. */
const fewestTicks = 5
const mostBytesPerSecond = 100_000_000

/**
 * All kinds under one workload. Their servers, all of them fresh, stand side by side and take turns in short
 * slices, so that whatever else the machine does meets all kinds alike; those whose turn it is not are idle.
 */
export async function measureRound (
  kinds: readonly Kind[],
  workload: Workload,
  repeat: number,
  settings: RoundSettings,
  onStep: (step: string) => void
): Promise<Round[]> {
  const contestants: Contestant[] = []
  try {
    for (const entry of rotated(entriesOf(workload, kinds), repeat)) {
      onStep(`opening ${entry.name}`)
      contestants.push(await Contestant.start(entry, workload))
    }
    onStep('warming up')
    await takeTurns(contestants, settings.warmUpSeconds, settings.sliceSeconds, repeat)
    onStep('closed loop')
    const closedLoops = await takeTurns(contestants, settings.seconds, settings.sliceSeconds, repeat)
    if (settings.profiles !== undefined) {
      for (const contestant of contestants) {
        onStep(`profiling ${contestant.entry.name}`)
        await writeProfile(contestant, workload, repeat, settings.profiles)
      }
    }
    const ticksPerSecond = tickRate(settings.rate, workload)
    if (ticksPerSecond > 0) onStep('fixed rate')
    const fixedRates = ticksPerSecond > 0 ? await takeTurns(contestants, settings.seconds, settings.sliceSeconds, repeat, ticksPerSecond) : []
    return await Promise.all(contestants.map(async (contestant, index) => {
      const round = { workload: workload.name, kind: contestant.entry.name, repeat, closedLoop: add(closedLoops[index]) }
      if (ticksPerSecond === 0) return round
      return { ...round, fixedRate: { ...add(fixedRates[index]), ticksPerSecond, latencyMs: await contestant.latency() } }
    }))
  } finally {
    await Promise.all(contestants.map(async (contestant) => await contestant.stop()))
  }
}

async function takeTurns (
  contestants: readonly Contestant[],
  seconds: number,
  sliceSeconds: number,
  repeat: number,
  ticksPerSecond?: number
): Promise<Slice[][]> {
  // At a fixed rate a slice holds a whole number of ticks.
  const pace = ticksPerSecond === undefined ? {} : { ticksPerSecond }
  const length = ticksPerSecond === undefined
    ? sliceSeconds
    : Math.max(fewestTicks, Math.round(sliceSeconds * ticksPerSecond)) / ticksPerSecond
  const slices: Slice[][] = contestants.map(() => [])
  const count = Math.max(1, Math.round(seconds / length))
  const turns = [...contestants.entries()]
  for (let turn = 0; turn < count; turn += 1) {
    for (const [index, contestant] of rotated(turns, turn + repeat)) {
      slices[index]?.push(await contestant.run({ seconds: length, ...pace }))
    }
  }
  return slices
}

async function writeProfile (contestant: Contestant, workload: Workload, repeat: number, folder: string): Promise<void> {
  const { readers, burst, frameBytes } = workload
  const name = `${contestant.entry.name} ${readers}x${burst}x${frameBytes} ${repeat + 1}.cpuprofile`
  await contestant.run({ seconds: profiledSeconds, profile: `${folder}/${name.replaceAll(/[^\w.-]+/g, '-')}` })
}

const profiledSeconds = 3

function tickRate (rate: number, { readers, burst, frameBytes }: Workload): number {
  const bounded = Math.min(rate, mostBytesPerSecond / frameBytes)
  return Math.min(fastestTicksPerSecond, bounded / (readers * burst))
}

function add (slices: readonly Slice[] | undefined): Measurement {
  if (slices === undefined) throw new Error('nothing was measured')
  const sum = (part: (slice: Slice) => number): number => slices.reduce((total, slice) => total + part(slice), 0)
  const deliveries = sum((slice) => slice.deliveries)
  const seconds = sum((slice) => slice.seconds)
  return {
    ticks: sum((slice) => slice.ticks),
    seconds,
    deliveriesPerSecond: deliveries / seconds,
    processorMicroseconds: sum((slice) => slice.processorMicroseconds) / deliveries,
    userMicroseconds: slices.some((slice) => slice.userMicroseconds === null)
      ? null
      : sum((slice) => slice.userMicroseconds ?? 0) / deliveries,
    readerMicroseconds: sum((slice) => slice.readerMicroseconds) / deliveries,
    residentBytes: slices.at(-1)?.residentBytes ?? 0,
    processorMicrosecondsOfSlices: slices.map((slice) => slice.processorMicroseconds / slice.deliveries)
  }
}
