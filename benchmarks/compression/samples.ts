import { mark } from '../harness/broadcast/frame-counter.ts'

/** Data that every kind broadcasts: one reading of a dashboard, some 180 bytes as JSON. */
export interface Sample {
  readonly mark: string
  readonly series: string
  readonly host: string
  readonly t: number
  readonly value: number
  readonly unit: string
  readonly state: string
  readonly note: string
  readonly build: string
}

const subjects = ['cpu', 'memory', 'network', 'disk', 'latency', 'throughput', 'errors', 'requests', 'sessions', 'queue', 'loop', 'heap']
const places = ['api', 'web', 'database', 'cache', 'worker', 'edge', 'search', 'billing']
const units = ['ms', '%', 'req/s', 'MB', 'KB/s']
const states = ['ok', 'ok', 'ok', 'warning', 'critical']
const verbs = ['scaled to', 'restarted after', 'moved from', 'limited to', 'recovered in', 'waits for']

/** Samples that vary as in a real dashboard, but equal in every process, so that all kinds send the same. */
export class Samples {
  #seed = 20_240_607
  #time = 1_764_000_000_000

  next (): Sample {
    this.#time += 7 + this.#below(40)
    return {
      mark,
      series: `${this.#of(places)}.${this.#of(subjects)}.p${this.#of([50, 90, 95, 99])}`,
      host: `node-${this.#below(400)}.zone-${1 + this.#below(6)}`,
      t: this.#time,
      value: this.#below(1_000_000) / 1_000,
      unit: this.#of(units),
      state: this.#of(states),
      note: `${this.#of(places)} ${this.#of(verbs)} ${this.#below(9_000)}`,
      build: this.#below(0x7fffffff).toString(16)
    }
  }

  #of<Item> (items: readonly Item[]): Item {
    return items[this.#below(items.length)]!
  }

  #below (limit: number): number {
    // A linear congruence: good enough to differ, and the same everywhere.
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) & 0x7fffffff
    return Math.floor(this.#seed / 0x80000000 * limit)
  }
}
