import type { Unsubscribe } from './connection.ts'
import { inNextFrame } from './frame.ts'
import { createListeners } from './listeners.ts'

/** Gives updates by name: a connection, or what has its `on`. */
export interface Source {
  on: (name: any, listener: (data: any) => unknown) => Unsubscribe
  onState?: (listener: (state: any, detail: any) => unknown) => Unsubscribe
}

/** When a store notifies, and when it begins anew. */
export interface StoreTiming {
  /**
   * Least time between two notifications: `'frame'`, or milliseconds. Without frames, as in a hidden tab, about 16 ms,
   * or what the browser allows. 0: at once, with each update. Default `'frame'`.
   */
  every?: 'frame' | number
  /** Begins anew when the server sends a snapshot: after the verdicts `new`, `gap` and `expired`. Default false. */
  reset?: boolean
}

/** Any options of a store. */
export interface AnyStoreOptions extends StoreTiming {
  key?: ((data: any) => unknown) | undefined
  reduce?: ((value: any, data: any) => unknown) | undefined
  initial?: unknown
}

/** The values of one update, for pages that draw. */
export interface Store<Value> {
  /** The value as of the last notification; while nobody subscribes, the newest. The same object until it changes. */
  get: () => Value
  /** Calls `listener` after each change, at most once a frame for any number of updates. */
  subscribe: (listener: (value: Value) => unknown) => Unsubscribe
}

/** A store of the bindings. */
export interface BoundStore<Value = any> extends Store<Value> {
  /** The value before the first update; also that of a server. */
  first: () => Value
}

/** @throws `RangeError` for an `every` that is no time */
function checkEvery (every: unknown): void {
  if (every !== 'frame' && !(typeof every === 'number' && every >= 0)) throw new RangeError('every must be \'frame\', or a number of milliseconds, at least 0')
}

/**
 * Makes a store that listens only from its first subscriber on.
 *
 * @param source null for none yet: then nothing changes
 * @param isKept whether it goes on to listen after its last subscriber has left
 */
export function createUpdateStore (source: Source | null, name: string, { key, reduce, initial, every = 'frame', reset }: AnyStoreOptions = {}, isKept = false): BoundStore & { listen: () => void, close: () => void } {
  checkEvery(every)
  const [on, call] = createListeners()
  const first: unknown = key ? new Map() : initial
  let value = first
  const byKey = new Map<unknown, unknown>()
  let latest: unknown = initial
  let count = 0
  let isStale = false
  let isScheduled = false
  let stops: Unsubscribe[] = []

  const publisher = {
    publish: () => {
      isScheduled = false
      if (!isStale) return
      isStale = false
      value = key ? new Map(byKey) : latest
    },
    notify: () => call('', value)
  }
  const change = () => {
    isStale = true
    if (!count || isScheduled) return
    isScheduled = true
    if (every === 'frame') return inNextFrame(publisher)
    const run = () => {
      publisher.publish()
      publisher.notify()
    }
    if (every) setTimeout(run, Math.min(2e9, every))
    else run()
  }
  const receive = (data: unknown) => {
    if (!key) latest = reduce ? reduce(latest, data) : data
    else {
      const at = key(data)
      const next = reduce ? reduce(byKey.has(at) ? byKey.get(at) : initial, data) : data
      if (next === undefined) byKey.delete(at)
      else byKey.set(at, next)
    }
    change()
  }
  const listen = () => {
    if (!source || stops[0]) return
    stops = [source.on(name, receive)]
    if (reset && source.onState) {
      stops.push(source.onState((state: string, { verdict }: { verdict?: string }) => {
        if (state !== 'open' || verdict === 'resumed') return
        byKey.clear()
        latest = initial
        change()
      }))
    }
  }
  const close = () => {
    for (const stop of stops.splice(0)) stop()
  }
  return {
    first: () => first,
    get: () => {
      if (!isScheduled) publisher.publish()
      return value
    },
    subscribe: (listener) => {
      listen()
      count++
      const remove = on('', listener)
      let isOver = false
      return () => {
        if (isOver) return
        isOver = true
        remove()
        if (--count || isKept) return
        close()
      }
    },
    listen,
    close
  }
}
