import { getCurrentInstance, inject, onMounted, onScopeDispose, provide, shallowRef, toValue, watch, type InjectionKey, type MaybeRefOrGetter, type ShallowRef } from 'vue'
import type { AnyContract } from '../schemas/contract.ts'
import { begin, open, statusStore, topicStore, updateStore, type AnyConnection, type GivenConnection, type Status, type Topic, type TopicIn, type TopicParamsIn, type UpdateArguments } from './bound-stores.ts'
import type { Connection, DataOf, UpdateName } from './connection.ts'
import type { KeyOptions, KeyReduceOptions, ReduceOptions, TopicData } from './store.ts'
import type { TopicName } from './subscriptions.ts'
import type { BoundStore, StoreTiming } from './update-store.ts'

export type { GivenConnection, Status, Topic } from './bound-stores.ts'

/** A ref that its composable alone sets. */
export type ReadRef<Value> = Readonly<ShallowRef<Value>>

/** The composables of one contract. */
export interface Hooks<Contract extends AnyContract> {
  /**
   * Gives a connection to the components below, from the setup of a component. Opens it when that is mounted, and so in
   * the browser only. Takes a connection with `autoConnect: false`; or a function that makes one, or a promise of one.
   * That one is closed when the component is gone.
   */
  provideLive: (live: GivenConnection<Contract>) => void
  /** The connection; null while the provider has none yet. */
  useLive: () => ReadRef<Connection<Contract> | null>
  /** The state of the connection with its details; `{ state: 'idle' }` on a server and before the component is mounted. */
  useStatus: () => ReadRef<Status>
  /**
   * Subscribes to a topic while the component is mounted. Components that use the same topic with the same parameters
   * make one subscription. The parameters may be a ref or a function: other parameters end the subscription, and begin
   * the next; null subscribes to nothing.
   */
  useTopic: <Name extends TopicName<Contract>>(topic: Name, ...params: {} extends TopicParamsIn<Contract, Name> ? [params?: MaybeRefOrGetter<TopicParamsIn<Contract, Name>>] : [params: MaybeRefOrGetter<TopicParamsIn<Contract, Name>>]) => ReadRef<TopicIn<Contract, Name>>
  /**
   * The newest data of an update of the session, or of a topic, or what `key` and `reduce` make of all. Changes at most once a frame. On a server and
   * before the component is mounted: undefined, an empty map, or `initial`.
   */
  useUpdate: {
    <Name extends UpdateName<Contract>, Key>(name: Name, options: KeyOptions<DataOf<Contract, Name>, Key>): ReadRef<ReadonlyMap<Key, DataOf<Contract, Name>>>
    <Name extends UpdateName<Contract>, Value>(name: Name, options: ReduceOptions<DataOf<Contract, Name>, Value>): ReadRef<Value>
    <Name extends UpdateName<Contract>, Key, Value>(name: Name, options: KeyReduceOptions<DataOf<Contract, Name>, Key, Value>): ReadRef<ReadonlyMap<Key, Value>>
    <Name extends UpdateName<Contract>>(name: Name, options?: StoreTiming): ReadRef<DataOf<Contract, Name> | undefined>
    <Updates, Name extends keyof Updates & string, Key>(topic: ReadRef<Topic<Updates>>, name: Name, options: KeyOptions<TopicData<Updates, Name>, Key>): ReadRef<ReadonlyMap<Key, TopicData<Updates, Name>>>
    <Updates, Name extends keyof Updates & string, Value>(topic: ReadRef<Topic<Updates>>, name: Name, options: ReduceOptions<TopicData<Updates, Name>, Value>): ReadRef<Value>
    <Updates, Name extends keyof Updates & string, Key, Value>(topic: ReadRef<Topic<Updates>>, name: Name, options: KeyReduceOptions<TopicData<Updates, Name>, Key, Value>): ReadRef<ReadonlyMap<Key, Value>>
    <Updates, Name extends keyof Updates & string>(topic: ReadRef<Topic<Updates>>, name: Name, options?: StoreTiming): ReadRef<TopicData<Updates, Name> | undefined>
  }
}

/**
 * A ref with a store's value, from the mounting of the component on: before, a server and its page must agree.
 *
 * @param by the store is made anew when this changes
 */
function useStore<Value> (live: ReadRef<AnyConnection | null>, make: (live: AnyConnection | null) => BoundStore<Value>, by: () => unknown = () => {}): ReadRef<Value> {
  const value = shallowRef(make(null).first()) as ShallowRef<Value>
  // Not the ref itself: for a shallow one, Vue calls back even where nothing has changed.
  const follow = () => watch([() => live.value, by], (_now, _before, onCleanup) => {
    const store = make(live.value)
    const set = () => { value.value = store.get() }
    onCleanup(store.subscribe(set))
    set()
  }, { immediate: true, flush: 'sync' })
  if (getCurrentInstance()) onMounted(follow)
  else follow()
  return value
}

/**
 * Makes the composables of a contract. Call it once, outside of components.
 *
 * @example
 * export const { provideLive, useUpdate, useStatus } = createHooks<typeof contract>()
 * @see docs/vue.md
 */
export function createHooks<Contract extends AnyContract = AnyContract> (): Hooks<Contract> {
  const key = Symbol('fastify-tether') as InjectionKey<ShallowRef<Connection<Contract> | null>>
  const useLive = () => inject(key, () => shallowRef(null), true)
  return {
    provideLive: (given) => {
      const live = shallowRef(typeof given === 'function' ? null : given)
      provide(key, live)
      let end = () => {}
      onMounted(() => {
        end = begin(given, (made) => {
          live.value = made as never
          open(made)
        })
        // Children are mounted first, so they listen before the first update comes.
        if (typeof given !== 'function') open(given)
      })
      onScopeDispose(() => end())
    },
    useLive,
    useStatus: () => useStore(useLive(), statusStore),
    useTopic: ((topic: string, params?: MaybeRefOrGetter<object | null>) => {
      return useStore(useLive(), (live) => topicStore(live, topic, toValue(params)), () => JSON.stringify(toValue(params)))
    }) as never,
    useUpdate: (...[source, ...rest]: UpdateArguments<ReadRef<Topic>>) => {
      const present = () => typeof source === 'string' ? source : source.value
      return useStore(useLive(), (live) => updateStore(live, present(), ...rest), () => (present() as Topic).on)
    }
  }
}
