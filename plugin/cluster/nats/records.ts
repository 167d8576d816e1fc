import type { EngineRecord, PutOptions } from '../engine.ts'
import { reasons, JetStreamError, type JetStream, type StoredMessage } from './jetstream.ts'
import { lastToken, type Names } from './names.ts'
import type { ServerClock } from './server-clock.ts'

/** What is stored in front of a record's value. */
interface RecordHead {
  /** When the record expires, by the server's clock. */
  readonly end: number
  /** `dueAt` of the write. */
  readonly due?: number
  /** The wake that will look after the record. */
  readonly wake: string
}

interface StoredRecord {
  readonly head: RecordHead
  readonly seq: number
  readonly value: Buffer
}

/** A note to look at a record at a time: it is due then, or expired, or its wake moves on. */
interface Wake {
  readonly key: string
  readonly id: string
  readonly at: number
  /** When its write began. The record may be written a little later. */
  readonly made: number
}

/** The width of a bucket of wakes, in milliseconds. */
const bucketMs = 5_000
/** A later wake is set this far ahead and moves on when it comes, so that there are few buckets. */
const horizonMs = 3_600_000
/** How much two nodes may disagree about the server's time, in milliseconds. */
const slackMs = 50
/** How long after its wake a record may still be written, in milliseconds. */
const writingMs = 30_000
/** A bucket this long past gets no more wakes, in milliseconds. */
const settledMs = 60_000
/** Wakes that one look takes, and how many of their records it reads at once. */
const wakesAtOnce = 256
const lookedAtOnce = 32
/** Wakes and journals that this node remembers; what it forgets costs a message more. */
const remembered = 10_000

/**
 * Records: each is the last message of its subject, and its revision the number of that message. It holds the
 * time of its end, since old servers know no such time for one message. Wakes find the records that are
 * due, and those that have expired and must be deleted.
 */
export class Records {
  readonly #jetStream: JetStream
  readonly #names: Names
  readonly #node: string
  readonly #clock: ServerClock
  /** A word that is another in each life of the stream, so that revisions of one never fit in another. */
  #life = ''
  #lastWake = 0
  /** The next wake of records that this node wrote, by key. */
  readonly #wakes = new Map<string, Wake>()
  /** The number of the last journal entry that this node knows, by key. */
  readonly #journals = new Map<string, number>()
  /** Buckets before this one are empty for good. */
  #firstBucket = 0

  constructor (jetStream: JetStream, names: Names, node: string, clock: ServerClock) {
    this.#jetStream = jetStream
    this.#names = names
    this.#node = node
    this.#clock = clock
  }

  /** Begins with a stream whose life has this word. */
  begin (life: string): void {
    if (life === this.#life) return
    this.#life = life
    this.#wakes.clear()
    this.#journals.clear()
    this.#firstBucket = 0
  }

  async get (key: string, until: number): Promise<EngineRecord | null> {
    const record = await this.#read(key, until)
    return record === null || this.#isOver(record) ? null : { revision: this.#revisionOf(record.seq, record.head.end), value: record.value }
  }

  async put (key: string, value: Buffer, ifRevision: string | null, { ttlMs, dueAt }: PutOptions, until: number): Promise<string | null> {
    const seq = ifRevision === null ? 0 : this.#seqOf(ifRevision)
    if (seq === null) return this.#refuse(key, null, until)
    const copy = Buffer.from(value)
    const end = Math.ceil(this.#clock.now() + ttlMs)
    const wake = await this.#wakeFor(key, dueAt === undefined ? end : Math.min(end, this.#clock.of(dueAt)), until)
    const payload = join({ end, ...dueAt !== undefined && { due: dueAt }, wake }, copy)
    const subject = this.#names.record(key)
    let written = await this.#jetStream.replace(subject, payload, seq, until)
    if (written === null && ifRevision === null) {
      const old = await this.#read(key, until)
      if (old === null || this.#isOver(old)) written = await this.#jetStream.replace(subject, payload, old?.seq ?? 0, until)
    }
    if (written === null) return null
    this.#emptyJournal(key, until)
    return this.#revisionOf(written, end)
  }

  async #read (key: string, until: number): Promise<StoredRecord | null> {
    const message = await this.#jetStream.stored(this.#names.stream('records'), { last_by_subj: this.#names.record(key) }, until)
    if (message === null) return null
    const [head, value] = split<RecordHead>(message.data)
    return { head, seq: message.seq, value }
  }

  #isOver ({ head }: StoredRecord): boolean {
    return this.#clock.isPast(head.end)
  }

  #revisionOf (seq: number, end: number): string {
    return `${this.#life}.${seq}.${end}`
  }

