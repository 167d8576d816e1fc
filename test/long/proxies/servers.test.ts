import t, { type Test } from 'tap'
import { readWhole } from '../../e2e/harness/request.ts'
import { refused } from '../../e2e/harness/refusal.ts'
import { openReader } from '../../e2e/harness/reader.ts'
import { until } from '../../e2e/harness/until.ts'
import { msUntil, startBehind } from '../../proxies/harness/behind.ts'
import { testHoldingBack, testSilence, testWebSockets } from '../../proxies/harness/checks.ts'
import { absence, type ProxyKind } from '../../proxies/harness/proxy.ts'
import { apache, h2o, hitch, lighttpd, mitmproxy, nghttpx, squid } from '../../proxies/harness/servers.ts'

// Each waits most of its time.
t.jobs = 3

const test = (name: string, kind: ProxyKind, run: (t: Test) => Promise<void>) => t.test(name, { skip: absence(kind) }, run)

for (const [name, kind] of Object.entries({ apache, h2o, hitch, lighttpd, mitmproxy, nghttpx, squid })) {
  test(`${name} and silence`, kind, (t) => testSilence(t, kind))
}

const blocked: Array<[name: string, kind: ProxyKind, changes: Record<string, Record<string, string>>]> = [
  ['apache', apache, { 'without the word that lets them pass': { ' upgrade=websocket': '' } }],
  ['lighttpd', lighttpd, { 'without the word that lets them pass': { '  proxy.header = ( "upgrade" => "enable" )\n': '' } }],
  ['squid', squid, { 'without the line that lets them pass': { 'http_upgrade_request_protocols websocket allow all\n': '' } }],
  ['h2o', h2o, { 'without the line that lets them pass': { '        proxy.websocket: ON\n': '' } }],
  ['nghttpx', nghttpx, {}],
  ['hitch', hitch, {}],
  ['mitmproxy', mitmproxy, {}]
]
for (const [name, kind, changes] of blocked) {
  // A browser opens its WebSockets over HTTP/1.1, where the proxy says nothing else.
  test(`${name} and WebSockets`, kind, (t) => testWebSockets(t, kind, changes))
}

test('lighttpd that waits for the whole answer', lighttpd, (t) => testHoldingBack(t, lighttpd, { '  server.stream-response-body = 2\n': '' }))

test('mitmproxy that waits for the whole answer', mitmproxy, (t) => testHoldingBack(t, mitmproxy, { ' --set stream_large_bodies=1': '' }))

for (const [name, kind, change] of [
  ['h2o', h2o, { '        proxy.preserve-host: ON\n': '' }],
  ['mitmproxy', mitmproxy, { ' --set keep_host_header=true': '' }]
] as const) {
  test(`${name} that changes the host`, kind, async (t) => {
    const { through } = await startBehind(t, kind, { change })
    for (const protocol of kind.protocols) {
      const front = through(protocol)
      refused(t, await readWhole(front, '/live', { origin: front.origin }), 403, 'FST_ERR_TETHER_ORIGIN', `the site itself, ${protocol}`)
    }
  })
}

test('apache with few threads', apache, async (t) => {
  const { direct, through } = await startBehind(t, apache, {
    change: { '<VirtualHost': 'ServerLimit 1\nThreadsPerChild 3\nMaxRequestWorkers 3\n<VirtualHost' }
  })
  const front = through('https')
  const readers = [await openReader(front), await openReader(front), await openReader(front)]
  for (const reader of readers) await until(() => reader.controls.length > 0, 'hello')
  const waiting = openReader(front)
  t.equal(await msUntil(() => direct.app.tether.stats().streams > 3, 1_000), Infinity, 'the fourth waits')
  readers[0]!.destroy()
  readers[1]!.destroy()
  for (const session of direct.live.sessions) session.send('row', '1')
  await until(() => {
    for (const session of direct.live.sessions) session.send('row', '2')
    return direct.app.tether.stats().sessions === 4
  }, 'the fourth to come')
  ;(await waiting).destroy()
})
