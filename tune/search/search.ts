/** What a server showed at a load for a short time. */
export interface Trial {
  /** Events a second that were due. */
  readonly load: number
  /** Events a second that were handled. */
  readonly achieved: number
  readonly holds: boolean
  /** Whether it handled clearly less than was due, so that `achieved` is about what it can do. */
  readonly isBehind: boolean
  /** Whether other processes may have made it look worse than it is. Nothing makes it look better. */
  readonly isDisturbed: boolean
  /** Why the trial says nothing about the server; null if it does. */
  readonly void: string | null
}

export interface SearchParts {
  /** Tries a load. Null if the run is over; `'refused'` if the server takes fewer clients, and then `most` is lower. */
  readonly attempt: (load: number) => Promise<Trial | 'refused' | null>
  /** The largest load that is allowed. */
  readonly most: () => number
  /** Factor from one load of the ramp to the next. */
  readonly growth: number
}

/** About what a server bears. */
export interface Found {
  /** Events a second; null if it bears all that is allowed. */
  readonly about: number | null
  /** The largest load that held; 0 for none. */
  readonly held: number
  /** Why the generator went no further; null if it was not the limit. */
  readonly generator: string | null
}

/** Trials that must fail before a load fails, where no other process disturbed them. */
const mostFailures = 3
/** The same where the server handles less than this share of what is due: that is no chance. */
const clearFailures = 2
const clearlyBehind = 0.8
/** Where it handles even less than this, one is enough. */
const farBehind = 0.6
/** Trials of one load, and of all, that say nothing because of others or of the generator, and are made again. */
const mostDisturbed = 6
const mostDisturbedInAll = 16
/** Two loads that are no further apart than this have the limit between them. */
const close = 1.5
const mostNarrowing = 7
/** A load that a server holds, as a share of what it did when it fell behind. */
const confirming = 0.9
/** A load that it does not hold, if that is all that it can do. */
const exceeding = 1.3
/** Events a second below which a trial has nothing to count. */
const leastLoad = 1

/** The load to try between one that holds (0 for none) and one that fails. */
function between (held: number, failed: Trial, saturated: number | null): number {
  if (saturated !== null && saturated < 0.9 * failed.load) {
    // What it does when it has far too much, it can do: a load just below confirms that. It may do more when it has less.
    const next = held < 0.99 * confirming * saturated ? confirming * saturated : Math.max(exceeding * saturated, 1.2 * held)
    if (next < 0.95 * failed.load) return next
  }
  return held > 0 ? Math.sqrt(held * failed.load) : failed.load / 3
}

/** How often a load must fail of which the server handled a share. */
function failuresFor (share: number): number {
  return share < farBehind ? 1 : share < clearlyBehind ? clearFailures : mostFailures
}

/** A load that was tried until it held, or failed for sure. */
type Judged =
  | { readonly is: 'held' | 'failed', readonly trial: Trial }
  | { readonly is: 'void', readonly reason: string }
  | { readonly is: 'refused' | 'over' }

/**
 * Looks for the load at which a server stops to hold. One trial that holds counts, since nothing makes a server look better
 * than it is; trials that fail must be several, and those that other processes disturbed are made again.
 */
export class Search {
  readonly #parts: SearchParts
  #disturbed = 0

  constructor (parts: SearchParts) {
    this.#parts = parts
  }

  /** Multiplies a load until it fails, beginning above one that holds (0 for none). Null if the run is over. */
  async upward (from: number, held: number): Promise<Found | null> {
    const { most, growth } = this.#parts
    let load = Math.min(from, most())
    let highest = held
    for (;;) {
      const judged = await this.#judge(load)
      switch (judged.is) {
        case 'over': return null
        case 'refused':
          if (most() <= highest) return { about: null, held: highest, generator: null }
          load = most()
          break
        case 'void': return { about: null, held: highest, generator: judged.reason }
        case 'failed': return await this.#narrow(highest, judged.trial)
        case 'held':
          highest = load
          if (load >= most()) return { about: null, held: highest, generator: null }
          load = Math.min(most(), load * growth)
      }
    }
  }

  /** Looks below a load that failed, and above one that held (0 for none). Null if the run is over. */
  async downward (failed: Trial, held: number): Promise<Found | null> {
    return await this.#narrow(held, failed)
  }

  async #narrow (from: number, above: Trial): Promise<Found | null> {
    let held = from
    let failed = above
    for (let count = 0; count < mostNarrowing && failed.load > close * held; count += 1) {
      const saturated = failed.isBehind ? failed.achieved : null
      const next = between(held, failed, saturated)
      if (next < leastLoad) break
      const judged = await this.#judge(next)
      if (judged.is === 'over') return null
      if (judged.is === 'held') held = next
      else if (judged.is === 'failed') failed = judged.trial
      else break
    }
    const about = failed.isBehind ? Math.max(held, failed.achieved, failed.load / 20) : held > 0 ? Math.sqrt(held * failed.load) : failed.load
    return { about: Math.min(failed.load, about), held, generator: null }
  }

  /** Tries a load until it holds once, or fails for sure. */
  async #judge (load: number): Promise<Judged> {
    let best: Trial | null = null
    let reason = ''
    for (let failures = 0, disturbed = 0; ;) {
      const trial = await this.#parts.attempt(load)
      if (trial === null) return { is: 'over' }
      if (trial === 'refused') return { is: 'refused' }
      if (trial.void !== null) reason = trial.void
      else if (trial.holds) return { is: 'held', trial }
      else if (best === null || trial.achieved > best.achieved) best = trial
      if (trial.void === null && (!trial.isDisturbed || this.#disturbed >= mostDisturbedInAll)) failures += 1
      else {
        disturbed += 1
        this.#disturbed += 1
      }
      if (failures < (best === null ? mostFailures : failuresFor(best.achieved / best.load)) && disturbed < mostDisturbed) continue
      return best === null ? { is: 'void', reason } : { is: 'failed', trial: best }
    }
  }
}
