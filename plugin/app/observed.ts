import { ArgumentError } from '../../schemas/errors.ts'
import type { ClusterNode } from '../cluster/cluster-node.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import type { SessionRegistry } from '../sessions/session-registry.ts'
import type { TetherSession } from '../sessions/session.ts'
import type { Runtime } from '../streams/runtime.ts'

/** What exporters read of one registered plugin. */
export interface Observed {
  readonly runtime: Runtime
  readonly registry: SessionRegistry<TetherSession>
  /** Grows with each `stateful`. */
  readonly endpoints: readonly Endpoint[]
  /** Null without the option `cluster`. */
  readonly cluster: ClusterNode | null
}

const known = new WeakMap<object, Observed>()

/** Makes what belongs to a decorator known to {@link observedOf}. */
export function noteObserved (tether: object, observed: Observed): void {
  known.set(tether, observed)
}

/**
 * What exporters read of an application.
 *
 * @param caller names the function in the error
 * @throws `FST_ERR_TETHER_ARGUMENT` if the plugin is not registered there
 */
export function observedOf (app: unknown, caller: string): Observed {
  const tether = (app as { tether?: unknown } | null | undefined)?.tether
  const observed = typeof tether === 'object' && tether !== null ? known.get(tether) : undefined
  if (observed === undefined) throw new ArgumentError(`${caller}() takes an application with this plugin: await app.register(tether) before`)
  return observed
}
