import type { AnyContract, ReceivedData, TopicInput, TopicUpdates } from '../schemas/contract.ts'
import { ask } from './ask.ts'
import type { ErrorFields } from './client-error.ts'
import type { Emitter } from './event-queue.ts'
import type { createListeners } from './listeners.ts'
import { anyUpdate, readyChange, stateChange } from './listening.ts'
import { topicName } from './topic-name.ts'

type Topics<Contract extends AnyContract> = NonNullable<Contract['topics']>

/** Name of a topic. */
export type TopicName<Contract extends AnyContract> = keyof Topics<Contract> & string

/** The parameters are optional where `{}` would do. */
type TopicArguments<Params> = {} extends Params ? [params?: Params] : [params: Params]

/** A part of the page that uses a topic. */
export interface Subscription<Updates = any> {
  /** Calls `listener` with each update of that name, the retained values first. Returns a function that removes the listener. */
  on: <Name extends keyof Updates & string>(name: Name, listener: (data: ReceivedData<Updates[Name]>) => unknown) => () => void
  /**
   * Resolves when the retained values have come. Rejects with a `ClientError`: `TETHER_REFUSED`, the code of the server's
   * `EventError`, `TETHER_REVOKED`, `TETHER_CLOSED`, or a refusal of the event. A rejection without a listener is no
   * uncaught error. After a reconnect with a new session, or where the subscription is taken back, it is another promise.
   */
  readonly ready: Promise<void>
  /** Removes its listeners. Behind the last one of the topic, the subscription ends. */
  close: () => void
}

/** Subscribes to a topic of a contract. */
export type Subscribe<Contract extends AnyContract> = <Name extends TopicName<Contract>>(topic: Name, ...params: TopicArguments<TopicInput<Topics<Contract>[Name]>>) => Subscription<TopicUpdates<Topics<Contract>[Name]>>

/** One topic with its parameters, as the page gave them. */
interface Entry {
  /** The topic's name, as the page knows it. */
  key: string
  /** The data of its events. */
  data: { topic: string, params: object }
  /** The topic's name, as the server knows it. */
  name: string
  uses: number
  /** Names of topics whose subscriptions ended behind its own, while its outcome is due; a space behind each. */
  ended: string
  ready?: Promise<void>
  /** Takes the outcome for `ready`, while that is pending. */
  settle?: ((outcome: ErrorFields) => void) | undefined
  /** Rejects `ready`. */
  fail?: (error: unknown) => void
}

/**
 * Counts the uses of each topic, and keeps the session's subscriptions alike.
 *
 * @param emit sends an event in its turn; none while the session cannot take subscriptions yet
 * @returns `subscribe`; and a function that sets `emit`. The first one after none sends all subscriptions
 */
export function createSubscriptions ([on, call]: ReturnType<typeof createListeners>, isClosed: () => boolean, emit?: Emitter) {
  /** By the topics' names, as the page knows them. */
  const entries = new Map<string, Entry>()
  /** Updates since the last outcome, while one is due. Their topic may have a name that only the server knows yet. */
  let early: Array<[update: string, name: string, data: unknown]> = []

  /** Makes `ready` a promise that is pending, and sends the subscription. */
  const begin = (entry: Entry, send?: Emitter) => {
    if (!entry.settle) {
      entry.ready = ask({}, (finish, end) => {
        entry.settle = finish
        entry.fail = end
        return () => { entry.settle = undefined }
      })
      call(readyChange + '@@' + entry.key, entry.ready)
    }
    // An event that gets lost with its session goes to the next one again.
    send?.('tether.subscribe', entry.data).catch((error) => /DOUBT|CLOSED/.test(error.code) || entry.fail!(error))
  }

  /** Ends what has no use. */
  const sweep = () => {
    for (const { key, name, uses, data } of entries.values()) {
      if (uses) continue
      entries.delete(key)
      if ([...entries.values()].some((other) => other.name === name)) continue
      emit?.('tether.unsubscribe', data)
      for (const other of entries.values()) if (other.settle) other.ended += name + ' '
    }
  }

  const settleClosed = () => {
    if (isClosed()) for (const { settle } of entries.values()) settle?.({ code: 'TETHER_CLOSED' })
  }

  on(anyUpdate, ({ name, data }) => {
    const [update, of] = name.split('@')
    if (of) {
      let isDue
      for (const [key, entry] of entries) {
        if (entry.name === of) call(update + '@@' + key, data)
        isDue ||= entry.settle
      }
      if (isDue) early.push([update, of, data])
    } else if (update === 'tether.topic') {
      const key = topicName(data.topic, data.params)
      const entry = entries.get(key)
      if (entry) {
        if (entry.name !== data.name) for (const [update, of, value] of early) if (of === data.name) call(update + '@@' + key, value)
        entry.name = data.name
        // Another spelling of its parameters was the same topic for the server, and its end was behind.
        const isEnded = entry.ended.includes(data.name + ' ')
        entry.ended = ''
        begin(entry, isEnded ? emit : undefined)
        if (!isEnded) entry.settle!(data)
      }
      early = []
    }
  })

  on(stateChange, settleClosed)

  const subscribe = (topic: string, params: object = {}): Subscription => {
    const key = topicName(topic, params as Record<string, unknown>)
    let entry = entries.get(key)!
    if (!entry) {
      // It makes room. A use that begins in the same turn keeps its subscription.
      sweep()
      entries.set(key, entry = { key, data: { topic, params: { ...params } }, name: key, uses: 0, ended: '' })
    }
    entry.uses++
    // A later use gets the retained values, too.
    if (!entry.settle) begin(entry, emit)
    settleClosed()
    let stops: Array<() => void> | undefined = []
    return {
      on: (name, listener) => {
        const stop = stops ? on(name + '@@' + key, listener) : () => {}
        stops?.push(stop)
        return stop
      },
      get ready () { return entry.ready! },
      close: async () => {
        if (!stops) return
        for (const stop of stops) stop()
        stops = undefined
        entry.uses--
        await null
        sweep()
      }
    }
  }

  return [
    subscribe,
    (next?: Emitter) => {
      if (!emit && next) for (const entry of entries.values()) begin(entry, next)
      emit = next
    }
  ] as const
}
