import type { Sample, Totals } from '../../../schemas/inspector.ts'
import type { InspectedSubject } from './subject.ts'

/** Totals that only grow, at one time. */
interface Mark { readonly at: number, readonly updates: number, readonly events: number, readonly stalls: number }

/** The totals of this node over time, while somebody looks. */
export class TotalsHistory {
  readonly #subject: InspectedSubject
  readonly #most: number
  readonly #samples: Sample[] = []
  #mark: Mark | null = null

  /** @param most samples that are kept */
  constructor (subject: InspectedSubject, most: number) {
    this.#subject = subject
    this.#most = most
  }

  /** The samples so far, the oldest first. */
  get samples (): readonly Sample[] { return this.#samples }

  /** Takes a sample. Some 0.05 ms for each 1,000 sessions. */
  take (): Totals {
    const { runtime, registry, cluster } = this.#subject
    const { totals, time } = runtime
    const now = time.now()
    let stalled = 0
    for (const session of registry) if (session.stallMs(now) > 0) stalled++
    const mark = { at: performance.now(), updates: totals.framesWritten, events: totals.eventsAccepted, stalls: totals.stalls }
    const before = this.#mark
    this.#mark = mark
    const rate = (name: 'updates' | 'events' | 'stalls') => before === null || mark.at <= before.at ? null : (mark[name] - before[name]) * 1_000 / (mark.at - before.at)
    const sample: Sample = {
      at: Date.now(),
      sessions: registry.size,
      streams: runtime.streams.size,
      stalled,
      bufferedBytes: runtime.budget.used,
      updates: rate('updates'),
      events: rate('events'),
      stalls: rate('stalls')
    }
    if (this.#samples.length >= this.#most) this.#samples.shift()
    this.#samples.push(sample)
    return {
      sample,
      maxSessions: registry.limits.maxSessions,
      draining: runtime.draining,
      cluster: cluster?.status ?? null,
      nodes: (cluster?.nodes() ?? []).map(({ name, isSelf, sessions, draining }) => ({ name, isSelf, sessions, draining }))
    }
  }

  /** Nobody looks any more. What comes after the pause has no rate at first. */
  stop (): void {
    this.#samples.length = 0
    this.#mark = null
  }
}
