/** The names of an application in NATS. Its own name, names of nodes and keys have only letters that NATS takes. */
export class Names {
  readonly #name: string
  readonly #subject: string
  readonly log: string
  readonly mark: string

  constructor (application: string) {
    this.#name = `tether-${application}`
    this.#subject = `tether.${application}`
    this.log = `${this.#subject}.log`
    this.mark = `${this.#subject}.mark`
  }

  stream (of: 'log' | 'records' | 'journals' | 'wakes' | 'nodes'): string {
    return `${this.#name}-${of}`
  }

  record (key: string): string {
    return `${this.#subject}.record.${key}`
  }

  journal (key: string): string {
    return `${this.#subject}.journal.${key}`
  }

  wake (bucket: string): string {
    return `${this.#subject}.wake.${bucket}`
  }

  node (name: string): string {
    return `${this.#subject}.node.${name}`
  }

  /** Where a node gets messages: the last token is the sender. */
  message (to: string, from: string): string {
    return `${this.#subject}.to.${to}.message.${from}`
  }

  /** Where a node gets the answers to its requests: the last token is the request. */
  answer (to: string, request: string): string {
    return `${this.#subject}.to.${to}.answer.${request}`
  }

  /** Where a node gets the entries of the log from its reader number `turn`. */
  entries (to: string, turn: string): string {
    return `${this.#subject}.to.${to}.log.${turn}`
  }
}

/** The last token of a subject. */
export function lastToken (subject: string): string {
  return subject.slice(subject.lastIndexOf('.') + 1)
}
