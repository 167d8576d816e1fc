import type { Connection, DataOf, UpdateName } from './connection.ts'
import type { ReceivedData } from '../schemas/contract.ts'
import type { Topic } from './bound-stores.ts'
import type { Subscription } from './subscriptions.ts'
import { createUpdateStore, type AnyStoreOptions, type Source, type Store, type StoreTiming } from './update-store.ts'

export type { Source, Store, StoreTiming } from './update-store.ts'

/** The updates of a subscription, or of a topic of the bindings. */
type TopicUpdatesIn<Live> = Live extends Subscription<infer Updates> ? Updates : Live extends Topic<infer Updates> ? Updates : any
/** Names of the updates of a source. */
export type NameIn<Live> = Live extends Connection<infer Contract> ? UpdateName<Contract> : keyof TopicUpdatesIn<Live> & string
/** Data of an update of a source. */
export type DataIn<Live, Name> = Live extends Connection<infer Contract> ? Name extends UpdateName<Contract> ? DataOf<Contract, Name> : never : TopicData<TopicUpdatesIn<Live>, Name>
/** Data of an update among those of a topic. */
export type TopicData<Updates, Name> = 0 extends 1 & Updates ? any : Name extends keyof Updates ? ReceivedData<Updates[Name]> : never

/** Options of a store that keeps a value for each key. */
export interface KeyOptions<Data, Key> extends StoreTiming {
  /** Gives the key of an update. */
  key: (data: Data) => Key
  reduce?: undefined
}

/** Options of a store whose value is made from all updates. */
export interface ReduceOptions<Data, Value> extends StoreTiming {
  key?: undefined
  /** Gives the next value; called once for each update. It returns a new object and leaves the old one as it is. */
  reduce: (value: Value, data: Data) => Value
  /** The value before the first update. */
  initial: Value
}

/** Options of a store that keeps, for each key, a value made from all updates of that key. */
export interface KeyReduceOptions<Data, Key, Value> extends StoreTiming {
  key: (data: Data) => Key
  /** Gives the next value of the key. `undefined` removes the key. */
  reduce: (value: Value | undefined, data: Data) => Value | undefined
}

/** A store, and its end. */
export interface ClosableStore<Value> extends Store<Value> {
  /** Listens no more. The value stays. A store ends with its connection as well. */
  close: () => void
}

/**
 * Keeps the newest value of an update, or what a page makes of all of them, and notifies at most once a frame.
 * It listens from this call on.
 *
 * @example
 * const cpu = store(live, 'cpu', { key: ({ core }) => core })
 * cpu.subscribe((byCore) => draw(byCore))
 * @see docs/client.md
 * @throws `RangeError` for an `every` that is no time
 */
export function store<Live extends Source, Name extends NameIn<Live>, Key> (live: Live, name: Name, options: KeyOptions<DataIn<Live, Name>, Key>): ClosableStore<ReadonlyMap<Key, DataIn<Live, Name>>>
export function store<Live extends Source, Name extends NameIn<Live>, Value> (live: Live, name: Name, options: ReduceOptions<DataIn<Live, Name>, Value>): ClosableStore<Value>
export function store<Live extends Source, Name extends NameIn<Live>, Key, Value> (live: Live, name: Name, options: KeyReduceOptions<DataIn<Live, Name>, Key, Value>): ClosableStore<ReadonlyMap<Key, Value>>
export function store<Live extends Source, Name extends NameIn<Live>> (live: Live, name: Name, options?: StoreTiming): ClosableStore<DataIn<Live, Name> | undefined>
export function store (live: Source, name: string, options?: AnyStoreOptions): ClosableStore<any> {
  const { get, subscribe, listen, close } = createUpdateStore(live, name, options, true)
  listen()
  return { get, subscribe, close }
}
