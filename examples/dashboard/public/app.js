import { connect } from '/fastify-tether/client/index.js'
import { Controls } from './controls.js'
import { element, write } from './elements.js'
import { duration, memory } from './format.js'
import { Line } from './line.js'
import { openNoticeForm, showNotice } from './notices.js'
import { showFrameRate, showReadouts } from './readouts.js'
import { Recorder } from './recorder.js'
import { Sender } from './sender.js'
import { SessionPanel, verdictInWords } from './session-panel.js'
import { Settings } from './settings.js'
import { toast } from './toasts.js'

// Numbers that change faster nobody can read.
const readoutEveryMs = 100

/** @type {import('fastify-tether/client').Connection<typeof import('../contract.ts').contract>} */
const live = connect('/live', { leaveOnHide: true, fetch: watchfulFetch })
const line = new Line(live)
const sender = new Sender(live)
const recorder = new Recorder()
const settings = new Settings(sender)
const controls = new Controls(settings, recorder)
const panel = new SessionPanel()
let host = /** @type {{ name: string, cores: number, memoryBytes: number, series: string[] } | null} */ (null)

const onUpdate = {
  sample: ({ series, t, v }) => recorder.sample(series, t, v),
  history: ({ series, t, v }) => t.forEach((at, index) => recorder.add(series, at, v[index])),
  stats: (stats) => panel.tell(stats),
  settings: (told) => settings.adopt(told),
  notice: (notice) => showNotice(notice, live.session),
  host: showHost
}

for (const [name, take] of Object.entries(onUpdate)) {
  live.on(name, (data) => {
    panel.count()
    recorder.frames.add(1)
    take(data)
  })
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
  recorder.hold(settings.chosen?.paused === true)
  showState()
})

settings.addEventListener('fault', ({ detail }) => toast(`Not set: ${detail}`, 'fault'))
sender.addEventListener('change', showPending)

// The connection tries again by itself; this only tells why it takes so long.
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
  if (verdict === 'new' || verdict === 'expired') settings.restore()
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
  write(element('host-detail'), parts.filter(Boolean).join(', '))
  if (host === null) {
    recorder.furnish(told)
    controls.furnish(told)
    controls.show()
  }
  host = told
  showState()
}

function showState () {
  const state = line.state === 'live' && settings.chosen?.paused ? 'paused' : line.state
  const words = { connecting: 'Connecting', live: 'Live', lost: 'Lost', paused: 'Paused' }
  document.documentElement.dataset.state = state
  document.title = `${state === 'live' ? '' : `${words[state]}: `}${host === null ? 'Tether dashboard' : `${host.name}, live`}`
  write(element('state-word'), words[state])
  panel.showLine(line)
  showPending()
}

function showPending () {
  element('pending').hidden = sender.size === 0 || line.state === 'live'
}

function announce (text) {
  element('announcer').textContent = text
}

openNoticeForm(sender)
setInterval(() => {
  if (document.hidden) return
  showFrameRate(recorder)
  panel.showLine(line)
  if (host !== null) showReadouts(recorder, host)
}, readoutEveryMs)
