import t from 'tap'
import WebSocket from 'ws'
import { openReader } from '../../e2e/harness/reader.ts'
import { refused } from '../../e2e/harness/refusal.ts'
import { readWhole } from '../../e2e/harness/request.ts'
import { until, within } from '../../e2e/harness/until.ts'
import { msUntil, startBehind } from '../../proxies/harness/behind.ts'
import { testSilence, testWebSockets } from '../../proxies/harness/checks.ts'
import * as proxies from '../../proxies/harness/node-proxies.ts'

const { fastifyHttpProxy, fastifyReplyFrom, httpProxy, vite, webpackDevServer } = proxies
const heartbeatMs = 250

// Each waits most of its time.
t.jobs = 3

for (const [name, kind] of Object.entries(proxies)) {
  t.test(`${name} and silence`, (t) => testSilence(t, kind))
  t.test(`${name} and WebSockets`, (t) => testWebSockets(t, kind, {}))
}

for (const [name, kind, change] of [
  ['httpProxy', httpProxy, { "  response.once('close', () => outgoing.destroy())\n": '' }],
  ['webpackDevServer', webpackDevServer, { "response.once('close', () => outgoing.destroy())": '' }]
] as const) {
  t.test(`${name} without the line that ends the stream of who left`, async (t) => {
    const { direct, through } = await startBehind(t, kind, { upgrade: { heartbeatMs }, change })
    const reader = await openReader(through('http/1.1'))
    await until(() => reader.controls.length > 0, 'hello')
    const left = direct.live.get(reader.session)!
    reader.destroy()
    t.equal(await msUntil(() => !left.connected, 12 * heartbeatMs), Infinity, 'never noticed, though heartbeats are written')
  })
}

for (const [name, kind, change] of [
  ['vite with changeOrigin', vite, { 'ws: true': 'ws: true, changeOrigin: true' }],
  ['webpackDevServer with changeOrigin', webpackDevServer, { 'ws: true,': 'ws: true, changeOrigin: true,' }],
  ['httpProxy with changeOrigin', httpProxy, { "target: 'http://127.0.0.1:3000'": "target: 'http://127.0.0.1:3000', changeOrigin: true" }],
  ['fastifyHttpProxy without the host', fastifyHttpProxy, { "  host: request.headers.host,\n  'x-forwarded-host': request.headers.host,\n": '' }],
  ['fastifyReplyFrom without the host', fastifyReplyFrom, { "    host: request.headers.host,\n    'x-forwarded-host': request.headers.host,\n": '' }]
] as const) {
  t.test(name, async (t) => {
    const { through } = await startBehind(t, kind, { change })
    const front = through('http/1.1')
    refused(t, await readWhole(front, '/live', { origin: front.origin }), 403, 'FST_ERR_TETHER_ORIGIN', 'the site itself')
  })
}

for (const [name, kind] of [['fastifyHttpProxy', fastifyHttpProxy], ['fastifyReplyFrom', fastifyReplyFrom]] as const) {
  t.test(`${name} whose bodyTimeout is shorter than the silence`, async (t) => {
    const { through } = await startBehind(t, kind, { upgrade: { heartbeatMs }, change: { 'bodyTimeout: 60_000': 'bodyTimeout: 1_000' } })
    const silent = await openReader(through('http/1.1'), '/live-silent')
    await until(() => silent.closed, 'the stream to be cut')
  })
}

t.test('fastifyHttpProxy that passes on the cookies alone lets in another site', async (t) => {
  const { through } = await startBehind(t, fastifyHttpProxy, { change: { '...Object.fromEntries(asked), ': '' } })
  const socket = new WebSocket(`${through('http/1.1').origin.replace('http', 'ws')}/live-both?session=new`, { origin: 'https://evil.example' })
  await within(new Promise((resolve) => socket.once('message', resolve)), 'hello, to a page of another site')
  socket.terminate()
  t.pass('as the guide warns')
})
