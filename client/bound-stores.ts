import type { AnyContract, TopicInput, TopicUpdates } from '../schemas/contract.ts'
import type { ClientError } from './client-error.ts'
import type { Connection, ConnectionState, StateDetail, Unsubscribe } from './connection.ts'
import { createListeners } from './listeners.ts'
import { anyUpdate, readyChange } from './listening.ts'
import type { Subscription, TopicName } from './subscriptions.ts'
import { createUpdateStore, type AnyStoreOptions, type BoundStore, type Source } from './update-store.ts'

/** State of a connection with its details, as `onState` tells them. */
export interface Status extends StateDetail {
  readonly state: ConnectionState
}

/** A connection of any contract, as the bindings use it. */
export type AnyConnection = Pick<Connection<any>, 'on' | 'onState' | 'state' | 'open' | 'close' | 'subscribe'>

/** A connection; or a function that makes one, or a promise of one, for a component that ends it as well. */
export type GivenConnection<Contract extends AnyContract> = Connection<Contract> | (() => Connection<Contract> | Promise<Connection<Contract>>)

/** A topic that a component uses. It is a source of its updates, for `useUpdate` and for `store`. */
export interface Topic<Updates = any> {
  /** Whether the retained values have come. It stays true while the client subscribes again in a new session. */
  readonly ready: boolean
  /** Why there is no subscription, with the codes of `Subscription.ready`; undefined while none is known. */
  readonly error: ClientError | undefined
  /**
   * Calls `listener` with each update of that name, the retained values first. Returns a function that removes it. Each
   * listener holds the subscription. The function is the same one while the component uses the same topic.
   */
  readonly on: Subscription<Updates>['on']
  /** Calls `listener` with each new state of the connection. */
  readonly onState: Connection['onState']
}

/** The topic of a contract by its name. */
export type TopicIn<Contract extends AnyContract, Name extends TopicName<Contract>> = Topic<TopicUpdates<NonNullable<Contract['topics']>[Name]>>

/** Parameters of a topic; null for no topic at present. */
export type TopicParamsIn<Contract extends AnyContract, Name extends TopicName<Contract>> = TopicInput<NonNullable<Contract['topics']>[Name]> | null

/** What all components of a page know of a connection. */
interface Shared extends Source {
  /** Stores without options, by the name of their update. */
  readonly stores: Map<string, BoundStore>
  readonly status: BoundStore<Status>
}

const idle: Status = { state: 'idle' }
const shared = new WeakMap<object, Shared>()

/** Remembers the newest data of each update, so that a component that comes late has it. */
function share (live: AnyConnection | null): Shared {
  let found = shared.get(live ?? idle)
  if (found) return found
  const latest = new Map<string, unknown>()
  const [on, call] = createListeners()
  let status = idle
  live?.on(anyUpdate, ({ name, data }: any) => {
    // Topics keep their values themselves.
    if (!name.includes('@')) latest.set(name, data)
  })
  live?.onState((state, detail) => {
    status = { ...detail, state }
    call('', status)
  })
  found = {
    stores: new Map(),
    on: (name: string, listener: (data: unknown) => unknown) => {
      if (latest.has(name)) listener(latest.get(name))
      return live ? live.on(name, listener) : () => {}
    },
    onState: (listener) => live ? live.onState(listener as never) : () => {},
    status: {
      first: () => idle,
      get: () => {
        // The details of a change before the first component are not known.
        if (live && live.state !== status.state) status = { state: live.state }
        return status
      },
      subscribe: (listener) => on('', listener)
    }
  }
  shared.set(live ?? idle, found)
  return found
}

const nothing = () => {}

/** The state of a topic. The topic is subscribed to while this store or a listener of the topic is used. */
export function topicStore (live: AnyConnection | null, topic: string, params?: object | null): BoundStore<Topic> {
  const use = (begin: (subscription: Subscription) => void): Unsubscribe => {
    if (!live || params === null) return nothing
    const subscription: Subscription = live.subscribe(topic, params as never)
    begin(subscription)
    return subscription.close
  }
  const initial: Topic = {
    ready: false,
    error: undefined,
    on: (name, listener) => use((subscription) => subscription.on(name, listener)),
    onState: live ? live.onState : () => nothing
  }
  // In a store, so that it changes in the same frame as the retained values.
  return createUpdateStore({
    on: (name, listener) => use((subscription) => {
      const follow = (ready: Promise<void>) => ready.then(() => listener({ ...initial, ready: true }), (error) => listener({ ...initial, error }))
      subscription.on(name, follow as never)
      follow(subscription.ready)
    })
  }, readyChange, { initial })
}

/** What a component takes an update of: the name of an update, or a topic; then the name and the options, or the options alone. */
export type UpdateArguments<GivenTopic> = [source: string | GivenTopic, first?: string | AnyStoreOptions, second?: AnyStoreOptions]

/** A store of one component; without options and a topic, the one that all components share. */
export function updateStore (live: AnyConnection | null, ...[source, first, second]: UpdateArguments<Topic | null>): BoundStore {
  if (typeof source !== 'string') return createUpdateStore(live && source, first as string, second)
  const name = source
  const options = first as AnyStoreOptions | undefined
  const common = share(live)
  if (options) return createUpdateStore(options.key || options.reduce ? live as Source | null : common, name, options)
  let store = common.stores.get(name)
  if (!store) {
    const made = createUpdateStore(common, name, {}, true)
    made.listen()
    common.stores.set(name, store = made)
  }
  return store
}

/** The store of a connection's state, which all components share. */
export function statusStore (live: AnyConnection | null): BoundStore<Status> {
  return share(live).status
}

/** Opens a connection whose components listen by now. */
export function open (live: AnyConnection): void {
  share(live)
  live.open()
}

/**
 * Makes the connection of a component, if it was given a function.
 *
 * @param use gets that connection
 * @returns a function that ends it
 */
export function begin (given: GivenConnection<any>, use: (live: AnyConnection) => void): () => void {
  let own: AnyConnection | undefined
  let isOver = false
  const take = (live: AnyConnection) => {
    if (isOver) return live.close()
    own = live
    share(live)
    use(live)
  }
  if (typeof given === 'function') {
    const made = given()
    if ('then' in made) made.then(take, (error) => setTimeout(() => { throw error }))
    else take(made)
  }
  return () => {
    isOver = true
    own?.close()
  }
}
