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
    for (const session of registry) session.close(reason, { reconnect: true, retryMs: spreadRetryMs() })
    const ofSessions = new Set([...registry].map((session) => session.stream))
    for (const stream of [...runtime.streams]) {
      if (!ofSessions.has(stream)) stream.close(partingFrame(reason, spreadRetryMs(), stream.goodbye), timeoutMs, 'closed', closeCodes.goingAway)
    }
    await this.#whenEmpty(timeoutMs)
    // The rest does not read, or is still running. Its hooks run, but the wait for them is short.
    for (const session of [...registry]) session.close(reason, { reconnect: true, patienceMs: 0 })
    for (const stream of [...runtime.streams]) stream.destroy('closed')
    await this.#whenEmpty(this.#runtime.limits.shutdownMs / 4)
    for (const session of [...registry]) session.destroy()
  }

  /** Waits until no session and no stream is left, at most for this time. */
  #whenEmpty (withinMs: number): Promise<void> {
    const { endings, streams } = this.#runtime
    const isEmpty = () => this.#registry.size === 0 && streams.size === 0
    if (isEmpty()) return Promise.resolve()
    return new Promise((resolve) => {
      const stop = () => {
        clearTimeout(timer)
        endings.off('end', look)
        resolve()
      }
      const look = () => { if (isEmpty()) stop() }
      const timer = setTimeout(stop, withinMs)
      endings.on('end', look)
    })
  }
}
