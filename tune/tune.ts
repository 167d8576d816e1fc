import { decide } from './decision/decide.ts'
import type { WeightedEvent } from './input/events.ts'
import type { TuneOptions } from './input/options.ts'
import { describeMachine } from './measure/machine.ts'
import { Run, type Report } from './run.ts'
import type { Results } from './decision/results.ts'

/** Measures a server and says what it bears. After an abort, it says so from what was measured so far. */
export async function tune (options: TuneOptions, events: readonly WeightedEvent[], report: Report, signal: AbortSignal): Promise<Results> {
  const startedAt = new Date()
  // Before the load, so that its load average is that of others.
  const machine = describeMachine()
  const measured = await new Run(options, report, signal).run(events)
  return decide(measured, options, startedAt, machine)
}
