import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { formatAdvice } from '../decision/advice.ts'
import { byLoad, latencyAt, type Step } from '../measure/step.ts'
import type { Results } from '../decision/results.ts'
import { median } from '../statistics/quantile.ts'
import { predict } from '../statistics/scalability.ts'
import type { Comparison } from './compare.ts'
import { count, describeScalability, headline } from './terminal.ts'

/** One chart, as the script of the page draws it. */
interface Chart {
  readonly title: string
  readonly note: string
  readonly x: string
  readonly y: string
  readonly isLog: boolean
  /** The first list is x. */
  readonly data: ReadonlyArray<ReadonlyArray<number | null>>
  readonly series: ReadonlyArray<{ readonly name: string, readonly tone: number, readonly isDashed?: boolean, readonly isPoints?: boolean }>
}

const style = `
:root { color-scheme: light dark; --surface: #fff; --raised: #f4f6f9; --text: #16181d; --muted: #565d6b; --line: #dfe3ea; --good: #0a7a33; --bad: #b3261e; --unsure: #8a5a00; --tone-0: #2a78d6; --tone-1: #b06a00; --tone-2: #d13438; --tone-3: #008300; }
@media screen and (prefers-color-scheme: dark) { :root { --surface: #14161b; --raised: #1d2027; --text: #eceef2; --muted: #a3abba; --line: #323743; --good: #57c785; --bad: #ff8a80; --unsure: #e6b450; --tone-0: #5c9ff0; --tone-1: #d99a2b; --tone-2: #f07878; --tone-3: #3fae5a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--surface); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 20px 16px 56px; }
h1 { font-size: 1.375rem; line-height: 1.3; margin: 0 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 1.125rem; margin: 36px 0 8px; }
h3 { font-size: 1rem; margin: 0; }
p, li { max-width: 72ch; }
.answer { background: var(--raised); border-left: 5px solid var(--unsure); border-radius: 4px; padding: 14px 18px; }
.answer.meets { border-color: var(--good); } .answer.fails { border-color: var(--bad); }
.answer p { margin: 6px 0 0; }
.muted, figcaption { color: var(--muted); font-size: .875rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 28px; }
figure { margin: 0; min-width: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, td.words { text-align: left; } td.words { white-space: normal; }
pre { background: var(--raised); padding: 12px; border-radius: 4px; overflow-x: auto; font: .8125rem/1.45 ui-monospace, monospace; }
.u-legend { font-size: .8125rem !important; color: var(--text); }
@media (max-width: 640px) { .options tr { display: grid; grid-template-columns: 1fr auto auto; } .options td, .options th { border: 0; } .options tr { border-bottom: 1px solid var(--line); } .options th:last-child { display: none; } .options .words { grid-column: 1 / -1; color: var(--muted); } .options, .options thead, .options tbody { display: block; } }
@media print { :root { color-scheme: light; } main { max-width: none; padding: 0; } figure, .answer, tr { break-inside: avoid; } details > * { display: revert; } }
`

/** Draws the charts, again when the colours or the width change. */
const script = `
const charts = JSON.parse(document.getElementById('charts').textContent)
const drawn = []
const short = (value) => value >= 1e6 ? +(value / 1e6).toPrecision(3) + ' M' : value >= 1e4 ? +(value / 1e3).toPrecision(3) + ' k' : String(+value.toPrecision(3))
function draw () {
  for (const one of drawn.splice(0)) one.destroy()
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line') }, ticks: { stroke: colour('--line') } }
  charts.forEach((chart, index) => {
    const place = document.getElementById('chart-' + index)
    place.textContent = ''
    drawn.push(new uPlot({
      width: Math.max(260, place.clientWidth), height: 280,
      scales: { x: { time: false }, y: chart.isLog ? { distr: 3 } : { range: (self, low, high) => [Math.min(0, low), high * 1.05 || 1] } },
      axes: [
        { ...axis, label: chart.x, values: (self, values) => values.map(short) },
        { ...axis, label: chart.y, size: 62, values: (self, values) => values.map((value) => value === null ? '' : short(value)) }
      ],
      series: [{ label: chart.x, value: (self, value) => value === null ? '' : short(value) }, ...chart.series.map(({ name, tone, isDashed, isPoints }) => ({
        label: name, stroke: colour('--tone-' + tone), width: 2, spanGaps: true,
        ...isDashed ? { dash: [6, 5], points: { show: false } } : { points: { show: true, size: 6 } },
        ...isPoints ? { paths: () => null } : {},
        value: (self, value) => value === null ? '' : short(value)
      }))]
    }, chart.data, place))
  })
}
draw()
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)
let timer
addEventListener('resize', () => { clearTimeout(timer); timer = setTimeout(draw, 100) })
matchMedia('print').addEventListener('change', draw)
`

