import { readFileSync } from 'node:fs'
import type { Machine } from '../harness/report/machine.ts'
import type { Goals, WorkloadAdvice } from './advice.ts'
import type { FanOutFigure } from './fan-out.ts'
import type { Cell, Measurement, MeasurementSettings } from './measurement.ts'
import type { IdleMemory } from './memory-model.ts'

/** All results of a run, as in its JSON file. */
export interface Results {
  readonly benchmark: 'buffer-sizing'
  readonly finishedAt: string
  /** False when the run ended early: the results are those measured by then. */
  readonly complete: boolean
  readonly machine: Machine
  readonly settings: MeasurementSettings & {
    readonly repeats: number
    readonly cells: readonly Cell[]
    readonly commandBuffer: number
    readonly writeBuffer: number
  }
  readonly goals: Goals
  readonly idle: IdleMemory | null
  readonly measurements: readonly Measurement[]
  readonly advice: readonly WorkloadAdvice[]
  readonly fanOut: readonly FanOutFigure[]
}

/** A speed without a limit is Infinity, which JSON cannot hold. */
const unlimited = 'unlimited'

export function writeResults (results: Results): string {
  return `${JSON.stringify(results, (key, value: unknown) => value === Number.POSITIVE_INFINITY ? unlimited : value, 1)}\n`
}

/** Reads the file of an earlier run; throws for any other file. */
export function readResults (file: string): Results {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(file, 'utf8'), (key, value: unknown) => value === unlimited ? Number.POSITIVE_INFINITY : value)
  } catch (error) {
    throw new Error(`--from: ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (typeof content === 'object' && content !== null && 'benchmark' in content && content.benchmark === 'buffer-sizing') return content as Results
  throw new Error(`--from: ${file} holds no figures of this tool`)
}
