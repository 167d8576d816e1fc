import t from 'tap'
import { judgeLimit } from '../../tune/harness/judge-limit.ts'
import { knownLimits } from '../../tune/harness/known-limits.ts'

t.setTimeout(6_000_000)

for (const known of knownLimits) t.test(known.name, async (t) => await judgeLimit(t, known, 1.5))
