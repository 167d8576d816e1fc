import type { LoadAdvice, WorkloadAdvice } from './advice.ts'
import { formatConfiguration } from './configuration.ts'
import { escapeText } from './markup.ts'
import { chartStyle } from './palette.ts'
import { fanOutPlots, plotsOf, type Plot } from './plots.ts'
import { formatBytes, formatMilliseconds } from './quantity.ts'
import type { Interval } from './recommendation.ts'
import { remarksOn } from './remarks.ts'
import type { Results } from './results.ts'
import { describeTables } from './terminal.ts'
import { describeWorkload } from './workload.ts'

const style = `${chartStyle(':root')}
* { box-sizing: border-box; }
body { margin: 0; background: var(--surface); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 1.25rem; margin: 40px 0 8px; }
h3 { font-size: 1rem; margin: 0 0 2px; }
p { margin: 8px 0; max-width: 72ch; }
.muted, figcaption { color: var(--muted); font-size: 0.875rem; }
.verdict { background: var(--raised); border-left: 4px solid var(--accent); border-radius: 4px; padding: 16px; margin: 16px 0; }
.verdict > p:first-child { font-size: 1.1rem; font-weight: 600; margin-top: 0; white-space: pre-line; }
.remark { border-left: 4px solid var(--series-2); padding-left: 12px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 28px; margin-top: 20px; }
figure { margin: 0; min-width: 0; max-width: 560px; }
figure svg { display: block; width: 100%; height: auto; margin: 4px 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; width: 100%; min-width: 560px; }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: var(--raised); border-radius: 4px; padding: 12px; overflow-x: auto; font: 0.8125rem/1.45 ui-monospace, monospace; }
details { margin-top: 16px; }
summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 8px 0; font-size: 0.875rem; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
`

