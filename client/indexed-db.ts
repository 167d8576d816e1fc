import type { AnyContract } from '../schemas/contract.ts'
import { connect, type Connection } from './connection.ts'
import { ClientError } from './client-error.ts'
import { defaults } from './defaults.ts'
import { createListeners } from './listeners.ts'
import { markedLink } from './marked-link.ts'
import { resolveNumbers, type ConnectOptions, type InnerOptions } from './options.ts'
import { quietPromise } from './quiet-promise.ts'
import { storedDefaults } from './stored-defaults.ts'
import { openQueue, type StoredEvent } from './stored-queue.ts'
import { blankVerdict } from './blank-verdict.ts'

export { storedDefaults } from './stored-defaults.ts'
export type { StoredEvent } from './stored-queue.ts'

/** Options of `connectStored`, beside those of `connect`. */
export interface StoredOptions<Contract extends AnyContract = AnyContract> extends Omit<ConnectOptions<Contract>, 'resume'> {
  /** Names the queue; two URLs, or two users of one browser, should not share one. Default: the URL. */
  name?: string
  /** Milliseconds that an event may wait to be sent, over all reloads. Default 86,400,000, a day. */
  maxAgeMs?: number
  /** Gets each event that an earlier page left, and the promise of what becomes of it. */
  onRestored?: (event: StoredEvent, outcome: Promise<void>) => void
}

/**
 * Connects as `connect` does, and keeps events that are not accepted yet in IndexedDB.
 *
 * The page that comes next, after a reload or a crash, resumes the session and sends
 * them: with the same numbers into the same session. If that is gone, what was perhaps
 * accepted is in doubt and is not sent again. Each tab has a queue of its own; what a closed tab
 * left goes to the next that opens. Where there is no IndexedDB or no Web Locks, it is as `connect`.
 *
 * @returns a promise, since reading the queue takes a moment. It rejects with a `RangeError` for a time or a bound that is
 * no number, or too small, and never else.
 */
export async function connectStored<Contract extends AnyContract = AnyContract> (url: string | URL, given: StoredOptions<Contract> = {}): Promise<Connection<Contract>> {
  const options = resolveNumbers(given, { ...defaults, ...storedDefaults })
  const queue = await openQueue(options.name ?? String(url), options.maxAgeMs).catch(() => null)
  if (queue === null) return connect<Contract>(url, options)
  const { events, lost, session, accepted, doubtful } = queue
  /** Not while `setup` is to run: a page that dies meanwhile leaves the session before, of which the next is told that it expired. */
  let isReady = true
  const connectOptions: ConnectOptions<Contract> & InnerOptions = {
    ...options,
    onReady: () => { isReady = true },
    ...(session !== undefined && { resume: { session, accepted, doubtful } }),
    link: markedLink(options.link, (...sent) => isReady && queue.mark(...sent))
  }
  const connection = connect<Contract>(url, connectOptions)
  const { emit } = connection
  const follow = (id: number, outcome: Promise<void>): Promise<void> => {
    outcome.then(() => queue.remove(id), () => queue.remove(id))
    return outcome
  }
  const emitStored = (name: string, data: unknown = {}): Promise<void> => {
    let id: number
    try {
      id = queue.add(name, data)
    } catch {
      // Which rejects, and says what it is about the data.
      return emit(name as never, data as never)
    }
    return follow(id, emit(name as never, data as never))
  }
  // An array first: they are sent whether anybody is told or not.
  const restored = [
    ...lost.map(([event, code]) => [event, quietPromise<void>((_resolve, reject) => reject(new ClientError({ code })))] as const),
    ...events.map((event) => [event, follow(event.id, emit(event.name as never, event.data as never))] as const)
  ]
  const [on, call] = createListeners(options.onError)
  on('restored', options.onRestored ?? (() => {}))
  for (const [event, outcome] of restored) call('restored', event, outcome)
  // Its lock goes with the page, or with the connection.
  connection.onState((state, { verdict }) => {
    if (options.setup && blankVerdict.test(verdict!)) isReady = false
    if (state === 'closed') queue.release()
  })
  return Object.assign(connection, { emit: emitStored })
}
