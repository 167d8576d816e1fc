import { inspect } from 'node:util'

/** What is used of a logger. */
interface Log {
  error: (fields: object, message: string) => void
  info: (fields: object, message: string) => void
}

/** Where there is nothing else to say. */
const unreadable = 'something was thrown that cannot be read'

/**
 * Logs what code of the application's threw. It does not throw itself, whatever that is and
 * whatever the application's serialisers make of it: what cannot be logged as it is, is logged
 * as an error made of what can be read of it, or in words.
 */
export function logThrown (log: Log, level: 'error' | 'info', thrown: unknown, message: string, fields: object = {}): void {
  const attempts: Array<() => void> = [
    () => log[level]({ err: isSpoken(thrown) ? thrown : messageOf(thrown), ...fields }, message),
    () => log[level]({ err: readable(thrown), ...fields }, message),
    () => log[level]({ ...fields }, `${message}: ${messageOf(thrown)}`)
  ]
  for (const attempt of attempts) {
    try {
      attempt()
      return
    } catch { /* The next one asks for less. */ }
  }
}

/**
 * What code of the application's threw, for others to handle: itself, where everything can be
 * read that Fastify and loggers read of an error; otherwise an error made of what can.
 */
export function presentable (thrown: unknown): unknown {
  try {
    readAll(thrown, new Set())
    return thrown
  } catch {
    return readable(thrown)
  }
}

/** Reads what a logger's serialiser reads of an error, and of those that it was made of. */
function readAll (error: unknown, seen: Set<unknown>): void {
  if (typeof error !== 'object' || error === null || seen.has(error)) return
  seen.add(error)
  const members = error as Record<string, unknown>
  for (const key in members) Reflect.get(members, key)
  for (const name of ['name', 'message', 'stack', 'code', 'statusCode', 'status']) String(members[name])
  Object.getPrototypeOf(error)
  readAll(members.cause, seen)
  if (Array.isArray(members.errors)) for (const one of members.errors) readAll(one, seen)
}

/** A message for whatever was thrown. */
export function messageOf (thrown: unknown): string {
  const message = read(thrown, 'message')
  if (message !== undefined) return message
  if (typeof thrown === 'string') return thrown
  try {
    return typeof thrown === 'object' ? inspect(thrown, { depth: 0, customInspect: false }) : String(thrown)
  } catch {
    return unreadable
  }
}

/** A string that something has under a name; undefined where it has none, or will not tell. */
export function read (thrown: unknown, name: string): string | undefined {
  try {
    const value = (thrown as Record<string, unknown> | null | undefined)?.[name]
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

/** An error of what can be read of another. */
function readable (thrown: unknown): Error {
  const error = new Error(messageOf(thrown))
  const name = read(thrown, 'name')
  if (name !== undefined) error.name = name
  // Where it has no stack of its own, ours would lead nowhere.
  error.stack = read(thrown, 'stack') ?? `${error.name}: ${error.message}`
  const code = read(thrown, 'code')
  return code === undefined ? error : Object.assign(error, { code })
}

/** Whether JSON has a word for it. */
function isSpoken (thrown: unknown): boolean {
  return thrown !== undefined && typeof thrown !== 'symbol' && typeof thrown !== 'function'
}
