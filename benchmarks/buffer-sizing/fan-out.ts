import { readFileSync } from 'node:fs'
import { summarise } from '../harness/statistics.ts'

/** What one kind of server did under one workload of `benchmarks/fan-out`. */
export interface FanOutFigure {
  readonly workload: string
  readonly kind: string
  readonly deliveriesPerSecond: number
  readonly lowerQuartile: number
  readonly upperQuartile: number
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
  const keys = [...new Set(rounds.map(({ workload, kind }) => JSON.stringify([workload, kind])))]
  return keys.map((key) => {
    const [workload = '', kind = ''] = JSON.parse(key) as string[]
    const { median, lowerQuartile, upperQuartile } = summarise(rounds
      .filter((round) => round.workload === workload && round.kind === kind)
      .map(({ deliveriesPerSecond }) => deliveriesPerSecond))
    return { workload, kind, deliveriesPerSecond: median, lowerQuartile, upperQuartile }
  })
}

function readRound (round: unknown): Array<{ workload: string, kind: string, deliveriesPerSecond: number }> {
  if (!isRecord(round) || !isRecord(round.closedLoop)) return []
  const { workload, kind, closedLoop: { deliveriesPerSecond } } = round
  if (typeof workload !== 'string' || typeof kind !== 'string' || typeof deliveriesPerSecond !== 'number') return []
  return [{ workload, kind, deliveriesPerSecond }]
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
