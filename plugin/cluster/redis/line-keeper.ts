import { setTimeout as sleep } from 'node:timers/promises'
import { EngineError } from '../../../schemas/errors.ts'
import type { RedisLine } from './redis-line.ts'

const shortestPauseMs = 25
const longestPauseMs = 1_000

/** Growing pauses between attempts to connect, with chance in them: all nodes lose their connections at one time. */
export class Pauses {
  readonly #ended = new AbortController()
  #nextMs = shortestPauseMs

  reset (): void {
    this.#nextMs = shortestPauseMs
  }

  /** Ends the pause, and all later ones at once. */
  end (): void {
    this.#ended.abort()
  }

  async pause (): Promise<void> {
    const ms = this.#nextMs * (0.5 + Math.random() / 2)
    this.#nextMs = Math.min(this.#nextMs * 2, longestPauseMs)
    await sleep(ms, undefined, { signal: this.#ended.signal }).catch(() => {})
  }
}

/** Keeps a line open: makes another when one ends. */
export class LineKeeper {
  readonly #make: () => RedisLine
  readonly #pauses = new Pauses()
  #line: RedisLine | null = null
  readonly #onOpen = new Set<() => void>()
  #isOpen = false
  #isClosed = false
  #reason: Error = new EngineError('is not connected yet')

  constructor (make: () => RedisLine) {
    this.#make = make
    this.#keep()
  }

  /** @throws `FST_ERR_TETHER_ENGINE` while there is none */
  get line (): RedisLine {
    if (!this.#isOpen) throw this.#reason
    return this.#line!
  }

  /** Resolves when a line is open, or after `longestMs`. */
  async opened (longestMs: number): Promise<void> {
    if (this.#isOpen || this.#isClosed) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#onOpen.add(resolve)
      timer = setTimeout(resolve, longestMs)
    })
    clearTimeout(timer)
  }

  close (reason: Error): void {
    this.#pauses.end()
    this.#tellOpen()
    this.#isClosed = true
    this.#reason = reason
    this.#line?.end(reason)
  }

  #tellOpen (): void {
    for (const resolve of this.#onOpen) resolve()
    this.#onOpen.clear()
  }

  async #keep (): Promise<void> {
    while (!this.#isClosed) {
      const line = this.#line = this.#make()
      const ended = new Promise<Error>((resolve) => { line.onEnd(resolve) })
      try {
        await line.open()
        this.#isOpen = true
        this.#tellOpen()
        this.#pauses.reset()
      } catch (error) {
        line.end(error as Error)
      }
      const reason = await ended
      this.#isOpen = false
      if (!this.#isClosed) this.#reason = reason
      await this.#pauses.pause()
    }
  }
}
