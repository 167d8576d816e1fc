import { performance } from 'node:perf_hooks'
import type { ReaderKind, ReaderMix } from '../input/options.ts'
import { randomFrom } from '../statistics/random.ts'
import type { Answered, Link, OpenLink } from './link.ts'

/** Bytes a second that a slow reader takes. */
export const slowBytesPerSecond = 20_000
const tickMs = 100
/** A churning reader breaks its stream and resumes after about this time. */
const churnMs = 5_000
const openTimeoutMs = 10_000

class Client {
  readonly kind: ReaderKind
  link: Link
  session: string
  /** Bytes that a slow reader may still take in this tick. */
  allowance = 0
  nextBreak = 0
  isPaused = false

  constructor (kind: ReaderKind, link: Link, session: string) {
    this.kind = kind
    this.link = link
    this.session = session
  }
}

export interface ClientsReading {
  readonly open: number
  /** Streams that ended without being asked to, since the last reading. */
  readonly lost: number
  readonly bytes: number
  /** Sessions so far. */
  readonly opened: number
}

/** Clients that read at set speeds. */
export class Clients {
  readonly #open: OpenLink
  readonly #mix: ReaderMix
  readonly #all: Client[] = []
  /** Those that send events. */
  readonly #senders: Client[] = []
  readonly #counts: Record<ReaderKind, number> = { fast: 0, slow: 0, frozen: 0, churning: 0 }
  readonly #timer: NodeJS.Timeout
  #lost = 0
  #bytes = 0
  #opened = 0
  readonly #random: () => number

  constructor (open: OpenLink, mix: ReaderMix, seed = 1) {
    this.#random = randomFrom(seed)
    this.#open = open
    this.#mix = mix
    this.#timer = setInterval(() => this.#tick(), tickMs)
  }

  get size (): number { return this.#all.length }

  /**
   * Opens or closes clients until there are as many as asked for.
   *
   * @returns why some could not be opened; null if all are
   */
  async resize (count: number, perSecond: number): Promise<string | null> {
    while (this.#all.length > count) this.#remove(this.#all.at(-1)!, true)
    const missing = count - this.#all.length
    const startedAt = performance.now()
    let fault: string | null = null
    const opening: Array<Promise<void>> = []
    while (opening.length < missing && fault === null) {
      const due = Math.min(missing, 1 + (performance.now() - startedAt) * perSecond / 1_000)
      while (opening.length < Math.floor(due)) opening.push(this.#openOne().catch((error: Error) => { fault ??= error.message }))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await Promise.all(opening)
    return fault
  }

  async #openOne (): Promise<void> {
    const kind = this.#kindNeeded()
    this.#counts[kind] += 1
    try {
      const client = await this.#connect(kind, null)
      this.#opened += 1
      this.#all.push(client)
      if (kind !== 'frozen') this.#senders.push(client)
    } catch (error) {
      this.#counts[kind] -= 1
      throw error
    }
  }

  /** The kind that lacks most. */
  #kindNeeded (): ReaderKind {
    const total = Object.values(this.#counts).reduce((sum, count) => sum + count, 0) + 1
    const lacks = (kind: ReaderKind): number => this.#mix[kind] * total - this.#counts[kind]
    return (Object.keys(this.#mix) as ReaderKind[]).reduce((most, kind) => lacks(kind) > lacks(most) ? kind : most)
  }

  #connect (kind: ReaderKind, session: string | null): Promise<Client> {
    return new Promise((resolve, reject) => {
      let client: Client | null = null
      const timer = setTimeout(() => {
        link.close()
        reject(new Error(`no stream within ${openTimeoutMs / 1_000} s`))
      }, openTimeoutMs)
      const link = this.#open({
        onHello: (id) => {
          clearTimeout(timer)
          client = new Client(kind, link, id)
          client.nextBreak = performance.now() + churnMs * (0.5 + Math.random())
          if (kind === 'frozen') link.pause()
          resolve(client)
        },
        onText: (bytes) => {
          this.#bytes += bytes.length
          if (kind === 'slow' && client !== null) this.#slow(client, bytes.length)
        },
        onGone: (reason) => {
          clearTimeout(timer)
          if (client === null) return reject(new Error(reason))
          this.#lost += 1
          this.#remove(client, false)
        }
      }, session)
    })
  }

  #slow (client: Client, bytes: number): void {
    client.allowance -= bytes
    if (client.allowance > 0 || client.isPaused) return
    client.isPaused = true
    client.link.pause()
  }

  #tick (): void {
    const now = performance.now()
    for (const client of this.#all) {
      if (client.kind === 'slow') {
        client.allowance = Math.min(slowBytesPerSecond, client.allowance + slowBytesPerSecond * tickMs / 1_000)
        if (client.isPaused && client.allowance > 0) {
          client.isPaused = false
          client.link.resume()
        }
      } else if (client.kind === 'churning' && now >= client.nextBreak) {
        client.nextBreak = Infinity
        this.#break(client)
      }
    }
  }

  /** Breaks the stream of a client, and resumes its session by another. */
  async #break (client: Client): Promise<void> {
    client.link.close()
    try {
      const next = await this.#connect('churning', client.session)
      // The client may have been closed meanwhile.
      if (!this.#all.includes(client)) return next.link.leave()
      this.#all[this.#all.indexOf(client)] = next
      const sender = this.#senders.indexOf(client)
      if (sender !== -1) this.#senders[sender] = next
    } catch {
      this.#lost += 1
      this.#remove(client, false)
    }
  }

  #remove (client: Client, isAsked: boolean): void {
    const index = this.#all.lastIndexOf(client)
    if (index === -1) return
    this.#all.splice(index, 1)
    const sender = this.#senders.lastIndexOf(client)
    if (sender !== -1) this.#senders.splice(sender, 1)
    this.#counts[client.kind] -= 1
    if (isAsked) client.link.leave()
  }

  /** Sends an event from any client, so that each has its events in bursts and pauses, as people make them. */
  send (envelope: string, onAnswer: Answered): void {
    if (this.#senders.length === 0) return onAnswer(0, '')
    this.#senders[Math.floor(this.#random() * this.#senders.length)]!.link.send(envelope, onAnswer)
  }

  read (): ClientsReading {
    const reading = { open: this.#all.length, lost: this.#lost, bytes: this.#bytes, opened: this.#opened }
    this.#lost = 0
    this.#bytes = 0
    return reading
  }

  close (): void {
    clearInterval(this.#timer)
    while (this.#all.length > 0) this.#remove(this.#all.at(-1)!, true)
  }
}
