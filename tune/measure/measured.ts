import type { ServerFigures, SessionLimitOption } from './server-figures.ts'
import type { Step } from './step.ts'

/** The server took no more clients. */
export interface ClientRefusal {
  readonly reason: string
  /** Whether the server has no room for more sessions. */
  readonly isSessionLimit: boolean
  /** The limit of the server, where its figures tell; null otherwise. */
  readonly option: SessionLimitOption | null
}

/** What a run has measured, whole or not. */
export interface Measured {
  readonly steps: readonly Step[]
  readonly remarks: readonly string[]
  readonly outside: string | null
  /** The server's figures at the start; null from outside only. */
  readonly figures: ServerFigures | null
  readonly isOverMemory: boolean
  readonly isGeneratorLimited: boolean
  /** Null if the server took all clients. */
  readonly refusal: ClientRefusal | null
  readonly isComplete: boolean
}
