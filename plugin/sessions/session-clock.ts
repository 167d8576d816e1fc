import { defaults } from '../../schemas/defaults.ts'
import type { Deadline } from '../delivery/deadline-queue.ts'
import { DeadlineTable, type DeadlineRow } from '../delivery/deadline-table.ts'

export type Phase =
  /** Made by `prepare`; no request has claimed it yet. */
  | 'unclaimed'
  /** Its first stream is on its way through Fastify's hooks. */
  | 'opening'
  | 'open'
  /** Accepts nothing new; runs accepted commands and writes waiting frames. */
  | 'closing'
  | 'closed'

/** What the clocks of one endpoint have in common. */
export interface ClockScope {
  /** How long a prepared session waits for its page. */
  readonly pendingMs: number
  readonly limits: {
    readonly reconnectMs: number
    /** 0 for no limit. */
    readonly idleMs: number
    /** 0 for no limit. */
    readonly maxLifetimeMs: number
  }
}

/** The session of a clock. */
export interface ClockOwner {
  readonly phase: Phase
  readonly feed: {
    readonly stream: { destroy: (reason: 'closed') => void } | null
    readonly isBlocked: boolean
    readonly patienceMs: number
    readonly trimAt: number
    trim: (now: number) => void
  }
  readonly inbox: {
    readonly timeoutAt: number
    timeOut: (now: number) => void
  }
  /** Its claim is no longer valid. */
  leavePool: () => void
  close: (reason: 'reconnect-timeout' | 'left' | 'lifetime' | 'idle', options: { reconnect: true }) => unknown
}

/** The deadlines of all sessions and streams. One timer serves all. */
export interface Deadlines {
  set: (deadline: Deadline, at: number) => void
  remove: (deadline: Deadline) => void
}

const again = { reconnect: true } as const

/** Every deadline of a session. They act in this order. */
const rows = {
  replayAge: {
    at: ({ owner }) => owner.feed.trimAt,
    act: ({ owner }, now) => owner.feed.trim(now)
  },
  handler: {
    at: ({ owner }) => owner.inbox.timeoutAt,
    act: ({ owner }, now) => owner.inbox.timeOut(now)
  },
  claim: {
    at: ({ owner, scope, createdAt }) => owner.phase === 'unclaimed' ? createdAt + scope.pendingMs : Infinity,
    act: ({ owner }) => {
      owner.leavePool()
      owner.close('reconnect-timeout', again)
    }
  },
  leave: {
    at: ({ owner: { phase }, leaveAt }) => phase === 'opening' || phase === 'open' ? leaveAt : Infinity,
    act: ({ owner }) => owner.close('left', again)
  },
  lifetime: {
    at: ({ owner, scope: { limits }, createdAt }) => owner.phase === 'open' && limits.maxLifetimeMs > 0 ? createdAt + limits.maxLifetimeMs : Infinity,
    act: ({ owner }) => owner.close('lifetime', again)
  },
  reconnect: {
    at: ({ isDetached, scope: { limits }, detachedAt }) => isDetached ? detachedAt + limits.reconnectMs : Infinity,
    act: ({ owner }) => owner.close('reconnect-timeout', again)
  },
  idle: {
    at: ({ isDetached, scope: { limits }, detachedAt, lastEventAt }) => isDetached && limits.idleMs > 0 ? Math.max(detachedAt, lastEventAt) + limits.idleMs : Infinity,
    act: ({ owner }) => owner.close('idle', again)
  },
  patience: {
    at: ({ owner, closeBy }) => owner.phase === 'closing' && owner.feed.stream !== null ? closeBy : Infinity,
    act: (clock, now) => {
      const { feed } = clock.owner
      if (feed.isBlocked) feed.stream?.destroy('closed')
      else clock.closeBy = now + feed.patienceMs / 4
    }
  }
} satisfies Record<string, DeadlineRow<SessionClock>>

export type DeadlineName = keyof typeof rows

const table = new DeadlineTable<SessionClock>(rows)

/** The times of one session. Setting a deadline and running it both read the table above. */
export class SessionClock implements Deadline {
  dueAt = 0
  heapIndex = -1
  readonly owner: ClockOwner
  readonly scope: ClockScope
  /** Time of the session's making, on whatever node. */
  createdAt: number
  /** Time of the loss of its latest stream. */
  detachedAt: number
  /** Time of its latest event without a stream. */
  lastEventAt: number
  /** End of the grace after the page's goodbye; Infinity while the page is there. */
  leaveAt = Infinity
  /** In the phase `closing`: when a client that blocks the session is cut. */
  closeBy = Infinity
  readonly #deadlines: Deadlines
  #isStopped = false

  constructor (owner: ClockOwner, scope: ClockScope, deadlines: Deadlines, now: number) {
    this.owner = owner
    this.scope = scope
    this.#deadlines = deadlines
    this.createdAt = now
    this.detachedAt = now
    this.lastEventAt = now
  }

  /** Whether the session waits for its client to reconnect. */
  get isDetached (): boolean { return this.owner.phase === 'open' && this.owner.feed.stream === null }

  /** Sets one deadline. Call it when the deadline comes to be, or moves to an earlier time. */
  set (name: DeadlineName): void {
    if (!this.#isStopped) this.#deadlines.set(this, rows[name].at(this))
  }

  /** Sets all deadlines. */
  setAll (): void {
    if (!this.#isStopped) this.#deadlines.set(this, table.next(this))
  }

  /** The page said goodbye: the session ends unless the page comes back within the grace. */
  leave (now: number): void {
    if (this.leaveAt !== Infinity) return
    this.leaveAt = now + defaults.fixed.leaveGraceMs
    this.set('leave')
  }

  due (now: number): void {
    if (this.#isStopped) return
    table.run(this, now)
    if (this.heapIndex === -1) this.setAll()
  }

  /** Ends all deadlines. */
  destroy (): void {
    this.#isStopped = true
    this.#deadlines.remove(this)
  }
}
