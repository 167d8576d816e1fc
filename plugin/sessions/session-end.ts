import type { SessionOptions } from './config.ts'
import type { SessionSnapshot } from './snapshot.ts'

/** How a session without a stream ends by itself. */
export interface SessionEnd {
  /** Milliseconds from its snapshot until then. */
  readonly ms: number
  readonly reason: 'reconnect-timeout' | 'left' | 'lifetime' | 'idle'
}

/**
 * When a session is over whose client does not come back, and why; null for one that no client has had yet.
 *
 * @param graceMs milliseconds that its client has to come back
 */
export function endOf (snapshot: SessionSnapshot, { maxLifetimeMs, idleMs }: Pick<Required<SessionOptions>, 'maxLifetimeMs' | 'idleMs'>, graceMs: number): SessionEnd | null {
  const { everConnected, leaveMs, ageMs, detachedMs } = snapshot
  if (!everConnected) return null
  const ends: SessionEnd[] = [{ ms: graceMs, reason: 'reconnect-timeout' }]
  if (leaveMs !== null) ends.push({ ms: leaveMs, reason: 'left' })
  if (maxLifetimeMs > 0) ends.push({ ms: maxLifetimeMs - ageMs, reason: 'lifetime' })
  if (idleMs > 0) ends.push({ ms: idleMs - Math.min(detachedMs, snapshot.idleMs), reason: 'idle' })
  const { ms, reason } = ends.reduce((first, end) => end.ms < first.ms ? end : first)
  return { ms: Math.max(0, ms), reason }
}
