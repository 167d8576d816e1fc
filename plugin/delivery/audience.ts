import type { BroadcastMember, BroadcastTarget } from './broadcast-member.ts'

/** Marks are from 0 to below this number. Their sums are exact. */
export const markRange = 2 ** 52

/**
 * The receivers of a kind of broadcast: the members of a group, or all sessions. Members with the same
 * audiences form a cohort, which stands for them in the list of targets.
 */
export class Audience<Member extends BroadcastMember = BroadcastMember> {
  /** Part of the key of a cohort; two audiences seldom have the same. */
  readonly mark = Math.floor(Math.random() * markRange)
  readonly #members = new Set<Member>()
  /** The cohorts, and the members of none; null while there is no cohort. */
  #targets: Set<BroadcastTarget> | null = null
  #cohorts = 0

  get members (): ReadonlySet<Member> { return this.#members }
  get size (): number { return this.#members.size }
  /** All that a broadcast must reach. */
  get targets (): ReadonlySet<BroadcastTarget> { return this.#targets ?? this.#members }

  /** Adds a member of no cohort. */
  add (member: Member): void {
    this.#members.add(member)
    this.#targets?.add(member)
  }

  /** Removes a member of no cohort. */
  delete (member: Member): void {
    this.#members.delete(member)
    this.#targets?.delete(member)
  }

  /** A member went into a cohort of this audience. */
  gather (member: BroadcastMember): void {
    this.#targets?.delete(member)
  }

  /** A member left a cohort, and stays in the audience. */
  scatter (member: BroadcastMember): void {
    this.#targets?.add(member)
  }

  addCohort (cohort: BroadcastTarget): void {
    this.#targets ??= new Set(this.#members)
    this.#targets.add(cohort)
    this.#cohorts++
  }

  /** Removes a cohort without members. */
  deleteCohort (cohort: BroadcastTarget): void {
    this.#targets!.delete(cohort)
    if (--this.#cohorts === 0) this.#targets = null
  }
}
