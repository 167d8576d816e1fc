import { join } from 'node:path'
import t from 'tap'
import { testHoldingBack, testKind, testSeveral, testSilence, testWebSockets } from './harness/checks.ts'
import { replaced } from './harness/documented.ts'
import { haproxy } from './harness/haproxy.ts'
import type { ProxyKind } from './harness/proxy.ts'

const varnish: ProxyKind = {
  program: '/usr/sbin/varnishd',
  override: 'VARNISHD_PATH',
  language: 'vcl',
  protocols: ['http/1.1'],
  launch: (configuration, { folder, port, upstreamPort, idleSeconds = 60 }) => ({
    file: ['site.vcl', replaced(configuration, { '"3000"': `"${upstreamPort}"` })],
    args: [
      // In the foreground, without changing the user.
      '-F', '-j', 'none', '-n', join(folder, 'work'),
      '-f', join(folder, 'site.vcl'), '-a', `127.0.0.1:${port}`, '-p', `pipe_timeout=${idleSeconds}`
    ]
  }),
  endsSilence: true,
  statusOfUnreadBody: 503
}

// Each waits most of its time.
t.jobs = 3

testKind(t, 'varnish', varnish)

t.test('varnish and silence', (t) => testSilence(t, varnish))

t.test('varnish and WebSockets', (t) => testWebSockets(t, varnish, {
  'without the header that asks for it': { 'set bereq.http.Upgrade = req.http.Upgrade;': '' },
  'that does not pipe': { 'return (pipe);': 'return (pass);' }
}))

t.test('varnish with haproxy before it, and WebSockets', (t) => testWebSockets(t, { ...varnish, protocols: ['h2'], front: haproxy }, {}))

testKind(t, 'varnish with haproxy before it', { ...varnish, protocols: ['h2'], front: haproxy })

t.test('varnish that fetches the whole answer first', (t) => {
  return testHoldingBack(t, varnish, {
    'return (pipe);': 'return (pass);',
    'sub vcl_pipe': 'sub vcl_backend_response {\n  set beresp.do_stream = false;\n}\n\nsub vcl_pipe'
  })
})

t.test('varnish before several processes', (t) => testSeveral(t, varnish, (configuration, several) => {
  return replaced(configuration, { '\nsub vcl_recv {': `\n${several}\nsub vcl_recv {` })
}))
