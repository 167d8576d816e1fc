import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { distributions } from '../../../plugin/eyes/catalogue.ts'
import { Histogram } from '../../../plugin/eyes/histogram.ts'

t.test('buckets are cumulative, and a bound belongs to its bucket', async () => {
  const buckets = [0.01, 0.5, 300, 14_400]
  fc.assert(fc.property(fc.array(fc.oneof(fc.constantFrom(...buckets, 0, 20_000), fc.double({ min: 0, max: 20_000, noNaN: true }))), (values) => {
    const histogram = new Histogram(buckets)
    for (const value of values) histogram.record(value, { url: '/a' })
    const samples = [...histogram.samples('x')]
    if (values.length === 0) return deepStrictEqual(samples, [])
    for (const [index, bound] of [...buckets, Infinity].entries()) {
      deepStrictEqual(samples[index], { metricName: 'x_bucket', labels: { url: '/a', le: bound === Infinity ? '+Inf' : bound }, value: values.filter((value) => value <= bound).length })
    }
    deepStrictEqual(samples.slice(-2).map(({ metricName, value }) => [metricName, value]), [['x_sum', values.reduce((sum, value) => sum + value, 0)], ['x_count', values.length]])
  }))
})

t.test('streams of hours have buckets of their own', async (t) => {
  const { buckets } = distributions.connection
  t.equal(buckets[0], 0.01)
  t.equal(buckets.at(-1), 14_400)
  t.ok((buckets as readonly number[]).includes(300))
  for (const { buckets } of Object.values(distributions)) t.strictSame([...buckets], [...new Set(buckets)].sort((left, right) => left - right))
})
