import { defaults } from '../../schemas/defaults.ts'

const yes: Promise<boolean> = Promise.resolve(true)
const no: Promise<boolean> = Promise.resolve(false)

let turning: Promise<boolean> | null = null

/** Resolves with true on the next turn of the event loop. All callers of one turn share the promise. */
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
 * Holds senders back while the write buffer is full.
 *
 * All waiting senders share one promise, so a caller that ignores it costs no memory.
 */
export class SendGate {
  /** The result of a send after the close. */
  static readonly refused: Promise<boolean> = no
  #waiting: Promise<boolean> | null = null
  #settle: ((granted: boolean) => void) | null = null
  #granted = 0
  readonly #sendsPerTurn: number

  constructor ({ sendsPerTurn }: { readonly sendsPerTurn: number } = defaults.fixed) {
    this.#sendsPerTurn = sendsPerTurn
  }

  /**
   * The result of a send that need not wait.
   *
   * It is already resolved, except every 256th (`sendsPerTurn`), which waits one turn of the
   * event loop: a tight loop of sends to a fast reader must not starve the event loop.
   */
  grant (): Promise<boolean> {
    if (++this.#granted < this.#sendsPerTurn) return yes
    this.#granted = 0
    return nextTurn()
  }

  /** Resolves with the next `open`. */
  wait (): Promise<boolean> {
    this.#waiting ??= new Promise((resolve) => { this.#settle = resolve })
    return this.#waiting
  }

  /** Resolves for all waiting senders: `true` means room, `false` means that there will never be any. */
  open (granted: boolean): void {
    const settle = this.#settle
    if (settle === null) return
    this.#waiting = null
    this.#settle = null
    settle(granted)
  }
}
