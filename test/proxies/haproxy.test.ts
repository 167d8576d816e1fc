import t from 'tap'
import { testCompressing, testHoldingBack, testKind, testSeveral, testSilence, testUnnoticed, testWebSockets } from './harness/checks.ts'
import { haproxy } from './harness/haproxy.ts'

// Each waits most of its time.
t.jobs = 3

testKind(t, 'haproxy', haproxy)

t.test('haproxy and silence', (t) => testSilence(t, haproxy))

t.test('haproxy and WebSockets', (t) => testWebSockets(t, haproxy, {
  'refused by the proxy': { '  default_backend app': '  http-request deny if { req.hdr(Upgrade) -i websocket }\n  default_backend app' },
  'without the header that asks for it': { '  default_backend app': '  http-request del-header Upgrade\n  default_backend app' }
}))

t.test('haproxy that waits for the whole answer', (t) => {
  return testHoldingBack(t, haproxy, { 'default_backend app': 'http-response wait-for-body time 5s\n  default_backend app' })
})

t.test('haproxy before several processes', (t) => testSeveral(t, haproxy, (configuration, several) => {
  return configuration.replace(/^backend app\n.*/ms, () => several)
}))

t.test('haproxy without abortonclose', (t) => testUnnoticed(t, haproxy, { '  option abortonclose\n': '' }))

t.test('haproxy that compresses', (t) => testCompressing(t, haproxy, {
  '  default_backend app': '  compression algo gzip\n  compression type text/javascript text/event-stream\n  default_backend app'
}))
