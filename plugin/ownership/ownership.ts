import type { ClusterLogger, ClusterNode } from '../cluster/cluster-node.ts'
import type { Clock } from '../cluster/hub/clock.ts'
import type { LeaseGate } from '../cluster/lease-gate.ts'
import { replies, type NodeCalls, type Reply } from '../cluster/node-calls.ts'
import type { PutOptions } from '../cluster/engine.ts'
import type { RecordStore, StoredRecord } from '../cluster/record-store.ts'
import { snapshotIn, type FrozenRecord, type LiveRecord, type MovingRecord, type SessionRecord } from '../cluster/session-record.ts'
import { closeCodes } from '../../schemas/close-code.ts'
import { BindingError, DrainingError, EngineFullError, UnavailableError } from '../../schemas/errors.ts'
import type { Limits } from '../../schemas/limits.ts'
import { isRecord } from '../../schemas/record.ts'
import { goodbyeFrame } from '../protocol/control-frame.ts'
import { Acceptance, refusedFor, type Outcome, type Submission } from '../sessions/acceptance.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import type { SessionKeeper, Whereabouts } from '../sessions/keeper.ts'
import { createSessionId, refOf, shortSessionId } from '../sessions/session-id.ts'
import { endOf } from '../sessions/session-end.ts'
import type { CloseOptions } from '../sessions/close-options.ts'
import type { TetherSession } from '../sessions/session.ts'
import { asBackup, decodeEntry, decodeSnapshot, encodeSnapshot, type FreezeReason, type JournalEntry, type SessionSnapshot } from '../sessions/snapshot.ts'
import { Backups } from './backups.ts'
import { packOutcome, packSubmission, readOutcome, readSubmission } from './forwarded-event.ts'
import { DueWatch } from './due-watch.ts'
import { ForwardedReplies } from './forwarded-replies.ts'
import { FrozenSessions } from './frozen-sessions.ts'
import { HeldSession } from './held-session.ts'
import { seal, unseal } from './claim-seal.ts'
import { RecentValues } from './recent-values.ts'
import { Turns } from './turns.ts'

/** The node, as ownership sees it. */
export interface OwnershipNode extends Pick<ClusterNode, 'node' | 'stateOf' | 'hasNode' | 'isRecovering' | 'wallTime'> {
  readonly records: RecordStore
  readonly calls: NodeCalls
  readonly gate: LeaseGate
}

export interface OwnershipParts {
  readonly node: OwnershipNode
  readonly options: { readonly leaseMs: number, readonly handoverMs: number, readonly forwardMs: number }
  /** Most sessions that this node has moved into the engine and that are still there. */
  readonly maxFrozen: number
  readonly fixed: Pick<Limits, 'recordMs' | 'recordWrites' | 'knownOwners' | 'recordRetryMs' | 'shutdownMs' | 'nodeCalls' | 'replyWaitMs' | 'dueMs' | 'dueKeys' | 'dueWrites' | 'overMs' | 'backupWrites' | 'backupBytes' | 'journalEntries' | 'journalBytes' | 'journalWaits' | 'journalWaitBytes' | 'journalMs'>
  readonly clock: Clock
  /** Gives the logger. */
  readonly log: () => ClusterLogger
}

/** Requests between nodes. */
const requests = { take: 'take', post: 'post', thawed: 'thawed' } as const

/** Outcomes of a request, besides those that every request may have. */
const outcomes = {
  /** The session is no longer there: its record says where it is. */
  gone: 'gone',
  /** The node does not have it, and does not know of it. */
  none: 'none',
  /** It stays for now. */
  stays: 'stays',
  foreign: 'foreign',
  outcome: 'outcome'
} as const

/** How long the record of an ended session is kept that was not closed for good. */
const endedMs = 1_000

/** How long it takes at least until a session whose time is over is tried again that could not be restored. */
const leastAgainMs = 60_000

/** How long a session stays in memory at least that an event took out of the engine. */
const thawedMs = 1_000

/** Where a session is that is not in this node's memory. */
export interface Place {
  /** The node that has it, or that it is on its way to; null where this node may take it out of the engine. */
  readonly node: string | null
  readonly isMoving: boolean
  /** Of its record. */
  readonly revision: string
}

/** A record with a snapshot that this node may take out. */
interface RestingRecord {
  readonly revision: string
  readonly record: MovingRecord | FrozenRecord | LiveRecord
  readonly bytes: Buffer
  readonly endsAt: number | null
}

function restingOf ({ revision, record }: StoredRecord): RestingRecord | null {
  const bytes = snapshotIn(record)
  if (bytes === null || record.status === 'claim' || record.status === 'ended') return null
  return { revision, record, bytes, endsAt: record.endsAt ?? null }
}

/** Where a session is, as its record of a revision says. */
type Found = Whereabouts | { readonly owner: string, readonly revision: string }

/**
 * Which sessions this node owns, and how they come and go. One record a session says who owns it. It changes by
 * compare-and-set alone, and a node serves a session only between the put that made it the owner and the put that ends that.
 *
 * ```
 * absent ─► live(A) ─► moving(to B, snapshot) ─► live(B)
 *           live(A) ─► frozen(snapshot) ─► live(C)
 *           live(A, backup), A dead ─► live(D)
 *           live(A) ─► ended
 * ```
 */
export class Ownership {
  readonly #parts: OwnershipParts
  readonly #held = new Map<string, HeldSession>()
  /** Sessions on their way out of this node or into it, by their ref. Their records are being written. */
  readonly #transfers = new Map<string, Promise<unknown>>()
  /** The nodes of sessions that are not here. */
  readonly #owners: RecentValues
  /** Revisions of the records of claims. */
  readonly #claims: RecentValues
  readonly #writes: Turns
  readonly #replies: ForwardedReplies
  readonly #frozen: FrozenSessions
  readonly #dueWatch: DueWatch
  readonly #backups: Backups
  readonly #endpoints: Endpoint[] = []
  readonly #acceptances = new WeakMap<Endpoint, Acceptance>()
  #sweep: unknown
  #isClosed = false

