import { createContext, createElement, useContext, useEffect, useRef, useState, useSyncExternalStore, type ReactElement, type ReactNode } from 'react'
import type { AnyContract } from '../schemas/contract.ts'
import { begin, open, statusStore, topicStore, updateStore, type GivenConnection, type Status, type Topic, type TopicIn, type TopicParamsIn, type UpdateArguments } from './bound-stores.ts'
import type { Connection, DataOf, UpdateName } from './connection.ts'
import type { KeyOptions, KeyReduceOptions, ReduceOptions, TopicData } from './store.ts'
import type { TopicName } from './subscriptions.ts'
import type { BoundStore, StoreTiming } from './update-store.ts'

export type { GivenConnection, Status, Topic } from './bound-stores.ts'

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
   * Subscribes to a topic while the component is mounted. Components that use the same topic with the same parameters
   * make one subscription. Other parameters end the subscription, and begin the next; null subscribes to nothing.
   */
  useTopic: <Name extends TopicName<Contract>>(topic: Name, ...params: {} extends TopicParamsIn<Contract, Name> ? [params?: TopicParamsIn<Contract, Name>] : [params: TopicParamsIn<Contract, Name>]) => TopicIn<Contract, Name>
  /**
   * The newest data of an update of the session, or of a topic, or what `key` and `reduce` make of all. Renders at most once a frame. On a server
   * and for the first render: undefined, an empty map, or `initial`. The options of the first render count.
   */
  useUpdate: {
    <Name extends UpdateName<Contract>, Key>(name: Name, options: KeyOptions<DataOf<Contract, Name>, Key>): ReadonlyMap<Key, DataOf<Contract, Name>>
    <Name extends UpdateName<Contract>, Value>(name: Name, options: ReduceOptions<DataOf<Contract, Name>, Value>): Value
    <Name extends UpdateName<Contract>, Key, Value>(name: Name, options: KeyReduceOptions<DataOf<Contract, Name>, Key, Value>): ReadonlyMap<Key, Value>
    <Name extends UpdateName<Contract>>(name: Name, options?: StoreTiming): DataOf<Contract, Name> | undefined
    <Updates, Name extends keyof Updates & string, Key>(topic: Topic<Updates>, name: Name, options: KeyOptions<TopicData<Updates, Name>, Key>): ReadonlyMap<Key, TopicData<Updates, Name>>
    <Updates, Name extends keyof Updates & string, Value>(topic: Topic<Updates>, name: Name, options: ReduceOptions<TopicData<Updates, Name>, Value>): Value
    <Updates, Name extends keyof Updates & string, Key, Value>(topic: Topic<Updates>, name: Name, options: KeyReduceOptions<TopicData<Updates, Name>, Key, Value>): ReadonlyMap<Key, Value>
    <Updates, Name extends keyof Updates & string>(topic: Topic<Updates>, name: Name, options?: StoreTiming): TopicData<Updates, Name> | undefined
  }
}

function useStore<Value> ({ subscribe, get, first }: BoundStore<Value>): Value {
  return useSyncExternalStore(subscribe, get, first)
}

/** The value of a store that is made anew when one of `by` changes. In a ref, since React forgets memos when a file is edited. */
function useMade<Value> (make: () => BoundStore<Value>, ...by: unknown[]): Value {
  const held = useRef<{ by: unknown[], store: BoundStore<Value> } | null>(null)
  if (!held.current || by.some((one, index) => one !== held.current!.by[index])) held.current = { by, store: make() }
  return useStore(held.current.store)
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
    useTopic: ((topic: string, params?: object | null) => {
      const live = useLive()
      return useMade(() => topicStore(live, topic, params), live, topic, JSON.stringify(params))
    }) as never,
    useUpdate: (...given: UpdateArguments<Topic>) => {
      const live = useLive()
      const [source, name] = given
      const isTopic = typeof source !== 'string'
      return useMade(() => updateStore(live, ...given), live, isTopic ? source.on : source, isTopic && name)
    }
  }
}
