import t from 'tap'
import type { Results } from '../../../tune/decision/results.ts'
import { compare } from '../../../tune/report/compare.ts'

interface Given {
  readonly estimate: number
  readonly atLeast?: boolean
  readonly margin?: number
  readonly rate?: number
}

function run ({ estimate, atLeast = false, margin = 0, rate = 1 }: Given): Results {
  return {
    capacity: { clients: estimate, eventsPerSecond: { estimate, interval: [estimate - 3, estimate + 3], atLeast } },
    objectives: [{ name: 'p99=250ms', share: 0.99, limitMs: 250, capacity: null }],
    settings: { rate, transport: 'sse', readers: { fast: 1 } },
    machine: { processor: 'a', cores: 2 },
    noise: { margin }
  } as unknown as Results
}

t.test('only intervals that do not meet show a difference', async (t) => {
  const fast = run({ estimate: 90 })
  const slow = run({ estimate: 50 })
  t.match(compare(fast, slow), { isRegression: true, summary: 'Regression: 90.0 before, 50.0 events a second now.', before: 90, after: 50 })
  t.match(compare(slow, fast), { isRegression: false, summary: /^Improvement/ })
  t.match(compare(fast, run({ estimate: 86 })), { isRegression: false, summary: /^No measurable difference/ })
})

t.test('noise of either run widens them', async (t) => {
  t.equal(compare(run({ estimate: 90 }), run({ estimate: 80 })).isRegression, true)
  t.equal(compare(run({ estimate: 90 }), run({ estimate: 80, margin: 0.15 })).isRegression, false)
  t.equal(compare(run({ estimate: 90, margin: 0.15 }), run({ estimate: 80 })).isRegression, false)
})

t.test('what cannot be compared is no regression, and says so', async (t) => {
  t.match(compare({ ...run({ estimate: 90 }), capacity: null }, run({ estimate: 50 })), { isRegression: false, summary: /^Cannot compare: the earlier run/ })
  t.match(compare(run({ estimate: 90 }), { ...run({ estimate: 50 }), capacity: null }), { isRegression: false, summary: /^Cannot compare: the present run/ })
  t.match(compare(run({ estimate: 90 }), run({ estimate: 50, atLeast: true })), { isRegression: false, summary: /^Cannot compare: this run went no further than 50\.0/ })
  t.match(compare(run({ estimate: 50, atLeast: true }), run({ estimate: 90 })), { isRegression: false, summary: /^No measurable difference/ })
  t.match(compare(run({ estimate: 90 }), run({ estimate: 50, rate: 5 })).summary, /This says little, since these differ: rate\.$/)
})
