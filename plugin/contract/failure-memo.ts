/** Texts that failed a test, of the event at hand. */
const failures = new Set<Set<string>>()

/** Before the checks of one event: what failed of another is of no use any more. */
export function forgetFailures (): void {
  // Clearing an empty set allocates, and hardly any event has failures.
  if (failures.size === 0) return
  for (const texts of failures) texts.clear()
  failures.clear()
}

/**
 * Runs a test of a text once where it fails. What decides about an event, what explains and what
 * reads a form ask the same; and a pattern may take seconds to fail.
 */
export function rememberFailures (test: (text: string) => boolean): (text: string) => boolean {
  const failed = new Set<string>()
  return (text) => {
    if (failed.size > 0 && failed.has(text)) return false
    if (test(text)) return true
    failed.add(text)
    failures.add(failed)
    return false
  }
}
