import type { ConnectionUse } from './session-registry.ts'

/** For whom a session is made. */
export interface Applicant {
  /** What `bind` gave; null for nobody in particular. */
  readonly boundTo: string | null
  /** For whom it counts. */
  readonly owner: string | null
  /** The connection of its stream, where others share it. */
  readonly connection: ConnectionUse | null
}