/** The report: one page that needs no other file. */
export function renderPage (results: Results, comparison: Comparison | null): string {
  const { verdict, limit, limitReason, noise, remarks, advice, complete, settings, machine, finishedAt, steps, extrapolation, scalability } = results
  const charts = chartsOf(results)
  const library = createRequire(import.meta.url).resolve('uplot/dist/uPlot.iife.min.js')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What ${escape(settings.url)} bears</title>
<style>${readFileSync(library.replace('uPlot.iife.min.js', 'uPlot.min.css'), 'utf8')}${style}</style>
</head>
<body>
<main>
<div class="answer ${verdict}">
<h1>${escape(headline(results))}</h1>
<p><strong>Limit: ${limit}.</strong> ${escape(limitReason)}</p>
${comparison === null ? '' : `<p>${escape(comparison.summary)}</p>`}
${complete ? '' : '<p>The run was ended early.</p>'}
</div>
${noise.isNoisy ? `<h2>A noisy machine</h2><p>The figures are less sure than their intervals.</p><ul>${noise.signs.map((sign) => `<li>${escape(sign)}</li>`).join('')}</ul>` : ''}
${remarks.length === 0 ? '' : `<h2>Remarks</h2><ul>${remarks.map((remark) => `<li>${escape(remark)}</li>`).join('')}</ul>`}
${advice.length === 0
? ''
: `<h2>Options</h2>
<pre>${escape(formatAdvice(advice))}</pre>
<div class="scroll"><table class="options"><thead><tr><th>option</th><th>now</th><th>advised</th><th style="text-align: left">reason</th></tr></thead><tbody>
${advice.map(({ option, current, value, reason }) => `<tr><td><code>${option}</code></td><td>${current?.toLocaleString('en') ?? '?'}</td><td>${value.toLocaleString('en')}</td><td class="words">${escape(reason)}</td></tr>`).join('\n')}
</tbody></table></div>`}
<h2>What was measured</h2>
<div class="charts">
${charts.map(({ title, note }, index) => `<figure><h3>${escape(title)}</h3><div id="chart-${index}"></div><figcaption>${escape(note)}</figcaption></figure>`).join('\n')}
</div>
${scalability === null ? '' : `<p class="muted">${escape(describeScalability(scalability))}</p>`}
${extrapolation === null ? '' : `<p>Extrapolated, not measured: ${extrapolation.nodes} nodes bear ${count(extrapolation.eventsPerSecond)} events a second, if nothing that they share limits them.</p>`}
<details><summary>All steps</summary><div class="scroll">${stepTable(steps)}</div></details>
<h2>How</h2>
<p class="muted">${escape(`${finishedAt.slice(0, 16).replace('T', ' ')} UTC. ${settings.url}, ${settings.transport}, ${settings.rate} event${settings.rate === 1 ? '' : 's'} a client and second from ${settings.events}; readers ${Object.entries(settings.readers).filter(([, share]) => share > 0).map(([name, share]) => `${name} ${Math.round(share * 100)} %`).join(', ')}.`)}
${escape(`${machine.processor}, ${machine.cores} cores, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB; ${machine.system}; Node ${machine.node}; load ${machine.load} at the start.`)}</p>
<p class="muted">Events are due at times of their own, however late the answers to earlier ones are, and latencies count from these times. A latency is the worst of three: from the event to its answer, from a ping to its pong behind all that waits for a probe, and, by the server's own figures, from the acceptance of an event to the end of its handler. Intervals are of a bootstrap over the repeats, with 95 % confidence.</p>
</main>
<script type="application/json" id="charts">${JSON.stringify(charts).replaceAll('<', '\\u003c')}</script>
<script>${readFileSync(library, 'utf8').replaceAll('</script', '<\\/script')}</script>
<script>${script}</script>
</body>
</html>
`
}

function chartsOf ({ steps, objectives, capacity, scalability }: Results): Chart[] {
  const used = steps.filter((step) => step.void === null)
  const main = used.filter(({ kind }) => kind !== 'ramp')
  const loads = byLoad(main.length >= 3 ? main : used).map((group) => ({ offered: group[0]!.load, group }))
  if (loads.length === 0) return []
  const xs = loads.map(({ offered }) => offered)
  const at = (share: number) => loads.map(({ group }) => orNull(median(group.flatMap((step) => latencyAt(step, share) ?? []))))
  const of = (figure: (step: Step) => number | null) => loads.map(({ group }) => orNull(median(group.flatMap((step) => figure(step) ?? []))))
  const charts: Chart[] = [{
    title: 'Latency by load',
    note: `Median over the repeats.${capacity === null ? '' : ` Capacity: ${count(capacity.eventsPerSecond.estimate)} events a second.`}`,
    x: 'events a second',
    y: 'milliseconds',
    isLog: true,
    data: [xs, at(0.5), at(0.99), ...objectives.map(({ limitMs }) => xs.map(() => limitMs))],
    series: [{ name: 'p50', tone: 0 }, { name: 'p99', tone: 1 }, ...objectives.map(({ name }) => ({ name, tone: 2, isDashed: true }))]
  }, {
    title: 'Throughput by load',
    note: 'Where the line leaves the dashed one, the server falls behind.',
    x: 'events a second that were due',
    y: 'events a second handled',
    isLog: false,
    data: [xs, of(({ achieved }) => achieved), xs, ...scalability === null ? [] : [xs.map((load) => predict(scalability, load))]],
    series: [{ name: 'handled', tone: 0 }, { name: 'due', tone: 3, isDashed: true }, ...scalability === null ? [] : [{ name: 'scalability law', tone: 1, isDashed: true }]]
  }]
  if (used.some(({ server }) => server !== null)) {
    const inOrder = used.filter(({ server }) => server !== null)
    charts.push({
      title: 'Event loop by load',
      note: 'Share of the time in which the server\'s event loop was busy, and the collection of garbage in it.',
      x: 'events a second',
      y: 'percent',
      isLog: false,
      data: [xs, of(({ server }) => server === null ? null : server.loop * 100), of(({ server }) => server === null ? null : server.collectionShare * 100)],
      series: [{ name: 'busy', tone: 0 }, { name: 'garbage', tone: 1 }]
    }, {
      title: 'Memory, step by step',
      note: 'Resident, and held by the application after a garbage collection.',
      x: 'step',
      y: 'megabytes',
      isLog: false,
      data: [inOrder.map((_, index) => index + 1), inOrder.map(({ server }) => server!.memory.residentBytes / 1e6), inOrder.map(({ server }) => server!.memory.heldBytes / 1e6)],
      series: [{ name: 'resident', tone: 0 }, { name: 'held', tone: 1 }]
    })
  }
  return charts
}

function stepTable (steps: readonly Step[]): string {
  const columns: Array<[string, (step: Step) => string | number]> = [
    ['kind', ({ kind }) => kind],
    ['clients', ({ clients }) => clients],
    ['due/s', ({ offered }) => offered.toFixed(1)],
    ['handled/s', ({ achieved }) => achieved.toFixed(1)],
    ['answer p50', ({ answer }) => milliseconds(answer.p50)],
    ['p99', ({ answer }) => milliseconds(answer.p99)],
    ['ping p99', ({ ping }) => milliseconds(ping.p99)],
    ['handled p99', ({ handled }) => milliseconds(handled.p99)],
    ['broadcast spread p99', ({ spread }) => milliseconds(spread.p99)],
    ['429', ({ busyShare }) => `${(busyShare * 100).toFixed(1)} %`],
    ['errors', ({ refusedShare, failedShare }) => `${((refusedShare + failedShare) * 100).toFixed(1)} %`],
    ['loop', ({ server }) => server === null ? '–' : `${Math.round(server.loop * 100)} %`],
    ['generator', ({ generator }) => `${Math.round(generator.busy * 100)} %`],
    ['void', (step) => step.void ?? '']
  ]
  const head = columns.map(([name]) => `<th>${name}</th>`).join('')
  return `<table><thead><tr>${head}</tr></thead><tbody>${steps.map((step) => `<tr>${columns.map(([, value]) => `<td>${escape(String(value(step)))}</td>`).join('')}</tr>`).join('\n')}</tbody></table>`
}

function milliseconds (value: number | null): string {
  return value === null ? '–' : value < 10 ? value.toFixed(1) : String(Math.round(value))
}

function orNull (value: number): number | null {
  return Number.isFinite(value) ? value : null
}

function escape (text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
