import { connect } from '/fastify-tether/client/index.js'
import { Controls } from './controls.js'
import { describeCharts } from './descriptions.js'
import { element, write } from './elements.js'
import { Feed } from './feed.js'
import { duration, memory } from './format.js'
import { Line } from './line.js'
import { NodesPanel } from './nodes-panel.js'
import { NoticeForm, showNotice } from './notices.js'
import { Reader } from './reader.js'
import { showFrameRate, showReadouts } from './readouts.js'
import { Recorder } from './recorder.js'
import { SessionPanel, verdictInWords } from './session-panel.js'
import { Settings } from './settings.js'
import { toast } from './toasts.js'
import { Trial } from './trial.js'
import { listWords } from './words.js'

// Nobody can read numbers that change faster.
const readoutEveryMs = 100
const describeEveryMs = 2000

/** @type {import('fastify-tether/client').Connection<typeof import('../contract.ts').contract>} */
const live = connect('/live', { leaveOnHide: true, fetch: watchfulFetch })
const line = new Line(live)
const recorder = new Recorder()
const settings = new Settings()
const controls = new Controls(settings, recorder)
const panel = new SessionPanel()
const feed = new Feed(live, recorder, () => count('sample'))
const reader = new Reader(live)
const trial = new Trial({ live, line, reader, recorder, missing: () => panel.missing })
const nodes = new NodesPanel(live, () => count('nodes'))
const noticeForm = new NoticeForm(live, line)
let host = /** @type {{ name: string, cores: number, memoryBytes: number, series: string[] } | null} */ (null)

const onUpdate = {
  stats: (stats) => panel.tell(stats),
  notice: (notice) => showNotice(notice, live.session),
  // The server's first update on a stream. Earlier updates on this stream had been kept for it.
  host: (told) => {
    const replayed = panel.arrived()
    if (replayed !== null) {
      trial.replayed(replayed)
      recorder.label('lost', `, ${replayed === 1 ? '1 update' : `${replayed} updates`} replayed`)
    }
    showHost(told)
    nodes.told(told)
  },
  padding: () => {},
  // Outcomes of subscriptions, and replies, have numbers as well.
  'tether.topic': () => {},
  'tether.reply': () => {}
}

for (const [name, take] of Object.entries(onUpdate)) {
  live.on(name, (data) => {
    if (name !== 'host') count(name)
    take(data)
    if (name === 'host') count(name)
  })
}

function count (name) {
  panel.count()
  recorder.frames.add(1)
  trial.count(name)
}

live.onGap((seq) => panel.skip(seq))

line.addEventListener('state', () => {
  if (line.state === 'live') {
    greet()
  } else {
    recorder.begin('lost')
    announce(`Connection lost. ${line.reason}.`)
  }
  showState()
})

settings.addEventListener('change', () => {
  controls.show()
  recorder.hold(settings.chosen.paused)
  recorder.pick(settings.chosen.series)
  feed.show(settings.chosen)
  showState()
})

reader.addEventListener('change', () => {
  if (reader.isSlow) {
    recorder.begin('slowed')
    announce('This tab has stopped reading its stream.')
  } else {
    recorder.finish('slowed')
  }
  showState()
})

trial.addEventListener('figures', ({ detail }) => panel.tell(detail))
trial.addEventListener('told', ({ detail }) => announce(detail))

feed.addEventListener('fault', ({ detail: { name, fault } }) => {
  toast(`Not set: ${fault}`, 'fault')
  // What was refused must not be shown as if it held.
  settings.change({ series: settings.chosen.series.filter((series) => series !== name) })
})
feed.addEventListener('change', showPending)

// The connection tries again by itself; this only shows the reason for the delay.
async function watchfulFetch (...request) {
  const response = await fetch(...request)
  if (response.status === 429) toast(`The session is busy. Trying again in ${response.headers.get('retry-after') ?? 1} s.`, 'hold')
  return response
}

function greet () {
  const { awayMs, verdict } = line
  recorder.finish('lost')
  recorder.forgetClock()
  panel.greet({ verdict, awayMs, session: live.session })
  trial.greet(line)
  if (awayMs > 0) {
    const words = `${duration(awayMs)}: ${verdictInWords(verdict)}`
    toast(`The line is back after ${words}.`, 'live')
    announce(`Connection regained after ${words}.`)
  } else {
    announce('Connected.')
  }
}

function showHost (told) {
  const { name, system, processor, cores, memoryBytes, node } = told
  write(element('host-name'), name)
  const parts = [processor, `${cores} ${cores === 1 ? 'core' : 'cores'}`, memory(memoryBytes).join(' '), system, `Node ${node.slice(1)}`]
  const detail = parts.filter(Boolean).join(', ')
  write(element('host-detail'), detail)
  element('host-detail').title = detail
  if (host === null) {
    recorder.furnish(told)
    controls.furnish(told)
    controls.show()
    recorder.pick(settings.chosen.series)
  }
  host = told
  showState()
}

function showState () {
  const state = line.state !== 'live' ? line.state : reader.isSlow ? 'slowed' : settings.chosen.paused ? 'paused' : 'live'
  const words = { connecting: 'Connecting', live: 'Live', lost: 'Lost', paused: 'Paused', slowed: 'Slowed' }
  document.documentElement.dataset.state = state
  document.title = `${state === 'live' ? '' : `${words[state]}: `}${host === null ? '' : `${host.name}, `}fastify-tether`
  write(element('state-word'), words[state])
  showLine()
  showPending()
}

function showPending () {
  element('pending').hidden = line.state === 'live' || !feed.isWaiting
  noticeForm.show()
}

function showLine () {
  panel.showLine(line, reader)
  trial.show()
}

function announce (text) {
  element('announcer').textContent = text
}

listWords()
recorder.hold(settings.chosen.paused)
feed.show(settings.chosen)
showState()
setInterval(() => {
  if (document.hidden) return
  showFrameRate(recorder)
  showLine()
  if (host !== null) showReadouts(recorder, host)
}, readoutEveryMs)
setInterval(() => {
  if (!document.hidden && host !== null) describeCharts(recorder)
}, describeEveryMs)
