import { closeCodes } from '../../schemas/close-code.ts'
import { longestTimerMs } from '../../schemas/timer.ts'
import { partingFrame } from '../protocol/control-frame.ts'
import type { SessionRegistry } from '../sessions/session-registry.ts'
import type { TetherSession } from '../sessions/session.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { DrainOptions } from './api.ts'

/** Ends all sessions and streams of a runtime within a time limit. */
export class Shutdown {
  readonly #runtime: Runtime
  readonly #registry: SessionRegistry<TetherSession>

  constructor (runtime: Runtime, registry: SessionRegistry<TetherSession>) {
    this.#runtime = runtime
    this.#registry = registry
  }

  async close (reason: 'draining' | 'shutdown', { timeoutMs, retryMs, spreadMs }: Required<DrainOptions>): Promise<void> {
    const runtime = this.#runtime
    const registry = this.#registry
    runtime.draining = true
    const spreadRetryMs = () => Math.min(retryMs + Math.floor(Math.random() * spreadMs), longestTimerMs)
    const ofSessions = new Set([...registry].map((session) => session.stream))
    // A session whose last hook takes all of its time still has to be written.
    const freezeMs = timeoutMs - Math.min(runtime.limits.shutdownMs, timeoutMs) / 4
    const frozen = Promise.all([...registry].map((session) => this.#end(session, reason, freezeMs, spreadRetryMs())))
    for (const stream of [...runtime.streams]) {
      if (!ofSessions.has(stream)) stream.close(partingFrame(reason, spreadRetryMs(), stream.goodbye), timeoutMs, 'closed', closeCodes.goingAway)
    }
    await this.#whenEmpty(timeoutMs, frozen)
    // The rest does not read, or is still running. Its hooks run, but the wait for them is short.
    for (const session of [...registry]) session.closeWith(reason, { reconnect: true, patienceMs: 0 })
    for (const stream of [...runtime.streams]) stream.destroy('closed')
    await this.#whenEmpty(this.#runtime.limits.shutdownMs / 4)
    for (const session of [...registry]) session.destroy()
  }

  /** Moves a session into the cluster's engine, where other nodes find it, or closes it. */
  async #end (session: TetherSession, reason: 'draining' | 'shutdown', deadlineMs: number, retryMs: number): Promise<void> {
    const { keeper = null } = session.scope
    const { time } = this.#runtime
    const until = time.now() + deadlineMs
    // Its client has just asked another node for it.
    const departure = keeper?.departure(session) ?? null
    if (departure !== null) {
      await departure
      if (!session.isOpen) return
    }
    // Without its lease a node does not know whether another has the session. The hooks of its end must not run then.
    const lease = session.connected || session.proven ? keeper?.awaitLease(deadlineMs) ?? null : null
    if (lease !== null) await lease
    if (keeper?.canFreeze(session) === true && await keeper.freeze(session, lease === null && departure === null ? deadlineMs : Math.max(1, until - time.now()), retryMs)) return
    session.closeWith(reason, { reconnect: true, retryMs })
  }

  /** Waits until no session and no stream is left, and records are written; at most for this time. */
  async #whenEmpty (withinMs: number, frozen: Promise<unknown> = Promise.resolve()): Promise<void> {
    const { endings, streams } = this.#runtime
    let isWritten = false
    const isEmpty = () => isWritten && this.#registry.size === 0 && streams.size === 0
    await new Promise<void>((resolve) => {
      const stop = () => {
        clearTimeout(timer)
        endings.off('end', look)
        resolve()
      }
      const look = () => { if (isEmpty()) stop() }
      const timer = setTimeout(stop, withinMs)
      endings.on('end', look)
      frozen.then(() => {
        isWritten = true
        look()
      })
    })
  }
}
