import { join } from 'node:path'
import { replaced } from './documented.ts'
import type { ProxyKind } from './proxy.ts'

export const haproxy: ProxyKind = {
  program: '/usr/sbin/haproxy',
  override: 'HAPROXY_PATH',
  language: 'haproxy',
  protocols: ['https', 'h2'],
  launch: (configuration, { folder, port, upstreamPort, bundlePath, idleSeconds = 60 }) => ({
    file: ['haproxy.cfg', replaced(configuration, {
      '127.0.0.1:3000': `127.0.0.1:${upstreamPort}`,
      'bind :443': `bind 127.0.0.1:${port}`,
      '/etc/haproxy/example.com.pem': bundlePath,
      'timeout client  60s': `timeout client  ${idleSeconds}s`,
      'timeout server  60s': `timeout server  ${idleSeconds}s`,
      'timeout tunnel  60s': `timeout tunnel  ${idleSeconds}s`
    })],
    // In the foreground, as one process.
    args: ['-db', '-f', join(folder, 'haproxy.cfg')]
  }),
  endsSilence: true
}
