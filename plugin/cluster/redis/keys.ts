/** The names of all that the engine keeps. What scripts touch together, or one command reads, is in one slot. */
export class RedisKeys {
  readonly log: string
  readonly marker: string
  readonly nodes: string
  readonly due: string
  readonly #prefix: string
  readonly #application: string

  constructor (prefix: string, application: string) {
    this.#prefix = prefix
    this.#application = `${prefix}tether:{${application}}`
    this.log = `${this.#application}:log`
    this.marker = `${this.#application}:marker`
    this.nodes = `${this.#application}:nodes`
    this.due = `${this.#application}:due`
  }

  /** Messages to a node. */
  inbox (node: string): string {
    return `${this.#application}:in:${node}`
  }

  /** The lease of a node. */
  lease (node: string): string {
    return `${this.#application}:n:${node}`
  }

  record (key: string): string {
    return `${this.#prefix}tether:s:{${key}}`
  }

  journal (key: string): string {
    return `${this.#prefix}tether:j:{${key}}`
  }
}
