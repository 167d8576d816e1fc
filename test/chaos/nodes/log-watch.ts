import { randomBytes } from 'node:crypto'
import { unpackEntry, urlOf } from '../../../plugin/cluster/log-entry.ts'
import { LocalEngine } from '../../../plugin/cluster/local/local-engine.ts'
import type { Engine, Offset } from '../../../plugin/entries/contract-tests.ts'
import { application, engineAt, type Meeting } from './engines.ts'
import { urls, type Told } from './messages.ts'

/** The broadcasts of one endpoint, in the order of the log. */
export class LogOfUrl {
  readonly sentAt: number[] = []
  readonly #places = new Map<string, number>()

  get length (): number { return this.sentAt.length }

  add ({ from, n, at }: Told): void {
    this.#places.set(`${from} ${n}`, this.sentAt.push(at) - 1)
  }

  placeOf ({ from, n }: Pick<Told, 'from' | 'n'>): number | undefined {
    return this.#places.get(`${from} ${n}`)
  }

  /** The place of the first broadcast that was sent after a time. */
  firstAfter (time: number): number {
    const found = this.sentAt.findIndex((at) => at > time)
    return found === -1 ? this.length : found
  }
}

/** Reads the log beside the nodes, without being one of them. What it says happened. */
export class LogWatch {
  readonly logs: ReadonlyMap<string, LogOfUrl> = new Map(urls.map((url) => [url, new LogOfUrl()]))
  readonly faults: string[] = []
  readonly #meeting: Meeting
  /** By node: the number of its last entry. */
  readonly #counters = new Map<string, number>()
  readonly #numbers = new Map<string, number>()
  #engine: Engine
  #last: Offset | null = null
  #held: Array<[Offset, Buffer]> | null = null

  private constructor (meeting: Meeting, engine: Engine) {
    this.#meeting = meeting
    this.#engine = engine
  }

  static async open (meeting: Meeting): Promise<LogWatch> {
    const watch = new LogWatch(meeting, (await engineAt(meeting)).engineFor(application))
    await watch.#open()
    return watch
  }

  /** A watch that serves the local hub gives it back to a node, whose death the run wants to see. */
  async giveWay (): Promise<void> {
    if (!(this.#engine instanceof LocalEngine && this.#engine.isServing)) return
    await this.#engine.close()
    this.#engine = (await engineAt(this.#meeting)).engineFor(application)
    await this.#open()
  }

  close (): Promise<void> { return this.#engine.close() }

  async #open (): Promise<void> {
    this.#held = []
    let isUp: () => void
    const up = new Promise<void>((resolve) => { isUp = resolve })
    await this.#engine.open(`watch-${randomBytes(6).toString('hex')}`, {
      entry: (at, bytes) => {
        if (this.#held === null) this.#read(at, bytes)
        else this.#held.push([at, bytes])
      },
      message () {},
      up: () => { isUp() },
      down () {},
      forgot: () => { if (this.#last !== null) this.faults.push('the engine lost its memory') }
    })
    await up
    for (let found = 1; found > 0;) {
      const entries = await this.#engine.range(this.#last, 1_000)
      found = entries.length
      for (const { at, bytes } of entries) this.#read(at, bytes)
    }
    for (const [at, bytes] of this.#held) this.#read(at, bytes)
    this.#held = null
  }

  #read (at: Offset, bytes: Buffer): void {
    if (this.#last !== null && at <= this.#last) return
    this.#last = at
    const entry = unpackEntry(bytes)
    if (entry === null) {
      this.faults.push(`an entry cannot be read: ${bytes.subarray(0, 100).toString()}`)
      return
    }
    const before = this.#counters.get(entry.node)
    // The same entry, written again because its answer was lost.
    if (before !== undefined && entry.counter <= before) return
    if (entry.counter !== (before ?? entry.counter - 1) + 1) this.faults.push(`entry ${entry.counter} of a node after ${before}`)
    this.#counters.set(entry.node, entry.counter)
    for (const item of entry.items) {
      const url = urlOf(entry, item)
      const log = this.logs.get(url ?? '')
      if (log === undefined) continue
      const text = (item as unknown[])[4] as string
      const told = JSON.parse(text.slice(text.indexOf('data: ') + 6)) as Told
      const number = `${told.from} ${url}`
      if (told.n !== (this.#numbers.get(number) ?? 0) + 1) this.faults.push(`broadcast ${told.n} of a node is in the log after ${this.#numbers.get(number) ?? 0}`)
      this.#numbers.set(number, told.n)
      log.add(told)
    }
  }
}
