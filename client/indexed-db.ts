import type { AnyContract } from '../schemas/contract.ts'
import { connect, type Connection } from './connection.ts'
import { ClientError } from './client-error.ts'
import { defaults } from './defaults.ts'
import type { Emitter } from './emitter.ts'
import { createListeners } from './listeners.ts'
import { markedLink } from './marked-link.ts'
import { resolveNumbers, type ConnectOptions, type InnerOptions } from './options.ts'
import { quietPromise } from './quiet-promise.ts'
import { createRequests } from './requests.ts'
import { storedDefaults } from './stored-defaults.ts'
import { isOfTopic, openQueue, type StoredEvent } from './stored-queue.ts'
import { blankVerdict } from './blank-verdict.ts'

export { storedDefaults } from './stored-defaults.ts'
export type { StoredEvent } from './stored-queue.ts'

/** Options of `connectStored`, beside those of `connect`. */
export interface StoredOptions<Contract extends AnyContract = AnyContract> extends Omit<ConnectOptions<Contract>, 'resume'> {
  /** Name of the queue. Two URLs, or two users of one browser, need two names. Default: the URL. */
  name?: string
  /** Longest wait of an event to be sent, in milliseconds, across reloads. Default 86,400,000, a day. */
  maxAgeMs?: number
  /** Gets each event that an earlier page left, and a promise of its outcome. */
  onRestored?: (event: StoredEvent, outcome: Promise<void>) => void
}

/**
 * Connects as `connect` does, and keeps events in IndexedDB until they are accepted.
 *
 * After a reload or a crash, the next page resumes the session and sends the events with the same numbers. If the
 * session is gone, events that it may have accepted are in doubt and are not sent again. Each tab has its own queue.
 * The next tab that opens takes over the events of closed tabs. Without IndexedDB or Web Locks, this is `connect`.
 *
 * @returns a promise, since reading the queue takes a moment. It rejects only with a `RangeError`, for a time or a limit
 * that is no number or is too small.
 */
export async function connectStored<Contract extends AnyContract = AnyContract> (url: string | URL, given: StoredOptions<Contract> = {}): Promise<Connection<Contract>> {
  const options = resolveNumbers(given, { ...defaults, ...storedDefaults })
  const queue = await openQueue(options.name ?? String(url), options.maxAgeMs).catch(() => null)
  if (queue === null) return connect<Contract>(url, options)
  const { events, lost, session, accepted, doubtful } = queue
  /** False until `setup` has run: a page that dies before leaves the mark of the previous session, and the next page learns that it expired. */
  let isReady = true
  const connectOptions: ConnectOptions<Contract> & InnerOptions = {
    ...options,
    onReady: () => { isReady = true },
    emitTopic: (...given) => emitStored(...given),
    ...(session !== undefined && { resume: { session, accepted, doubtful } }),
    link: markedLink(options.link, (...sent) => isReady && queue.mark(...sent))
  }
  const connection = connect<Contract>(url, connectOptions)
  const emit = connection.emit as Emitter
  const follow = (id: number, outcome: Promise<void>): Promise<void> => {
    outcome.then(() => queue.remove(id), () => queue.remove(id))
    return outcome
  }
  const emitStored: Emitter = (name, data = {}, hold) => {
    let id: number
    try {
      id = queue.add(name, data)
    } catch {
      // `emit` rejects with the reason why the data is no JSON.
      return emit(name, data)
    }
    return follow(id, emit(name, data, hold))
  }
  // All are sent before the first listener hears of one.
  const restored = [
    ...lost.map(([event, code]) => [event, quietPromise<void>((_resolve, reject) => reject(new ClientError({ code })))] as const),
    ...events.map((event) => [event, follow(event.id, emit(event.name, event.data))] as const)
  ]
  const [on, call] = createListeners(options.onError)
  on('restored', options.onRestored ?? (() => {}))
  for (const [event, outcome] of restored) if (!isOfTopic(event)) call('restored', event, outcome)
  // The queue's lock lasts as long as the page or the connection.
  connection.onState((state, { verdict }) => {
    if (blankVerdict.test(verdict!)) isReady = false
    if (state === 'closed') queue.release()
  })
  const [request] = createRequests(connection.on as never, () => connection.session, emitStored)
  return Object.assign(connection, { emit: emitStored, request })
}
