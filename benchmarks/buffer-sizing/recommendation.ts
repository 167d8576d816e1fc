import { quantile } from '../harness/report/statistics.ts'

/** Figures of one buffer size in one repeat. */
export interface Sample {
  readonly buffer: number
  readonly repeat: number
  /** A figure where more is better, such as accepted events a second. */
  readonly throughput: number
  /** p99 that is compared with the target; null if none was measured. */
  readonly latencyMs: number | null
  /** Most memory that a server with this buffer needs; null if it does not depend on the buffer. */
  readonly memoryBytes: number | null
}

export interface Goals {
  readonly targetMs?: number
  readonly budgetBytes?: number
  /** The default size, which is kept unless another one is measurably better. */
  readonly defaultBuffer: number
}

/** A median and the interval of its true value. */
export interface Interval {
  readonly low: number
  readonly median: number
  readonly high: number
}

export type Limit = 'latency' | 'memory'

/** One buffer size, compared with the goals. */
export interface Assessment {
  readonly buffer: number
  readonly throughput: Interval
  /** Share of the best throughput. */
  readonly share: Interval
  readonly latencyMs: Interval | null
  readonly memoryBytes: number | null
  readonly speed: 'within' | 'below' | 'not clear'
  readonly latency: 'met' | 'missed' | 'not clear'
  readonly memory: 'met' | 'missed'
}

export interface Recommendation {
  /**
   * `chosen`: measurably the smallest that meets all goals. `kept`: nothing measurably better than the default.
   * `limited`: meets the limits at the cost of throughput. `not clear`: the target is too close to decide.
   * `impossible`: no size meets the limits.
   */
  readonly outcome: 'chosen' | 'kept' | 'limited' | 'not clear' | 'impossible'
  /** Null when it is impossible. */
  readonly buffer: number | null
  /** The limit that excludes a better size. */
  readonly limits: readonly Limit[]
  readonly summary: string
  readonly remarks: readonly string[]
  readonly assessments: readonly Assessment[]
}

/** Less than this share of the best throughput is too little. */
const enough = 0.95
/** Standard errors on either side: if two such intervals do not overlap, the difference is chance in one of some hundreds of cases. */
const errors = 2.3
/** With fewer repeats, the noise is unknown. */
const leastRepeats = 3

/** The smallest buffer within 5 % of the best throughput that meets latency target and memory budget. */
export function recommend (samples: readonly Sample[], goals: Goals): Recommendation {
  if (samples.length === 0) throw new Error('nothing was measured, so nothing can be recommended')
  const assessments = assess(samples, goals)
  const fallback = assessments.find(({ buffer }) => buffer === goals.defaultBuffer)
  const possible = assessments.filter(({ latency, memory }) => latency !== 'missed' && memory === 'met')
  if (possible.length === 0) return impossible(assessments, goals)

  const meets = ({ latency, latencyMs }: Assessment): boolean =>
    latency === 'met' || goals.targetMs === undefined || (latencyMs !== null && latencyMs.median <= goals.targetMs)
  const strict = possible.filter((one) => meets(one) && (one.speed === 'within' || one.share.median >= enough))
  const best = strict[0]
  if (best === undefined) return compromise(assessments, possible, fallback, goals)

  const isKept = fallback !== undefined && possible.includes(fallback) && fallback.speed !== 'below' &&
    (fallback === best || (overlap(fallback.share, best.share) && overlapOrNone(fallback.latencyMs, best.latencyMs)))
  const chosen = isKept ? fallback : best
  const alike = possible.filter((one) => one !== chosen && overlap(one.share, chosen.share) && one.speed !== 'below').map(({ buffer }) => buffer)
  return {
    outcome: isKept ? 'kept' : 'chosen',
    buffer: chosen.buffer,
    limits: [],
    summary: isKept ? describeKept(chosen, alike) : describeChosen(chosen, fallback, goals),
    remarks: remarksOn(chosen, alike, isKept, assessments),
    assessments
  }
}

