import type { Test } from 'tap'
import type { Results } from '../../../tune/decision/results.ts'
import type { KnownLimit } from './known-limits.ts'
import { startLimited } from './limited-server.ts'
import { runTune, type TuneRun } from './run-tune.ts'

export interface Judged {
  readonly code: number | null
  readonly results: Results
  readonly run: TuneRun
}

/** Runs the command against a server whose limit is known: the word must be right, and the rate within 10 %. */
export async function judgeLimit (t: Test, { server, words, limit, perSecond }: KnownLimit, minutes: number): Promise<Judged> {
  const url = await startLimited(t, server)
  const run = runTune(t, ['tune', '--url', url, '--events', 'EVENTS', '--quick', '--minutes', String(minutes), '--json', 'JSON', ...words])
  const code = await run.ended
  const results = run.results()
  if (results === null) throw new Error(run.output())
  t.equal(results.limit, limit, run.output())
  if (perSecond === null) return { code, results, run }
  const { estimate, interval: [low, high] } = results.capacity!.eventsPerSecond
  t.ok(Math.abs(estimate / perSecond - 1) < 0.1, `${estimate} of ${perSecond}\n${run.output()}`)
  t.ok(low <= estimate && estimate <= high, `${low} ${estimate} ${high}`)
  t.equal(results.capacity!.clients, Math.floor(estimate / results.settings.rate + 1e-6))
  return { code, results, run }
}
