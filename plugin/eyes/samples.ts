/** A figure with its labels. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  value: number
}

/** Figures of one name. Those with equal labels become their sum, since labels beyond a limit are equal. */
export class Samples {
  readonly #byKey = new Map<string, Sample>()

  add (value: number, labels: Sample['labels'] = {}): this {
    const key = keyOf(labels)
    const found = this.#byKey.get(key)
    if (found === undefined) this.#byKey.set(key, { labels, value })
    else found.value += value
    return this
  }

  [Symbol.iterator] (): IterableIterator<Sample> {
    return this.#byKey.values()
  }
}

/** Equal for equal labels in the same order. */
export function keyOf (labels: Sample['labels']): string {
  return Object.values(labels).join('\n')
}