function assess (samples: readonly Sample[], { targetMs, budgetBytes }: Goals): Assessment[] {
  const buffers = [...new Set(samples.map(({ buffer }) => buffer))].sort((first, second) => first - second)
  const throughputs = intervals(samples, ({ throughput }) => throughput)
  const latencies = intervals(samples, ({ latencyMs }) => latencyMs)
  const best = bestOf(throughputs)
  return buffers.map((buffer) => {
    const throughput = throughputs.get(buffer) ?? unknown
    const latencyMs = latencies.get(buffer) ?? null
    const memories = samples.filter((sample) => sample.buffer === buffer).flatMap(({ memoryBytes }) => memoryBytes ?? [])
    const memoryBytes = memories.length === 0 ? null : Math.max(...memories)
    const share = best.reference === 0 ? { low: 1, median: 1, high: 1 } : scale(throughput, 1 / best.reference)
    return {
      buffer,
      throughput,
      share,
      latencyMs,
      memoryBytes,
      speed: judgeSpeed(share, overlap(throughput, best.interval)),
      latency: judgeLatency(latencyMs, targetMs),
      memory: budgetBytes !== undefined && memoryBytes !== null && memoryBytes > budgetBytes ? 'missed' : 'met'
    }
  })
}

/**
 * The greatest of many noisy medians is too great. So the best counts as the middle of all medians that do not
 * differ measurably from the greatest.
 */
function bestOf (throughputs: ReadonlyMap<number, Interval>): { reference: number, interval: Interval } {
  const all = [...throughputs.values()]
  const interval = all.reduce((greatest, one) => one.median > greatest.median ? one : greatest)
  const alike = all.filter((one) => overlap(one, interval) && one.median > 0)
  return { reference: alike.length === 0 ? 0 : quantile(alike.map(({ median }) => median), 0.5), interval }
}

function judgeSpeed (share: Interval, isLikeBest: boolean): Assessment['speed'] {
  if (share.low >= enough) return 'within'
  return share.high < enough && !isLikeBest ? 'below' : 'not clear'
}

function judgeLatency (latencyMs: Interval | null, targetMs: number | undefined): Assessment['latency'] {
  if (targetMs === undefined || latencyMs === null) return 'met'
  if (latencyMs.high <= targetMs) return 'met'
  return latencyMs.low > targetMs ? 'missed' : 'not clear'
}

const unknown: Interval = { low: 0, median: 0, high: Number.POSITIVE_INFINITY }

/**
 * For each buffer its median with an interval. First the factor is removed by which a whole repeat was slower or faster
 * (other work kept the machine busy). The remaining noise is judged over all buffers together, since a
 * handful of repeats of one buffer says little, and by the quartiles of that buffer; the wider interval counts.
 */
function intervals (samples: readonly Sample[], figure: (sample: Sample) => number | null): Map<number, Interval> {
  const values = samples.flatMap((sample) => {
    const value = figure(sample)
    return value === null || Number.isNaN(value) ? [] : [{ buffer: sample.buffer, repeat: sample.repeat, value }]
  })
  const median = (buffer: number, of: typeof values): number =>
    quantile(of.filter((value) => value.buffer === buffer).map(({ value }) => value), 0.5)
  const buffers = [...new Set(values.map(({ buffer }) => buffer))]
  const raw = new Map(buffers.map((buffer) => [buffer, median(buffer, values)]))
  const drifts = driftOfRepeats(values, raw)
  const steady = values.map((value) => ({ ...value, value: value.value / (drifts.get(value.repeat) ?? 1) }))
  const medians = new Map(buffers.map((buffer) => [buffer, median(buffer, steady)]))
  // The median repeat of a buffer equals its median, which shows nothing of the noise.
  const strays = steady.flatMap(({ buffer, value }) => {
    const middle = medians.get(buffer) ?? 0
    return middle > 0 && value !== middle ? [Math.abs(value / middle - 1)] : []
  })
  const noise = strays.length === 0 ? 0 : 1.4826 * quantile(strays, 0.5)
  return new Map(buffers.map((buffer) => {
    const own = steady.filter((value) => value.buffer === buffer).map(({ value }) => value)
    const middle = medians.get(buffer) ?? 0
    if (own.length < leastRepeats) return [buffer, { ...unknown, median: middle }]
    const half = errors * 1.2533 * noise / Math.sqrt(own.length)
    return [buffer, {
      low: Math.max(0, Math.min(middle * (1 - half), quantile(own, 0.25))),
      median: middle,
      high: Math.max(middle * (1 + half), quantile(own, 0.75))
    }]
  }))
}

