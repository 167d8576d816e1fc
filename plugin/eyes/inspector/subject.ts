import type { ClusterNode } from '../../cluster/cluster-node.ts'
import type { Endpoint } from '../../sessions/endpoint.ts'
import type { SessionRegistry } from '../../sessions/session-registry.ts'
import type { TetherSession } from '../../sessions/session.ts'
import type { Runtime } from '../../streams/runtime.ts'

/** The plugin that an inspector looks at. */
export interface InspectedSubject {
  readonly runtime: Runtime
  readonly registry: SessionRegistry<TetherSession>
  /** Grows with each `stateful`. */
  readonly endpoints: readonly Endpoint[]
  /** Null without the option `cluster`. */
  readonly cluster: Pick<ClusterNode, 'node' | 'status' | 'nodes' | 'calls'> | null
}

/** Options of an inspector, with their defaults filled in. */
export interface InspectorSettings {
  readonly allow: { readonly close: boolean, readonly slow: boolean }
  readonly everyMs: number
  readonly maxCommands: number
}
