import { summarise } from './statistics.ts'
import type { Column } from './table.ts'
import { judge, type Goal, type Verdict } from './verdict.ts'

/** Measurements of one kind in one repeat. */
export interface Round {
  readonly kind: string
  readonly repeat: number
}

/** One number of a round; nothing where it was not measured. */
export type Figure<Measured> = (measured: Measured) => number | null | undefined

/** A figure by which two kinds are compared, or which has a limit of its own. */
export interface Contest<Measured> {
  readonly what: string
  readonly kind: string
  /** The baseline by default. */
  readonly against?: string
  /** Unit of the figure, if the limit is one of the figure and not of a ratio. */
  readonly unit?: string
  readonly figure: Figure<Measured>
  readonly direction: Goal['direction']
  readonly limit: number
}

/** The kind that each is compared with: the same for all, or one of its own under a title for all. */
export type Baseline = string | { readonly title: string, of (kind: string): string | undefined }

/** Compares kinds over several repeats. */
export class Comparison<Measured extends Round> {
  readonly #rounds: readonly Measured[]
  readonly #baseline: string

  /** @param baseline the default kind for ratios */
  constructor (rounds: readonly Measured[], baseline: string) {
    this.#rounds = rounds
    this.#baseline = baseline
  }

  /** Values in the order of the repeats; NaN where none was measured. */
  values (kind: string, figure: Figure<Measured>): number[] {
    return this.#of(kind).map((round) => figure(round) ?? Number.NaN)
  }

  /** Ratios within each repeat, so that a drift of the machine cancels out. */
  ratios (kind: string, figure: Figure<Measured>, against = this.#baseline): number[] {
    const others = new Map(this.#of(against).map((round) => [round.repeat, figure(round)]))
    return this.#of(kind).map((round) => (figure(round) ?? Number.NaN) / (others.get(round.repeat) ?? Number.NaN))
  }

  median (title: string, figure: Figure<Measured>, digits: number): Column<string> {
    return { title, value: (kind) => show(summarise(this.values(kind, figure)).median, digits) }
  }

  /** Range from the least to the greatest value. */
  range (figure: Figure<Measured>, digits: number): Column<string> {
    return { title: 'min–max', value: (kind) => between(this.values(kind, figure), 'minimum', 'maximum', digits) }
  }

  /** The median of the ratios. */
  ratio (figure: Figure<Measured>, against: Baseline = this.#baseline): Column<string> {
    return {
      title: `× ${typeof against === 'string' ? against : against.title}`,
      value: (kind) => show(summarise(this.ratios(kind, figure, resolve(against, kind))).median, 2)
    }
  }

  /** The median, and its ratios to one or several others with their quartiles. */
  compared (title: string, figure: Figure<Measured>, digits: number, others: readonly Baseline[] = [this.#baseline]): Array<Column<string>> {
    return [
      this.median(title, figure, digits),
      { title: 'quartiles', value: (kind) => between(this.values(kind, figure), 'lowerQuartile', 'upperQuartile', digits) },
      ...others.flatMap((other) => [
        this.ratio(figure, other),
        { title: 'quartiles', value: (kind: string) => between(this.ratios(kind, figure, resolve(other, kind)), 'lowerQuartile', 'upperQuartile', 2) }
      ])
    ]
  }

  /** Verdict on a kind; nothing where it or the other was not measured. */
  judge ({ what, kind, against = this.#baseline, unit, figure, direction, limit }: Contest<Measured>): Verdict[] {
    const values = (unit === undefined ? this.ratios(kind, figure, against) : this.values(kind, figure)).filter(Number.isFinite)
    return values.length === 0 ? [] : [judge({ name: `${kind}: ${what}`, direction, limit, unit: unit ?? `× ${against}` }, values)]
  }

  #of (kind: string): Measured[] {
    return this.#rounds.filter((round) => round.kind === kind)
  }
}

/** A kind that has no other to compare with has no ratio. */
function resolve (baseline: Baseline, kind: string): string {
  return typeof baseline === 'string' ? baseline : baseline.of(kind) ?? ''
}

type Edge = 'minimum' | 'lowerQuartile' | 'upperQuartile' | 'maximum'

function between (values: readonly number[], low: Edge, high: Edge, digits: number): string {
  const spread = summarise(values)
  return `${show(spread[low], digits)}–${show(spread[high], digits)}`
}

function show (value: number, digits: number): string {
  return Number.isNaN(value) ? '?' : value.toFixed(digits)
}