  /** The number of the message that a revision names; null if no record has that revision any more, as far as another node may know. */
  #seqOf (revision: string): number | null {
    const [life, seq, end] = revision.split('.')
    return life === this.#life && this.#clock.isBefore(Number(end)) ? Number(seq) : null
  }

  /** The answer to a revision that cannot be, once the server has answered at all. */
  async #refuse<Answer> (key: string, answer: Answer, until: number): Promise<Answer> {
    await this.#read(key, until)
    return answer
  }

  // --- wakes

  /** Makes sure that somebody looks at a record at `time`, or earlier, by the server's clock. */
  async #wakeFor (key: string, time: number, until: number): Promise<string> {
    const now = this.#clock.now()
    const known = this.#wakes.get(key)
    if (known !== undefined && known.at > now + slackMs && known.at <= time) return known.id
    const wake = { key, id: `${this.#node}.${++this.#lastWake}`, at: wakeTime(time, now), made: Math.floor(now) }
    await this.#setWake(wake, until)
    remember(this.#wakes, key, wake)
    return wake.id
  }

  async #setWake (wake: Wake, until: number): Promise<void> {
    await this.#jetStream.publish(this.#names.wake(String(bucketOf(wake.at))), Buffer.from(JSON.stringify(wake)), until)
  }

  /** Looks at the records whose time has come. Returns the keys of those that are due, the earliest first. */
  async look (wall: number, limit: number, until: number): Promise<string[]> {
    const now = this.#clock.now()
    const lastBucket = bucketOf(Math.max(now, this.#clock.of(wall)) + slackMs)
    const most = Math.max(wakesAtOnce, limit)
    const due = new Map<string, number>()
    let looked = 0
    for (const bucket of await this.#buckets(lastBucket, until)) {
      const messages = await this.#all('wakes', this.#names.wake(String(bucket)), most - looked, until)
      looked += messages.length
      const kept = messages.length > 0 ? await this.#lookAt(messages, wall, due, until) : 0
      if (looked >= most) break
      const isSettled = (bucket + 1) * bucketMs < now - settledMs
      if (kept === 0 && isSettled && bucket === this.#firstBucket) this.#firstBucket++
    }
    return [...due].sort(([, one], [, other]) => one - other).slice(0, limit).map(([key]) => key)
  }

  /** Buckets up to this one that have wakes, the earliest first. */
  async #buckets (last: number, until: number): Promise<number[]> {
    const info = await this.#jetStream.stream(this.#names.stream('wakes'), until, this.#names.wake('*'))
    const buckets = Object.keys(info?.state.subjects ?? {}).map((subject) => Number(lastToken(subject)))
    const open = buckets.filter((bucket) => bucket <= last && bucket >= this.#firstBucket).sort((one, other) => one - other)
    this.#firstBucket = Math.max(this.#firstBucket, Math.min(open[0] ?? Infinity, bucketOf(this.#clock.now() - settledMs)))
    return open
  }

  /** Reads the messages of a subject, the oldest first. */
  async #all (of: 'wakes' | 'journals', subject: string, most: number, until: number): Promise<StoredMessage[]> {
    const messages: StoredMessage[] = []
    while (messages.length < most) {
      const message = await this.#jetStream.stored(this.#names.stream(of), { seq: (messages.at(-1)?.seq ?? 0) + 1, next_by_subj: subject }, until)
      if (message === null) break
      messages.push(message)
    }
    return messages
  }

  /** Reads the records of these wakes, notes those that are due, and deletes what is over. Returns how many wakes stay. */
  async #lookAt (messages: readonly StoredMessage[], wall: number, due: Map<string, number>, until: number): Promise<number> {
    // Read before the records: what is behind it may belong to a newer one.
    const journals = (await this.#jetStream.stream(this.#names.stream('journals'), until))?.state
    let kept = 0
    await inTurns(messages, async ({ seq, data }) => {
      const wake = JSON.parse(data.toString()) as Wake
      const record = await this.#read(wake.key, until)
      const now = this.#clock.now()
      if (record === null || record.head.wake !== wake.id) {
        if (wake.at > now || wake.made > now - writingMs) {
          kept++
          return
        }
      } else if (!this.#isOver(record)) {
        const dueAt = record.head.due ?? Infinity
        if (dueAt <= wall) due.set(wake.key, dueAt)
        const next = wakeTime(Math.min(record.head.end, this.#clock.of(dueAt)), now)
        if (wake.at > now || bucketOf(next) <= bucketOf(now)) {
          kept++
          return
        }
        await this.#setWake({ ...wake, at: next }, until)
      } else {
        if (journals !== undefined && journals.last_seq >= journals.first_seq) await this.#jetStream.purge(this.#names.stream('journals'), journals.last_seq + 1, until, this.#names.journal(wake.key))
        await this.#delete('records', record.seq, until)
      }
      await this.#delete('wakes', seq, until)
    })
    return kept
  }

  // --- journals

  /** Stores an entry, then asks whether its record still has the revision: entries of other revisions do not count. */
  async journal (key: string, revision: string, entry: Buffer, until: number): Promise<boolean> {
    const seq = this.#seqOf(revision)
    if (seq === null) return this.#refuse(key, false, until)
    // Before any wait, so that entries keep the order of the calls.
    const at = await this.#jetStream.publish(this.#names.journal(key), join({ life: this.#life, of: seq }, entry), until)
    const record = await this.#read(key, until)
    if (record?.seq === seq && !this.#isOver(record)) {
      remember(this.#journals, key, Math.max(at, this.#journals.get(key) ?? 0))
      return true
    }
    await this.#delete('journals', at, until)
    return false
  }

  async journalOf (key: string, until: number): Promise<Buffer[]> {
    const record = await this.#read(key, until)
    if (record === null || this.#isOver(record)) return []
    const messages = await this.#all('journals', this.#names.journal(key), Infinity, until)
    if (messages.length > 0) remember(this.#journals, key, messages.at(-1)!.seq)
    return messages.flatMap(({ data }) => {
      const [{ life, of }, entry] = split<{ life: string, of: number }>(data)
      return life === this.#life && of === record.seq ? [entry] : []
    })
  }

  /** Makes room. Entries of an earlier revision do not count anyway. */
  #emptyJournal (key: string, until: number): void {
    const last = this.#journals.get(key)
    if (last === undefined) return
    this.#journals.delete(key)
    this.#jetStream.purge(this.#names.stream('journals'), last + 1, until, this.#names.journal(key)).catch(() => {})
  }

  async #delete (of: 'records' | 'wakes' | 'journals', seq: number, until: number): Promise<void> {
    try {
      await this.#jetStream.deleteMessage(this.#names.stream(of), seq, until)
    } catch (error) {
      // Another node was faster.
      if (!(error instanceof JetStreamError) || error.reason !== reasons.noMessage) throw error
    }
  }
}

/** Works on some items at a time: each may bring a large answer, and the server cuts off who lets too much wait. */
async function inTurns<Item> (items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += lookedAtOnce) await Promise.all(items.slice(at, at + lookedAtOnce).map(work))
}

function wakeTime (time: number, now: number): number {
  return Math.floor(Math.min(Math.max(time - slackMs, now), now + horizonMs))
}

function bucketOf (time: number): number {
  return Math.floor(time / bucketMs)
}

/** Remembers one more, and forgets the oldest beyond the limit. */
function remember<Value> (map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > remembered) map.delete(map.keys().next().value!)
}

/** A line of JSON, then bytes. */
function join (head: object, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), value])
}

function split<Head> (data: Buffer): [Head, Buffer] {
  const end = data.indexOf(10)
  return [JSON.parse(data.toString('utf8', 0, end)), data.subarray(end + 1)]
}
