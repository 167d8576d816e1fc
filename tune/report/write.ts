import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Latency } from '../measure/step.ts'
import type { Results } from '../decision/results.ts'
import { decode, merge, toDistribution } from '../statistics/histogram.ts'
import type { Comparison } from './compare.ts'
import { renderPage } from './page.ts'
import { renderSummary } from './summary.ts'

/** Writes `report.html`, `tune.json`, `summary.md`, and `.hgrm` files of all measured steps together, into a folder. */
export async function writeReport (folder: string, results: Results, comparison: Comparison | null): Promise<void> {
  await mkdir(folder, { recursive: true })
  const used = results.steps.filter((step) => step.void === null)
  const distribution = (latencies: readonly Latency[]): string => toDistribution(merge(latencies.map(({ histogram }) => decode(histogram))))
  const files = {
    'report.html': renderPage(results, comparison),
    'tune.json': JSON.stringify(results, null, 1),
    'summary.md': renderSummary(results, comparison),
    'answer.hgrm': distribution(used.map(({ answer }) => answer)),
    'ping.hgrm': distribution(used.map(({ ping }) => ping)),
    'handled.hgrm': distribution(used.map(({ handled }) => handled))
  }
  await Promise.all(Object.entries(files).map(async ([name, text]) => await writeFile(join(folder, name), text)))
}
