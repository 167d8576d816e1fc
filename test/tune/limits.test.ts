import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { judgeLimit } from './harness/judge-limit.ts'
import { knownLimits } from './harness/known-limits.ts'

t.setTimeout(180_000)

// The others run in test/long/tune.
const earlierRun = { format: 'fastify-tether/tune/1', objectives: [], noise: { margin: 0 }, settings: {}, machine: {} }
const [known] = knownLimits.filter(({ name }) => name === '50 ms of waiting in a pool of 8')

t.test(`${known!.name}, and --compare with a better run`, async (t) => {
  const folder = t.testdir()
  const earlier = join(folder, 'earlier.json')
  writeFileSync(earlier, JSON.stringify({ ...earlierRun, capacity: { clients: 900, eventsPerSecond: { estimate: 900, interval: [890, 910], atLeast: false } } }))
  const { code, results, run } = await judgeLimit(t, { ...known!, words: [...known!.words, '--compare', earlier] }, 0.4)
  t.strictSame([code, results.exitCode], [1, 0], 'the objectives hold at some load, but the regression decides')
  t.match(run.output(), /^Regression: 900\.0 before, \d+\.\d events a second now\./m)
})
