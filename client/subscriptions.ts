import type { AnyContract, ReceivedData, TopicInput, TopicUpdates } from '../schemas/contract.ts'
import type { TopicOutcome } from '../schemas/topic-outcome.ts'
import { topicName } from '../schemas/topic-name.ts'
import { ClientError } from './client-error.ts'
import type { createListeners } from './listeners.ts'
import { anyUpdate, stateChange } from './listening.ts'
import { quietPromise } from './quiet-promise.ts'

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
  /** The data of its events. */
  data: { topic: string, params: object }
  key: string
  /** The topic's name, as the server knows it. */
  name: string
  uses: number
  ready: Promise<void>
  isSettled: boolean
  resolve: () => void
  reject: (error: unknown) => void
}

type EmitTopic = (event: string, data: unknown) => Promise<void>

/**
 * Counts the uses of each topic, and keeps the session's subscriptions alike.
 *
 * @param emit sends an event in its turn
 * @returns `subscribe`; and a function for each new stream: without an argument it holds all events back, until it gets the
 * function that sends all subscriptions of a session
 */
export function createSubscriptions ([on, call]: ReturnType<typeof createListeners>, isClosed: () => boolean, emit: EmitTopic, isSent = false) {
  const entries = new Map<string, Entry>()
  /** Updates that came since the last outcome, while one is due. Their topics may have a name of the server's. */
  let early: Array<[update: string, name: string, data: unknown]> = []

  const renew = (entry: Entry) => {
    entry.isSettled = false
    entry.ready = quietPromise((resolve, reject) => Object.assign(entry, { resolve, reject }))
  }

  const settle = (entry: Entry, error?: unknown) => {
    if (entry.isSettled) renew(entry)
    entry.isSettled = true
    if (error) entry.reject(error)
    else entry.resolve()
  }

  const settleClosed = (entry: Entry) => settle(entry, new ClientError({ code: 'TETHER_CLOSED' }))

  const request = (entry: Entry, send: EmitTopic) => {
    if (entry.isSettled) renew(entry)
    send('tether.subscribe', entry.data).catch((error) => {
      // Otherwise the next session gets it again.
      if (!/DOUBT|CLOSED/.test(error.code)) settle(entry, error)
    })
  }

  const pass = (entry: Entry, update: string, data: unknown) => call(`${update}@@${entry.key}`, data)

  on(anyUpdate, ({ name, data }) => {
    if (name === 'tether.topic') {
      const outcome: TopicOutcome = data
      const entry = entries.get(topicName(outcome.topic, outcome.params))
      if (entry) {
        if (entry.name !== outcome.name) {
          entry.name = outcome.name
          for (const [update, of, value] of early) if (of === entry.name) pass(entry, update, value)
        }
        settle(entry, outcome.ok ? undefined : new ClientError(outcome))
      }
      early = []
      return
    }
    const [update, of] = name.split('@')
    if (!of) return
    let isDue = false
    for (const entry of entries.values()) {
      if (entry.name === of) pass(entry, update, data)
      isDue ||= !entry.isSettled
    }
    if (isDue) early.push([update, of, data])
  })

  on(stateChange, (state) => { if (state === 'closed') for (const entry of entries.values()) if (!entry.isSettled) settleClosed(entry) })

  const subscribe = (topic: string, params: object = {}): Subscription => {
    const key = topicName(topic, params as Record<string, unknown>)
    let entry = entries.get(key)!
    const isNew = !entry
    if (isNew) {
      entry = { data: { topic, params: { ...params } }, key, name: key, uses: 0 } as Entry
      renew(entry)
      entries.set(key, entry)
    }
    entry.uses++
    if (isClosed()) settleClosed(entry)
    // A later use gets the retained values, too.
    else if (isSent && (isNew || entry.isSettled)) request(entry, emit)
    const stops: Array<() => void> = []
    let isOpen = true
    return {
      on: (name, listener) => {
        const stop = isOpen ? on(`${name}@@${key}`, listener) : () => {}
        stops.push(stop)
        return stop
      },
      get ready () { return entry.ready },
      close: async () => {
        if (!isOpen) return
        isOpen = false
        for (const stop of stops) stop()
        entry.uses--
        // A use that begins in the same turn keeps the subscription.
        await null
        if (entry.uses || entries.get(key) !== entry) return
        entries.delete(key)
        if (isSent && [...entries.values()].every(({ name }) => name !== entry.name)) emit('tether.unsubscribe', entry.data).catch(() => {})
      }
    }
  }

  return [
    subscribe,
    (send?: EmitTopic) => {
      if (!send) isSent = false
      else if (!isSent) {
        isSent = true
        for (const entry of entries.values()) request(entry, send)
      }
    }
  ] as const
}
