import { protocolCounts } from '../carriers/carrier.ts'
import { snapshot } from '../metrics/counters.ts'
import type { SessionRegistry } from '../sessions/session-registry.ts'
import type { TetherSession } from '../sessions/session.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { TetherStats } from './api.ts'

/** Takes the current figures of a runtime. */
export function statsOf ({ totals, streams, budget, compression, time }: Runtime, registry: SessionRegistry<TetherSession>): TetherStats {
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
    bufferedBytes: budget.used,
    bufferedMemory: budget.weight,
    commandMemory: budget.commands,
    compression: { ...compression.stats }
  }
}
