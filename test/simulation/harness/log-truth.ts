import { unpackEntry, urlOf } from '../../../plugin/cluster/log-entry.ts'
import type { LogTruth } from '../../chaos/nodes/log-oracle.ts'
import { url } from './node.ts'

interface Told { readonly from: string, readonly n: number, readonly at: number }

/** The broadcasts of the application as they came into the log: what it says happened. */
export class WrittenLog {
  readonly faults: string[] = []
  readonly #broadcasts: Array<{ readonly name: string, readonly at: number, readonly entry: string }> = []
  readonly #counters = new Map<string, number>()
  readonly #numbers = new Map<string, number>()
  /** Entries that the engine forgot, and that their node wrote again: nodes have them at different places. */
  readonly #displaced = new Set<string>()
  /** Entries that the engine forgot, by their node, until a later one shows that they are missing. */
  readonly #forgotten = new Map<string, Set<string>>()
  readonly #isKept: (node: string, counter: number) => boolean

  /** @param isKept whether the engine still has an entry */
  constructor (isKept: (node: string, counter: number) => boolean) {
    this.#isKept = isKept
  }

  get length (): number { return this.#broadcasts.length }

  append (bytes: Buffer): void {
    const entry = unpackEntry(bytes)
    if (entry === null) {
      this.faults.push(`an entry cannot be read: ${bytes.subarray(0, 100).toString()}`)
      return
    }
    const { node, counter } = entry
    const before = this.#counters.get(node) ?? 0
    if (counter <= before) {
      // The same entry, written again because its answer was lost.
      if (!this.#isKept(node, counter)) this.#displaced.add(`${node} ${counter}`)
      return
    }
    if (counter !== before + 1) this.faults.push(`entry ${counter} of a node after ${before}`)
    this.#counters.set(node, counter)
    this.#forgotten.delete(node)
    for (const item of entry.items) {
      if (urlOf(entry, item) !== url) continue
      const text = (item as unknown[])[4] as string
      const { from, n, at } = JSON.parse(text.slice(text.indexOf('data: ') + 6)) as Told
      const last = this.#numbers.get(from) ?? 0
      if (n !== last + 1) this.faults.push(`broadcast ${n} of a node is in the log after ${last}`)
      this.#numbers.set(from, n)
      this.#broadcasts.push({ name: `${from} ${n}`, at, entry: `${node} ${counter}` })
    }
  }

  /** The engine has forgotten an entry that it had acknowledged, perhaps. */
  forget (bytes: Buffer): void {
    const { node, counter } = unpackEntry(bytes)!
    const forgotten = this.#forgotten.get(node) ?? new Set()
    this.#forgotten.set(node, forgotten.add(`${node} ${counter}`))
  }

  /** What is true at the end. Of a node that never wrote again, nobody knows what is missing. */
  get truth (): LogTruth {
    for (const forgotten of this.#forgotten.values()) for (const entry of forgotten) this.#displaced.add(entry)
    const ordered = this.#broadcasts.filter(({ entry }) => !this.#displaced.has(entry))
    const places = new Map(ordered.map(({ name }, place): [string, number | null] => [name, place]))
    for (const { name, entry } of this.#broadcasts) if (this.#displaced.has(entry)) places.set(name, null)
    return {
      length: ordered.length,
      placeOf: ({ from, n }) => places.get(`${from} ${n}`),
      firstAfter: (time) => {
        const found = ordered.findIndex(({ at }) => at > time)
        return found === -1 ? ordered.length : found
      }
    }
  }
}
