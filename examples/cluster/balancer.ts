import { createServer, type Server, ServerResponse } from 'node:http'
import { createProxyServer } from 'http-proxy-3'

/** A proxy that sends each request to any node, at random: also those of one page, and of one session. */
export function createBalancer (ports: () => readonly number[]): Server {
  const proxy = createProxyServer()
  proxy.on('error', (_error, _request, answer) => {
    if (answer instanceof ServerResponse && !answer.headersSent) answer.writeHead(502).end()
    else answer.destroy()
  })
  // A node that was killed has not finished its answers: their clients must learn of it.
  proxy.on('proxyRes', (incoming, _request, answer) => {
    incoming.once('close', () => { if (!incoming.complete) answer.destroy() })
  })
  return createServer((request, answer) => {
    const choice = ports()
    const port = choice[Math.floor(Math.random() * choice.length)]
    if (port === undefined) answer.writeHead(503, { 'retry-after': '1' }).end()
    else proxy.web(request, answer, { target: `http://127.0.0.1:${port}` })
  })
}
