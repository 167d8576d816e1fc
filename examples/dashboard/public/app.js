import { Controls } from './controls.js'
import { element, write } from './elements.js'
import { duration, memory } from './format.js'
import { openNoticeForm, showNotice } from './notices.js'
import { PostQueue } from './post-queue.js'
import { showFrameRate, showReadouts } from './readouts.js'
import { Recorder } from './recorder.js'
import { SessionPanel, verdictInWords } from './session-panel.js'
import { Settings } from './settings.js'
import { Stream } from './stream.js'
import { toast } from './toasts.js'

// Numbers that change faster nobody can read.
const readoutEveryMs = 100

const stream = new Stream('/live', ['sample', 'history', 'stats', 'settings', 'host', 'notice'])
const queue = new PostQueue('/live', () => stream.session === null ? null : { session: stream.session, maxBatch: stream.hello.maxBatch })
const recorder = new Recorder()
const settings = new Settings(queue)
const controls = new Controls(settings, recorder)
const panel = new SessionPanel()
let host = /** @type {{ name: string, cores: number, memoryBytes: number, series: string[] } | null} */ (null)

const onUpdate = {
  sample: ({ series, t, v }) => recorder.sample(series, t, v),
  history: ({ series, t, v }) => t.forEach((at, index) => recorder.add(series, at, v[index])),
  stats: (stats) => panel.tell(stats),
  settings: (told) => settings.adopt(told),
  notice: (notice) => showNotice(notice, stream.session),
  host: showHost
}

stream.addEventListener('update', ({ detail: { name, data, seq } }) => {
  panel.count(seq)
  recorder.frames.add(1)
  onUpdate[name](data)
})

stream.addEventListener('hello', ({ detail: hello }) => {
  const { verdict, awayMs } = hello
  recorder.forgetClock()
  panel.greet(hello)
  if (verdict === 'new' || verdict === 'expired') settings.restore()
  if (awayMs > 0) {
    const words = `${duration(awayMs)}: ${verdictInWords(verdict)}`
    toast(`The line is back after ${words}.`, 'live')
    announce(`Connection regained after ${words}.`)
  } else {
    announce('Connected.')
  }
  queue.flush()
})

stream.addEventListener('gap', ({ detail: { seq } }) => panel.skip(seq))

stream.addEventListener('state', () => {
  if (stream.state === 'lost') {
    recorder.begin('lost')
    announce(`Connection lost. ${stream.reason}.`)
  } else {
    recorder.finish('lost')
  }
  showState()
})

settings.addEventListener('change', () => {
  controls.show()
  recorder.hold(settings.chosen?.paused === true)
  showState()
})

queue.addEventListener('change', showPending)
queue.addEventListener('fault', ({ detail }) => toast(`Not set: ${detail}`, 'fault'))
queue.addEventListener('busy', ({ detail }) => toast(`The session is busy. Trying again in ${detail.seconds} s.`, 'hold'))
queue.addEventListener('gone', ({ detail }) => {
  // The stream may know of the new session already.
  if (detail.session === stream.session) stream.reopen()
})

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
  const state = stream.state === 'live' && settings.chosen?.paused ? 'paused' : stream.state
  const words = { connecting: 'Connecting', live: 'Live', lost: 'Lost', paused: 'Paused' }
  document.documentElement.dataset.state = state
  document.title = `${state === 'live' ? '' : `${words[state]}: `}${host === null ? 'Tether dashboard' : `${host.name}, live`}`
  write(element('state-word'), words[state])
  panel.showLine(stream)
  showPending()
}

function showPending () {
  element('pending').hidden = queue.size === 0 || stream.state === 'live'
}

function announce (text) {
  element('announcer').textContent = text
}

openNoticeForm(queue)
setInterval(() => {
  if (document.hidden) return
  showFrameRate(recorder)
  panel.showLine(stream)
  if (host !== null) showReadouts(recorder, host)
}, readoutEveryMs)
stream.open()
