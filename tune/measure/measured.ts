import type { ServerFigures } from './server-figures.ts'
import type { Step } from './step.ts'

/** What a run has measured, whole or not. */
export interface Measured {
  readonly steps: readonly Step[]
  readonly remarks: readonly string[]
  readonly outside: string | null
  /** The server's figures at the start; null from outside only. */
  readonly figures: ServerFigures | null
  readonly isOverMemory: boolean
  readonly isGeneratorLimited: boolean
  /** Why the server took no more clients; null if it took all. */
  readonly refusal: string | null
  readonly isComplete: boolean
}
