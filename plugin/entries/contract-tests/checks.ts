import { AssertionError, deepStrictEqual, notStrictEqual, strictEqual } from 'node:assert/strict'

/** Runs an assertion. If it fails, `what` goes before the assertion's own message, which has both values. */
function assert (what: string | undefined, assertion: () => void): void {
  try {
    assertion()
  } catch (error) {
    if (what !== undefined) (error as Error).message = `${what}: ${(error as Error).message}`
    throw error
  }
}

export function equal (actual: unknown, expected: unknown, what?: string): void {
  assert(what, () => strictEqual(actual, expected))
}

export function not (actual: unknown, unexpected: unknown, what?: string): void {
  assert(what, () => notStrictEqual(actual, unexpected))
}

/** Asserts that two values are deeply equal. */
export function same (actual: unknown, expected: unknown, what?: string): void {
  assert(what, () => deepStrictEqual(actual, expected))
}

export function ok (actual: unknown, what?: string): void {
  assert(what, () => strictEqual(Boolean(actual), true))
}

/** Asserts that a value matches a pattern: a string by a regular expression, a list item by item, an object by the named fields. */
export function match (actual: unknown, pattern: unknown, what?: string): void {
  if (isLike(actual, pattern)) return
  assert(what, () => { throw new AssertionError({ actual, expected: pattern, operator: 'deepStrictEqual' }) })
}

function isLike (actual: unknown, pattern: unknown): boolean {
  if (pattern instanceof RegExp) return typeof actual === 'string' && pattern.test(actual)
  if (typeof pattern !== 'object' || pattern === null) return Object.is(actual, pattern)
  if (typeof actual !== 'object' || actual === null) return false
  if (Array.isArray(pattern) && (!Array.isArray(actual) || actual.length !== pattern.length)) return false
  return Object.entries(pattern).every(([key, value]) => isLike((actual as Record<string, unknown>)[key], value))
}
