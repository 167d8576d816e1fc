import { colourStyle } from '../harness/report/chart.ts'
import { formatMachine } from '../harness/report/machine.ts'
import { formatBytes, formatMilliseconds } from '../harness/report/quantity.ts'
import type { WorkloadAdvice } from './advice.ts'
import { formatConfiguration } from './configuration.ts'
import { fanOutPlots, plotsOf, type Plot } from './plots.ts'
import { remarksOn } from './remarks.ts'
import type { Results } from './results.ts'
import { describeIntervals, describeLoads, describeTables } from './terminal.ts'
import { describeWorkload } from './workload.ts'

const style = `${colourStyle(':root')}
body { margin: 0; background: var(--surface); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 64px; }
h1, h2, h3 { line-height: 1.2; margin: 0 0 4px; }
h2 { margin-top: 40px; }
h3 { font-size: 1rem; }
p, li { max-width: 72ch; }
.muted, figcaption { color: var(--muted); font-size: 0.875rem; }
.verdict { background: var(--raised); border-left: 4px solid var(--series-0); padding: 8px 16px; white-space: pre-line; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 28px; margin: 20px 0; }
figure { margin: 0; min-width: 0; max-width: 560px; }
figure svg { display: block; width: 100%; height: auto; }
pre { background: var(--raised); padding: 12px; overflow-x: auto; font: 0.8125rem/1.45 ui-monospace, monospace; }
`

/** The report: one page without other files. */
export function renderPage (results: Results): string {
  const { advice, fanOut, complete, measurements, settings, finishedAt, machine } = results
  const count = complete ? String(measurements.length) : `${measurements.length} of ${settings.repeats * settings.cells.length}`
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
<p class="muted">${finishedAt.slice(0, 16).replace('T', ' ')} UTC · ${count} measurements${complete ? '' : ', ended early'}</p>
${remarksOn(results).map((remark) => `<p class="verdict">${escape(remark)}</p>`).join('\n')}
${advice.map((one) => renderWorkload(results, one)).join('\n')}
${fanOut.length === 0 ? '' : `<h2>Fan-out</h2>\n${renderPlots(fanOutPlots(fanOut))}`}
<h2>How it was measured</h2>
<p class="muted">${escape(formatMachine(machine))}</p>
<p>${escape(describeMethod(results))}</p>
<p class="muted">Raw figures: <a href="buffer-sizing.json">buffer-sizing.json</a></p>
</main>
</body>
</html>
`
}

function renderWorkload (results: Results, advice: WorkloadAdvice): string {
  const { configuration, need } = advice
  return `<h2>${escape(advice.name)}</h2>
<p class="verdict">${escape(advice.summary)}</p>
<p class="muted">${escape(describeGoals(results))}</p>
${configuration === null ? '' : `<pre>${escape(formatConfiguration(configuration))}</pre>`}
${need === null ? '' : `<p class="muted">${escape(describeNeed(results, advice))}</p>`}
${renderPlots(plotsOf(results, advice))}
<ul>${describeLoads(advice).map((line) => `<li>${escape(line)}</li>`).join('\n')}</ul>
<details><summary>Each size with its interval</summary><pre>${escape(describeIntervals(advice))}</pre></details>
<details><summary>All medians</summary><pre>${escape(describeTables(results, advice).join('\n').trim())}</pre></details>`
}

function renderPlots (plots: readonly Plot[]): string {
  return `<div class="plots">${plots.map(({ title, note, svg }) =>
    `<figure><h3>${escape(title)}</h3>${svg}<figcaption>${escape(note)}</figcaption></figure>`).join('\n')}</div>`
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

function describeMethod ({ settings, idle }: Results): string {
  const { sessionsPerSpeed, speeds, repeats, closedLoopSeconds, fixedRateSeconds, tailSeconds } = settings
  const memory = idle === null
    ? ''
    : ` Memory: process ${formatBytes(idle.residentBytes)}, an idle stream ${formatBytes(idle.streamBytes)}, a waiting command ${formatBytes(idle.commandBytes)}.`
  return 'Server, load generator (autocannon) and readers are processes of their own on one machine, over loopback. ' +
    `Readers of a set speed are plain sockets with a bucket of tokens, ${sessionsPerSpeed} each: ${speeds.map(({ name }) => name).join(', ')}. ` +
    `${repeats} repeats, order rotated, a fresh server for each measurement. Closed loop ${closedLoopSeconds} s, fixed rate ${fixedRateSeconds} s, ` +
    `then up to ${tailSeconds} s for updates on their way. Before the fixed rate, the pipe of every reader that is sent more than it takes is filled until its session stalls. ` +
    `Whiskers are quartiles over the repeats; advice uses wider intervals, from which the drift of whole repeats has been taken out.${memory}`
}

/** Escapes text for HTML. */
function escape (text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
