import type { Deadline } from '../delivery/deadline-queue.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import type { TetherSession } from '../sessions/session.ts'

/** What keeps the session for a crash of this node. */
interface HeldBackup {
  /** The session is no longer here. */
  stop: () => void
  /** Writes go on again. */
  resume: () => void
  /** The engine may have lost what it had of the session. */
  distrust: () => void
}

/** A session that this node owns, and what it knows of its record. */
export class HeldSession implements Deadline {
  dueAt = 0
  heapIndex = -1
  readonly ref: string
  readonly session: TetherSession
  readonly endpoint: Endpoint
  readonly epoch: number
  /** Null for a record that is still to be written: the engine did not answer. */
  revision: string | null
  /** When the record was last written. */
  writtenAt: number
  /** The write of the record, or of its journal, that goes on; null for none. */
  writing: Promise<unknown> | null = null
  /** Null for a session without one. */
  backup: HeldBackup | null = null
  /** Called when no write goes on any more; null for nobody. */
  onFree: (() => void) | null = null
  /** Whether it is on its way to another place. Then its end here is none. */
  isLeaving = false
  #freezeAt = Infinity
  readonly #onFreezeDue: (held: HeldSession) => void

  constructor (ref: string, session: TetherSession, endpoint: Endpoint, epoch: number, revision: string | null, writtenAt: number, onFreezeDue: (held: HeldSession) => void) {
    this.ref = ref
    this.session = session
    this.endpoint = endpoint
    this.epoch = epoch
    this.revision = revision
    this.writtenAt = writtenAt
    this.#onFreezeDue = onFreezeDue
  }

  /** Runs a write of the record, or of its journal. Each needs the revision of the one before, so there is one at a time. */
  write<Result> (task: () => Promise<Result>): Promise<Result> {
    const done = task().finally(() => {
      this.writing = null
      this.onFree?.()
    })
    // Nobody else handles its rejection.
    this.writing = done.catch(() => {})
    return done
  }

  /** It lost its stream, and leaves memory unless its client comes back in time. */
  freezeAfter (ms: number): void {
    this.#freezeAt = performance.now() + ms
    this.endpoint.runtime.deadlines.set(this, this.#freezeAt)
  }

  due (now: number): void {
    // It may have had a stream in between.
    if (now < this.#freezeAt) this.endpoint.runtime.deadlines.set(this, this.#freezeAt)
    else this.#onFreezeDue(this)
  }

  /** It is no longer here. */
  release (): void {
    this.backup?.stop()
    if (this.heapIndex !== -1) this.endpoint.runtime.deadlines.remove(this)
  }
}
