/** Whether a value is an object with keys: neither null nor an array. */
export function isRecord (value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
