/** Marks a value that JSON cannot carry. */
const nothing = Symbol('nothing')

/**
 * Gives a view of data as `JSON.stringify` sees it, for a serialiser that reads by a schema. It
 * hides keys whose value JSON cannot carry, and such items of a list are null. All else stays,
 * dates and large integers too, since the schema may say how to write it.
 */
export function jsonView (data: unknown): unknown {
  const seen = view(data, '')
  return seen === nothing ? undefined : seen
}

function view (value: unknown, key: string): unknown {
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol') return nothing
  if (typeof value !== 'object' || value === null) return value
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') {
    const given: unknown = toJSON.call(value, key)
    if (given === undefined || typeof given === 'function' || typeof given === 'symbol') return nothing
    return typeof given === 'object' && given !== null && given !== value ? view(given, key) : value
  }
  if (Array.isArray(value)) return Array.from(value, (item, index) => orNull(view(item, String(index))))
  // Dates, boxed numbers and the like have no keys that matter.
  return Object.prototype.toString.call(value) === '[object Object]' ? new Proxy({}, new KeyView(value)) : value
}

function orNull (value: unknown): unknown {
  return value === nothing ? null : value
}

/** Handles a proxy with an empty target: a proxy may not misreport a frozen target. */
class KeyView implements ProxyHandler<object> {
  readonly #source: object

  constructor (source: object) {
    this.#source = source
  }

  get (_target: object, key: string | symbol): unknown {
    const value: unknown = Reflect.get(this.#source, key, this.#source)
    // Symbols and inherited methods, such as `toString`, work on the object itself.
    if (key === 'constructor') return value
    if (typeof key === 'symbol' || (typeof value === 'function' && !Object.hasOwn(this.#source, key))) return typeof value === 'function' ? value.bind(this.#source) : value
    const seen = view(value, key)
    return seen === nothing ? undefined : seen
  }

  has (_target: object, key: string | symbol): boolean {
    return Reflect.has(this.#source, key)
  }

  ownKeys (): Array<string | symbol> {
    return Reflect.ownKeys(this.#source)
  }

  getOwnPropertyDescriptor (target: object, key: string | symbol): PropertyDescriptor | undefined {
    const found = Reflect.getOwnPropertyDescriptor(this.#source, key)
    return found === undefined ? undefined : { value: this.get(target, key), enumerable: found.enumerable ?? false, writable: true, configurable: true }
  }

  getPrototypeOf (): object | null {
    return Reflect.getPrototypeOf(this.#source)
  }
}
