import fc from 'fast-check'
import t from 'tap'
import { bootstrap } from '../../../tune/statistics/bootstrap.ts'
import { between } from '../../../tune/statistics/buckets.ts'
import { createHistogram, decode, encode, merge, percentile, record, toDistribution } from '../../../tune/statistics/histogram.ts'
import { kneeOf } from '../../../tune/statistics/knee.ts'
import { leastSquares } from '../../../tune/statistics/least-squares.ts'
import { agreesWithLittle, littleRatio } from '../../../tune/statistics/little.ts'
import { median, quantile } from '../../../tune/statistics/quantile.ts'
import { randomFrom } from '../../../tune/statistics/random.ts'
import { predict, scalabilityOf } from '../../../tune/statistics/scalability.ts'
import { EventTimes } from '../../../plugin/metrics/event-times.ts'
import { effort } from '../../harness/effort.ts'

const figures = fc.double({ min: -1e6, max: 1e6, noNaN: true, noDefaultInfinity: true })
const runs = { numRuns: 50 * effort }

t.test('a quantile lies between its neighbours, and rises with its share', async () => {
  fc.assert(fc.property(fc.array(figures, { minLength: 1, maxLength: 40 }), fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (values, one, other) => {
    const [low, high] = [Math.min(one, other), Math.max(one, other)]
    const tolerance = 1e-6
    return quantile(values, 0) === Math.min(...values) && quantile(values, 1) === Math.max(...values) && quantile(values, low) <= quantile(values, high) + tolerance
  }), runs)
})

t.test('a bootstrap interval holds the true median in about as many cases as it says', async (t) => {
  let hits = 0
  const trials = 100 * effort
  for (let trial = 0; trial < trials; trial += 1) {
    const random = randomFrom(trial + 1)
    const values = Array.from({ length: 25 }, () => random() + random() + random())
    const interval = bootstrap([values], ([drawn]) => median(drawn!), { seed: trial + 7, resamples: 200 })!
    if (interval.low <= 1.5 && interval.high >= 1.5) hits += 1
  }
  t.ok(hits / trials > 0.87, `${hits} of ${trials}`)
  t.ok(hits < trials, 'the interval is not so wide that it says nothing')
})

t.test('a bootstrap of nothing that can be told is null', async (t) => {
  t.equal(bootstrap([[1, 2, 3]], () => null), null)
})

t.test('least squares finds the coefficients of exact data', async () => {
  fc.assert(fc.property(fc.tuple(figures, figures, figures), fc.array(fc.tuple(fc.integer({ min: -50, max: 50 }), fc.integer({ min: -50, max: 50 })), { minLength: 8, maxLength: 30 }), ([a, b, c], places) => {
    const rows = places.map(([x, y]) => [1, x, y])
    const fit = leastSquares(rows, rows.map(([, x, y]) => a + b * x! + c * y!))
    // Places on one line do not determine a plane.
    if (fit === null) return true
    return rows.every(([, x, y]) => Math.abs(fit[0]! + fit[1]! * x! + fit[2]! * y! - (a + b * x! + c * y!)) < 1e-3 * (1 + Math.abs(a) + Math.abs(b) * 50 + Math.abs(c) * 50))
  }), runs)
})

t.test('the knee is where two lines meet, also under noise', async () => {
  fc.assert(fc.property(fc.double({ min: 30, max: 170, noNaN: true }), fc.integer({ min: 1, max: 1e6 }), (place, seed) => {
    const random = randomFrom(seed)
    const points = Array.from({ length: 60 }, (_, index) => index * 200 / 59).map((x) => ({ x, y: Math.min(x, place) * (1 + (random() - 0.5) * 0.02) }))
    const knee = kneeOf(points)!
    return Math.abs(knee.x - place) < 6 && Math.abs(knee.before - 1) < 0.1 && Math.abs(knee.behind) < 0.15
  }), { numRuns: 20 * effort })
})

t.test('three loads have no knee', async (t) => {
  t.equal(kneeOf([1, 2, 3, 3].map((x) => ({ x, y: x }))), null)
})

t.test('the Universal Scalability Law is found again, from six loads on and up to twice the largest', async (t) => {
  fc.assert(fc.property(fc.double({ min: 1, max: 1_000, noNaN: true }), fc.double({ min: 0, max: 0.1, noNaN: true }), fc.double({ min: 0, max: 0.001, noNaN: true }), (rate, contention, coherency) => {
    const law = (load: number) => load * rate / (1 + contention * (load - 1) + coherency * load * (load - 1))
    const points = [1, 2, 4, 8, 16, 32, 64].map((load) => ({ load, throughput: law(load) }))
    const found = scalabilityOf(points)!
    return [3, 24, 64, 128].every((load) => Math.abs(predict(found, load)! / law(load) - 1) < 0.01)
  }), runs)
  const points = [10, 20, 30, 40, 50].map((load) => ({ load, throughput: load }))
  t.equal(scalabilityOf(points), null, 'five loads')
  t.equal(scalabilityOf([...points, ...points]), null, 'five loads, twice')
  const found = scalabilityOf([...points, { load: 60, throughput: 59 }])!
  t.not(predict(found, 120), null)
  t.equal(predict(found, 120.1), null, 'beyond twice the largest')
})

t.test('Little\'s law holds for any queue that is in a steady state, and shows lost requests', async (t) => {
  fc.assert(fc.property(fc.double({ min: 1, max: 1e4, noNaN: true }), fc.double({ min: 0.1, max: 1e3, noNaN: true }), (perSecond, meanMs) =>
    agreesWithLittle({ present: perSecond * meanMs / 1_000, perSecond, meanMs })), runs)
  t.equal(agreesWithLittle({ present: 20, perSecond: 100, meanMs: 100 }), false, 'half of them never came out')
  t.equal(littleRatio({ present: 0.01, perSecond: 1, meanMs: 5 }), null, 'too few to tell')
})

t.test('a histogram keeps percentiles within a thousandth, through its text and merging', async (t) => {
  fc.assert(fc.property(fc.array(fc.double({ min: 0.01, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 200 }), fc.double({ min: 0.01, max: 1, noNaN: true }), (values, share) => {
    const halves = [createHistogram(), createHistogram()]
    for (const [index, value] of values.entries()) record(halves[index % 2]!, value)
    const found = percentile(merge(halves.map((half) => decode(encode(half)))), share)!
    const exact = values.toSorted((first, second) => first - second)[Math.max(0, Math.ceil(share * values.length - 1e-9) - 1)]!
    return Math.abs(found - exact) <= 0.002 * exact + 0.002
  }), runs)
  t.match(toDistribution(createHistogram()), /Percentile/)
})

t.test('the server\'s times come back from its buckets within two percent', async (t) => {
  const times = new EventTimes()
  const before = times.read()
  const at = performance.now()
  const event = times.accept()
  event.begin()
  while (performance.now() < at + 20);
  event.settle()
  event.settle()
  const after = times.read()
  t.equal(after.settled - before.settled, 1)
  const handled = percentile(between(before.total, after.total), 0.5)!
  t.ok(Math.abs(handled / after.totalMs - 1) < 0.02, `${handled} ms of ${after.totalMs}`)
  t.equal(between(after.total, times.read().total).totalCount, 0, 'what was read before does not count again')
  t.equal(after.waiting + after.running, 0)
})
