const yes: Promise<boolean> = Promise.resolve(true)
const no: Promise<boolean> = Promise.resolve(false)

/**
 * Where senders wait while the write side is full.
 *
 * All who wait at a time share one promise, so a caller that ignores it costs
 * nothing, however often it sends.
 */
export class Room {
  /** What a send that need not wait gives. */
  static readonly granted: Promise<boolean> = yes
  /** What a send to something closed gives. */
  static readonly refused: Promise<boolean> = no
  #waiting: Promise<boolean> | null = null
  #settle: ((granted: boolean) => void) | null = null

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
