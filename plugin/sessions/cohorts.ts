import { type Audience, markRange } from '../delivery/audience.ts'
import { Cohort, type CohortMember, type CohortScope } from '../delivery/cohort.ts'

/** A session that looks for others like it. */
export interface CohortSeeker extends CohortMember {
  /** Every audience that it is in. */
  readonly audiences: ReadonlyArray<Audience<CohortMember>>
  /** Most bytes of one write to its carrier; 0 without a stream. */
  readonly pieceBytes: number
  /** Key of its entry in the list of cohorts; null while it has none. Kept by the list. */
  cohortKey: number | null
}

/**
 * The cohorts of one endpoint. Two sessions with the same audiences, the same kind of client and the same size of a
 * write make a cohort. A session without its like needs none, and waits here for the second.
 */
export class Cohorts {
  readonly #scope: CohortScope
  readonly #entries = new Map<number, CohortSeeker | Cohort>()

  constructor (scope: CohortScope) {
    this.#scope = scope
  }

  get size (): number { return this.#entries.size }

  /** Finds the cohort of a session that has a stream. */
  settle (session: CohortSeeker): void {
    if (session.cohortKey !== null || session.pieceBytes === 0) return
    const key = keyOf(session)
    const known = this.#entries.get(key)
    if (known === undefined) {
      session.cohortKey = key
      this.#entries.set(key, session)
      return
    }
    // A delivery may have been at the cohort already, and still be on its way to the sessions.
    const { broadcasts } = this.#scope
    broadcasts.catchUp(session)
    if (!(known instanceof Cohort)) broadcasts.catchUp(known)
    // These writes may have ended one of them. Two different sets of audiences may have the same key.
    if (this.#entries.get(key) !== known || session.pieceBytes === 0 || !areAlike(session, known)) return
    session.cohortKey = key
    gather(session, known instanceof Cohort ? known : this.#form(known, key))
  }

  /** Takes a session out: it changes its audiences or its stream, or ends. */
  unsettle (session: CohortSeeker): void {
    const key = session.cohortKey
    if (key === null) return
    session.cohortKey = null
    const { cohort } = session
    if (cohort === null) {
      this.#entries.delete(key)
      return
    }
    cohort.delete(session)
    for (const audience of cohort.audiences) audience.scatter(session)
    if (cohort.size > 0) return
    for (const audience of cohort.audiences) audience.deleteCohort(cohort)
    this.#entries.delete(key)
  }

  #form (first: CohortSeeker, key: number): Cohort {
    const cohort = new Cohort([...first.audiences], first.pieceBytes, first.idPrefix === null, this.#scope)
    this.#entries.set(key, cohort)
    for (const audience of cohort.audiences) audience.addCohort(cohort)
    gather(first, cohort)
    return cohort
  }
}

function gather (session: CohortSeeker, cohort: Cohort): void {
  cohort.add(session)
  for (const audience of cohort.audiences) audience.gather(session)
}

function keyOf ({ audiences, pieceBytes, idPrefix }: CohortSeeker): number {
  let key = 2 * pieceBytes + (idPrefix === null ? 1 : 0)
  for (const { mark } of audiences) key = (key + mark) % markRange
  return key
}

function areAlike (session: CohortSeeker, known: CohortSeeker | Cohort): boolean {
  const isCounted = known instanceof Cohort ? known.isCounted : known.idPrefix === null
  return known.pieceBytes === session.pieceBytes && isCounted === (session.idPrefix === null) &&
    known.audiences.length === session.audiences.length && known.audiences.every(({ members }) => members.has(session))
}
