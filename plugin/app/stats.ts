import { protocolCounts } from '../carriers/carrier.ts'
import type { ClusterStatus } from '../cluster/api.ts'
import { snapshot } from '../metrics/counters.ts'
import type { SessionRegistry } from '../sessions/session-registry.ts'
import type { TetherSession } from '../sessions/session.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { TetherHealth, TetherStats } from './api.ts'

/** Takes the current figures of a runtime. */
export function statsOf ({ totals, streams, budget, compression, socketFaults, time }: Runtime, registry: SessionRegistry<TetherSession>): TetherStats {
  const now = time.now()
  let stalled = 0
  let stallMs = 0
  for (const session of registry) {
    const ofThis = session.stallMs(now)
    if (ofThis > 0) stalled++
    stallMs += ofThis
  }
  const protocols = protocolCounts()
  for (const stream of streams) protocols[stream.protocol]++
  return {
    ...snapshot(totals, stallMs),
    sessions: registry.size,
    stalled,
    detached: registry.detachedCount,
    pending: registry.unclaimedCount,
    streams: streams.size,
    protocols,
    refusals: { ...registry.refusals },
    socketFaults,
    bufferedBytes: budget.used,
    bufferedMemory: budget.weight,
    commandMemory: budget.commands,
    compression: { ...compression.stats }
  }
}

/** Tells whether this process should get new clients. */
export function healthOf ({ draining }: Pick<Runtime, 'draining'>, { size, limits }: SessionRegistry<TetherSession>, cluster: { readonly status: ClusterStatus } | null): TetherHealth {
  const status = cluster?.status ?? null
  return { ok: !draining && status !== 'isolated', draining, sessions: size, maxSessions: limits.maxSessions, cluster: status }
}
