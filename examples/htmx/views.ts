import { moods, paces, type Mood, type Pace } from './contract.ts'
import { html, type Html } from './html.ts'
import type { Machine } from './machine.ts'
import type { Note } from './wall.ts'

const moodLabels: Record<Mood, string> = { good: 'Good', 'so-so': 'So-so', bad: 'Bad' }

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })

// The chart's own units: a second wide, a percent high.
const chartWidth = 60
const chartHeight = 100

/** A new note, and the removal of the note that it displaces. */
export function noteUpdate (added: Note, removed: Note | undefined): Html {
  return html`${noteItem(added)}${removed === undefined ? '' : html`<li id="note-${removed.id}" hx-swap-oob="delete"></li>`}`
}

/** The items of the list of all notes. */
export function wallList (notes: readonly Note[]): Html {
  return html`${notes.map(noteItem)}`
}

function noteItem ({ id, name, text, at }: Note): Html {
  return html`<li id="note-${id}"><p class="by"><b>${name === '' ? 'Somebody' : name}</b> <time datetime="${at.toISOString()}">${clock.format(at)}</time></p><p>${text}</p></li>`
}

export function loadPicture (machine: Machine): Html {
  const { busyPercents, cores, loadAverages, memoryBytes, upSeconds } = machine
  const newest = busyPercents.at(-1)
  const points = busyPercents.map((percent, index) => `${chartWidth - busyPercents.length + 1 + index},${(chartHeight - percent).toFixed(1)}`)
  const first = chartWidth - busyPercents.length + 1
  return html`<p class="figure"><span class="value">${newest === undefined ? '–' : Math.round(newest)}</span> % of ${cores === 1 ? '1 core' : `${cores} cores`}</p>
<svg class="chart" viewBox="0 0 ${chartWidth} ${chartHeight}" preserveAspectRatio="none" role="img" aria-label="Busy share of the processor, last minute">
<path class="grid" d="M0 25H60M0 50H60M0 75H60"/>
<polygon points="${first},${chartHeight} ${points.join(' ')} ${chartWidth},${chartHeight}"/>
<polyline points="${points.join(' ')}"/>
</svg>
<dl>
<div><dt>Memory</dt><dd>${gigabytes(memoryBytes.used)} of ${gigabytes(memoryBytes.all)} GB</dd></div>
<div><dt>Load average</dt><dd>${loadAverages.map((load) => load.toFixed(2)).join(', ')}</dd></div>
<div><dt>Up for</dt><dd>${duration(upSeconds)}</dd></div>
<div><dt>Read at</dt><dd id="read-at">${clock.format(new Date())}</dd></div>
</dl>`
}

/** @param given the answers, by session */
export function moodTally (given: readonly Mood[], openTabs: number): Html {
  const rows = moods.map((mood) => {
    const count = given.filter((other) => other === mood).length
    const share = given.length === 0 ? 0 : 100 * count / given.length
    return html`<div><dt>${moodLabels[mood]}</dt><dd><svg class="bar" aria-hidden="true"><rect width="${share}%" height="100%"/></svg> <span id="mood-${mood}">${count}</span></dd></div>`
  })
  return html`<dl class="tally">${rows}</dl>
<p class="hint"><span id="open-tabs">${openTabs}</span> ${openTabs === 1 ? 'tab is' : 'tabs are'} open. An answer goes when its tab goes.</p>`
}

export function paceChoice (chosen: Pace): Html {
  return html`<select name="seconds" id="seconds">${paces.map((seconds) => html`<option value="${seconds}"${seconds === chosen ? html` selected` : ''}>${seconds === 1 ? 'second' : `${seconds} seconds`}</option>`)}</select>`
}

export interface Page {
  /** For the stream's address; null when there is no session. */
  readonly claim: string | null
  /** For the forms. Null when no session could be made beforehand: the page then learns its session from the stream. */
  readonly session: string | null
  readonly machine: Machine
  readonly wall: Html
  readonly load: Html
  readonly moods: Html
  readonly pace: Html
}

export function page ({ claim, session, machine, wall, load, moods: tally, pace }: Page): Html {
  const stream = claim === null ? '/live' : `/live?tether-session=${claim}`
  const sessionField = html`<input type="hidden" name="tether-session" value="${session ?? ''}" autocomplete="off">`
  return html`<!doctype html>
<html lang="en" data-state="connecting">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="description" content="A wall of notes and the load of ${machine.name}, in HTML, over one fastify-tether session">
  <meta name="htmx-config" content='{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"historyEnabled":false}'>
  <title>The wall of ${machine.name}</title>
  <link rel="icon" href="/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/style.css">
  <script src="/htmx/htmx.min.js" defer></script>
  <script src="/htmx-ext-sse/sse.min.js" defer></script>
  <script src="/page.js" defer></script>
</head>
<body hx-ext="sse" sse-connect="${stream}">
  <header>
    <div>
      <h1>The wall of ${machine.name}</h1>
      <p class="hint">HTML comes down one event stream, forms go up: fastify-tether and htmx.</p>
    </div>
    <p class="state" id="state" role="status" hx-trigger="sse:tether"><noscript>Without scripts: reload to see what is new</noscript></p>
  </header>
  <main>
    <section class="wall" aria-labelledby="wall-title">
      <h2 id="wall-title">Notes</h2>
      <form id="note-form" hx-post="/live/note.add" method="post" action="/live/note.add">
        ${sessionField}
        <label for="name">Name</label>
        <input type="text" id="name" name="name" maxlength="30" autocomplete="nickname" placeholder="Somebody">
        <label for="text">Note</label>
        <textarea id="text" name="text" maxlength="280" rows="2" required placeholder="To everybody who has this page open"></textarea>
        <p class="fault" role="alert"></p>
        <button>Put it up</button>
      </form>
      <!-- The list stays when it is filled anew: one in its place would not hear of a note that comes right behind. -->
      <div sse-swap="note" hx-target="#notes" hx-swap="afterbegin">
        <ol id="notes" sse-swap="wall" hx-target="this" hx-swap="innerHTML" role="log" aria-label="Notes, newest first">${wall}</ol>
      </div>
    </section>
    <section aria-labelledby="load-title">
      <h2 id="load-title">Processor</h2>
      <div sse-swap="load">${load}</div>
      <form id="pace-form" hx-post="/live/pace.set" hx-trigger="change" method="post" action="/live/pace.set">
        ${sessionField}
        <label for="seconds">A picture every</label>
        <span sse-swap="pace">${pace}</span>
        <noscript><button>Set</button></noscript>
        <p class="fault" role="alert"></p>
      </form>
    </section>
    <section aria-labelledby="mood-title">
      <h2 id="mood-title">How is it going?</h2>
      <!-- A form of plain HTML: the answer is a 204, so the browser stays on the page. -->
      <form id="mood-form" method="post" action="/live/mood.set">
        ${sessionField}
        <fieldset>${moods.map((mood) => html`<button name="mood" value="${mood}">${moodLabels[mood]}</button>`)}</fieldset>
      </form>
      <div sse-swap="moods">${tally}</div>
    </section>
  </main>
</body>
</html>
`
}

function gigabytes (bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1)
}

function duration (seconds: number): string {
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`
}
