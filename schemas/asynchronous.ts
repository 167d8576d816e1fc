import { isRecord } from './record.ts'

/** The one class of asynchronous functions. */
const AsyncFunction = (async () => {}).constructor

/**
 * Whether a schema of another library is known to check or convert asynchronously, before any data comes.
 *
 * Valibot marks such schemas, and ArkType lists its functions. A synchronous schema of either takes
 * the promise for a result, so that data would pass unchecked.
 */
export function isAsynchronous (schema: object): boolean {
  return holdsMark(schema, new Set()) || ['predicate', 'morph'].some((kind) => functionsOf(schema, kind).some((part) => part instanceof AsyncFunction))
}

/** Whether a schema of Valibot or a part of it is marked. */
function holdsMark (value: unknown, seen: Set<unknown>): boolean {
  if (Array.isArray(value)) return value.some((child) => holdsMark(child, seen))
  if (!isRecord(value) || seen.has(value)) return false
  seen.add(value)
  if (value.async === true && typeof value['~run'] === 'function') return true
  return isOfValibot(value) && Object.values(value).some((child) => holdsMark(child, seen))
}

/** Whether an object is a schema, an action, or a map of schemas. The rest, such as a default value, is data. */
function isOfValibot (value: Record<PropertyKey, unknown>): boolean {
  return typeof value['~run'] === 'function' || Object.values(value).every((child) => isRecord(child) && typeof child['~run'] === 'function')
}

/** The functions of one kind in a schema of ArkType. */
function functionsOf (schema: object, kind: string): unknown[] {
  const { select } = schema as { select?: unknown }
  if (typeof schema !== 'function' || typeof select !== 'function') return []
  const nodes: unknown = select.call(schema, kind)
  return Array.isArray(nodes) ? nodes.flatMap(({ predicate, morphs }: { predicate?: unknown, morphs?: unknown }) => [predicate, morphs].flat()) : []
}
