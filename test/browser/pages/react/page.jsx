import { lazy, StrictMode, Suspense, useLayoutEffect, useState } from 'react'
import { connect } from 'fastify-tether/client'
import { App } from './app.tsx'
import { Hosts } from './hosts.jsx'
import { live, LiveProvider, useLive, useTopic, useUpdate } from './live.ts'
import { drawn } from '../watch.js'

const Late = lazy(() => new Promise((resolve) => { globalThis.showLate = () => resolve(import('./late.jsx')) }))

function Probe () {
  const notice = useUpdate('notice')
  const cores = useUpdate('cpu', { key: ({ core }) => core })
  const count = useUpdate('notice', { initial: 0, reduce: (sum) => sum + 1 })
  const topic = useUpdate(useTopic('host', { id: 'busy' }), 'alert', { initial: 0, reduce: (sum) => sum + 1 })
  useLayoutEffect(drawn)
  return <output id="probe">{[notice?.text, cores.size, count, topic].join(' ')}</output>
}

function Own () {
  const live = useLive()
  globalThis.own = live
  return <output id="own">{useUpdate('notice')?.text}</output>
}

function Owner () {
  const [isShown, setIsShown] = useState(false)
  globalThis.showOwn = setIsShown
  return isShown && <LiveProvider live={() => connect('/live', { autoConnect: false, retryMs: 20, retryMaxMs: 50 })}><Own /></LiveProvider>
}

export function Page () {
  return (
    <StrictMode>
      <App />
      <LiveProvider live={live}>
        <Probe />
        <Hosts />
        <Suspense fallback={<p id="late">waits</p>}><Late /></Suspense>
      </LiveProvider>
      <Owner />
    </StrictMode>
  )
}
