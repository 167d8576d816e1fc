import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { renderToPipeableStream } from 'react-dom/server'
import { Page } from './page.jsx'

export const render = () => new Promise((resolve, reject) => {
  // A server waits for lazy components.
  const timer = setInterval(() => globalThis.showLate?.(), 5)
  const stream = new PassThrough()
  const { pipe } = renderToPipeableStream(<Page />, {
    onAllReady: () => {
      clearInterval(timer)
      pipe(stream)
      resolve(text(stream))
    },
    onError: reject
  })
})
