import t from 'tap'
import { clientKinds, type ClientKind } from './harness/chaos-client.ts'
import { faultKinds } from './harness/fault-plan.ts'
import { runChaos } from './harness/run-chaos.ts'

// With nothing left to do, Node 20 may still wait for ever for a write to a connection that broke.
process.once('beforeExit', () => process.exit())

t.test('a short run over a bad network: nothing lost, nothing twice, nothing out of order, every gap told', async (t) => {
  const seed = 20_260_731
  const report = await runChaos({ seed, clients: 4 * clientKinds.length, updates: 7_500, events: 600, sendingMs: 6_000, leastReturns: 30, mostBytes: 16_000, tell: (line) => t.comment(line) })
  const { faults, injected, cuts, byKind, eventsRun, updatesSent, resumed, gaps, retries, streams, sharedBlocks } = report
  t.same(faults, [], `seed ${seed}`)
  t.comment(`seed ${seed}; ${JSON.stringify({ injected, byKind, updatesSent, eventsRun, resumed, gaps, retries, streams, sharedBlocks })}`)
  t.equal(eventsRun, 600, 'every event ran')
  t.ok(updatesSent >= 7_500, `${updatesSent} updates`)

  // That it was a bad network indeed, and that the clients noticed.
  t.ok(cuts >= 50, `${cuts} cuts`)
  t.ok(faultKinds.filter((kind) => injected[kind] > 0).length >= 10, 'of many kinds')
  t.ok(resumed >= 10, `${resumed} times a client came back and resumed`)
  t.ok(gaps >= 1, `${gaps} gaps were told`)
  t.ok(retries >= 10, `${retries} requests were tried again`)
  for (const kind of clientKinds) {
    t.equal(byKind[kind].clients, 4)
    t.ok(byKind[kind].resumed + byKind[kind].gaps >= 2, `${kind} came back`)
    t.ok(byKind[kind].updates >= 300, `${kind} got ${byKind[kind].updates} updates`)
  }

  // What it was that came over it.
  const clients = (kind: ClientKind) => byKind[kind].streams
  for (const kind of ['eventsource', 'chromium', 'tether', 'tether-chromium'] as const) {
    const { gzip, br, identity, websocket } = clients(kind)
    t.ok(gzip + br >= 5, `${kind} had ${gzip + br} streams that were compressed`)
    t.same({ identity, websocket }, { identity: 0, websocket: 0 }, `${kind}, and no others`)
  }
  for (const kind of ['tether-websocket', 'tether-websocket-chromium'] as const) {
    const { websocket, ...others } = clients(kind)
    t.ok(websocket >= 5, `${kind} had ${websocket} WebSockets`)
    t.same(others, { identity: 0, gzip: 0, br: 0 }, `${kind}, and nothing else`)
  }
  const { websocket, gzip } = clients('tether-both')
  t.ok(websocket >= 3 && gzip >= 3, `clients went over from ${websocket} WebSockets to ${gzip} event streams`)
  for (const kind of ['tether-h2c', 'tether-h2'] as const) {
    const { identity, gzip, ...others } = clients(kind)
    t.ok((kind === 'tether-h2' ? gzip : identity) >= 5, `${kind} had ${identity + gzip} streams over HTTP/2`)
    t.same({ ...others, ...kind === 'tether-h2' ? { identity } : { gzip } }, { websocket: 0, br: 0, ...kind === 'tether-h2' ? { identity: 0 } : { gzip: 0 } }, `${kind}, and nothing else`)
  }
  t.ok(clients('launchdarkly').identity >= 3, 'one package reads plain text beside them')
  t.ok(streams.br >= 2, `${streams.br} streams of brotli`)
  t.ok(sharedBlocks >= 30, `${sharedBlocks} times a block that was made for many was written`)
})
