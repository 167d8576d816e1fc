import { randomBytes } from 'node:crypto'
import { EngineError, EngineFullError } from '../../../schemas/errors.ts'
import type { optionTable, OptionsOf } from '../../../schemas/option-table.ts'
import type { Engine, EngineApplication, EngineEvents, EngineRecord, LogEntry, Offset, PutOptions } from '../engine.ts'
import { JetStream, type StreamConfig, type StreamInfo } from './jetstream.ts'
import { closedError, NatsLink, type ConnectionSource } from './link.ts'
import { LogReader } from './log-reader.ts'
import { lastToken, Names } from './names.ts'
import { Records } from './records.ts'
import { ServerClock } from './server-clock.ts'

/** Options of `nats(connection, options)`. */
export interface NatsOptions extends OptionsOf<typeof optionTable.nats> {}

export type NatsLimits = Readonly<Required<NatsOptions>>

/** Silence of the log's reader after which the node asks whether the server is there, in milliseconds. */
const silenceMs = 3_000
const watchMs = 1_000
/** How long the server may take to answer a ping, in milliseconds. */
const pongMs = 2_000
const firstRetryMs = 100
const lastRetryMs = 1_000
/** The time between two looks at what has expired, in milliseconds. */
const sweepMs = 5_000
/** Entries that `range` asks for at once, and how many of them once they are large: the server cuts off who lets too much wait. */
const rangeAtOnce = 32
const largeAtOnce = 4
const largeBytes = 1_048_576
/** Bytes of entries beyond which `range` gives what it has. */
const rangeBytes = 8_388_608
/** How many numbers the log leaves out after the server lost its end, so that no place comes twice. */
const leap = 1_000
/** Bytes of the notes that find records, and of the cards of nodes. */
const wakeBytes = 67_108_864
const nodeBytes = 67_108_864
/** How long a card stays that nobody deletes, in nanoseconds. */
const cardNs = 86_400_000_000_000
/** How long a lease has run out when its card is deleted, in milliseconds. */
const deadMs = 10_000

interface Card {
  readonly leaseMs: number
}

/**
 * Nodes joined by NATS JetStream: streams for the log, the records, their journals and wakes, and the leases;
 * plain messages between nodes. docs/cluster.md says what holds.
 */
export class NatsEngine implements Engine {
  readonly can
  readonly #source: ConnectionSource
  readonly #limits: NatsLimits
  readonly #logMs: number
  readonly #names: Names
  readonly #clock = new ServerClock()
  #node = ''
  #on: EngineEvents | undefined
  #link: NatsLink | undefined
  #jetStream: JetStream | undefined
  #reader: LogReader | undefined
  #records: Records | undefined
  #isUp = false
  #isClosed = false
  #isMending = false
  /** The life of the engine's memory that this node knows; empty before the first. */
  #life = ''
  /** The log's beginning, in front of every offset. */
  #epoch = ''
  #watch: NodeJS.Timeout | undefined
  #wait: { timer: NodeJS.Timeout, end: () => void } | undefined
  #sweptAt = performance.now()
  #isSweeping = false

  constructor (source: ConnectionSource, limits: NatsLimits, { name, logMs }: EngineApplication) {
    this.#source = source
    this.#limits = limits
    this.#logMs = logMs
    this.#names = new Names(name)
    this.can = Object.freeze({ durable: limits.storage === 'file', due: true, journal: true })
  }

