import { isDisturbed, othersLimit } from '../measure/disturbance.ts'
import type { Step } from '../measure/step.ts'
import { median } from '../statistics/quantile.ts'

/** How far the machine disturbed the run. */
export interface Noise {
  readonly isNoisy: boolean
  /** Share by which an objective must hold or fail for a verdict: 0 on a quiet machine. */
  readonly margin: number
  /** Sentences, one for each sign of it. */
  readonly signs: readonly string[]
  /** Ratio of the medians of two equal steps; null without them. */
  readonly control: { readonly achieved: number, readonly p50: number } | null
  /** Median share of the machine that other processes used; null where it is not known. */
  readonly others: number | null
}

const leastMargin = 0.15
/** A quiet machine lets a server wait for less than this share of the time. */
const waitedSign = 0.05
const rateLimit = 0.03
/** So many events more or less are chance. */
const chance = 6
/** Two equal steps whose medians differ by this factor, and by more than a timer's tick, are not equal. */
const latencyFactor = 1.5
const tickMs = 2

/** The steps of one load that other processes hardly disturbed; all of them if every one was disturbed. */
export function undisturbed (group: readonly Step[]): readonly Step[] {
  const quiet = group.filter((step) => !isDisturbed(step))
  return quiet.length > 0 ? quiet : group
}

export function judgeNoise (steps: readonly Step[]): Noise {
  const signs: string[] = []
  const [first, second] = steps.filter(({ kind }) => kind === 'control')
  let control: Noise['control'] = null
  if (first !== undefined && second !== undefined) {
    const [one, other] = [first.answer.p50 ?? 0, second.answer.p50 ?? 0]
    control = { achieved: second.achieved / first.achieved, p50: one === 0 ? 1 : other / one }
    if (Math.abs(control.achieved / (second.offered / first.offered) - 1) > Math.max(rateLimit, chance / (first.offered * first.seconds))) signs.push(`Two equal steps handled events at rates of ${first.achieved.toPrecision(3)} and ${second.achieved.toPrecision(3)} a second.`)
    if (Math.abs(one - other) > tickMs && Math.max(one, other) > latencyFactor * Math.min(one, other)) signs.push(`Two equal steps had median answers of ${one.toPrecision(3)} and ${other.toPrecision(3)} ms.`)
  }
  const others = medianOf(steps.flatMap(({ machine }) => machine.others ?? []))
  if (others !== null && others > othersLimit) signs.push(`Other processes used ${Math.round(others * 100)} % of the machine.`)
  const waited = medianOf(steps.flatMap(({ machine }) => machine.waited ?? []))
  if (waited !== null && waited > waitedSign) signs.push(`The server was ready to run and had no processor for ${Math.round(waited * 100)} % of the time.`)
  const voided = steps.filter((step) => step.void?.startsWith('the hypervisor') === true).length
  if (voided > 0) signs.push(`A hypervisor took processor time away in ${voided} of ${steps.length} steps.`)
  const margin = signs.length === 0 ? 0 : leastMargin + Math.min(1, waited ?? (others !== null && others > othersLimit ? others : 0))
  return { isNoisy: signs.length > 0, margin, signs, control, others }
}

function medianOf (values: readonly number[]): number | null {
  return values.length === 0 ? null : median(values)
}
