import { join } from 'node:path'
import t from 'tap'
import { judgeLimit } from '../../tune/harness/judge-limit.ts'
import { knownLimits } from '../../tune/harness/known-limits.ts'

const [known] = knownLimits.filter(({ name }) => name === '50 ms of waiting in a pool of 8')
const earlierRun = {
  format: 'fastify-tether/tune/1',
  capacity: { clients: 900, eventsPerSecond: { estimate: 900, interval: [890, 910], atLeast: false } },
  objectives: [],
  noise: { margin: 0 },
  settings: {},
  machine: {}
}
const folder = t.testdir({ 'earlier.json': JSON.stringify(earlierRun) })

t.test(`${known!.name}, and --compare with a better run`, async (t) => {
  const { code, results, run } = await judgeLimit(t, { ...known!, words: [...known!.words, '--compare', join(folder, 'earlier.json')] }, 0.4)
  t.equal(code, 1, 'the regression decides')
  t.not(results.exitCode, 1, 'the objectives hold at some load, or the machine is too noisy to tell')
  t.match(run.output(), /^Regression: 900\.0 before, \d+\.\d events a second now\./m)
})
