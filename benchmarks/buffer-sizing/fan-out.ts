import { readFileSync } from 'node:fs'
import { baseline, betterSse, counted, exact, fastifySse, kinds, type Kind } from '../fan-out/kind.ts'
import { measureRound, type Round } from '../fan-out/round.ts'
import { workload } from '../fan-out/workload.ts'
import { summarise } from '../harness/statistics.ts'

/** What one kind of server did under one workload of `benchmarks/fan-out`. */
export interface FanOutFigure {
  readonly workload: string
  readonly kind: string
  readonly deliveriesPerSecond: number
  readonly lowerQuartile: number
  readonly upperQuartile: number
}

/** How much of the fan-out benchmark is run along with a run of this tool. */
export interface FanOutExtent {
  readonly readers: number
  readonly repeats: number
  readonly seconds: number
  /** Whether all opponents take part, or the few that are nearest. */
  readonly everybody: boolean
}

const few = [baseline, counted, exact, betterSse, fastifySse]
const frameBytes = 200
const bursts = [1, 10]

/** So that the report tells where the library stands, too; for verdicts there is the benchmark itself. */
export async function measureFanOut (
  { readers, repeats, seconds, everybody }: FanOutExtent,
  begin: (step: string) => void,
  keep: (figures: FanOutFigure[]) => void
): Promise<void> {
  const present: readonly Kind[] = kinds.filter(({ name, missing }) => missing?.() === undefined && (everybody || few.includes(name)))
  const settings = { warmUpSeconds: seconds / 2, seconds, sliceSeconds: 0.25, rate: 0 }
  const rounds: Round[] = []
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    for (const burst of bursts) {
      const load = workload(readers, burst, frameBytes)
      rounds.push(...await measureRound(present, load, repeat, settings, (step) => begin(`fan-out, ${load.name}, ${step}`)))
      keep(figuresOf(rounds.flatMap(readRound)))
    }
  }
}

/** Reads what `npm run bench:fan-out -- --json FILE` wrote; throws for anything else. */
export function readFanOut (file: string): FanOutFigure[] {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Error(`--fan-out: ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  const rounds = isRecord(content) && Array.isArray(content.rounds) ? content.rounds.flatMap(readRound) : []
  if (rounds.length === 0) throw new Error(`--fan-out: ${file} holds no rounds of the fan-out benchmark`)
  return figuresOf(rounds)
}

function figuresOf (rounds: readonly Delivered[]): FanOutFigure[] {
  const keys = [...new Set(rounds.map(({ workload, kind }) => JSON.stringify([workload, kind])))]
  return keys.map((key) => {
    const [workload = '', kind = ''] = JSON.parse(key) as string[]
    const { median, lowerQuartile, upperQuartile } = summarise(rounds
      .filter((round) => round.workload === workload && round.kind === kind)
      .map(({ deliveriesPerSecond }) => deliveriesPerSecond))
    return { workload, kind, deliveriesPerSecond: median, lowerQuartile, upperQuartile }
  })
}

interface Delivered {
  readonly workload: string
  readonly kind: string
  readonly deliveriesPerSecond: number
}

function readRound (round: unknown): Delivered[] {
  if (!isRecord(round) || !isRecord(round.closedLoop)) return []
  const { workload, kind, closedLoop: { deliveriesPerSecond } } = round
  if (typeof workload !== 'string' || typeof kind !== 'string' || typeof deliveriesPerSecond !== 'number') return []
  return [{ workload, kind, deliveriesPerSecond }]
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
