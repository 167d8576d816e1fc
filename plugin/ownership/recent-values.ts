/** Remembers a text by name: the latest ones, up to a number. */
export class RecentValues {
  readonly #most: number
  readonly #values = new Map<string, string>()

  constructor (most: number) {
    this.#most = most
  }

  get size (): number { return this.#values.size }

  get (name: string): string | undefined {
    return this.#values.get(name)
  }

  set (name: string, value: string): void {
    this.#values.delete(name)
    this.#values.set(name, value)
    if (this.#values.size > this.#most) this.#values.delete(this.#values.keys().next().value!)
  }

  delete (name: string): void {
    this.#values.delete(name)
  }
}
