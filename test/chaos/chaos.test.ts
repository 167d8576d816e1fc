import t from 'tap'
import { clientKinds } from './harness/chaos-client.ts'
import { faultKinds } from './harness/fault-plan.ts'
import { runChaos } from './harness/run-chaos.ts'

// With nothing left to do, Node 20 may still wait for ever for a write to a connection that broke.
process.once('beforeExit', () => process.exit())

// Far more than it takes, for machines that are busy with other tests.
const timeout = 600_000
t.setTimeout(timeout)

t.test('a short run over a bad network: nothing lost, nothing twice, nothing out of order, every gap told', { timeout }, async (t) => {
  const seed = 20_260_731
  const report = await runChaos({ seed, clients: 3 * clientKinds.length, updates: 4_500, events: 450, sendingMs: 6_000, leastReturns: 30, mostBytes: 16_000, tell: (line) => t.comment(line) })
  const { faults, injected, cuts, byKind, eventsRun, updatesSent, resumed, gaps, retries } = report
  t.same(faults, [], `seed ${seed}`)
  t.comment(`seed ${seed}; ${JSON.stringify({ injected, byKind, updatesSent, eventsRun, resumed, gaps, retries })}`)
  t.equal(eventsRun, 450, 'every event ran')
  t.ok(updatesSent >= 4_500, `${updatesSent} updates`)

  // That it was a bad network indeed, and that the clients noticed.
  t.ok(cuts >= 50, `${cuts} cuts`)
  t.ok(faultKinds.filter((kind) => injected[kind] > 0).length >= 10, 'of many kinds')
  t.ok(resumed >= 10, `${resumed} times a client came back and resumed`)
  t.ok(gaps >= 1, `${gaps} gaps were told`)
  t.ok(retries >= 10, `${retries} requests were tried again`)
  for (const kind of clientKinds) {
    t.equal(byKind[kind].clients, 3)
    t.ok(byKind[kind].resumed + byKind[kind].gaps >= 2, `${kind} came back`)
    t.ok(byKind[kind].updates >= 300, `${kind} got ${byKind[kind].updates} updates`)
  }
})
