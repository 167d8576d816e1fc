/**
 * Whether this page reads its stream.
 *
 * An iteration that stands still makes the client stop reading, as any slow consumer
 * does. After about a hundred updates the buffers of the browser and of the operating
 * systems fill. Then the server has to wait.
 *
 * Dispatches `change`.
 */
export class Reader extends EventTarget {
  /** Since when nothing is read, milliseconds of this machine's clock; 0 while the page reads. */
  slowSince = 0

  #live
  #release = () => {}

  /** @param {import('fastify-tether/client').Connection} live */
  constructor (live) {
    super()
    this.#live = live
  }

  get isSlow () {
    return this.slowSince !== 0
  }

  stop () {
    if (this.isSlow) return
    this.slowSince = Date.now()
    this.#standStill(new Promise((resolve) => { this.#release = resolve }))
    this.dispatchEvent(new Event('change'))
  }

  goOn () {
    if (!this.isSlow) return
    this.slowSince = 0
    this.#release()
    this.dispatchEvent(new Event('change'))
  }

  async #standStill (released) {
    const updates = this.#live[Symbol.asyncIterator]()
    await updates.next()
    await released
    await updates.return()
  }
}
