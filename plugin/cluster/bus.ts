import { ArgumentError } from '../../schemas/errors.ts'
import { checkNames } from '../../schemas/suggestion.ts'
import { logThrown } from '../../schemas/thrown.ts'
import { isThenable } from '../commands/command-channel.ts'
import { Frame } from '../protocol/frame.ts'
import type { BusListener, BusListenerOptions } from './api.ts'
import { channels } from './channels.ts'
import type { Offset } from './engine.ts'
import type { Clock } from './hub/clock.ts'
import { jsonOf } from './json-text.ts'
import type { Broadcast } from './log-entry.ts'
import type { LogSubscriber, LossReason } from './log-reader.ts'

export interface BusParts {
  readonly node: string
  readonly clock: Clock
  /** Most errors of listeners that are logged within a time, and that time. */
  readonly limits: { readonly busErrors: number, readonly busErrorsMs: number, readonly clusterNameLength: number }
  readonly publish: (broadcast: Broadcast) => void
  readonly log: () => { error: (fields: object, message: string) => void }
}

interface Registered {
  readonly call: BusListener
  readonly onLost: (() => void) | undefined
}

/** Checks a name that the application gives to an event or a value. */
export function checkName (name: unknown, what: string, most: number): asserts name is string {
  if (typeof name !== 'string' || name === '' || name.length > most) throw new ArgumentError(`${what} is named by a string of 1 to ${most} characters`)
}

/** Events of the application, on all nodes in the order of the log. */
export class Bus implements LogSubscriber {
  readonly #parts: BusParts
  readonly #listeners = new Map<string, Set<Registered>>()
  #errorsFrom = -Infinity
  #errors = 0
  #unreported = 0

  constructor (parts: BusParts) {
    this.#parts = parts
  }

  emit (name: string, data: unknown): void {
    const { limits, publish } = this.#parts
    checkName(name, 'an event of the cluster', limits.clusterNameLength)
    const text = data === undefined ? '' : jsonOf(data, `the data of event "${name}"`)
    publish({ url: channels.bus, group: name, except: null, frame: new Frame(text) })
  }

  /** @returns what removes the listener */
  on (name: string, call: BusListener, options: BusListenerOptions = {}): () => void {
    checkNames(options, ['onLost'], 'cluster.on()')
    const { onLost } = options
    checkName(name, 'an event of the cluster', this.#parts.limits.clusterNameLength)
    if (typeof call !== 'function' || (onLost !== undefined && typeof onLost !== 'function')) throw new ArgumentError('a listener of the cluster is a function')
    const listener: Registered = { call, onLost }
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name)
    }
  }

  deliver ({ group: name, frame: { text } }: Broadcast, _at: Offset, from: string): void {
    const listeners = this.#listeners.get(name ?? '')
    if (listeners === undefined) return
    let data: unknown
    try {
      data = text === '' ? undefined : JSON.parse(text)
    } catch (error) {
      return this.#report(error, name!)
    }
    const origin = Object.freeze({ node: from, isSelf: from === this.#parts.node })
    for (const { call } of [...listeners]) this.#call(name!, () => call(data, origin))
  }

  lost (reason: LossReason | 'joined'): void {
    if (reason === 'joined') return
    for (const [name, listeners] of [...this.#listeners]) {
      for (const { onLost } of [...listeners]) if (onLost !== undefined) this.#call(name, onLost)
    }
  }

  #call (name: string, call: () => unknown): void {
    const failed = (error: unknown) => { this.#report(error, name) }
    try {
      const result = call()
      // Nothing else handles its rejection.
      if (isThenable(result)) result.then(undefined, failed)
    } catch (error) {
      failed(error)
    }
  }

  /** A listener that always throws must not fill the log. */
  #report (error: unknown, event: string): void {
    const { clock, limits, log } = this.#parts
    const now = clock.now()
    if (now - this.#errorsFrom >= limits.busErrorsMs) {
      this.#errorsFrom = now
      this.#errors = 0
    }
    if (++this.#errors > limits.busErrors) {
      this.#unreported++
      return
    }
    const fields = this.#unreported === 0 ? { event } : { event, unreported: this.#unreported }
    this.#unreported = 0
    logThrown(log(), 'error', error, 'a listener of the cluster failed', fields)
  }
}
