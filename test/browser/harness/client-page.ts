import { build } from 'esbuild'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'

/** The client's entries in one script for a browser; what it exports is on `window.tether`. */
async function bundle (format: 'iife' | 'esm'): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: 'export * from "./index.ts"; export { connectStored } from "./indexed-db.ts"; export { connectShared } from "./shared.ts"; export { webSocketLink } from "./websocket-link.ts"',
      resolveDir: fileURLToPath(new URL('../../../client', import.meta.url)),
      loader: 'ts'
    },
    bundle: true,
    format,
    target: 'es2022',
    write: false,
    ...format === 'iife' ? { globalName: 'tether' } : {}
  })
  return outputFiles[0]!.text
}

/** Serves a page that has the client, and a worker that does; with `?websocket` the worker's is over a WebSocket. */
export async function serveClient (app: FastifyInstance): Promise<void> {
  const script = await bundle('iife')
  app.get('/page', (_request, reply) => { reply.type('text/html').send('<!doctype html><title>client</title><link rel="icon" href="data:,"><script src="/client.js"></script>') })
  app.get('/client.js', (_request, reply) => { reply.type('text/javascript').send(script) })
  app.get('/worker.js', (_request, reply) => {
    reply.type('text/javascript').send(`${script}
      const live = tether.connect(new URL('/live', location.href), { retryMs: 50, retryMaxMs: 200, ...location.search === '?websocket' && { link: tether.webSocketLink() } })
      live.on('note', (note) => postMessage(note.text))
      onmessage = ({ data }) => live.emit('say', { text: data }).then(() => postMessage('accepted'))
      live.onState((state) => { if (state === 'open') postMessage('open') })`)
  })
}