/** Factor of each repeat to the medians, as the median over its buffers. */
function driftOfRepeats (
  values: ReadonlyArray<{ buffer: number, repeat: number, value: number }>, medians: ReadonlyMap<number, number>
): Map<number, number> {
  const drifts = new Map<number, number>()
  for (const repeat of new Set(values.map((value) => value.repeat))) {
    const ratios = values.filter((value) => value.repeat === repeat).flatMap(({ buffer, value }) => {
      const middle = medians.get(buffer) ?? 0
      return middle > 0 && value > 0 ? [value / middle] : []
    })
    // With fewer buffers, the drift and a buffer's own noise would look the same.
    drifts.set(repeat, ratios.length < 4 ? 1 : quantile(ratios, 0.5))
  }
  return drifts
}

function compromise (
  assessments: readonly Assessment[], possible: readonly Assessment[], fallback: Assessment | undefined, goals: Goals
): Recommendation {
  const [first] = possible
  if (first === undefined) return impossible(assessments, goals)
  // The possible sizes may have another best.
  const best = possible.reduce((greatest, one) => one.share.median > greatest.share.median ? one : greatest)
  const alike = possible.filter((one) => overlap(one.share, best.share) || one.share.median >= enough * best.share.median)
  const clear = alike.filter(({ latency }) => latency === 'met')
  const isClear = clear.length > 0
  const candidates = isClear ? clear : alike
  const chosen = fallback !== undefined && candidates.includes(fallback) ? fallback : candidates[0] ?? first
  const lost = assessments.some(({ share, buffer }) => share.median >= enough && buffer !== chosen.buffer) && chosen.speed === 'below'
  const limits = lost ? limitsOf(assessments.filter((one) => !possible.includes(one) && one.speed !== 'below')) : []
  const cost = lost ? ` It reaches ${percent(chosen.share.median)} of the best throughput; more would not meet the ${limits.join(' and the ')} limit.` : ''
  const closeness = isClear || goals.targetMs === undefined
    ? ''
    : ` Whether it meets the target of ${goals.targetMs} ms is not clear: its p99 ` +
      (Number.isFinite(chosen.latencyMs?.high)
        ? `lies between ${figure(chosen.latencyMs?.low)} and ${figure(chosen.latencyMs?.high)} ms. More repeats may tell.`
        : `was ${figure(chosen.latencyMs?.median)} ms, but there are fewer than ${leastRepeats} repeats.`)
  return {
    outcome: isClear ? lost ? 'limited' : 'chosen' : 'not clear',
    buffer: chosen.buffer,
    limits: isClear ? limits : [...new Set<Limit>([...limits, 'latency'])],
    summary: `Take ${chosen.buffer}.${cost}${closeness}`,
    remarks: [],
    assessments
  }
}