  constructor (parts: OwnershipParts) {
    const { node, fixed } = parts
    this.#parts = parts
    this.#owners = new RecentValues(fixed.knownOwners)
    this.#claims = new RecentValues(fixed.knownOwners)
    this.#writes = new Turns(fixed.recordWrites)
    this.#frozen = new FrozenSessions(parts.maxFrozen)
    this.#dueWatch = new DueWatch({
      clock: parts.clock,
      limits: fixed,
      mayAct: () => node.gate.isOpen && this.#endpoints.some(({ runtime }) => !runtime.draining),
      due: (limit) => node.records.due(node.wallTime.earliest, limit),
      end: (ref) => this.#endDue(ref)
    })
    this.#backups = new Backups({
      clock: parts.clock,
      limits: fixed,
      records: node.records,
      mayWrite: () => node.gate.isOpen && !this.#isClosed,
      isHere: (held) => this.#held.get(held.ref) === held && !held.isLeaving,
      put: (held, snapshot, onWritten) => this.#putBackup(held, snapshot, onWritten),
      verify: (held) => this.#verifyOne(held),
      report: (error, { session }) => { this.#report(error, session.id, 'the cluster cannot keep a session for a crash of this node') }
    })
    node.gate.serve({ verify: () => this.#verify(), isolated: () => { this.#isolated() } })
    node.calls.respond(requests.take, (from, data) => this.#give(from, data))
    node.calls.respond(requests.post, (from, data) => this.#post(from, data))
    node.calls.respond(requests.thawed, (_from, data) => {
      this.#frozen.delete(String(data))
      return { name: requests.thawed, data: null }
    })
    this.#replies = new ForwardedReplies({ calls: node.calls, clock: parts.clock, limits: fixed, forwardMs: parts.options.forwardMs })
  }

  /** Begins to keep the records from expiring. */
  start (): void {
    if (this.#isClosed) return
    const { clock, fixed } = this.#parts
    this.#sweep = clock.setTimeout(this.#refresh, fixed.recordMs / 8)
    if (this.#parts.node.records.hasDue) this.#dueWatch.start()
  }

  /** Sessions that this node owns. */
  get size (): number { return this.#held.size }

  /** Makes the keeper of an endpoint's sessions. */
  keeperFor (endpoint: Endpoint): SessionKeeper {
    this.#endpoints.push(endpoint)
    const { gate } = this.#parts.node
    return {
      get isServing () { return gate.isOpen },
      announce: (session) => this.#announce(endpoint, session),
      fetch: (id, boundTo, hasLeft) => this.#fetch(endpoint, id, boundTo, hasLeft),
      announceClaim: (session) => this.#announceClaim(endpoint, session),
      claimed: (claim) => this.#claimed(endpoint, claim),
      claimEnded: (claim) => { this.#claimEnded(claim) },
      isKept: (id) => this.#isKept(endpoint, id),
      forward: (id, boundTo, submission) => this.#forward(endpoint, id, boundTo, submission),
      ended: (session) => { this.#ended(session) },
      detached: (session) => { this.#detached(session) },
      canFreeze: (session) => gate.isOpen && (session.connected || session.proven || session.phase === 'unclaimed') && this.#held.get(session.ref)?.isLeaving === false && this.#frozen.hasRoom(this.#parts.clock.now()),
      departure: ({ ref }) => this.#held.get(ref)?.isLeaving === true ? this.#transfers.get(ref) ?? null : null,
      awaitLease: (withinMs) => gate.whenOpen(withinMs),
      freeze: (session, deadlineMs, retryMs) => this.#freeze(session, deadlineMs, retryMs)
    }
  }

  /** Waits for the records that are being written, at most for a time, and stops. */
  async leave (withinMs: number): Promise<void> {
    const { clock } = this.#parts
    this.#dueWatch.stop()
    if (this.#transfers.size > 0) await this.#within(Promise.all(this.#transfers.values()), clock.now() + withinMs)
    this.#isClosed = true
    this.#backups.close()
    this.#replies.stop()
    clock.clearTimeout(this.#sweep)
  }

  // New sessions, and their ends

  async #announce (endpoint: Endpoint, session: TetherSession): Promise<boolean> {
    const { node: { node, records, gate }, clock, options, fixed } = this.#parts
    const ref = session.ref
    if (this.#held.has(ref)) return true
    const until = clock.now() + options.forwardMs
    let revision: string | null
    const backup = isBackedUp(endpoint) ? firstBackupOf(session) : null
    try {
      const live: LiveRecord = { status: 'live', url: endpoint.url, epoch: 1, owner: node }
      const { record, keep } = backup === null ? { record: live, keep: { ttlMs: fixed.recordMs } } : this.#withBackup(endpoint, live, backup)
      revision = await records.write(ref, record, null, keep, () => gate.isOpen && clock.now() < until)
      if (revision === null) return false
    } catch {
      // Before its first lease, a node serves by itself. It writes the records when the lease begins.
      if (!gate.isOpen || gate.term > 0) return false
      revision = null
    }
    this.#hold(endpoint, session, revision, 1, backup === null || revision === null ? null : 0)
    return true
  }

  /** @param durableSeq number of the last event that its record has, null for a record without a snapshot; for a session that is kept for a crash */
  #hold (endpoint: Endpoint, session: TetherSession, revision: string | null, epoch: number, durableSeq: number | null): HeldSession {
    const ref = session.ref
    const held = new HeldSession(ref, session, endpoint, epoch, revision, this.#parts.clock.now(), this.#freezeDue)
    this.#held.set(ref, held)
    if (isBackedUp(endpoint)) this.#backups.keep(held, durableSeq)
    // It may have ended while its record was written.
    if (session.phase === 'closed') this.#ended(session)
    return held
  }

  // Backups, for a crash of this node

  /** The record of a live session with its backup, and how long it is kept: a session that nobody takes ends somewhere. */
  #withBackup (endpoint: Endpoint, live: LiveRecord, backup: SessionSnapshot): { readonly record: LiveRecord, readonly keep: PutOptions, readonly bytes: number } {
    const { node: { records, wallTime }, options, fixed } = this.#parts
    const bytes = encodeSnapshot(backup)
    const isDetached = backup.everConnected && backup.detachedMs > 0
    const end = records.hasDue ? endOf(backup, endpoint.limits, isDetached ? endpoint.limits.reconnectMs - backup.detachedMs : fixed.recordMs) : null
    if (end === null) return { record: { ...live, backup: bytes }, keep: { ttlMs: fixed.recordMs }, bytes: bytes.length }
    // While this node lives, it is first.
    const ms = Math.min(fixed.recordMs, isDetached ? end.ms : fixed.recordMs) + options.leaseMs
    const endsAt = Math.ceil(wallTime.latest + ms)
    return { record: { ...live, backup: bytes, endsAt }, keep: { ttlMs: ms + fixed.overMs, dueAt: endsAt }, bytes: bytes.length }
  }

  #putBackup (held: HeldSession, snapshot: SessionSnapshot, onWritten: () => void): { readonly bytes: number, readonly isWritten: Promise<boolean> } {
    const { node: { node, records, gate }, clock } = this.#parts
    const { endpoint, epoch } = held
    const { record, keep, bytes } = this.#withBackup(endpoint, { status: 'live', url: endpoint.url, epoch, owner: node }, snapshot)
    const isWritten = held.write(async () => {
      const revision = await records.write(held.ref, record, held.revision, keep, () => gate.isOpen)
      if (revision === null) {
        await this.#verifyOne(held)
        return false
      }
      held.revision = revision
      held.writtenAt = clock.now()
      onWritten()
      return true
    })
    return { bytes, isWritten }
  }

  /** What the snapshot and the journal of a dead node's session hold together. */
  async #withJournal (ref: string, snapshot: SessionSnapshot): Promise<SessionSnapshot> {
    const entries = await this.#parts.node.records.journalOf(ref)
    return entries.length === 0 ? snapshot : { ...snapshot, pending: [...snapshot.pending ?? [], ...entries.map(decodeEntry)] }
  }

  #redeliver (endpoint: Endpoint, session: TetherSession, pending: readonly JournalEntry[]): void {
    for (const entry of pending) {
      const error = this.#acceptanceOf(endpoint).redeliver(session, entry)
      if (error !== null) this.#report(error, session.id, 'what a dead node had accepted cannot run here')
    }
  }

  /** A session lost its stream. */
  #detached (session: TetherSession): void {
    const held = this.#held.get(session.ref)
    if (held === undefined || held.session !== session || held.isLeaving) return
    const { persist, freezeMs } = held.endpoint.limits
    if (persist === 'detach') this.#freezeSoon(session)
    else if (freezeMs > 0 && session.proven) held.freezeAfter(freezeMs)
  }

  readonly #freezeDue = (held: HeldSession): void => {
    const { session } = held
    if (!session.connected && session.isOpen && this.#parts.node.gate.isOpen) this.#freezeSoon(session)
  }

  #freezeSoon (session: TetherSession): void {
    this.#freeze(session, this.#parts.options.handoverMs).catch(() => {})
  }

  #ended (session: TetherSession): void {
    const held = this.#held.get(session.ref)
    if (held === undefined || held.session !== session || held.isLeaving) return
    this.#held.delete(held.ref)
    held.release()
    if (held.revision === null) return
    const { clock, options } = this.#parts
    const isForGood = session.isClosedForGood
    const { url, limits } = held.endpoint
    const until = clock.now() + options.leaseMs
    const written = this.#writes.run(async () => {
      await held.writing
      return await this.#writeLast(held, { status: 'ended', url, epoch: held.epoch + 1, isForGood }, { ttlMs: Math.max(isForGood ? limits.reconnectMs : 0, endedMs) }, () => clock.now() < until)
    })
    // Nobody can help it: the record expires, and asks this node meanwhile, which has no such session.
    this.#transfer(held.ref, written)
  }

  /** Writes the last record of a session here; null if another node has it. An earlier write may have come to be without an answer, and the engine may have lost its last writes. */
  async #writeLast (held: HeldSession, record: SessionRecord, keep: PutOptions, mayGoOn?: () => boolean): Promise<string | null> {
    const { node, clock, fixed } = this.#parts
    let isInDoubt = false
    for (;;) {
      // A check of the record after an outage may write it meanwhile.
      const { revision } = held
      const written = await node.records.write(held.ref, record, revision, keep, mayGoOn, () => { isInDoubt = true })
      if (written !== null) return written
      // A read that fails says nothing: another node may have the session by now.
      const stored = await node.records.readAgain(held.ref, mayGoOn)
      if (stored === undefined || (stored !== null && (stored.revision === revision || !this.#isEarlier(held, stored.record)))) return null
      if (stored === null && isInDoubt && node.isRecovering) {
        // It may have come to be, and another node taken the session, before the engine lost its memory. That node writes its record again.
        if (this.#isClosed || mayGoOn?.() === false) return null
        await new Promise<void>((resolve) => { clock.setTimeout(resolve, fixed.recordRetryMs) })
        continue
      }
      held.revision = stored?.revision ?? null
    }
  }

  // Claims of prepared sessions

  async #announceClaim (endpoint: Endpoint, session: TetherSession): Promise<boolean> {
    const { node: { records, gate }, clock, options } = this.#parts
    const claim = session.claimCode!
    const until = clock.now() + options.forwardMs
    try {
      const record = { status: 'claim', url: endpoint.url, epoch: 1, sealed: seal(claim, session.id) } as const
      const revision = await records.write(refOf(claim), record, null, endpoint.pendingMs, () => gate.isOpen && clock.now() < until)
      if (revision === null) return false
      this.#claims.set(claim, revision)
      return true
    } catch {
      return gate.isOpen && gate.term === 0
    }
  }

  async #claimed (endpoint: Endpoint, claim: string): Promise<{ readonly id: string } | 'absent' | 'unavailable'> {
    try {
      const stored = await this.#parts.node.records.read(refOf(claim))
      if (stored === null || stored.record.status !== 'claim' || stored.record.url !== endpoint.url) return 'absent'
      const id = unseal(claim, stored.record.sealed)
      if (id === null) return 'absent'
      this.#claims.set(claim, stored.revision)
      return { id }
    } catch {
      return 'unavailable'
    }
  }

  #claimEnded (claim: string): void {
    const revision = this.#claims.get(claim)
    if (revision === undefined) return
    this.#claims.delete(claim)
    const { node: { records }, clock, options } = this.#parts
    const until = clock.now() + options.forwardMs
    // If it cannot be written, the claim leads to a session that has had its stream, and that a claim does not open.
    const ended = records.write(refOf(claim), { status: 'ended', url: '', epoch: 2, isForGood: false }, revision, endedMs, () => clock.now() < until)
    this.#transfer(refOf(claim), ended)
  }

  // Requests for sessions that are not here

  async #fetch (endpoint: Endpoint, id: string, boundTo: string | null, hasLeft: () => boolean): Promise<Whereabouts> {
    const found = await this.#locate(endpoint, id, boundTo, true, hasLeft)
    return typeof found === 'object' ? 'unavailable' : found
  }

  async #isKept (endpoint: Endpoint, id: string): Promise<boolean> {
    const stored = await this.#parts.node.records.read(refOf(id)).catch(() => null)
    return stored !== null && stored.record.url === endpoint.url && stored.record.status !== 'ended'
  }

  async #forward (endpoint: Endpoint, id: string, boundTo: string | null, submission: Submission): Promise<Outcome | Whereabouts> {
    const { node: { node, calls, isRecovering }, clock, options } = this.#nodeParts()
    const ref = refOf(id)
    const until = clock.now() + options.forwardMs
    let isFirst = true
    for (;;) {
      // The owner of a moment ago mostly still is.
      const known = isFirst && !this.#transfers.has(ref) && !endpoint.sessions.has(id) ? this.#owners.get(ref) : undefined
      const found = known === undefined ? await this.#locate(endpoint, id, boundTo, false) : { owner: known, revision: null }
      if (typeof found === 'string') return found
      isFirst = false
      const { owner, revision } = found
      const replyTo = submission.waiter == null ? null : this.#replies.open(owner, submission.waiter)
      let outcome: Outcome | null = null
      let reply: Reply
      try {
        reply = await calls.ask(owner, requests.post, { ref, url: endpoint.url, boundTo, submission: packSubmission(id, submission, replyTo) }, Math.max(1, until - clock.now()))
        if (reply.name === outcomes.outcome) outcome = readOutcome(reply.data)
      } catch {
        this.#owners.delete(ref)
        return 'unavailable'
      } finally {
        if (replyTo !== null && outcome?.isAccepted !== true) this.#replies.close(replyTo)
      }
      if (reply.name === outcomes.outcome) {
        this.#owners.set(ref, owner)
        return outcome ?? 'unavailable'
      }
      this.#owners.delete(ref)
      if (reply.name === outcomes.none && revision !== null && !isRecovering() && await this.#isStill(ref, revision)) return 'absent'
      if (reply.name !== outcomes.gone && reply.name !== outcomes.none) return 'unavailable'
      if (clock.now() >= until || owner === node) return 'unavailable'
    }
  }

  /** Whether a record is as it was when its node said that it has no such session, or gone. Otherwise the session may have come back to that node. */
  async #isStill (ref: string, revision: string): Promise<boolean> {
    const stored = await this.#parts.node.records.read(ref).catch(() => undefined)
    return stored === null || stored?.revision === revision
  }

  /**
   * Finds a session.
   *
   * @param isClaimed whether it must come here; otherwise it stays at its node
   * @param hasLeft whether the client has left meanwhile: then the session stays, since a later stream may have it
   */
  async #locate (endpoint: Endpoint, id: string, boundTo: string | null, isClaimed: boolean, hasLeft = () => false): Promise<Found> {
    const { node: { node, records, stateOf, hasNode, isRecovering }, clock, options } = this.#nodeParts()
    const ref = refOf(id)
    const until = clock.now() + options.handoverMs
    /** The revision of a record whose node said that it has no such session. */
    let refuted: string | null = null
    const askedAt = clock.now()
    while (clock.now() < until && !this.#isClosed) {
      const session = endpoint.sessions.get(id)
      if (session !== undefined) {
        if (session.moving === null) return 'here'
        if (!await this.#within(session.moving, until)) return 'unavailable'
        continue
      }
      const transfer = this.#transfers.get(ref)
      if (transfer !== undefined) {
        if (!await this.#within(transfer, until)) return 'unavailable'
        continue
      }
      let stored: StoredRecord | null
      try {
        stored = await records.read(ref)
      } catch {
        return 'unavailable'
      }
      // Another request may have begun to bring it here.
      if (endpoint.sessions.has(id) || this.#transfers.has(ref)) continue
      if (hasLeft()) return 'unavailable'
      if (stored === null) return isRecovering() ? 'unavailable' : 'absent'
      const { record } = stored
      if (record.url !== endpoint.url) return 'absent'
      if (record.status === 'claim') return 'absent'
      if (record.status === 'ended') return record.isForGood ? 'ended' : 'absent'
      const resting = restingOf(stored)
      if (record.status === 'frozen' || record.owner === node) {
        // Its end was not written yet, or could not be.
        if (record.status === 'live') return isRecovering() ? 'unavailable' : 'absent'
        const arrived = await this.#arrive(endpoint, id, resting!, boundTo, isClaimed, until)
        if (arrived !== null) return arrived
        continue
      }
      const { owner } = record
      let state: Awaited<ReturnType<typeof stateOf>>
      try {
        state = await stateOf(owner)
      } catch {
        return 'unavailable'
      }
      if (state === 'unknown') return 'unavailable'
      if (state === 'dead') {
        if (resting === null) return 'absent'
        // Another request may have begun to bring it here meanwhile.
        if (endpoint.sessions.has(id) || this.#transfers.has(ref)) continue
        const arrived = await this.#arrive(endpoint, id, resting, boundTo, isClaimed, until)
        if (arrived !== null) return arrived
        continue
      }
      if (!isClaimed && record.status === 'live') return { owner, revision: stored.revision }
      if (endpoint.registry.isFull) return 'full'
      // A node that stood still must not take what it may not serve.
      if (hasLeft() || !this.#parts.node.gate.isOpen) return 'unavailable'
      const answer = await this.#take(owner, { ref, url: endpoint.url, boundTo, isClaimed, ageMs: clock.now() - askedAt }, until)
      if (answer === outcomes.none) {
        if (refuted === stored.revision) return isRecovering() ? 'unavailable' : 'absent'
        refuted = stored.revision
      } else if (answer === outcomes.foreign) return 'foreign'
      // Of an owner that has died meanwhile, the record says what is left.
      else if (answer !== outcomes.gone && (answer !== null || hasNode(owner))) return 'unavailable'
    }
    return 'unavailable'
  }

  #nodeParts () {
    const { node, clock, options } = this.#parts
    return { node: { node: node.node, records: node.records, stateOf: (name: string) => node.stateOf(name), isRecovering: () => node.isRecovering, calls: node.calls, hasNode: (name: string) => node.hasNode(name) }, clock, options }
  }

  /** Asks the owner of a session to hand it over. Gives the outcome; null if none came in time. */
  async #take (owner: string, asked: Omit<Asked, 'submission'>, until: number): Promise<string | null> {
    const { node: { calls }, clock } = this.#parts
    try {
      return (await calls.ask(owner, requests.take, asked, Math.max(1, until - clock.now()))).name
    } catch {
      return null
    }
  }

  // Arrival

  /** Takes a session out of its record. Gives null if the record has changed. */
  async #arrive (endpoint: Endpoint, id: string, stored: RestingRecord, boundTo: string | null, isClaimed: boolean, until: number): Promise<Whereabouts | null> {
    let snapshot: SessionSnapshot
    try {
      snapshot = decodeSnapshot(stored.bytes)
    } catch (error) {
      this.#report(error, id, 'a session of the cluster cannot be read')
      return 'unavailable'
    }
    if (snapshot.boundTo !== boundTo) return 'foreign'
    // Whichever node looks next for those that are over ends it.
    if (this.#isOver(stored)) return 'absent'
    if (endpoint.runtime.draining || !this.#parts.node.gate.isOpen) return 'unavailable'
    if (!endpoint.registry.reserve(snapshot.owner, null)) {
      this.#giveBack(refOf(id), endpoint, stored)
      return 'full'
    }
    const arrival = this.#bringHere(endpoint, id, stored, snapshot, isClaimed, until)
    this.#transfer(refOf(id), arrival)
    if (await this.#within(arrival, until)) return await arrival
    // It goes on after the request's time: the record may name this node already.
    if (isClaimed) {
      arrival.then(() => {
        const session = endpoint.sessions.get(id)
        if (session !== undefined) endpoint.awaitStream(session)
      }).catch(() => {})
    }
    return 'unavailable'
  }

  /** Takes a session over as soon as this node has read the log up to its place, in the slot that the caller reserved. */
  async #bringHere (endpoint: Endpoint, id: string, stored: RestingRecord, snapshot: SessionSnapshot, isClaimed: boolean, until: number): Promise<Whereabouts | null> {
    const { options: { handoverMs }, clock, node: { gate } } = this.#parts
    const isCrashed = isLossy(stored, snapshot)
    const reached = await endpoint.awaitLog(snapshot, isCrashed || snapshot.unsureFrom !== undefined, Math.max(0, until - clock.now()))
    if (reached === 'late' || endpoint.runtime.draining || !gate.isOpen) {
      endpoint.registry.release(snapshot.owner, null)
      if (gate.isOpen) this.#giveBack(refOf(id), endpoint, stored)
      return 'unavailable'
    }
    const from = isCrashed ? 'crashed' : stored.record.status === 'moving' ? 'moved' : 'frozen'
    return await this.#takeOver(endpoint, refOf(id), stored, snapshot,
      (whole, onRestored) => endpoint.restore(id, whole, { from, deadlineMs: reached === 'passed' ? handoverMs : 0, awaitsStream: isClaimed }, onRestored),
      (held) => {
        // An event brought it here, and more may follow.
        if (!isClaimed && (endpoint.limits.persist === 'detach' || endpoint.limits.freezeMs > 0)) held.freezeAfter(Math.max(endpoint.limits.freezeMs, thawedMs))
      })
  }

  /**
   * Makes this node the owner of a session, in the slot that the caller reserved.
   *
   * @param restore makes the session, and calls a function in that step
   * @param settle is called as soon as the session is here
   */
  async #takeOver (endpoint: Endpoint, ref: string, resting: RestingRecord, given: SessionSnapshot, restore: (snapshot: SessionSnapshot, onRestored: (session: TetherSession) => void) => Promise<TetherSession>, settle: (held: HeldSession) => void): Promise<Whereabouts | null> {
    const { node: { node, records, gate }, fixed } = this.#parts
    const { record, revision } = resting
    const epoch = record.status === 'moving' && record.owner === node ? record.epoch : record.epoch + 1
    const live: LiveRecord = { status: 'live', url: endpoint.url, epoch, owner: node }
    let written: string | null
    let snapshot = given
    const { term } = gate
    try {
      // Before the write, which empties the journal.
      if (record.status === 'live') snapshot = await this.#withJournal(ref, given)
      const { record: own, keep } = isBackedUp(endpoint) ? this.#withBackup(endpoint, live, asBackup(snapshot)) : { record: live, keep: { ttlMs: fixed.recordMs } }
      written = await records.write(ref, own, revision, keep)
    } catch {
      endpoint.registry.release(snapshot.owner, null)
      return 'unavailable'
    }
    if (written === null) {
      endpoint.registry.release(snapshot.owner, null)
      return null
    }
    const by = record.status === 'frozen' ? record.by : null
    const revisionHere = written
    const hold = (session: TetherSession) => this.#hold(endpoint, session, revisionHere, epoch, snapshot.acceptedSeq)
    let held: HeldSession | null = null
    let session: TetherSession
    try {
      session = await restore(snapshot, (restored) => {
        if (isBackedUp(endpoint)) held = hold(restored)
        this.#redeliver(endpoint, restored, snapshot.pending ?? [])
      })
    } catch (error) {
      endpoint.registry.release(snapshot.owner, null)
      // A node that begins to drain gives it back, and nothing is wrong with the session.
      if (!(error instanceof DrainingError || error instanceof UnavailableError)) this.#report(error, ref, 'a session of the cluster cannot be restored here')
      // A node of another version may be able to.
      await records.write(ref, { status: 'frozen', url: endpoint.url, epoch: epoch + 1, snapshot: record.status === 'live' ? encodeSnapshot(snapshot) : resting.bytes, endsAt: resting.endsAt, by }, written, this.#keepAgain(endpoint, resting)).catch(() => null)
      return 'unavailable'
    }
    if (by !== null) this.#thawed(ref, by)
    const owned = held ?? hold(session)
    if (this.#held.get(ref) !== owned) return 'here'
    settle(owned)
    // What it holds is older.
    owned.backup?.resume()
    // Where a lease ended meanwhile, another node may have taken it.
    if (term !== gate.term) await this.#verifyOne(owned).catch(() => { this.#lose(owned) })
    return 'here'
  }

  /** This node cannot take a session that moves to it: any other may have it. */
  #giveBack (ref: string, endpoint: Endpoint, resting: RestingRecord): void {
    const { node: { node, records } } = this.#parts
    const { revision, record, bytes, endsAt } = resting
    if (record.status !== 'moving' || record.owner !== node) return
    const written = records.write(ref, { status: 'frozen', url: record.url, epoch: record.epoch + 1, snapshot: bytes, endsAt, by: null }, revision, this.#keepAgain(endpoint, resting))
    this.#transfer(ref, written.catch(() => null))
  }

  // Departure

  /** Hands a session to the node that asks for it. */
  async #give (from: string, data: unknown): Promise<Reply> {
    const asked = readAsked(data)
    if (asked === null) return { name: replies.failed, data: null }
    const { ref, boundTo, isClaimed, ageMs } = asked
    const { node: { gate }, clock, options } = this.#parts
    const transfer = this.#transfers.get(ref)
    if (transfer !== undefined) {
      const isOver = await this.#within(transfer, clock.now() + options.handoverMs)
      return { name: isOver ? outcomes.gone : outcomes.stays, data: null }
    }
    const held = this.#held.get(ref)
    if (held === undefined) return await this.#giveArrived(ref)
    if (!gate.isOpen || held.endpoint.url !== asked.url) return { name: outcomes.stays, data: null }
    const { session } = held
    if (session.boundTo !== boundTo) return { name: outcomes.foreign, data: null }
    // It has arrived since the node asked. Its events go to it here: its page may have its stream here already.
    if (!isClaimed) return { name: outcomes.gone, data: null }
    // Its client has opened a stream here since it asked there.
    const isOutdated = session.stream !== null && performance.now() - session.stream.openedAt < ageMs
    if (isOutdated || !session.isOpen) return { name: outcomes.stays, data: null }
    return { name: await this.#leave(held, 'replaced', from, options.handoverMs) ? outcomes.gone : outcomes.stays, data: null }
  }

  /** Nobody came for a session that was handed over to this node: any other may have it. */
  async #giveArrived (ref: string): Promise<Reply> {
    const { node: { node, records } } = this.#parts
    const stored = await records.read(ref)
    if (stored === null || !('owner' in stored.record) || stored.record.owner !== node || this.#held.has(ref) || this.#transfers.has(ref)) {
      return { name: stored?.record.status === 'live' ? outcomes.none : outcomes.gone, data: null }
    }
    const { record } = stored
    if (record.status === 'live') return { name: outcomes.none, data: null }
    const endpoint = this.#endpoints.find(({ url }) => url === record.url)
    if (endpoint === undefined) return { name: outcomes.none, data: null }
    this.#giveBack(ref, endpoint, restingOf(stored)!)
    await this.#transfers.get(ref)
    return { name: outcomes.gone, data: null }
  }

  async #freeze (session: TetherSession, deadlineMs: number, retryMs?: number): Promise<boolean> {
    const held = this.#held.get(session.ref)
    if (held === undefined || held.isLeaving) return false
    const { ref } = held
    if (!this.#frozen.hasRoom(this.#parts.clock.now())) return false
    this.#frozen.set(ref, Infinity)
    const isLeft = await this.#leave(held, held.endpoint.runtime.draining ? 'draining' : 'moved', null, deadlineMs, retryMs)
    if (!isLeft) this.#frozen.delete(ref)
    return isLeft
  }

  /**
   * Takes a session out of this node, for another one or for the engine.
   *
   * @returns false if it stays here as it was
   */
  #leave (held: HeldSession, reason: FreezeReason, to: string | null, deadlineMs: number, retryMs?: number): Promise<boolean> {
    held.isLeaving = true
    const left = this.#carryOut(held, reason, to, deadlineMs, retryMs)
    this.#transfer(held.ref, left)
    return left
  }

  async #carryOut (held: HeldSession, reason: FreezeReason, to: string | null, deadlineMs: number, retryMs?: number): Promise<boolean> {
    const { ref, session, endpoint, epoch } = held
    const until = this.#parts.clock.now() + deadlineMs
    let snapshot: SessionSnapshot | null
    try {
      snapshot = await session.freeze(reason, { deadlineMs, ...retryMs === undefined ? {} : { retryMs } })
    } catch (error) {
      this.#report(error, session.id, 'a session stays on its node')
      snapshot = null
    }
    if (snapshot === null) {
      held.isLeaving = false
      if (session.phase === 'closed') this.#ended(session)
      else held.backup?.resume()
      return false
    }
    this.#held.delete(ref)
    held.release()
    const { node } = this.#parts.node
    const { endsAt, keep } = this.#keepFor(endpoint, snapshot, retryMs)
    if (to === null) this.#frozen.set(ref, this.#parts.clock.now() + keep.ttlMs)
    try {
      const next = { url: endpoint.url, epoch: epoch + 1, snapshot: encodeSnapshot(snapshot), endsAt }
      const record: SessionRecord = to === null ? { ...next, status: 'frozen', by: node } : { ...next, status: 'moving', owner: to }
      const written = await this.#writeGone(held, record, keep, until)
      if (written === null) this.#parts.log().warn({ session: session.shortId }, 'another node has taken a session')
      return true
    } catch (error) {
      const { draining } = endpoint.runtime
      this.#report(error, session.id, draining ? 'the cluster cannot keep a session of a node that stops' : 'the cluster cannot keep a session, which stays on its node')
      return draining ? await this.#endHere(held, snapshot) : await this.#comeBack(held, snapshot)
    }
  }

  /** Writes the record of a session that has left. A full engine may have room before a node that stops has to give up. */
  async #writeGone (held: HeldSession, record: SessionRecord, keep: PutOptions, until: number): Promise<string | null> {
    const { clock, fixed } = this.#parts
    for (;;) {
      try {
        return await this.#writes.run(async () => {
          await held.writing
          return await this.#writeLast(held, record, keep)
        })
      } catch (error) {
        if (!(error instanceof EngineFullError) || !held.endpoint.runtime.draining || clock.now() + fixed.recordRetryMs >= until) throw error
      }
      await new Promise<void>((resolve) => { clock.setTimeout(resolve, fixed.recordRetryMs) })
    }
  }

  /** Ends a session that can neither leave nor stay, so that its hooks run. One with a backup goes on elsewhere, as after a crash. */
  async #endHere ({ endpoint, session: { id, ref } }: HeldSession, snapshot: SessionSnapshot): Promise<true> {
    if (isBackedUp(endpoint) || !endpoint.registry.reserve(snapshot.owner, null)) return true
    try {
      const session = await endpoint.restore(id, snapshot, { from: 'moved', deadlineMs: 0, ref, isOver: true, mayDrain: true })
      session.close('draining', { reconnect: true }).catch(() => {})
    } catch (error) {
      endpoint.registry.release(snapshot.owner, null)
      this.#report(error, id, 'a session of the cluster cannot be restored here')
    }
    return true
  }

  /** Whether a record says no more than this node knows: it has the session since, and a failover of the engine lost that. */
  #isEarlier ({ epoch }: HeldSession, record: SessionRecord): boolean {
    return record.epoch < epoch || (record.epoch === epoch && 'owner' in record && record.owner === this.#parts.node.node)
  }

  /** Makes a session again from its snapshot, which the engine did not take. */
  async #comeBack ({ endpoint, session: { id }, revision, epoch }: HeldSession, snapshot: SessionSnapshot): Promise<boolean> {
    if (this.#isClosed || !endpoint.registry.reserve(snapshot.owner, null)) return true
    try {
      let held: HeldSession | null = null
      const hold = (session: TetherSession) => this.#hold(endpoint, session, revision, epoch, 0)
      const session = await endpoint.restore(id, snapshot, { from: 'moved', deadlineMs: 0 }, (restored) => { if (isBackedUp(endpoint)) held = hold(restored) })
      const owned = held ?? hold(session)
      if (this.#held.get(owned.ref) === owned) owned.backup?.resume()
      return false
    } catch (error) {
      endpoint.registry.release(snapshot.owner, null)
      if (!(error instanceof DrainingError)) this.#report(error, id, 'a session of the cluster cannot be restored here')
      return true
    }
  }

  /** When a session ends that nobody takes out of the engine, and how long its record is kept. Its client has the whole grace if its stream was open. */
  #keepFor ({ limits }: Endpoint, snapshot: SessionSnapshot, retryMs = 0): { readonly endsAt: number | null, readonly keep: PutOptions } {
    const { node: { records, wallTime }, options, fixed } = this.#parts
    const graceMs = Math.max(limits.reconnectMs - snapshot.detachedMs, options.handoverMs) + retryMs
    const end = records.hasDue ? endOf(snapshot, limits, graceMs) : null
    if (end === null) return { endsAt: null, keep: { ttlMs: graceMs } }
    const endsAt = Math.ceil(wallTime.latest + end.ms)
    return { endsAt, keep: { ttlMs: end.ms + fixed.overMs, dueAt: endsAt } }
  }

  /** How long a record is kept that goes back. One that is over already comes due again, ever later. */
  #keepAgain ({ limits: { reconnectMs } }: Endpoint, { endsAt }: Pick<RestingRecord, 'endsAt'>): PutOptions {
    if (endsAt === null) return { ttlMs: Math.max(reconnectMs, endedMs) }
    const { node: { wallTime: { latest } }, fixed } = this.#parts
    const overMs = latest - endsAt
    return { ttlMs: Math.max(fixed.overMs - overMs, endedMs), dueAt: overMs < 0 ? endsAt : Math.ceil(latest + Math.max(overMs, leastAgainMs)) }
  }

  /** Tells the node that a session counted for: somebody has taken it out of the engine. */
  #thawed (ref: string, by: string): void {
    const { node: { node, calls, hasNode }, options } = this.#nodeParts()
    if (by === node) this.#frozen.delete(ref)
    else if (hasNode(by)) calls.ask(by, requests.thawed, ref, options.forwardMs).catch(() => {})
  }

  // Ends of sessions in the engine

  /** Where a session is that this node does not have; null if there is none. Rejects with `FST_ERR_TETHER_UNAVAILABLE` if nobody can tell. */
  async placeOf (endpoint: Endpoint, ref: string): Promise<Place | null> {
    const { node: { node, records, stateOf, isRecovering }, clock, options } = this.#nodeParts()
    const transfer = this.#transfers.get(ref)
    if (transfer !== undefined && !await this.#within(transfer, clock.now() + options.handoverMs)) throw new UnavailableError()
    const stored = await records.read(ref).catch(() => { throw new UnavailableError() })
    if (stored === null) {
      if (isRecovering()) throw new UnavailableError()
      return null
    }
    const { record, revision } = stored
    if (record.url !== endpoint.url || record.status === 'ended' || record.status === 'claim') return null
    const resting = restingOf(stored)
    const forAnyone = resting === null || this.#isOver(resting) ? null : { node: null, isMoving: false, revision }
    if (record.status === 'frozen') return forAnyone
    const isMoving = record.status === 'moving'
    if (record.owner === node) return { node: isMoving ? null : node, isMoving: false, revision }
    const state = await stateOf(record.owner).catch(() => 'unknown')
    if (state === 'unknown') throw new UnavailableError()
    if (state === 'alive') return { node: record.owner, isMoving, revision }
    return forAnyone
  }

  #isOver ({ endsAt }: Pick<RestingRecord, 'endsAt'>): boolean {
    return endsAt !== null && this.#parts.node.wallTime.earliest >= endsAt
  }

  /** Brings a session here that the engine has, and closes it for the application. Gives false if it is no longer there. */
  async closeFrozen (endpoint: Endpoint, ref: string, reason: string, reconnect: boolean): Promise<boolean> {
    const stored = await this.#parts.node.records.read(ref).catch(() => { throw new UnavailableError() })
    const resting = stored === null ? null : restingOf(stored)
    if (resting === null || !await this.#isForAnyone(resting)) return false
    if (endpoint.runtime.draining || !this.#parts.node.gate.isOpen) throw new UnavailableError()
    const ended = await this.#end(endpoint, ref, resting, () => ({ reason, options: { reconnect } }))
    if (ended === 'unavailable') throw new UnavailableError()
    return ended === 'here'
  }

  /** Ends a session whose time is over. Gives false for one that is not for this node. */
  async #endDue (ref: string): Promise<boolean> {
    const stored = await this.#parts.node.records.read(ref)
    const resting = stored === null ? null : restingOf(stored)
    if (resting === null || !this.#isOver(resting) || this.#held.has(ref)) return false
    const endpoint = this.#endpoints.find(({ url }) => url === resting.record.url)
    if (endpoint === undefined || endpoint.runtime.draining) return false
    if (!await this.#isForAnyone(resting)) return false
    const reasonOf = (snapshot: SessionSnapshot) => ({
      reason: endOf(snapshot, endpoint.limits, endpoint.limits.reconnectMs - snapshot.detachedMs)?.reason,
      options: { reconnect: true }
    })
    return await this.#end(endpoint, ref, resting, reasonOf) === 'here'
  }

  /** Whether no other node may take a session out of its record first. */
  async #isForAnyone ({ record }: RestingRecord): Promise<boolean> {
    if (record.status === 'frozen') return true
    const { node: { node, stateOf } } = this.#nodeParts()
    if (record.owner === node) return record.status === 'moving'
    return await stateOf(record.owner) === 'dead'
  }

  /** Takes a session out of its record, under a new id, and closes it. Waits until its hooks have run. */
  async #end (endpoint: Endpoint, ref: string, stored: RestingRecord, wayOf: (snapshot: SessionSnapshot) => { readonly reason: string | undefined, readonly options: CloseOptions }): Promise<Whereabouts | null> {
    if (this.#isClosed || this.#transfers.has(ref)) return null
    let snapshot: SessionSnapshot
    try {
      snapshot = decodeSnapshot(stored.bytes)
    } catch (error) {
      this.#report(error, ref, 'a session of the cluster cannot be read')
      return null
    }
    if (!endpoint.registry.reserve(snapshot.owner, null)) return 'unavailable'
    let closed: Promise<void> | null = null
    const ending = this.#takeOver(endpoint, ref, stored, snapshot,
      (whole, onRestored) => endpoint.restore(createSessionId(), whole, { from: isLossy(stored, whole) ? 'crashed' : 'frozen', deadlineMs: 0, ref, isOver: true }, onRestored),
      ({ session }) => {
        const { reason, options } = wayOf(snapshot)
        closed = session.closeWith(reason ?? 'closed', options)
      })
    this.#transfer(ref, ending)
    const ended = await ending
    await closed
    return ended
  }

  // Requests of other nodes

  /** Accepts a submission for a session that is here. */
  async #post (from: string, data: unknown): Promise<Reply> {
    const asked = readAsked(data)
    const submission = asked === null ? null : readSubmission(asked.submission)
    if (asked === null || submission === null) return { name: replies.failed, data: null }
    const { ref, boundTo, url } = asked
    const transfer = this.#transfers.get(ref)
    if (transfer !== undefined) {
      await this.#within(transfer, this.#parts.clock.now() + this.#parts.options.forwardMs)
      return { name: outcomes.gone, data: null }
    }
    const held = this.#held.get(ref)
    if (held === undefined || held.endpoint.url !== url) return { name: outcomes.none, data: null }
    if (!this.#parts.node.gate.isOpen) return { name: outcomes.stays, data: null }
    const { session, endpoint } = held
    if (session.boundTo !== boundTo) return { name: outcomes.outcome, data: packOutcome(refusedFor(new BindingError())) }
    const { acknowledged, replyTo, ...rest } = submission
    const waiter = replyTo === null ? null : this.#replies.waiterFor(from, replyTo)
    const outcome = await this.#acceptanceOf(endpoint).receive(session, { ...rest, lastEventId: undefined, waiter })
    if (outcome.isAccepted && acknowledged !== null) session.acknowledge(acknowledged)
    return { name: outcomes.outcome, data: packOutcome(outcome) }
  }

  #acceptanceOf (endpoint: Endpoint): Acceptance {
    let acceptance = this.#acceptances.get(endpoint)
    if (acceptance === undefined) this.#acceptances.set(endpoint, acceptance = new Acceptance(endpoint))
    return acceptance
  }

  // The lease

  /** Reads the records of all sessions here. Rejects if one cannot be read. */
  async #verify (): Promise<void> {
    await Promise.all(Array.from(this.#held.values(), (held) => this.#writes.run(() => this.#verifyOne(held))))
  }

  async #verifyOne (held: HeldSession): Promise<void> {
    const { node: { node, records }, clock, fixed } = this.#parts
    const { ref, endpoint, epoch } = held
    for (;;) {
      if (this.#held.get(ref) !== held || held.isLeaving) return
      const stored = await records.read(ref)
      if (this.#held.get(ref) !== held || held.isLeaving) return
      if (stored !== null) {
        const { record, revision } = stored
        if (!this.#isEarlier(held, record)) return this.#lose(held)
        if (record.status === 'live' && record.epoch === epoch) {
          const isSame = held.revision === revision
          held.revision = revision
          if (isSame) held.backup?.resume()
          else held.backup?.distrust()
          return
        }
      }
      // The engine has lost it, or its last writes, or never had it.
      const revision = await records.write(ref, { status: 'live', url: endpoint.url, epoch, owner: node }, stored?.revision ?? null, fixed.recordMs, () => false)
      if (revision === null) continue
      held.revision = revision
      held.writtenAt = clock.now()
      held.backup?.distrust()
      return
    }
  }

  /** Another node has the session: here it ends without a hook. */
  #lose (held: HeldSession): void {
    this.#held.delete(held.ref)
    held.release()
    const { session } = held
    this.#parts.log().warn({ session: session.shortId }, 'another node has taken a session')
    session.feed.moveOut(goodbyeFrame({ reason: 'moved', reconnect: true }), closeCodes.goingAway, performance.now())
    session.destroy('moved')
  }

  /** The clients look for another node. Their sessions stay for those that come back. */
  #isolated (): void {
    const goodbye = goodbyeFrame({ reason: 'isolated', reconnect: true })
    for (const { session } of this.#held.values()) session.stream?.close(goodbye, this.#parts.fixed.shutdownMs, 'closed', closeCodes.tryLater)
  }

  /** Writes records again before they expire. */
  readonly #refresh = (): void => {
    const { clock, fixed, node: { node, records, gate } } = this.#parts
    this.#sweep = clock.setTimeout(this.#refresh, fixed.recordMs / 8)
    if (!gate.isOpen) return
    for (const held of this.#held.values()) {
      if (held.isLeaving || held.revision === null || clock.now() - held.writtenAt < fixed.recordMs / 2) continue
      if (held.backup !== null) {
        held.backup.resume()
        continue
      }
      this.#writes.run(async () => {
        if (this.#held.get(held.ref) !== held || held.isLeaving) return
        // Another write waits for its revision.
        await held.write(async () => {
          const revision = await records.write(held.ref, { status: 'live', url: held.endpoint.url, epoch: held.epoch, owner: node }, held.revision, fixed.recordMs, () => gate.isOpen)
          if (revision === null) return await this.#verifyOne(held)
          held.revision = revision
          held.writtenAt = clock.now()
        })
      }).catch(() => {})
    }
  }

  // Helpers

  #transfer (ref: string, transfer: Promise<unknown>): void {
    const settled = transfer.then(() => {}, () => {}).then(() => {
      if (this.#transfers.get(ref) === settled) this.#transfers.delete(ref)
    })
    this.#transfers.set(ref, settled)
  }

  /** Whether a promise settles in time. It must not reject. */
  async #within (promise: Promise<unknown>, until: number): Promise<boolean> {
    const { clock } = this.#parts
    let timer: unknown
    const late = new Promise<false>((resolve) => { timer = clock.setTimeout(() => { resolve(false) }, Math.max(0, until - clock.now())) })
    try {
      return await Promise.race([promise.then(() => true), late])
    } finally {
      clock.clearTimeout(timer)
    }
  }

  #report (error: unknown, id: string, message: string): void {
    this.#parts.log().error({ err: error, session: shortSessionId(id) }, message)
  }
}

