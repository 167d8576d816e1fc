import { writeFileSync } from 'node:fs'
import process from 'node:process'
import { formatMachine, type Machine } from './machine.ts'
import { describeVerdict, type Verdict } from './verdict.ts'

export interface Report<Settings, Round> {
  readonly benchmark: string
  readonly finishedAt: string
  readonly machine: Machine
  readonly settings: Settings
  /** Everything that was measured, one entry per kind and repeat, in the order of running. */
  readonly rounds: readonly Round[]
  readonly verdicts: readonly Verdict[]
  /** What else was measured, by its name. */
  readonly more?: Readonly<Record<string, unknown>>
}

/** Above this average something other than the benchmark keeps a core busy. */
const quietLoad = 0.7

/** Prints the table with its verdicts and, if a file was named, writes the raw figures there as JSON. */
export function publish<Settings, Round> (
  report: Omit<Report<Settings, Round>, 'finishedAt'>,
  text: readonly string[],
  file: string | undefined
): void {
  const lines = [formatMachine(report.machine), '', ...text, '', ...report.verdicts.map(describeVerdict)]
  if (report.machine.load > quietLoad) {
    lines.push('', `The load was ${report.machine.load} when this began: other work took part in these figures.`)
  }
  process.stdout.write(`${lines.join('\n')}\n`)
  if (file === undefined) return
  const full: Report<Settings, Round> = { ...report, finishedAt: new Date().toISOString() }
  writeFileSync(file, `${JSON.stringify(full, null, 2)}\n`)
  process.stdout.write(`raw figures: ${file}\n`)
}
