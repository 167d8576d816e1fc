import { getContext, onMount, setContext } from 'svelte'
import { createSubscriber } from 'svelte/reactivity'
import { toStore } from 'svelte/store'
import type { AnyContract } from '../schemas/contract.ts'
import { begin, open, statusStore, topicStore, updateStore, type AnyConnection, type GivenConnection, type Status, type Topic, type TopicIn, type TopicParamsIn, type UpdateArguments } from './bound-stores.ts'
import type { Connection, DataOf, Unsubscribe, UpdateName } from './connection.ts'
import { createListeners } from './listeners.ts'
import type { KeyOptions, KeyReduceOptions, ReduceOptions, TopicData } from './store.ts'
import type { TopicName } from './subscriptions.ts'
import type { BoundStore, StoreTiming } from './update-store.ts'

export type { GivenConnection, Status, Topic } from './bound-stores.ts'

/** A value for a component: `$value` by the store contract, or `value.current` by runes. */
export interface LiveValue<Value> {
  /** The present value; an effect or a template that reads it runs again when it changes. */
  readonly current: Value
  /** Calls `run` at once, and with each later value. */
  subscribe: (run: (value: Value) => void) => Unsubscribe
}

type OrGetter<Value> = Value | (() => Value)

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
   * Subscribes to a topic while a component uses it. Components that use the same topic with the same parameters make
   * one subscription. The parameters may be a function: other parameters end the subscription, and begin the next; null
   * subscribes to nothing.
   */
  useTopic: <Name extends TopicName<Contract>>(topic: Name, ...params: {} extends TopicParamsIn<Contract, Name> ? [params?: OrGetter<TopicParamsIn<Contract, Name>>] : [params: OrGetter<TopicParamsIn<Contract, Name>>]) => LiveValue<TopicIn<Contract, Name>>
  /**
   * The newest data of an update of the session, or of a topic, or what `key` and `reduce` make of all. Changes at most once a frame. Before the first
   * update, and on a server: undefined, an empty map, or `initial`.
   */
  useUpdate: {
    <Name extends UpdateName<Contract>, Key>(name: Name, options: KeyOptions<DataOf<Contract, Name>, Key>): LiveValue<ReadonlyMap<Key, DataOf<Contract, Name>>>
    <Name extends UpdateName<Contract>, Value>(name: Name, options: ReduceOptions<DataOf<Contract, Name>, Value>): LiveValue<Value>
    <Name extends UpdateName<Contract>, Key, Value>(name: Name, options: KeyReduceOptions<DataOf<Contract, Name>, Key, Value>): LiveValue<ReadonlyMap<Key, Value>>
    <Name extends UpdateName<Contract>>(name: Name, options?: StoreTiming): LiveValue<DataOf<Contract, Name> | undefined>
    <Updates, Name extends keyof Updates & string, Key>(topic: LiveValue<Topic<Updates>>, name: Name, options: KeyOptions<TopicData<Updates, Name>, Key>): LiveValue<ReadonlyMap<Key, TopicData<Updates, Name>>>
    <Updates, Name extends keyof Updates & string, Value>(topic: LiveValue<Topic<Updates>>, name: Name, options: ReduceOptions<TopicData<Updates, Name>, Value>): LiveValue<Value>
    <Updates, Name extends keyof Updates & string, Key, Value>(topic: LiveValue<Topic<Updates>>, name: Name, options: KeyReduceOptions<TopicData<Updates, Name>, Key, Value>): LiveValue<ReadonlyMap<Key, Value>>
    <Updates, Name extends keyof Updates & string>(topic: LiveValue<Topic<Updates>>, name: Name, options?: StoreTiming): LiveValue<TopicData<Updates, Name> | undefined>
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

/**
 * The value of a store, which the next connection replaces.
 *
 * @param by the store is made anew when this changes
 */
function storeValue<Value> (holder: Holder, make: (live: AnyConnection | null) => BoundStore<Value>, by: () => unknown = () => {}): LiveValue<Value> {
  let store: BoundStore<Value> | undefined
  let live: AnyConnection | null
  let key: unknown
  const changes = toStore(by)
  const present = () => {
    const now = by()
    if (!store || holder.live !== live || now !== key) {
      key = now
      store = make(live = holder.live)
    }
    return store
  }
  const value = liveValue(() => present().get(), (listener) => {
    let used: BoundStore<Value> | undefined
    let stop = () => {}
    const follow = () => {
      const isFirst = !used
      if (used === present()) return
      stop()
      stop = (used = present()).subscribe(listener)
      if (!isFirst) listener()
    }
    const ends = [holder.onChange(follow), changes.subscribe(follow)]
    return () => {
      for (const end of [...ends, stop]) end()
    }
  })
  // Also while no template reads it yet, so that all of a component is subscribed to in one turn.
  onMount(() => value.subscribe(() => {}))
  return value
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
    useTopic: ((topic: string, params?: OrGetter<object | null>) => {
      const present = () => typeof params === 'function' ? params() : params
      return storeValue(getHolder(), (live) => topicStore(live, topic, present()), () => JSON.stringify(present()))
    }) as never,
    useUpdate: (...[source, ...rest]: UpdateArguments<LiveValue<Topic>>) => {
      const present = () => typeof source === 'string' ? source : source.current
      return storeValue(getHolder(), (live) => updateStore(live, present(), ...rest), () => (present() as Topic).on)
    }
  }
}