function impossible (assessments: readonly Assessment[], { targetMs, budgetBytes }: Goals): Recommendation {
  const limits = limitsOf(assessments)
  const quickest = assessments.filter(({ latencyMs }) => latencyMs !== null)
    .reduce<Assessment | undefined>((least, one) => least === undefined || (one.latencyMs?.median ?? 0) < (least.latencyMs?.median ?? 0) ? one : least, undefined)
  const smallest = assessments.reduce((least, one) => (one.memoryBytes ?? 0) < (least.memoryBytes ?? 0) ? one : least)
  const reasons: string[] = []
  if (limits.includes('latency') && targetMs !== undefined) {
    reasons.push(`the shortest p99 is ${figure(quickest?.latencyMs?.median)} ms (with ${quickest?.buffer}), the target ${targetMs} ms`)
  }
  if (limits.includes('memory') && budgetBytes !== undefined) {
    reasons.push(`the least memory is ${figure((smallest.memoryBytes ?? 0) / 1e6)} MB (with ${smallest.buffer}), the budget ${figure(budgetBytes / 1e6)} MB`)
  }
  return {
    outcome: 'impossible',
    buffer: null,
    limits,
    summary: `No size meets the goals; what limits is ${limits.join(' and ')}: ${reasons.join('; ')}.`,
    remarks: [],
    assessments
  }
}

function limitsOf (assessments: readonly Assessment[]): Limit[] {
  const limits: Limit[] = []
  if (assessments.some(({ latency }) => latency === 'missed')) limits.push('latency')
  if (assessments.some(({ memory }) => memory === 'missed')) limits.push('memory')
  return limits
}

function describeKept ({ buffer }: Assessment, alike: readonly number[]): string {
  return alike.length === 0
    ? `Keep ${buffer}: it is the smallest that does it.`
    : `No measurable difference, keep ${buffer}.`
}

function describeChosen (chosen: Assessment, fallback: Assessment | undefined, { targetMs, budgetBytes }: Goals): string {
  const why = fallback === undefined
    ? ''
    : fallback.memory === 'missed'
      ? `; ${fallback.buffer} does not fit the budget of ${figure((budgetBytes ?? 0) / 1e6)} MB`
      : fallback.latency === 'missed'
        ? `; ${fallback.buffer} misses the target of ${targetMs} ms`
        : fallback.speed === 'below'
          ? `; ${fallback.buffer} reaches ${percent(fallback.share.median)}`
          : ''
  return `Take ${chosen.buffer}: the smallest within 5 % of the best throughput${why}.`
}

function remarksOn (chosen: Assessment, alike: readonly number[], isKept: boolean, assessments: readonly Assessment[]): string[] {
  const remarks: string[] = []
  if (assessments.some(({ throughput }) => throughput.high === Number.POSITIVE_INFINITY)) {
    remarks.push(`With fewer than ${leastRepeats} repeats of each size nothing can be told apart.`)
  }
  if (alike.length > 0) {
    remarks.push(`The measured intervals of ${[...alike, chosen.buffer].sort((first, second) => first - second).join(', ')} overlap: ` +
      'this run cannot tell them apart.')
  }
  if (chosen.latency === 'not clear') remarks.push('Its p99 lies so close to the target that the run cannot tell whether it is met.')
  const over = assessments.filter(({ memory }) => memory === 'missed').map(({ buffer }) => buffer)
  if (over.length > 0) remarks.push(`Not within the budget: ${over.join(', ')}.`)
  const late = assessments.filter(({ latency }) => latency === 'missed').map(({ buffer }) => buffer)
  if (late.length > 0) remarks.push(`Not within the target: ${late.join(', ')}.`)
  return remarks
}

function overlap (first: Interval, second: Interval): boolean {
  return first.low <= second.high && second.low <= first.high
}

function overlapOrNone (first: Interval | null, second: Interval | null): boolean {
  return first === null || second === null || overlap(first, second)
}

function scale ({ low, median, high }: Interval, factor: number): Interval {
  return { low: low * factor, median: median * factor, high: high * factor }
}

function percent (share: number): string {
  return `${Math.round(share * 100)} %`
}

function figure (value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? '?' : String(Number(value.toPrecision(3)))
}
