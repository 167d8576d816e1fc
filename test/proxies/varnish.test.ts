import { join } from 'node:path'
import t from 'tap'
import { testBehind, testHoldingBack } from './harness/checks.ts'
import { replaced } from './harness/documented.ts'
import type { ProxyKind } from './harness/proxy.ts'

const varnish: ProxyKind = {
  program: '/usr/sbin/varnishd',
  override: 'VARNISHD_PATH',
  language: 'vcl',
  protocols: ['http/1.1', 'h2c'],
  launch: (configuration, { folder, port, upstreamPort }) => ({
    file: ['site.vcl', replaced(configuration, { '"3000"': `"${upstreamPort}"` })],
    args: ['-F', '-j', 'none', '-n', join(folder, 'work'), '-a', `127.0.0.1:${port}`, '-f', join(folder, 'site.vcl'),
      '-p', 'feature=+http2', '-p', 'vsl_space=1M', '-s', 'default,16M']
  })
}

t.test('varnish', (t) => testBehind(t, varnish))
