import { leastSquares } from './least-squares.ts'

/** The Universal Scalability Law: `load * rate / (1 + contention * (load - 1) + coherency * load * (load - 1))`. */
export interface Scalability {
  /** Throughput of a load of 1. */
  readonly rate: number
  readonly contention: number
  readonly coherency: number
  /** The largest load for which {@link predict} answers: twice the largest that was measured. */
  readonly reach: number
}

const leastLoads = 6
const reachFactor = 2

/** Fits the law to throughputs by load. Null with fewer than six different loads, or where no sensible curve fits. */
export function scalabilityOf (points: ReadonlyArray<{ readonly load: number, readonly throughput: number }>): Scalability | null {
  const measured = points.filter(({ load, throughput }) => load > 0 && throughput > 0)
  if (new Set(measured.map(({ load }) => load)).size < leastLoads) return null
  // The law as a sum: load / throughput = (1 + contention * (load - 1) + coherency * load * (load - 1)) / rate.
  const targets = measured.map(({ load, throughput }) => load / throughput)
  const fit = leastSquares(measured.map(({ load }) => [1, load - 1, load * (load - 1)]), targets) ?? null
  const plain = fit !== null && fit[0]! > 0 && fit[1]! >= 0 && fit[2]! >= 0 ? fit : withoutNegatives(measured.map(({ load }) => load), targets)
  if (plain === null) return null
  const [base, contention, coherency] = plain as [number, number, number]
  return { rate: 1 / base, contention: contention / base, coherency: coherency / base, reach: reachFactor * Math.max(...measured.map(({ load }) => load)) }
}

/** The best fit that leaves out the terms whose coefficients would be negative. */
function withoutNegatives (loads: readonly number[], targets: readonly number[]): [number, number, number] | null {
  const terms: Array<(load: number) => number> = [() => 1, (load) => load - 1, (load) => load * (load - 1)]
  let best: { fit: [number, number, number], error: number } | null = null
  for (const kept of [[0, 1], [0, 2], [0]]) {
    const part = leastSquares(loads.map((load) => kept.map((term) => terms[term]!(load))), targets)
    if (part === null || part.some((value, index) => index === 0 ? value <= 0 : value < 0)) continue
    const fit: [number, number, number] = [0, 0, 0]
    for (const [index, term] of kept.entries()) fit[term] = part[index]!
    const error = loads.reduce((total, load, index) => total + (targets[index]! - terms.reduce((value, term, at) => value + term(load) * fit[at]!, 0)) ** 2, 0)
    if (best === null || error < best.error) best = { fit, error }
  }
  return best?.fit ?? null
}

/** The load beyond which throughput falls; null where it does not among the loads that were measured. */
export function peakOf ({ contention, coherency, reach }: Scalability): number | null {
  const peak = coherency > 0 && contention < 1 ? Math.sqrt((1 - contention) / coherency) : Infinity
  return peak <= reach / reachFactor ? peak : null
}

/** The throughput at a load; null beyond twice the largest load that was measured. */
export function predict ({ rate, contention, coherency, reach }: Scalability, load: number): number | null {
  if (load > reach || load <= 0) return null
  return load * rate / (1 + contention * (load - 1) + coherency * load * (load - 1))
}