  async open (node: string, on: EngineEvents): Promise<void> {
    if (this.#isClosed) throw closedError()
    if (this.#link !== undefined) throw new EngineError('is open already: each node needs its own')
    this.#node = node
    this.#on = on
    const link = this.#link = new NatsLink(this.#source, this.#limits, this.#names, node, {
      connected: () => { this.#mend() },
      disconnected: () => { this.#setDown() },
      message: (from, data) => { on.message(from, Buffer.from(data)) },
      unanswered: () => { this.#mend() }
    })
    const jetStream = this.#jetStream = new JetStream(link)
    this.#records = new Records(jetStream, this.#names, node, this.#clock)
    this.#reader = new LogReader(link, jetStream, this.#names, node, (seq, data) => {
      if (!this.#isClosed) on.entry(this.#offsetOf(seq), Buffer.from(data))
    }, () => { this.#mend() })
    try {
      await link.open()
      link.checkServer()
      this.#isMending = true
      await this.#attach().finally(() => { this.#isMending = false })
      this.#watch = setInterval(() => { this.#look() }, watchMs)
    } catch (error) {
      await this.close()
      throw error
    }
  }

  // --- coming and going

  /** Makes or finds the streams, notices whether they are those of before, and starts to read. */
  async #attach (): Promise<void> {
    const until = this.#until()
    const reader = this.#reader!
    const [log] = await Promise.all(this.#streams().map((config) => this.#ensure(config, until))) as [StreamInfo]
    const mark = await this.#mark(until)
    const life = `${mark}.${log.created}`
    const isFirst = this.#life === ''
    const isOther = !isFirst && life !== this.#life
    const { last_seq: last } = log.state
    if (isFirst) {
      reader.at = last
    } else if (isOther) {
      reader.at = 0
    } else if (last < reader.at) {
      await this.#jetStream!.purge(this.#names.stream('log'), reader.at + leap, until)
      reader.at += leap - 1
    }
    if (this.#isClosed) return
    this.#life = life
    this.#epoch = String(Date.parse(log.created)).padStart(14, '0')
    this.#records!.begin(mark)
    if (isOther) {
      this.#setDown()
      this.#on!.forgot()
    }
    const askedAt = performance.now()
    this.#clock.read(await reader.start(until), askedAt)
    if (this.#isUp || this.#isClosed) return
    this.#isUp = true
    this.#on!.up()
  }

  #streams (): StreamConfig[] {
    const { storage, replicas, logEntries, logBytes, recordBytes, journalBytes } = this.#limits
    const names = this.#names
    const make = (of: Parameters<Names['stream']>[0], subjects: string[], own: Partial<StreamConfig>): StreamConfig => ({
      name: names.stream(of),
      subjects,
      storage,
      num_replicas: replicas,
      retention: 'limits',
      discard: 'new',
      max_msgs: -1,
      max_bytes: -1,
      max_age: 0,
      max_msgs_per_subject: -1,
      // Nothing is sent with an id that the server would have to remember.
      duplicate_window: 100_000_000,
      ...own
    })
    return [
      make('log', [names.log], { discard: 'old', max_msgs: logEntries, max_bytes: logBytes, max_age: this.#logMs * 1_000_000 }),
      make('records', [names.record('*'), names.mark], { max_bytes: recordBytes, max_msgs_per_subject: 1 }),
      make('journals', [names.journal('*')], { max_bytes: journalBytes }),
      make('wakes', [names.wake('*')], { max_bytes: wakeBytes }),
      make('nodes', [names.node('*')], { discard: 'old', max_bytes: nodeBytes, max_age: cardNs, max_msgs_per_subject: 1 })
    ]
  }

  async #ensure (config: StreamConfig, until: number): Promise<StreamInfo> {
    const jetStream = this.#jetStream!
    try {
      const info = await jetStream.stream(config.name, until) ?? await jetStream.createStream(config, until)
      if (info.config.storage !== config.storage) throw new EngineError(`found the stream ${config.name} with storage "${info.config.storage}", and nats() was given "${config.storage}"`)
      const isOther = (['num_replicas', 'max_msgs', 'max_bytes', 'max_age'] as const).some((name) => info.config[name] !== config[name])
      if (isOther) await jetStream.updateStream({ ...info.config, ...config }, until)
      return info
    } catch (error) {
      if (error instanceof EngineFullError) throw new EngineFullError(`the stream ${config.name} needs ${config.max_bytes} bytes of JetStream; lower logBytes, recordBytes or journalBytes, or give the server more`)
      throw error
    }
  }

  /** A random word that lies among the records, and is lost with them. */
  async #mark (until: number): Promise<string> {
    const jetStream = this.#jetStream!
    const find = () => jetStream.stored(this.#names.stream('records'), { last_by_subj: this.#names.mark }, until)
    let found = await find()
    if (found === null) {
      await jetStream.replace(this.#names.mark, Buffer.from(randomBytes(6).toString('hex')), 0, until)
      found = await find()
    }
    if (found === null) throw new EngineError('found nothing where it had just written')
    return found.data.toString()
  }

  #setDown (): void {
    if (!this.#isUp) return
    this.#isUp = false
    if (!this.#isClosed) this.#on!.down()
  }

  /** Finds out what is wrong, and mends it, however long it takes. */
  async #mend (): Promise<void> {
    const link = this.#link!
    if (this.#isMending || this.#isClosed) return
    this.#isMending = true
    try {
      for (let waitMs = firstRetryMs; !this.#isClosed && link.isConnected; waitMs = Math.min(waitMs * 2, lastRetryMs)) {
        if (await link.ping(Math.min(pongMs, this.#limits.deadlineMs))) {
          if (await this.#attach().then(() => true, () => false)) return
        } else if (link.isConnected && !this.#isClosed) {
          link.reset()
        }
        this.#setDown()
        if (link.isConnected) await this.#pause(waitMs)
      }
    } finally {
      this.#isMending = false
    }
  }

  async #pause (ms: number): Promise<void> {
    await new Promise<void>((resolve) => { this.#wait = { timer: setTimeout(resolve, ms), end: resolve } })
    this.#wait = undefined
  }

  /** Looks, once a second, whether the server still speaks, and what has expired. */
  #look (): void {
    if (!this.#isUp) return
    if (this.#reader!.silenceMs > silenceMs) this.#mend()
    else if (performance.now() - this.#sweptAt > sweepMs) this.#sweep()
  }

  async #sweep (): Promise<void> {
    if (this.#isSweeping) return
    this.#isSweeping = true
    try {
      const until = this.#until()
      // One node is enough.
      const [first] = [...(await this.#leases(until)).keys()].sort()
      if (first === undefined || first === this.#node) await this.#records!.look(Date.now(), 0, until)
    } catch {
      // The next look finds the same.
    } finally {
      this.#sweptAt = performance.now()
      this.#isSweeping = false
    }
  }

  // --- calls

  #until (): number {
    return performance.now() + this.#limits.deadlineMs
  }

  /** What a call needs. */
  #ready (): { jetStream: JetStream, records: Records, link: NatsLink, until: number } {
    if (this.#isClosed) throw closedError()
    if (this.#link === undefined || this.#life === '') throw new EngineError('is not open')
    return { jetStream: this.#jetStream!, records: this.#records!, link: this.#link, until: this.#until() }
  }

  async append (entry: Buffer): Promise<void> {
    const { jetStream, until } = this.#ready()
    await jetStream.publish(this.#names.log, Buffer.from(entry), until)
  }

  async range (after: Offset | null, limit: number): Promise<LogEntry[]> {
    const { jetStream, until } = this.#ready()
    const stream = this.#names.stream('log')
    const epoch = this.#epoch
    const info = await jetStream.stream(stream, until)
    if (info === null) throw new EngineError('found no log')
    const { first_seq: first, last_seq: last } = info.state
    // An empty stream has 0 for both.
    let seq = Math.max(first, 1)
    if (after !== null && after >= this.#offsetOf(0)) seq = Math.max(seq, after.startsWith(epoch) ? Number(after.slice(epoch.length + 1)) + 1 : last + 1)
    const entries: LogEntry[] = []
    let atOnce = rangeAtOnce
    let rangedBytes = 0
    // What was read is of use, even if the rest would come too late.
    const enough = () => entries.length > 0 && (rangedBytes >= rangeBytes || performance.now() > until - this.#limits.deadlineMs / 2)
    while (seq <= last && entries.length < limit && !enough()) {
      const numbers = Array.from({ length: Math.min(atOnce, last - seq + 1, limit - entries.length) }, (_, index) => seq + index)
      const messages = await Promise.all(numbers.map((seq) => jetStream.stored(stream, { seq }, until)))
      for (const message of messages) {
        // One that is not there any more was trimmed meanwhile.
        if (message !== null) entries.push({ at: this.#offsetOf(message.seq), bytes: message.data })
      }
      seq += numbers.length
      const bytes = messages.reduce((sum, message) => sum + (message?.data.length ?? 0), 0)
      rangedBytes += bytes
      if (bytes > largeBytes) atOnce = largeAtOnce
    }
    return entries
  }

  #offsetOf (seq: number): Offset {
    return `${this.#epoch}-${String(seq).padStart(16, '0')}`
  }

  async send (node: string, message: Buffer): Promise<void> {
    this.#ready().link.send(this.#names.message(node, this.#node), Buffer.from(message))
  }

  async get (key: string): Promise<EngineRecord | null> {
    const { records, until } = this.#ready()
    return records.get(key, until)
  }

  async put (key: string, value: Buffer, ifRevision: string | null, options: PutOptions): Promise<string | null> {
    const { records, until } = this.#ready()
    return records.put(key, value, ifRevision, options, until)
  }

  async due (now: number, limit: number): Promise<string[]> {
    const { records, until } = this.#ready()
    const keys = await records.look(now, limit, until)
    this.#sweptAt = performance.now()
    return keys
  }

  async journal (key: string, revision: string, entry: Buffer): Promise<boolean> {
    const { records, until } = this.#ready()
    return records.journal(key, revision, entry, until)
  }

  async journalOf (key: string): Promise<Buffer[]> {
    const { records, until } = this.#ready()
    return records.journalOf(key, until)
  }

  async renew (leaseMs: number, card: Buffer): Promise<void> {
    const { jetStream, until } = this.#ready()
    const head: Card = { leaseMs }
    const askedAt = performance.now()
    const seq = await jetStream.publish(this.#names.node(this.#node), Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), card]), until)
    if (this.#clock.isGood) return
    const answeredAt = performance.now()
    const stored = await jetStream.stored(this.#names.stream('nodes'), { seq }, until)
    if (stored !== null) this.#clock.read(stored.time, askedAt, answeredAt)
  }

  async nodes (): Promise<Map<string, Buffer>> {
    return this.#leases(this.#ready().until)
  }

  async #leases (until: number): Promise<Map<string, Buffer>> {
    const jetStream = this.#jetStream!
    const stream = this.#names.stream('nodes')
    const info = await jetStream.stream(stream, until, this.#names.node('*'))
    const cards = new Map<string, Buffer>()
    await Promise.all(Object.keys(info?.state.subjects ?? {}).map(async (subject) => {
      const message = await jetStream.stored(stream, { last_by_subj: subject }, until)
      if (message === null) return
      const end = message.data.indexOf(10)
      const { leaseMs } = JSON.parse(message.data.toString('utf8', 0, end)) as Card
      const restMs = message.time + leaseMs - this.#clock.now()
      if (restMs > 0) cards.set(lastToken(subject), message.data.subarray(end + 1))
      else if (restMs < -deadMs) jetStream.deleteMessage(stream, message.seq, until).catch(() => {})
    }))
    return cards
  }

  async close (): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#watch)
    clearTimeout(this.#wait?.timer)
    this.#wait?.end()
    const link = this.#link
    if (link === undefined) return
    const until = performance.now() + Math.min(this.#limits.deadlineMs, pongMs)
    this.#reader!.stop(until)
    if (link.isConnected && this.#isUp) {
      await this.#jetStream!.purge(this.#names.stream('nodes'), Number.MAX_SAFE_INTEGER, until, this.#names.node(this.#node)).catch(() => {})
    }
    await link.close()
  }
}
