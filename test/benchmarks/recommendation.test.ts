import t from 'tap'
import { recommend, type Goals, type Sample } from '../../benchmarks/buffer-sizing/recommendation.ts'

const sizes = [1, 2, 4, 8, 16, 32, 64, 128, 256]
const defaultBuffer = 4

/** A system of which the truth is known. */
interface System {
  throughput: (buffer: number) => number
  latencyMs?: (buffer: number) => number
  memoryBytes?: (buffer: number) => number
}

interface Noise {
  seed: number
  /** Standard deviation of each measurement, as a part of it. */
  deviation: number
  /** By how much a whole repeat may be slower. */
  drift?: number
  repeats?: number
}

/** Uniform numbers from 0 to 1 that a seed repeats. */
function randomNumbers (seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function measure (system: System, { seed, deviation, drift = 0, repeats = 5 }: Noise, buffers = sizes): Sample[] {
  const random = randomNumbers(seed)
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return Array.from({ length: repeats }, (_, repeat) => {
    const slowness = 1 + drift * random()
    return buffers.map((buffer) => ({
      buffer,
      repeat,
      throughput: Math.max(0, system.throughput(buffer) / slowness * (1 + deviation * normal())),
      latencyMs: system.latencyMs === undefined ? null : Math.max(0, system.latencyMs(buffer) * slowness * (1 + deviation * normal())),
      memoryBytes: system.memoryBytes?.(buffer) ?? null
    }))
  }).flat()
}

/** How often each answer came, over many seeds. */
function answers (system: System, goals: Omit<Goals, 'defaultBuffer'>, noise: Omit<Noise, 'seed'>): Map<string, number> {
  const counts = new Map<string, number>()
  for (let seed = 1; seed <= 200; seed += 1) {
    const { outcome, buffer } = recommend(measure(system, { ...noise, seed }), { ...goals, defaultBuffer })
    const answer = `${outcome} ${buffer}`
    counts.set(answer, (counts.get(answer) ?? 0) + 1)
  }
  return counts
}

const flat = () => 5_000
/** Rises as the buffer does, up to the knee. */
const kneeAt = (knee: number) => (buffer: number) => 5_000 * Math.min(1, 0.2 + 0.8 * buffer / knee)
const megabyte = 1e6

t.test('a flat system keeps the default, however noisy', async (t) => {
  for (const deviation of [0.01, 0.05, 0.2]) {
    for (const repeats of [3, 5, 9]) {
      const counts = answers({ throughput: flat, latencyMs: () => 10 }, { targetMs: 50 }, { deviation, drift: 0.5, repeats })
      t.ok((counts.get('kept 4') ?? 0) >= 196, `deviation ${deviation}, ${repeats} repeats: ${JSON.stringify([...counts])}`)
    }
  }
  const { summary, remarks } = recommend(measure({ throughput: flat }, { seed: 1, deviation: 0.05 }), { defaultBuffer })
  t.equal(summary, 'No measurable difference, keep 4.')
  t.match(remarks[0], /^The measured intervals of 1, 2, 4, 8, 16, 32, 64, 128, 256 overlap/)
})

t.test('a knee is found, on a machine that drifts', async (t) => {
  for (const knee of [8, 16, 32, 64, 128]) {
    const counts = answers({ throughput: kneeAt(knee), latencyMs: () => 10 }, { targetMs: 50 }, { deviation: 0.05, drift: 1 })
    t.ok((counts.get(`chosen ${knee}`) ?? 0) >= 190, `knee at ${knee}: ${JSON.stringify([...counts])}`)
  }
})

t.test('a knee at or below the default keeps it', async (t) => {
  for (const knee of [1, 2, 4]) {
    const counts = answers({ throughput: kneeAt(knee) }, {}, { deviation: 0.05 })
    t.ok((counts.get('kept 4') ?? 0) >= 196, `knee at ${knee}: ${JSON.stringify([...counts])}`)
  }
})

t.test('a smaller one than the default is taken where only it meets the target', async (t) => {
  const system = { throughput: flat, latencyMs: (buffer: number) => 20 * buffer }
  const counts = answers(system, { targetMs: 50 }, { deviation: 0.05 })
  t.ok((counts.get('chosen 1') ?? 0) >= 190, JSON.stringify([...counts]))
})

t.test('a memory budget takes the best that fits, and says what it costs', async (t) => {
  const system = { throughput: kneeAt(64), memoryBytes: (buffer: number) => buffer * 10 * megabyte }
  const counts = answers(system, { budgetBytes: 200 * megabyte }, { deviation: 0.05 })
  t.ok((counts.get('limited 16') ?? 0) >= 196, JSON.stringify([...counts]))
  const { limits, summary } = recommend(measure(system, { seed: 3, deviation: 0.02 }), { budgetBytes: 200 * megabyte, defaultBuffer })
  t.same(limits, ['memory'])
  t.match(summary, /^Take 16\. It reaches \d\d % of the best throughput; more would not meet the memory limit\.$/)
})

t.test('a latency target takes the best that meets it', async (t) => {
  const system = { throughput: kneeAt(64), latencyMs: (buffer: number) => 2 * buffer }
  const counts = answers(system, { targetMs: 45 }, { deviation: 0.05 })
  t.ok((counts.get('limited 16') ?? 0) >= 190, JSON.stringify([...counts]))
  t.same(recommend(measure(system, { seed: 3, deviation: 0.02 }), { targetMs: 45, defaultBuffer }).limits, ['latency'])
})

t.test('where the knee meets both limits, they cost nothing', async (t) => {
  const system = { throughput: kneeAt(16), latencyMs: (buffer: number) => buffer, memoryBytes: (buffer: number) => buffer * megabyte }
  const counts = answers(system, { targetMs: 30, budgetBytes: 30 * megabyte }, { deviation: 0.05 })
  t.ok((counts.get('chosen 16') ?? 0) >= 190, JSON.stringify([...counts]))
})

t.test('says when nothing meets the goals, and what limits', async (t) => {
  const system = { throughput: flat, latencyMs: (buffer: number) => 80 + buffer, memoryBytes: (buffer: number) => (500 + buffer) * megabyte }
  const samples = measure(system, { seed: 1, deviation: 0.02 })
  const slow = recommend(samples, { targetMs: 50, defaultBuffer })
  t.equal(slow.outcome, 'impossible')
  t.equal(slow.buffer, null)
  t.same(slow.limits, ['latency'])
  t.match(slow.summary, /the shortest p99 is 8\d(\.\d)? ms \(with [12]\), the target 50 ms/)
  const large = recommend(samples, { budgetBytes: 256 * megabyte, defaultBuffer })
  t.same(large.limits, ['memory'])
  t.match(large.summary, /the least memory is 501 MB \(with 1\), the budget 256 MB/)
  t.same(recommend(samples, { targetMs: 50, budgetBytes: 256 * megabyte, defaultBuffer }).limits, ['latency', 'memory'])
})

t.test('a target that lies within the noise is not called met', async (t) => {
  const samples = measure({ throughput: flat, latencyMs: () => 50.5 }, { seed: 2, deviation: 0.1 })
  const { buffer, outcome, remarks } = recommend(samples, { targetMs: 50, defaultBuffer })
  t.equal(buffer, 4)
  t.ok(outcome === 'not clear' || remarks.some((remark) => remark.includes('cannot tell whether it is met')))
})

t.test('one or two repeats tell nothing, so the default stays', async (t) => {
  for (const repeats of [1, 2]) {
    const { outcome, buffer } = recommend(measure({ throughput: kneeAt(64) }, { seed: 1, deviation: 0.01, repeats }), { defaultBuffer })
    t.equal(`${outcome} ${buffer}`, 'kept 4')
  }
})

t.test('takes what there is of a run that was broken off', async (t) => {
  const samples = measure({ throughput: kneeAt(32) }, { seed: 1, deviation: 0.03, drift: 0.5 })
  t.equal(recommend(samples.slice(0, -5), { defaultBuffer }).buffer, 32)
  t.throws(() => recommend([], { defaultBuffer }), /nothing was measured/)
})

t.test('nothing accepted by anybody is no reason to change anything', async (t) => {
  const { outcome, buffer } = recommend(measure({ throughput: () => 0 }, { seed: 1, deviation: 0 }), { defaultBuffer })
  t.equal(`${outcome} ${buffer}`, 'kept 4')
})

t.test('whatever was measured, what is advised meets the limits as far as they were measured', async (t) => {
  const random = randomNumbers(7)
  for (let round = 0; round < 300; round += 1) {
    const knee = sizes[Math.floor(random() * sizes.length)] ?? 1
    const slope = random() * 4
    const system = {
      throughput: kneeAt(knee),
      latencyMs: (buffer: number) => 5 + slope * buffer,
      memoryBytes: (buffer: number) => buffer * megabyte
    }
    const goals = { targetMs: 5 + random() * 400, budgetBytes: random() * 300 * megabyte, defaultBuffer }
    const samples = measure(system, { seed: round, deviation: random() * 0.2, drift: random(), repeats: 3 + Math.floor(random() * 7) })
    const { outcome, buffer, assessments } = recommend(samples, goals)
    const chosen = assessments.find((one) => one.buffer === buffer)
    if (outcome === 'impossible') {
      if (assessments.some(({ latency, memory }) => latency !== 'missed' && memory === 'met')) t.fail(`round ${round}: one was possible`)
    } else if (chosen?.memory !== 'met' || chosen.latency === 'missed') t.fail(`round ${round}: ${buffer} breaks a limit`)
  }
  t.pass('300 systems')
})
