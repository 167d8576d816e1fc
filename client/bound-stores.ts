import type { AnyContract } from '../schemas/contract.ts'
import type { Connection, ConnectionState, StateDetail } from './connection.ts'
import { createListeners } from './listeners.ts'
import { anyUpdate } from './listening.ts'
import { createUpdateStore, type AnyStoreOptions, type BoundStore, type Source } from './update-store.ts'

/** State of a connection with its details, as `onState` tells them. */
export interface Status extends StateDetail {
  readonly state: ConnectionState
}

/** A connection of any contract, as the bindings use it. */
export type AnyConnection = Pick<Connection<any>, 'on' | 'onState' | 'state' | 'open' | 'close'>

/** A connection; or a function that makes one, or a promise of one, for a component that ends it as well. */
export type GivenConnection<Contract extends AnyContract> = Connection<Contract> | (() => Connection<Contract> | Promise<Connection<Contract>>)

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

/** A store of one component; without options, the one that all components share. */
export function updateStore (live: AnyConnection | null, name: string, options?: AnyStoreOptions): BoundStore {
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
