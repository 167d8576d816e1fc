import { writeFileSync } from 'node:fs'
import process from 'node:process'
import { formatMachine, type Machine } from './machine.ts'
import { describeVerdict, type Verdict } from './verdict.ts'

/** Results of a run, as in its JSON file. */
export interface Report {
  readonly benchmark: string
  readonly machine: Machine
  readonly settings: object
  /** All measurements, one entry for each kind and repeat, in the order of the run. */
  readonly rounds: readonly object[]
  readonly verdicts: readonly Verdict[]
  /** Other measurements, by name. */
  readonly [more: string]: unknown
}

/** Above this load average, other work keeps a core busy. */
const quietLoad = 0.7

/** Prints sections of text with the verdicts. With a file name, writes all figures there as JSON. */
export function publish (report: Report, sections: readonly string[], file: string | undefined): void {
  const { machine, verdicts } = report
  const texts = [formatMachine(machine), ...sections, verdicts.map(describeVerdict).join('\n')]
  if (machine.load > quietLoad) texts.push(`The load was ${machine.load} when this began: other work took part in these figures.`)
  process.stdout.write(`${texts.filter((text) => text !== '').join('\n\n')}\n`)
  if (file === undefined) return
  writeFileSync(file, `${JSON.stringify({ ...report, finishedAt: new Date().toISOString() }, null, 2)}\n`)
  process.stdout.write(`raw figures: ${file}\n`)
}
