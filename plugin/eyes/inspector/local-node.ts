import type { FastifyBaseLogger } from 'fastify'
import type { Found, Row, View } from '../../../schemas/inspector.ts'
import type { TetherSession } from '../../sessions/session.ts'
import type { Journal } from './journal.ts'
import { SessionKeys } from './session-keys.ts'
import { groupNames, namesOfDetail, rowOf, select, topicNames } from './session-table.ts'
import type { InspectedSubject, InspectorSettings } from './subject.ts'

/** The reason that `onClose` and the client get for a session that was closed by hand. */
export const closeReason = 'inspector'

/** Rows of one node. */
export interface Rows {
  readonly total: number
  readonly matching: number
  readonly rows: Row[]
}

/** What may be done by hand to one session. */
export type Deed = { readonly deed: 'close' } | { readonly deed: 'slow', readonly paceMs: number }

/** The sessions of this node, as the inspectors of all nodes see them. */
export class LocalNode {
  /** Its name in the cluster; empty without one. */
  readonly name: string
  readonly #subject: InspectedSubject
  readonly #allow: InspectorSettings['allow']
  readonly #journal: Journal
  readonly #log: FastifyBaseLogger
  readonly #keys = new SessionKeys()

  constructor (subject: InspectedSubject, allow: InspectorSettings['allow'], journal: Journal, log: FastifyBaseLogger) {
    this.name = subject.cluster?.node ?? ''
    this.#subject = subject
    this.#allow = allow
    this.#journal = journal
    this.#log = log
  }

  /** The rows from `from` to `end - 1` of a view. */
  rows (view: View, from: number, end: number): Rows {
    const { endpoints, runtime } = this.#subject
    const now = runtime.time.now()
    const isMeant = view.node === '' || view.node === this.name
    const { total, matching, sessions } = select(isMeant ? endpoints : [], view, end, now)
    return { total: isMeant ? total : this.#subject.registry.size, matching, rows: sessions.slice(from).map((session) => rowOf(session, this.name, this.#keys, now)) }
  }

  /** Null for a session that is gone. */
  detail (key: string): Found | null {
    const session = this.#keys.find(this.#subject.endpoints, key)
    return session === null ? null : this.#detailOf(session)
  }

  #detailOf (session: TetherSession): Found {
    const { stats, inbox, stream, scope } = session
    const now = this.#subject.runtime.time.now()
    const running = inbox.running
    return {
      row: rowOf(session, this.name, this.#keys, now),
      groups: groupNames(session, namesOfDetail),
      topics: topicNames(session, namesOfDetail),
      stream: stream === null
        ? null
        : {
            transport: stream.protocol,
            openMs: performance.now() - stream.openedAt,
            verdict: stream.verdict,
            encoding: stats.compression?.encoding ?? null,
            writeBuffer: stream.writeBuffer,
            isFull: !stream.writable
          },
      outbox: { ...zonesOf(session), heldBytes: stats.heldBytes, waitingBytes: stats.queuedBytes, queueFrames: scope.limits.queueFrames, queueBytes: scope.limits.queueBytes, replayFrames: scope.limits.replayFrames },
      updates: stats.framesWritten,
      bytes: stats.bytesWritten,
      conflated: stats.conflated,
      dropped: stats.dropped,
      events: stats.eventsAccepted,
      acceptedSeq: session.acceptedSeq,
      errors: stats.handlerErrors,
      stalls: stats.stalls,
      stalledMs: stats.stalledMs,
      running: running === null ? null : { name: running.name, ms: Math.max(0, now - running.since) },
      ...this.#journal.read(scope.url, session.shortId)
    }
  }

  /** Does what is asked, if the options of this node allow it. Returns false for a session that is gone, and for what is not allowed. */
  act (key: string, deed: Deed): boolean {
    if (!this.#allow[deed.deed]) return false
    const session = this.#keys.find(this.#subject.endpoints, key)
    if (session?.isOpen !== true) return false
    const where = { session: session.shortId, url: session.scope.url }
    if (deed.deed === 'close') {
      this.#log.info(where, 'a tether session is closed by hand')
      session.close(closeReason)
    } else {
      this.#log.info({ ...where, paceMs: deed.paceMs }, 'a tether session gets a pace by hand')
      session.slow(deed.paceMs)
    }
    return true
  }
}

/** The zones of the updates that a session holds, whether or not it shares them with others in step. */
function zonesOf (session: TetherSession): { first: number, next: number, written: number, replaying: number, waiting: number } {
  const { outbox, cohort } = session
  if (!session.isInStep) {
    const { first, cursor, next, waiting } = outbox
    const fresh = next - waiting
    return { first, next, written: cursor - first, replaying: fresh - cursor, waiting }
  }
  const waiting = cohort!.waitingOf(session).frames
  const next = cohort!.cursorOf(session) + waiting
  const held = cohort!.heldOf(session).frames
  return { first: next - held, next, written: held - waiting, replaying: 0, waiting }
}
