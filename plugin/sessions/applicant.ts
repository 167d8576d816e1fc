import type { ConnectionUse } from './session-registry.ts'

/** The client that asks for a new session. */
export interface Applicant {
  /** The result of `bind`; null for nobody in particular. */
  readonly boundTo: string | null
  /** The owner whose limit the session counts against; null for no owner. */
  readonly owner: string | null
  /** The connection of the stream, if other streams may share it; null otherwise. */
  readonly connection: ConnectionUse | null
}
