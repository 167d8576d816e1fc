import { createContext, createElement, useContext, useEffect, useRef, useState, useSyncExternalStore, type ReactElement, type ReactNode } from 'react'
import type { AnyContract } from '../schemas/contract.ts'
import { begin, open, statusStore, updateStore, type GivenConnection, type Status } from './bound-stores.ts'
import type { Connection, DataOf, UpdateName } from './connection.ts'
import type { KeyOptions, KeyReduceOptions, ReduceOptions } from './store.ts'
import type { AnyStoreOptions, BoundStore, StoreTiming } from './update-store.ts'

export type { GivenConnection, Status } from './bound-stores.ts'

export interface LiveProviderProps<Contract extends AnyContract> {
  /**
   * A connection with `autoConnect: false`, which the provider opens behind the first effects of its children. Or a
   * function that makes one, or a promise of one; the provider calls it once, in an effect, and closes the connection at its own end.
   */
  live: GivenConnection<Contract>
  children?: ReactNode
}

/** The hooks of one contract. */
export interface Hooks<Contract extends AnyContract> {
  /** Gives a connection to the components below. Opens it in the browser only. */
  LiveProvider: (props: LiveProviderProps<Contract>) => ReactElement
  /** The connection; null while the provider has none yet. */
  useLive: () => Connection<Contract> | null
  /** The state of the connection with its details; `{ state: 'idle' }` on a server and for the first render. */
  useStatus: () => Status
  /**
   * The newest data of an update, or what `key` and `reduce` make of all. Renders at most once a frame. On a server
   * and for the first render: undefined, an empty map, or `initial`. The options of the first render count.
   */
  useUpdate: {
    <Name extends UpdateName<Contract>, Key>(name: Name, options: KeyOptions<DataOf<Contract, Name>, Key>): ReadonlyMap<Key, DataOf<Contract, Name>>
    <Name extends UpdateName<Contract>, Value>(name: Name, options: ReduceOptions<DataOf<Contract, Name>, Value>): Value
    <Name extends UpdateName<Contract>, Key, Value>(name: Name, options: KeyReduceOptions<DataOf<Contract, Name>, Key, Value>): ReadonlyMap<Key, Value>
    <Name extends UpdateName<Contract>>(name: Name, options?: StoreTiming): DataOf<Contract, Name> | undefined
  }
}

function useStore<Value> ({ subscribe, get, first }: BoundStore<Value>): Value {
  return useSyncExternalStore(subscribe, get, first)
}

/**
 * Makes the hooks of a contract. Call it once, outside of components.
 *
 * @example
 * export const { LiveProvider, useUpdate, useStatus } = createHooks<typeof contract>()
 * @see docs/react.md
 */
export function createHooks<Contract extends AnyContract = AnyContract> (): Hooks<Contract> {
  const Context = createContext<Connection<Contract> | null>(null)
  const useLive = () => useContext(Context)
  return {
    LiveProvider: ({ live: given, children }) => {
      const [made, setMade] = useState<Connection<Contract> | null>(null)
      const isOwn = typeof given === 'function'
      const live = isOwn ? made : given
      useEffect(() => begin(given, setMade as never), [isOwn])
      // Effects of children run first, so they listen before the first update comes.
      useEffect(() => { if (live) open(live) }, [live])
      return createElement(Context.Provider, { value: live }, children)
    },
    useLive,
    useStatus: () => useStore(statusStore(useLive())),
    useUpdate: (name: string, options?: AnyStoreOptions) => {
      const live = useLive()
      const held = useRef<{ live: unknown, name: string, store: BoundStore } | null>(null)
      if (held.current?.live !== live || held.current?.name !== name) held.current = { live, name, store: updateStore(live, name, options) }
      return useStore(held.current!.store)
    }
  }
}
