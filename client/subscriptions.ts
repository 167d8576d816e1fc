import type { AnyContract, ReceivedData, TopicInput, TopicUpdates } from '../schemas/contract.ts'
import { ask } from './ask.ts'
import type { ErrorFields } from './client-error.ts'
import type { Emitter } from './emitter.ts'
import type { createListeners } from './listeners.ts'
import { anyUpdate, gapFound, readyChange, stateChange } from './listening.ts'
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
  /**
   * Names of topics, a space behind each. If its own is among them, the subscription is sent again behind the outcome that is due: another spelling of
   * it has ended, or a use has begun behind some of its values.
   */
  missed: string
  /** Number of outcomes so far. */
  outcomes: number
  /** Whether updates have come since the subscription was sent. Retained values may be among them. */
  hasBegun?: boolean
  /** Whether the session has the subscription, whatever waits to be sent. */
  isHeld?: unknown
  /** Takes back the last subscription. */
  takeBack?: () => unknown
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
  /** What takes back the ends of subscriptions that wait to be sent, by the topics' names as the page knows them. */
  const leaving = new Map<string, () => unknown>()
  /** Name of the topic whose retained values come again, for the uses that have none. */
  let repeated: string | undefined

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
    if (!send) return
    // Only the last one waits.
    entry.takeBack?.()
    entry.hasBegun = false
    // An event that gets lost with its session goes to the next one again.
    send('tether.subscribe', entry.data, (takeBack) => { entry.takeBack = takeBack }).catch((error) => /DOUBT|CLOSED/.test(error.code) || entry.fail!(error))
  }

  /** Ends what has no use. */
  const sweep = () => {
    for (const { key, name, uses, data, takeBack, isHeld } of entries.values()) {
      if (uses) continue
      entries.delete(key)
      if ([...entries.values()].some((other) => other.name === name) || (takeBack?.() && !isHeld)) continue
      const done = () => leaving.delete(key)
      emit?.('tether.unsubscribe', data, (takeBack) => leaving.set(key, takeBack)).then(done, done)
      for (const other of entries.values()) if (other.settle) other.missed += name + ' '
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
        if (entry.name === of) {
          entry.hasBegun = true
          call(update + '@@' + key, data, of === repeated)
        }
        isDue ||= entry.settle
      }
      if (isDue) early.push([update, of, data])
    } else if (update === 'tether.values') repeated = data.name
    else if (update === 'tether.topic') {
      repeated = undefined
      const key = topicName(data.topic, data.params)
      const entry = entries.get(key)
      if (entry) {
        if (entry.name !== data.name) for (const [update, of, value] of early) if (of === data.name) call(update + '@@' + key, value)
        entry.name = data.name
        entry.isHeld = data.ok
        entry.outcomes++
        const isAgain = data.ok && entry.missed.includes(data.name + ' ')
        entry.missed = ''
        begin(entry, isAgain ? emit : undefined)
        if (!isAgain) entry.settle!(data)
      }
      early = []
    }
  })

  // The outcome may have been lost, but not where the session resumes.
  const forget = () => { repeated = undefined }
  on(gapFound, forget)
  on(stateChange, (_state, { verdict }) => {
    if (verdict && verdict !== 'resumed') forget()
    settleClosed()
  })

  const subscribe = (topic: string, params: object = {}): Subscription => {
    const key = topicName(topic, params as Record<string, unknown>)
    let entry = entries.get(key)!
    if (!entry) {
      // It makes room. A use that begins in the same turn keeps its subscription.
      sweep()
      entries.set(key, entry = { key, data: { topic, params: { ...params } }, name: key, uses: 0, missed: '', outcomes: 0, isHeld: leaving.get(key)?.() })
    }
    entry.uses++
    // A later use gets the retained values, too: with the next outcome, or the one behind that.
    let { outcomes } = entry
    if (!entry.settle) begin(entry, emit)
    else if (entry.hasBegun) {
      entry.missed += entry.name + ' '
      outcomes++
    }
    settleClosed()
    let stops: Array<() => void> | undefined = []
    return {
      on: (name, listener) => {
        const stop = stops ? on(name + '@@' + key, (data, isRepeated) => !(isRepeated && entry.outcomes > outcomes) && listener(data)) : () => {}
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
      if (!emit && next) {
        for (const takeBack of leaving.values()) takeBack()
        for (const entry of entries.values()) {
          entry.isHeld = false
          begin(entry, next)
        }
      }
      emit = next
    }
  ] as const
}