/** Whether the sessions of an endpoint are kept for a crash of their node. */
function isBackedUp ({ limits: { persist } }: Endpoint): boolean {
  return persist === 'command' || persist === 'event'
}

/** The backup of a new session; null if its state cannot be kept, which is reported. */
function firstBackupOf (session: TetherSession): SessionSnapshot | null {
  try {
    return session.backUp(session.phase !== 'unclaimed')
  } catch (error) {
    session.reportState(error)
    return null
  }
}

/** Whether what a session did behind a snapshot is lost. */
function isLossy ({ record }: RestingRecord, { isBackup }: SessionSnapshot): boolean {
  return isBackup === true || record.status === 'live'
}

/** What every request about a session says. */
interface Asked {
  readonly ref: string
  readonly url: string
  readonly boundTo: string | null
  /** Whether the session must come to the node that asks. Otherwise it may stay with the node that has it. */
  readonly isClaimed: boolean
  /** How long ago the node began to look for the session, in milliseconds. */
  readonly ageMs: number
  readonly submission: unknown
}

function readAsked (value: unknown): Asked | null {
  if (!isRecord(value)) return null
  const { ref, url, boundTo, isClaimed, ageMs, submission } = value
  if (typeof ref !== 'string' || !/^[A-Za-z0-9_-]{22}$/.test(ref) || typeof url !== 'string' || (boundTo !== null && typeof boundTo !== 'string')) return null
  return { ref, url, boundTo, isClaimed: isClaimed !== false, ageMs: typeof ageMs === 'number' ? ageMs : 0, submission }
}
