import t from 'tap'
import { judgeLimit } from './harness/judge-limit.ts'
import { knownLimits } from './harness/known-limits.ts'

t.setTimeout(180_000)

// The others run in test/long/tune.
const [known] = knownLimits.filter(({ name }) => name === '50 ms of waiting in a pool of 8')

t.test(known!.name, async (t) => await judgeLimit(t, known!, 0.4))