/** The report: one page that needs nothing but itself. */
export function renderPage (results: Results): string {
  const { advice, fanOut, complete, measurements, settings, finishedAt } = results
  const total = settings.repeats * settings.cells.length
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Buffer sizes for fastify-tether</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Buffer sizes for fastify-tether</h1>
<p class="muted">${escapeText(finishedAt.slice(0, 16).replace('T', ' '))} UTC · ${measurements.length}${complete ? '' : ` of ${total}`} measurements${complete ? '' : ', ended early'}</p>
${remarksOn(results).map((remark) => `<p class="remark">${escapeText(remark)}</p>`).join('\n')}
${advice.map((one) => renderWorkload(results, one)).join('\n')}
${fanOut.length === 0 ? '' : `<h2>Fan-out</h2>\n${renderPlots(fanOutPlots(fanOut))}`}
<h2>How it was measured</h2>
${renderMethod(results)}
<p class="muted">Raw figures: <a href="buffer-sizing.json">buffer-sizing.json</a></p>
</main>
</body>
</html>
`
}

function renderWorkload (results: Results, advice: WorkloadAdvice): string {
  return `<h2>${escapeText(advice.name)}</h2>
<section class="verdict">
<p>${escapeText(advice.summary)}</p>
<p class="muted">${escapeText(describeGoals(results))}</p>
${advice.configuration === null ? '' : `<pre>${escapeText(formatConfiguration(advice.configuration))}</pre>`}
${advice.need === null ? '' : `<p class="muted">${escapeText(describeNeed(results, advice))}</p>`}
</section>
${renderPlots(plotsOf(results, advice))}
<details open><summary>What each load says</summary><div class="scroll"><table>
<tr><th>option</th><th>load</th><th>advice</th><th>held against the target</th></tr>
${advice.writeBuffer.map((load) => renderLoad('writeBuffer', load)).join('\n')}
${advice.commandBuffer.map((load) => renderLoad('commandBuffer', load)).join('\n')}
</table></div></details>
<details><summary>Throughput of each size, with its interval</summary><div class="scroll"><table>
<tr><th>option</th><th>load</th><th class="number">size</th><th class="number">events a second</th><th class="number">of the best</th><th class="number">p99</th><th>within 5 %</th></tr>
${[...advice.writeBuffer.map((load) => renderAssessments('writeBuffer', load)), ...advice.commandBuffer.map((load) => renderAssessments('commandBuffer', load))].join('\n')}
</table></div></details>
<details><summary>All medians</summary><pre>${escapeText(describeTables(results, advice).join('\n').trim())}</pre></details>`
}

function renderPlots (plots: readonly Plot[]): string {
  return `<div class="plots">${plots.map(({ title, note, svg }) =>
    `<figure><h3>${escapeText(title)}</h3>${svg}<figcaption>${escapeText(note)}</figcaption></figure>`).join('\n')}</div>`
}

function renderLoad (option: string, { load, latency, recommendation }: LoadAdvice): string {
  const text = [recommendation.summary, ...recommendation.remarks].join(' ')
  return `<tr><td>${option}</td><td>${escapeText(load)}</td><td>${escapeText(text)}</td><td>${latency === null ? '–' : `p99, ${latency}`}</td></tr>`
}

function renderAssessments (option: string, { load, recommendation }: LoadAdvice): string {
  return recommendation.assessments.map(({ buffer, throughput, share, latencyMs, speed }) => `<tr><td>${option}</td><td>${escapeText(load)}</td>` +
    [String(buffer), interval(throughput, (value) => value.toFixed(1)), interval(share, (value) => `${Math.round(value * 100)} %`), latencyMs === null ? '–' : interval(latencyMs, formatMilliseconds)]
      .map((text) => `<td class="number">${escapeText(text)}</td>`).join('') + `<td>${speed === 'within' ? 'yes' : speed === 'below' ? 'no' : speed}</td></tr>`).join('\n')
}

function interval ({ low, median, high }: Interval, format: (value: number) => string): string {
  return Number.isFinite(high) ? `${format(median)} (${format(low)} to ${format(high)})` : format(median)
}

function describeGoals ({ goals: { targetMs, budgetBytes, clients } }: Results): string {
  return [
    targetMs === undefined ? 'No latency target' : `Target: p99 of ${formatMilliseconds(targetMs)}`,
    budgetBytes === undefined ? 'no memory budget' : `budget ${formatBytes(budgetBytes)}`,
    `${clients.toLocaleString('en')} clients.`
  ].join(', ')
}

function describeNeed ({ goals: { clients }, measurements }: Results, { name, need }: WorkloadAdvice): string {
  if (need === null) return ''
  const peak = Math.max(...measurements.filter(({ workload }) => describeWorkload(workload) === name)
    .flatMap(({ memory }) => memory.map(({ residentBytes }) => residentBytes)))
  return `With ${clients.toLocaleString('en')} clients, ${need.stalledClients.toLocaleString('en')} of them stalled: ${formatBytes(need.totalBytes)}. Process ${formatBytes(need.residentBytes)}, ` +
    `open streams ${formatBytes(need.streamBytes)}; of the stalled ones, full command channels ${formatBytes(need.commandBytes)}, bytes in sockets ${formatBytes(need.socketBytes)}, ` +
    `waiting updates ${formatBytes(need.waitingBytes)}. Garbage that is not yet collected comes on top: under the load of this run the process reached ${formatBytes(peak)}; ` +
    'Node’s --max-old-space-size bounds it.'
}

function renderMethod ({ machine, settings, idle }: Results): string {
  const { processor, cores, memoryGiB, system, node, load, packages } = machine
  const rows: Array<[string, string]> = [
    ['Machine', `${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}`],
    ['Load before', String(load)],
    ['Node', node],
    ...Object.entries(packages),
    ['Readers', `${settings.sessionsPerSpeed} each: ${settings.speeds.map(({ name }) => name).join(', ')}`],
    ['Repeats', `${settings.repeats}, order rotated, a fresh server for each measurement`],
    ['Windows', `closed loop ${settings.closedLoopSeconds} s, fixed rate ${settings.fixedRateSeconds} s, then up to ${settings.tailSeconds} s for updates on their way`],
    ...idle === null
      ? []
      : [['Memory', `process ${formatBytes(idle.residentBytes)}, an idle stream ${formatBytes(idle.streamBytes)}, a waiting command ${formatBytes(idle.commandBytes)}`] satisfies [string, string]]
  ]
  return `<dl>${rows.map(([name, text]) => `<dt>${escapeText(name)}</dt><dd>${escapeText(text)}</dd>`).join('')}</dl>
<p>Server, load generator (autocannon) and readers are processes of their own on one machine, over loopback. Readers of a set speed are plain sockets with a bucket of tokens. Before the fixed rate, the pipe of every reader that is sent more than it takes is filled until its session stalls. Whiskers are quartiles over the repeats; advice uses wider intervals, from which the drift of whole repeats has been taken out.</p>`
}
