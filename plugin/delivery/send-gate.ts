import { defaults } from '../../schemas/defaults.ts'

const yes: Promise<boolean> = Promise.resolve(true)
const no: Promise<boolean> = Promise.resolve(false)

let turning: Promise<boolean> | null = null

/** Settles with true once the event loop has turned; all who ask in one turn share it. */
function nextTurn (): Promise<boolean> {
  turning ??= new Promise((resolve) => {
    setImmediate(() => {
      turning = null
      resolve(true)
    })
  })
  return turning
}

/**
 * Where senders wait while the write side is full.
 *
 * All who wait at a time share one promise, so a caller that ignores it costs
 * nothing, however often it sends.
 */
export class SendGate {
  /** What a send to something closed gives. */
  static readonly refused: Promise<boolean> = no
  #waiting: Promise<boolean> | null = null
  #settle: ((granted: boolean) => void) | null = null
  #granted = 0
  readonly #sendsPerTurn: number

  constructor ({ sendsPerTurn }: { readonly sendsPerTurn: number } = defaults.fixed) {
    this.#sendsPerTurn = sendsPerTurn
  }

  /**
   * What a send that need not wait gives.
   *
   * It is there already, but for every so many, which take a turn of the event
   * loop: a sender that goes on for as long as there is room would otherwise never
   * let it turn, where a reader is fast or there is none.
   */
  grant (): Promise<boolean> {
    if (++this.#granted < this.#sendsPerTurn) return yes
    this.#granted = 0
    return nextTurn()
  }

  /** Settles with the next `open`. */
  wait (): Promise<boolean> {
    this.#waiting ??= new Promise((resolve) => { this.#settle = resolve })
    return this.#waiting
  }

  /** Lets all who wait go on: with `true` when there is room again, with `false` when there never will be. */
  open (granted: boolean): void {
    const settle = this.#settle
    if (settle === null) return
    this.#waiting = null
    this.#settle = null
    settle(granted)
  }
}
