import { performance, PerformanceObserver } from 'node:perf_hooks'
import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Totals of this process since its start; two readings give the figures of the time between them. */
export interface ProcessReading {
  readonly pid: number
  readonly node: string
  /** Milliseconds on the clock of this process. */
  readonly atMs: number
  /** Milliseconds of processor time, of all threads. */
  readonly cpuMs: number
  /** Milliseconds in which the event loop waited for events, and in which it did not. */
  readonly loopIdleMs: number
  readonly loopActiveMs: number
  readonly memory: { readonly residentBytes: number, readonly heapBytes: number, readonly externalBytes: number }
  readonly collections: { readonly count: number, readonly ms: number }
}

/** Reads the figures of this process. It listens to the garbage collector from its first reading to `close`. */
export class ProcessFigures {
  #collections = 0
  #collectionMs = 0
  #observer: PerformanceObserver | null = null
  #collect: (() => void) | null = null

  /** @param collect whether a full collection goes before the reading, so that its memory is what the application holds */
  read (collect: boolean): ProcessReading {
    this.#observe()
    if (collect) this.#collectGarbage()
    const { user, system } = process.cpuUsage()
    const { idle, active } = performance.eventLoopUtilization()
    const { rss, heapUsed, external } = process.memoryUsage()
    return {
      pid: process.pid,
      node: process.version,
      atMs: performance.now(),
      cpuMs: (user + system) / 1_000,
      loopIdleMs: idle,
      loopActiveMs: active,
      memory: { residentBytes: rss, heapBytes: heapUsed, externalBytes: external },
      collections: { count: this.#collections, ms: this.#collectionMs }
    }
  }

  close (): void {
    this.#observer?.disconnect()
    this.#observer = null
  }

  #observe (): void {
    if (this.#observer !== null) return
    this.#observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) {
        this.#collections += 1
        this.#collectionMs += duration
      }
    })
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  #collectGarbage (): void {
    // Node's own way to get the function without a flag on the command line.
    if (this.#collect === null) {
      setFlagsFromString('--expose-gc')
      this.#collect = runInNewContext('gc') as () => void
    }
    this.#collect()
  }
}
