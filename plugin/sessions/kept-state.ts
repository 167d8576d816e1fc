import { StateError, SnapshotError } from '../../schemas/errors.ts'
import { escapePointer } from '../../schemas/json-pointer.ts'
import { messageOf } from '../../schemas/thrown.ts'

/** How an endpoint keeps the state of its sessions. */
export interface StateOptions {
  readonly serialize?: ((state: never) => unknown) | undefined
  readonly deserialize?: ((data: unknown, context: { readonly version: number }) => unknown) | undefined
}

/**
 * The state of a session as JSON; null for undefined.
 *
 * @param options `serialize` is called on them
 * @throws `FST_ERR_TETHER_STATE` for what JSON cannot keep, with its path, and for an error of `serialize`, as its cause
 */
export function keepState (state: unknown, options: StateOptions): string | null {
  let data = state
  if (options.serialize !== undefined) {
    try {
      data = options.serialize(state as never)
    } catch (error) {
      throw Object.assign(new StateError(`serialize threw: ${messageOf(error)}`), { cause: error })
    }
  }
  // Nothing else handles its rejection.
  if (data instanceof Promise) data.catch(() => {})
  if (data === undefined) return null
  // What `serialize` gave is meant for JSON, so a `toJSON` is welcome there. In a state it would change the type.
  const fault = faultOf(data, options.serialize !== undefined)
  if (fault !== null) throw new StateError(fault)
  try {
    return JSON.stringify(data)
  } catch (error) {
    throw Object.assign(new StateError(messageOf(error)), { cause: error })
  }
}

/**
 * The state that another node kept. Rejects with an error of `deserialize`, and with `FST_ERR_TETHER_SNAPSHOT`.
 *
 * @param options `deserialize` is called on them
 * @param version of the state here
 */
export async function reviveState (text: string | null, textVersion: number, options: StateOptions, version: number): Promise<unknown> {
  if (options.deserialize === undefined && textVersion !== version) {
    throw new SnapshotError(`its state has version ${textVersion}, this node has version ${version}, and there is no deserialize to convert it`)
  }
  let data: unknown
  try {
    data = text === null ? undefined : JSON.parse(text)
  } catch {
    throw new SnapshotError('its state is no JSON')
  }
  return options.deserialize === undefined ? data : await options.deserialize(data, { version: textVersion })
}

const advice = ': give serialize and deserialize'

/** A value on the way down to one that JSON cannot keep. */
interface Level {
  readonly value: object
  readonly keys: readonly string[]
  next: number
}

/** Says what JSON cannot keep in a value, and where; null for nothing. It does not recurse: a state may be nested deeply. */
function faultOf (root: unknown, allowsToJson: boolean): string | null {
  const levels: Level[] = []
  const above = new Set<object>()
  const pathOf = () => levels.map(({ keys, next }) => `/${escapePointer(keys[next - 1]!)}`).join('')
  /** Goes into a value that has parts. */
  const enter = (value: unknown): string | null => {
    const fault = kindFault(value, allowsToJson)
    if (fault !== null) return named(pathOf(), fault)
    if (typeof value !== 'object' || value === null || (allowsToJson && hasToJson(value))) return null
    if (above.has(value)) return named(pathOf(), 'refers to an object that contains it')
    above.add(value)
    // `keys` of a sparse array would skip its holes.
    levels.push({ value, keys: Array.isArray(value) ? Array.from(value.keys(), String) : Object.keys(value), next: 0 })
    return null
  }
  let fault: string | null
  try {
    fault = enter(root)
    while (fault === null && levels.length > 0) {
      const level = levels.at(-1)!
      if (level.next === level.keys.length) {
        above.delete(level.value)
        levels.pop()
        continue
      }
      const part = (level.value as Record<string, unknown>)[level.keys[level.next++]!]
      // A property that is undefined reads the same once it is gone; an element would become null.
      if (part === undefined && !Array.isArray(level.value)) continue
      fault = enter(part)
    }
  } catch (error) {
    fault = named(pathOf(), `cannot be read: ${messageOf(error)}`)
  }
  return fault
}

function named (path: string, fault: string): string {
  return path === '' ? `it ${fault}` : `"${path}" ${fault}`
}

function hasToJson (value: object): boolean {
  return typeof (value as { toJSON?: unknown }).toJSON === 'function'
}

/** Why JSON cannot keep a value, whatever its parts; null if it can. */
function kindFault (value: unknown, allowsToJson: boolean): string | null {
  switch (typeof value) {
    case 'string': case 'boolean': return null
    case 'number': return Number.isFinite(value) ? null : `is ${value}`
    case 'undefined': return 'is undefined'
    case 'bigint': return 'is a BigInt'
    case 'object': break
    default: return `is a ${typeof value}`
  }
  if (value === null || Array.isArray(value)) return null
  if (hasToJson(value)) return allowsToJson ? null : `is ${article(nameOf(value))}, which JSON keeps as something else${advice}`
  const prototype: unknown = Object.getPrototypeOf(value)
  // Objects of another realm have another `Object.prototype`.
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return null
  return `is ${article(nameOf(value))}${allowsToJson ? '' : advice}`
}

function nameOf (value: object): string {
  const { constructor } = value as { constructor?: unknown }
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'object with a prototype'
}

function article (name: string): string {
  return `${/^[AEIOU]/i.test(name) ? 'an' : 'a'} ${name}`
}
