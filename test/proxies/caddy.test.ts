import { join } from 'node:path'
import t from 'tap'
import { testCompressing, testHoldingBack, testKind, testSeveral, testSilence, testUnnoticed, testWebSockets } from './harness/checks.ts'
import { replaced } from './harness/documented.ts'
import type { ProxyKind } from './harness/proxy.ts'

const caddy: ProxyKind = {
  program: '/usr/bin/caddy',
  override: 'CADDY_PATH',
  language: 'caddyfile',
  protocols: ['https', 'h2'],
  launch: (configuration, { folder, port, upstreamPort, certificatePath, keyPath }) => ({
    file: ['Caddyfile', `
{
  admin off
  auto_https disable_redirects
  default_bind 127.0.0.1
  grace_period 1s
  servers {
    protocols h1 h2
  }
}
${replaced(configuration, {
  '127.0.0.1:3000': `127.0.0.1:${upstreamPort}`,
  'example.com {': `https://127.0.0.1:${port} {\n  tls ${certificatePath} ${keyPath}`
})}`],
    args: ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')]
  }),
  endsSilence: false,
  statusOfUnreadBody: 502
}

// Each waits most of its time.
t.jobs = 3

testKind(t, 'caddy', caddy)

t.test('caddy and silence', (t) => testSilence(t, caddy))

t.test('caddy and WebSockets', (t) => testWebSockets(t, caddy, {
  'refused by the proxy': { 'reverse_proxy 127.0.0.1:3000': '@socket header Upgrade websocket\n  respond @socket 403\n  reverse_proxy 127.0.0.1:3000' },
  'without the header that asks for it': { 'reverse_proxy 127.0.0.1:3000': 'request_header -Upgrade\n  reverse_proxy 127.0.0.1:3000' }
}))

t.test('caddy that buffers', (t) => {
  return testHoldingBack(t, caddy, { 'reverse_proxy 127.0.0.1:3000': 'reverse_proxy 127.0.0.1:3000 {\n    buffer_responses\n  }' })
})

t.test('caddy before several processes', (t) => testSeveral(t, caddy, (configuration, several) => {
  return replaced(configuration, { '  reverse_proxy 127.0.0.1:3000\n': several })
}))

t.test('caddy that was told to flush', (t) => {
  return testUnnoticed(t, caddy, { 'reverse_proxy 127.0.0.1:3000': 'reverse_proxy 127.0.0.1:3000 {\n    flush_interval -1\n  }' })
})

t.test('caddy that compresses', (t) => testCompressing(t, caddy, { 'reverse_proxy 127.0.0.1:3000': 'encode gzip\n  reverse_proxy 127.0.0.1:3000' }))
