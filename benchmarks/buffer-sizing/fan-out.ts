import { readFileSync } from 'node:fs'
import { Comparison } from '../harness/report/comparison.ts'
import { summarise } from '../harness/report/statistics.ts'

/** Figures of one kind of server under one workload of the fan-out benchmark. */
export interface FanOutFigure {
  readonly workload: string
  readonly kind: string
  readonly deliveriesPerSecond: number
  readonly lowerQuartile: number
  readonly upperQuartile: number
}

interface Delivered {
  readonly workload: string
  readonly kind: string
  readonly repeat: number
  readonly deliveriesPerSecond: number
}

/** Reads a file of `npm run bench:fan-out -- --json FILE`; throws for any other file. */
export function readFanOut (file: string): FanOutFigure[] {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Error(`--fan-out: ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  const rounds = isRecord(content) && Array.isArray(content.rounds) ? content.rounds.flatMap(readRound) : []
  if (rounds.length === 0) throw new Error(`--fan-out: ${file} holds no rounds of the fan-out benchmark`)
  return [...new Set(rounds.map(({ workload }) => workload))].flatMap((workload) => {
    const own = rounds.filter((round) => round.workload === workload)
    const comparison = new Comparison(own, '')
    return [...new Set(own.map(({ kind }) => kind))].map((kind) => {
      const { median, lowerQuartile, upperQuartile } = summarise(comparison.values(kind, ({ deliveriesPerSecond }) => deliveriesPerSecond))
      return { workload, kind, deliveriesPerSecond: median, lowerQuartile, upperQuartile }
    })
  })
}

function readRound (round: unknown): Delivered[] {
  if (!isRecord(round) || !isRecord(round.closedLoop)) return []
  const { workload, kind, closedLoop: { deliveriesPerSecond } } = round
  if (typeof workload !== 'string' || typeof kind !== 'string' || typeof deliveriesPerSecond !== 'number') return []
  return [{ workload, kind, repeat: Number(round.repeat), deliveriesPerSecond }]
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
