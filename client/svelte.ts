import { getContext, onMount, setContext } from 'svelte'
import { createSubscriber } from 'svelte/reactivity'
import type { AnyContract } from '../schemas/contract.ts'
import { begin, open, statusStore, updateStore, type AnyConnection, type GivenConnection, type Status } from './bound-stores.ts'
import type { Connection, DataOf, Unsubscribe, UpdateName } from './connection.ts'
import { createListeners } from './listeners.ts'
import type { KeyOptions, KeyReduceOptions, ReduceOptions } from './store.ts'
import type { AnyStoreOptions, BoundStore, StoreTiming } from './update-store.ts'

export type { GivenConnection, Status } from './bound-stores.ts'

/** A value for a component: `$value` by the store contract, or `value.current` by runes. */
export interface LiveValue<Value> {
  /** The present value; an effect or a template that reads it runs again when it changes. */
  readonly current: Value
  /** Calls `run` at once, and with each later value. */
  subscribe: (run: (value: Value) => void) => Unsubscribe
}

/** What one contract gives to components. Call all of it while a component initialises. */
export interface Hooks<Contract extends AnyContract> {
  /**
   * Gives a connection to the components below. Opens it when the component is mounted, and so in the browser only.
   * Takes a connection with `autoConnect: false`; or a function that makes one, or a promise of one. That one is closed when the component is gone.
   */
  provideLive: (live: GivenConnection<Contract>) => void
  /** The connection; null while the provider has none yet. */
  useLive: () => LiveValue<Connection<Contract> | null>
  /** The state of the connection with its details; `{ state: 'idle' }` on a server. */
  useStatus: () => LiveValue<Status>
  /**
   * The newest data of an update, or what `key` and `reduce` make of all. Changes at most once a frame. Before the first
   * update, and on a server: undefined, an empty map, or `initial`.
   */
  useUpdate: {
    <Name extends UpdateName<Contract>, Key>(name: Name, options: KeyOptions<DataOf<Contract, Name>, Key>): LiveValue<ReadonlyMap<Key, DataOf<Contract, Name>>>
    <Name extends UpdateName<Contract>, Value>(name: Name, options: ReduceOptions<DataOf<Contract, Name>, Value>): LiveValue<Value>
    <Name extends UpdateName<Contract>, Key, Value>(name: Name, options: KeyReduceOptions<DataOf<Contract, Name>, Key, Value>): LiveValue<ReadonlyMap<Key, Value>>
    <Name extends UpdateName<Contract>>(name: Name, options?: StoreTiming): LiveValue<DataOf<Contract, Name> | undefined>
  }
}

/** The connection of a provider, which may come late. */
interface Holder {
  live: AnyConnection | null
  onChange: (listener: () => void) => Unsubscribe
}

function liveValue<Value> (get: () => Value, watch: (listener: () => void) => Unsubscribe): LiveValue<Value> {
  const track = createSubscriber(watch)
  return {
    get current () {
      track()
      return get()
    },
    subscribe: (run) => {
      const stop = watch(() => run(get()))
      run(get())
      return stop
    }
  }
}

/** The value of a store, which the next connection replaces. */
function storeValue<Value> (holder: Holder, make: (live: AnyConnection | null) => BoundStore<Value>): LiveValue<Value> {
  let { live } = holder
  let store = make(live)
  const present = () => {
    if (holder.live !== live) store = make(live = holder.live)
    return store
  }
  return liveValue(() => present().get(), (listener) => {
    let stop = present().subscribe(listener)
    const ignore = holder.onChange(() => {
      stop()
      stop = present().subscribe(listener)
      listener()
    })
    return () => {
      ignore()
      stop()
    }
  })
}

/**
 * Makes what components use of a contract. Call it once, outside of components.
 *
 * @example
 * export const { provideLive, useUpdate, useStatus } = createHooks<typeof contract>()
 * @see docs/svelte.md
 */
export function createHooks<Contract extends AnyContract = AnyContract> (): Hooks<Contract> {
  const key = Symbol('fastify-tether')
  const getHolder = () => getContext<Holder | undefined>(key) ?? { live: null, onChange: () => () => {} }
  return {
    provideLive: (given) => {
      const [on, call] = createListeners()
      const holder: Holder = { live: typeof given === 'function' ? null : given, onChange: (listener) => on('', listener) }
      setContext(key, holder)
      onMount(() => {
        const end = begin(given, (made) => {
          holder.live = made
          call('')
          open(made)
        })
        // Children are mounted first, so they listen before the first update comes.
        if (typeof given !== 'function') open(given)
        return end
      })
    },
    useLive: () => {
      const holder = getHolder()
      return liveValue(() => holder.live as Connection<Contract> | null, holder.onChange)
    },
    useStatus: () => storeValue(getHolder(), statusStore),
    useUpdate: (name: string, options?: AnyStoreOptions) => storeValue(getHolder(), (live) => updateStore(live, name, options))
  }
}
