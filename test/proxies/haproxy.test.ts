import { join } from 'node:path'
import t from 'tap'
import { testBehind, testHoldingBack } from './harness/checks.ts'
import { replaced } from './harness/documented.ts'
import type { ProxyKind } from './harness/proxy.ts'

const haproxy: ProxyKind = {
  program: '/usr/sbin/haproxy',
  override: 'HAPROXY_PATH',
  language: 'haproxy',
  protocols: ['https', 'h2'],
  launch: (configuration, { folder, port, upstreamPort, bundlePath }) => ({
    file: ['haproxy.cfg', replaced(configuration, {
      '127.0.0.1:3000': `127.0.0.1:${upstreamPort}`,
      'bind :443': `bind 127.0.0.1:${port}`,
      '/etc/haproxy/example.com.pem': bundlePath
    })],
    // In the foreground, as one process.
    args: ['-db', '-f', join(folder, 'haproxy.cfg')]
  }),
  idle: (seconds) => ({ 'timeout client  60s': `timeout client ${seconds}s`, 'timeout server  60s': `timeout server ${seconds}s` })
}

t.test('haproxy', (t) => testBehind(t, haproxy))

t.test('haproxy that waits for the whole answer', (t) => {
  return testHoldingBack(t, haproxy, { 'default_backend app': 'http-response wait-for-body time 5s\n  default_backend app' })
})
