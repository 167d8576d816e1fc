import type { NatsMessage, NatsSubscription } from './connection.ts'
import type { JetStream } from './jetstream.ts'
import type { NatsLink } from './link.ts'
import type { Names } from './names.ts'

/** Silence after which the server says that it is there, in nanoseconds. */
const heartbeatNs = 1_000_000_000
/** Time after which the server forgets a reader that has gone, in nanoseconds. */
const forgottenNs = 30_000_000_000

/**
 * Reads the log in its order. Each start makes another consumer at the server, behind the last entry that was
 * read; what comes late from an earlier one is dropped.
 */
export class LogReader {
  readonly #link: NatsLink
  readonly #jetStream: JetStream
  readonly #names: Names
  readonly #node: string
  readonly #onEntry: (seq: number, data: Uint8Array) => void
  /** Called when an entry is missing: the reader must be started again. */
  readonly #onHole: () => void
  #subscription: NatsSubscription | undefined
  #consumer: string | undefined
  #turn = 0
  #delivered = 0
  #heardAt = 0
  /** The number of the last entry that was read, or passed over. */
  at = 0

  constructor (link: NatsLink, jetStream: JetStream, names: Names, node: string, onEntry: (seq: number, data: Uint8Array) => void, onHole: () => void) {
    this.#link = link
    this.#jetStream = jetStream
    this.#names = names
    this.#node = node
    this.#onEntry = onEntry
    this.#onHole = onHole
  }

  /** How long the server has been silent, in milliseconds. */
  get silenceMs (): number {
    return performance.now() - this.#heardAt
  }

  /** @returns the server's clock at the start */
  async start (until: number): Promise<number> {
    this.stop(until)
    const turn = String(++this.#turn)
    const name = `${this.#node}-${turn}`
    const subject = this.#names.entries(this.#node, turn)
    this.#delivered = 0
    this.#subscription = this.#link.subscribe(subject, (message) => { if (turn === String(this.#turn)) this.#take(message) })
    this.#consumer = name
    const time = await this.#jetStream.createConsumer(this.#names.stream('log'), {
      name,
      deliver_subject: subject,
      deliver_policy: 'by_start_sequence',
      opt_start_seq: this.at + 1,
      ack_policy: 'none',
      max_deliver: 1,
      replay_policy: 'instant',
      flow_control: true,
      idle_heartbeat: heartbeatNs,
      inactive_threshold: forgottenNs,
      mem_storage: true,
      num_replicas: 1
    }, until)
    this.#heardAt = performance.now()
    return time
  }

  #take ({ subject, reply, data, headers }: NatsMessage): void {
    this.#heardAt = performance.now()
    if (headers?.code === 100) {
      const stalled = headers.get('Nats-Consumer-Stalled')
      if (reply !== undefined && reply !== '') this.#link.reply(reply)
      else if (stalled !== '') this.#link.reply(stalled)
      const last = headers.get('Nats-Last-Consumer')
      if (last !== '' && Number(last) !== this.#delivered) this.#onHole()
      return
    }
    if (reply === undefined || subject === '') return
    const { seq, delivered } = placeOf(reply)
    if (delivered !== this.#delivered + 1) {
      this.#onHole()
      return
    }
    this.#delivered = delivered
    this.at = seq
    this.#onEntry(seq, data)
  }

  /** Stops reading, and tells the server. If the server does not hear it, it forgets the reader by itself. */
  stop (until: number): void {
    this.#turn++
    if (this.#consumer === undefined) return
    const consumer = this.#consumer
    this.#consumer = undefined
    try {
      this.#subscription?.unsubscribe()
    } catch {
      // The connection is closed, and took the subscription with it.
    }
    this.#jetStream.deleteConsumer(this.#names.stream('log'), consumer, until).catch(() => {})
  }
}

/** Reads the place of an entry in the subject that would acknowledge it: `….<consumer>.<tries>.<in the stream>.<in the consumer>.<time>.<waiting>`. */
function placeOf (reply: string): { seq: number, delivered: number } {
  const tokens = reply.split('.')
  // Newer servers put their domain and account in front, and may add a token at the end.
  const at = tokens.length > 9 ? 7 : 5
  return { seq: Number(tokens[at]), delivered: Number(tokens[at + 1]) }
}
