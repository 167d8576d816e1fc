/** Texts of the current event that failed a test. */
const failures = new Set<Set<string>>()

/** Forgets the failures of the event before; called before each event is checked. */
export function forgetFailures (): void {
  // Clearing an empty set allocates, and hardly any event has failures.
  if (failures.size === 0) return
  for (const texts of failures) texts.clear()
  failures.clear()
}

/**
 * Remembers the texts that fail a test. The checker, the explainer and the form reader run the
 * same tests on one event, and a pattern may take seconds to fail.
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
