import { inspect } from 'node:util'

/** The part of a logger that is used here. */
type Log<Level extends string> = Readonly<Record<Level, (fields: object, message: string) => void>>

const unreadable = 'something was thrown that cannot be read'

/**
 * Logs a value that the application's code threw. It never throws itself. If the value or the
 * application's serialisers throw, it logs an error made of the readable parts, or the message alone.
 */
export function logThrown<Level extends 'error' | 'info' | 'debug'> (log: Log<Level>, level: Level, thrown: unknown, message: string, fields: object = {}): void {
  const attempts: Array<() => void> = [
    () => log[level]({ err: isSpoken(thrown) ? thrown : messageOf(thrown), ...fields }, message),
    () => log[level]({ err: readable(thrown), ...fields }, message),
    () => log[level]({ ...fields }, `${message}: ${messageOf(thrown)}`)
  ]
  for (const attempt of attempts) {
    try {
      attempt()
      return
    } catch { /* The next attempt reads less. */ }
  }
}

/**
 * Makes a value that the application's code threw safe for Fastify and loggers. If they can
 * read all the parts that they use, the value stays unchanged. Otherwise it becomes an error
 * made of its readable parts.
 */
export function presentable (thrown: unknown): unknown {
  try {
    readAll(thrown, new Set())
    return thrown
  } catch {
    return readable(thrown)
  }
}

/** Reads the same parts of an error and its causes as a logger's serialiser. Throws if any of them throws. */
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

/** The message of a thrown value, of any type. */
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

/** A property of a thrown value, if it is a string and readable; otherwise undefined. */
export function read (thrown: unknown, name: string): string | undefined {
  try {
    const value = (thrown as Record<string, unknown> | null | undefined)?.[name]
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

/** Makes an error of the readable parts of another. */
function readable (thrown: unknown): Error {
  const error = new Error(messageOf(thrown))
  const name = read(thrown, 'name')
  if (name !== undefined) error.name = name
  // Without a stack of its own, the stack of this function would mislead.
  error.stack = read(thrown, 'stack') ?? `${error.name}: ${error.message}`
  const code = read(thrown, 'code')
  return code === undefined ? error : Object.assign(error, { code })
}

/** Whether JSON can carry a value of this type. */
function isSpoken (thrown: unknown): boolean {
  return thrown !== undefined && typeof thrown !== 'symbol' && typeof thrown !== 'function'
}
