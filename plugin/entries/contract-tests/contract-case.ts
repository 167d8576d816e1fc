import type { Scope } from './transport-under-test.ts'

/** One test, for any test runner. */
export interface ContractCase {
  readonly name: string
  /** Runs the case with a subject of its own, and cleans up. Rejects with the first failed assertion, or the first wait that takes too long. */
  readonly run: () => Promise<void>
}

/** Runs a case, then all that it registered for its end, the last first. Rejects with the first failure of all. */
export async function runScoped (body: (scope: Scope) => Promise<void>): Promise<void> {
  const ends: Array<() => unknown> = []
  const failures: unknown[] = []
  const attempt = async (step: () => unknown) => {
    try {
      await step()
    } catch (error) {
      failures.push(error)
    }
  }
  await attempt(() => body({ after: (end) => { ends.push(end) } }))
  for (const end of ends.reverse()) await attempt(end)
  if (failures.length > 0) throw failures[0]
}
