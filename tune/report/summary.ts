import type { Results } from '../decision/results.ts'
import type { Comparison } from './compare.ts'
import { count, headline } from './terminal.ts'

/** A summary in Markdown, for a pull request. */
export function renderSummary (results: Results, comparison: Comparison | null): string {
  const { capacity, limit, limitReason, objectives, noise, remarks, memory } = results
  const rows = objectives.map(({ name, capacity: one }) => one === null
    ? `| ${name} | cannot tell | |`
    : `| ${name} | ${one.atLeast ? 'at least ' : ''}${count(one.estimate)} | ${count(one.interval[0])} to ${count(one.interval[1])} |`)
  return [
    `**${headline(results)}**`,
    '',
    ...comparison === null ? [] : [comparison.summary, ''],
    '| objective | events a second | interval |',
    '|---|--:|--:|',
    ...rows,
    '',
    `* Limit: \`${limit}\`. ${limitReason}`,
    ...capacity === null || memory === null ? [] : [`* Memory: ${(memory.bytesPerClient / 1e3).toFixed(1)} KB a client, at most ${Math.round(memory.peakBytes / 1e6)} MB resident.`],
    ...noise.signs.map((sign) => `* Noisy machine: ${sign}`),
    ...remarks.map((remark) => `* ${remark}`),
    ''
  ].join('\n')
}
