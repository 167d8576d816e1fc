import './style.css'
import { StrictMode, useState, type FormEvent } from 'react'
import { createRoot } from 'react-dom/client'
import { connect } from 'fastify-tether/client'
import { createHooks } from 'fastify-tether/react'
import type { contract } from '../contract.ts'

const live = connect<typeof contract>('/live', { autoConnect: false })
const { LiveProvider, useStatus, useTopic, useUpdate } = createHooks<typeof contract>()

const percent = (value: number) => `${Math.round(value)} %`
const bytes = (value: number) => `${(value / 1e6).toFixed(1)} MB`
const widgets = {
  cpu: ['Processor', percent],
  memory: ['Memory', bytes],
  network: ['Network in', (value: number) => `${bytes(value)}/s`],
  disk: ['Disk read', (value: number) => `${bytes(value)}/s`],
  loop: ['Event loop, p50', (value: number) => `${value.toFixed(1)} ms`],
  load: ['Load', (value: number) => value.toFixed(2)],
  heap: ['Heap', bytes]
} as const
type Name = keyof typeof widgets
const names = Object.keys(widgets) as Name[]

function Widget ({ name, perSecond }: { name: Name, perSecond: number }) {
  const topic = useTopic('series', { name, perSecond })
  const sample = useUpdate(topic, 'sample')
  const minute = useUpdate(topic, 'kept', { key: ({ t }) => Math.round(t / 1000) % 60 })
  const readings = [...minute.values()].sort((a, b) => a.t - b.t)
  const most = Math.max(...readings.map(({ v }) => v[0]!), 1e-9)
  const points = readings.map(({ t, v }) => `${60 - (readings.at(-1)!.t - t) / 1000},${30 - 30 * v[0]! / most}`)
  const [title, write] = widgets[name]
  return (
    <article id={name}>
      <h2>{title}</h2>
      <p>{topic.error ? topic.error.code : sample ? write(sample.v[0]!) : topic.ready ? 'None here' : '…'}</p>
      <svg viewBox="0 0 60 30" preserveAspectRatio="none" aria-hidden="true"><polyline points={points.join(' ')} vectorEffect="non-scaling-stroke" /></svg>
    </article>
  )
}

function Notices () {
  const last = useUpdate('notice')
  const [outcome, setOutcome] = useState('')
  const send = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    setOutcome('Sending')
    try {
      const { tabs } = await live.request('notice.send', { text: String(new FormData(form).get('text')) })
      form.reset()
      setOutcome(`Sent to ${tabs} ${tabs === 1 ? 'tab' : 'tabs'}`)
    } catch (error) {
      setOutcome(`Not sent: ${(error as Error).message}`)
    }
  }
  return (
    <form onSubmit={send}>
      <input name="text" aria-label="Notice to all tabs" placeholder="To every open tab" maxLength={200} required />
      <button>Send</button>
      <output id="outcome">{outcome}</output>
      <p id="notice">{last?.text ?? 'No notice yet'}</p>
    </form>
  )
}

function App () {
  const { state, verdict } = useStatus()
  const [perSecond, setPerSecond] = useState(10)
  const [shown, setShown] = useState<Name[]>(names)
  const toggle = (name: Name) => setShown(names.filter((one) => (one === name) !== shown.includes(one)))
  return (
    <>
      <header><h1>This machine</h1><p id="state">{state} {verdict}</p></header>
      <fieldset>
        <label>Samples a second <select value={perSecond} onChange={({ target }) => setPerSecond(Number(target.value))}>{[1, 10, 30].map((pace) => <option key={pace}>{pace}</option>)}</select></label>
        {names.map((name) => <label key={name}><input type="checkbox" checked={shown.includes(name)} onChange={() => toggle(name)} /> {widgets[name][0]}</label>)}
      </fieldset>
      <section>{shown.map((name) => <Widget key={name} name={name} perSecond={perSecond} />)}</section>
      <Notices />
    </>
  )
}

createRoot(document.querySelector('#root')!).render(<StrictMode><LiveProvider live={live}><App /></LiveProvider></StrictMode>)
