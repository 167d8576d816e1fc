import t from 'tap'
import { startLimited, type LimitedServer } from './harness/limited-server.ts'
import { runTune } from './harness/run-tune.ts'

const words = ['tune', '--events', 'EVENTS', '--quick', '--minutes', '3', '--json', 'JSON', '--max-clients', '10', '--rate', '5', '--slo', 'p99=30s']

interface Stop {
  readonly name: string
  readonly server: LimitedServer
  readonly more?: readonly string[]
  readonly message: RegExp
  readonly code: number
  readonly limit?: string
}

// The objective is so wide that nothing but a stop ends the run early, on a slow machine too.
const stops: readonly Stop[] = [
  { name: '5xx over a share', server: { failEvery: 25 }, message: /The server answered \d+ % of the events with 5xx\. The run stopped\./, code: 2 },
  { name: '429 over a share', server: { hangAfter: 150, commandBuffer: 1 }, message: /The server answered \d+ % of the events with 429\. The run stopped\./, code: 1 },
  { name: '429 of a rate limit', server: { rateLimitAfter: 150 }, message: /something before the command channels answers 429, a rate limit perhaps, which must let this machine through\. The run stopped\./, code: 2 },
  { name: 'memory over --max-memory', server: { leakBytes: 1_000_000 }, more: ['--max-memory', '220MB'], message: /The server took \d+ MB of memory, more than --max-memory allows\. The run stopped\./, code: 2, limit: 'memory' }
]

for (const { name, server, more = [], message, code, limit } of stops) {
  t.test(name, async (t) => {
    const run = runTune(t, [...words, '--url', await startLimited(t, server), ...more])
    const ended = await run.ended
    // What a stop proves on a quiet machine, it leaves open on a busy one.
    const isDisturbed = /Other processes disturbed every step/.test(run.output())
    t.equal(ended, isDisturbed ? 2 : code, run.output())
    t.match(run.output(), message)
    const { steps, ...results } = run.results()!
    t.ok(steps.length < 15, 'it stopped at once')
    if (limit !== undefined) t.equal(results.limit, limit)
  })
}
