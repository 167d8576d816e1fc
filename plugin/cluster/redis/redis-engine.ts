import { randomBytes } from 'node:crypto'
import { defaults } from '../../../schemas/defaults.ts'
import { EngineError, EngineFullError } from '../../../schemas/errors.ts'
import type { Engine, EngineApplication, EngineEvents, EngineRecord, LogEntry, Offset, PutOptions } from '../engine.ts'
import { AppendQueue } from './append-queue.ts'
import { DueIndex } from './due-index.ts'
import { RedisKeys } from './keys.ts'
import { LineKeeper, Pauses } from './line-keeper.ts'
import { LogSizes } from './log-sizes.ts'
import { isMisfit, RedisLine } from './redis-line.ts'
import type { RedisServer } from './redis-server.ts'
import { bytesOf, entriesOf, mastersOf, streamsOf, textOf } from './replies.ts'
import { appendScript, boundInboxScript, dropNodeScript, journalScript, putScript } from './script.ts'
import { before, earlier, firstId, idOf, later, offsetOf } from './stream-id.ts'

/** Limits of one node's engine. */
export interface RedisEngineLimits {
  /** Milliseconds within which each call settles. */
  readonly deadlineMs: number
  /** Entries that the log keeps, whatever their age. */
  readonly logEntries: number
  /** Bytes of these entries, as far as this node has read them. */
  readonly logBytes: number
  /** Calls that wait for an answer, and their bytes. */
  readonly maxCalls: number
  readonly maxCallBytes: number
}

const { redisBlockMs, redisRereadMs, redisInboxMessages, redisInboxBytes, redisInboxMs, redisReadEntries, redisReadBytes, redisJournalEntries } = defaults.fixed

/** What a first read asks for: the size of the entries is not known yet. */
const fewEntries = 64

const silent: EngineEvents = { entry () {}, message () {}, up () {}, down () {}, forgot () {} }

/** The engine of one node over Redis, with connections of its own. */
export class RedisEngine implements Engine {
  /** Whether acknowledged writes survive a crash is the server's setting; known once the engine is up. */
  readonly can = { durable: false, due: true, journal: true }
  readonly #server: RedisServer
  readonly #limits: RedisEngineLimits
  readonly #logMs: number
  readonly #keys: RedisKeys
  readonly #due: DueIndex
  readonly #appends: AppendQueue
  readonly #pauses = new Pauses()
  /** Makes revisions that no other process makes, and no failover brings back. */
  readonly #author = randomBytes(6).toString('base64url')
  #writes = 0
  #messages = 0
  #node = ''
  #on = silent
  #loop: Promise<void> | null = null
  #closing: Promise<void> | null = null
  /** The line of everything but the blocking read; null while the engine is down. */
  #line: RedisLine | null = null
  /** The same from the first attempt to connect. */
  #life: RedisLine | null = null
  /** In a cluster records are on all servers: one that is silent must not end the log. */
  #records: LineKeeper | null = null
  #reason: Error = new EngineError('was not opened')
  #waiting = 0
  #waitingBytes = 0
  /** A random value that only a server with this application's memory has. */
  #marker: string | null = null
  #check: { promise: Promise<void>, next: Promise<void> | null } | null = null
  /** Up to where log and inbox were read; null before the first time. */
  #logAt: string | null = null
  #inboxAt = firstId
  /** The number of the last message of each sender. */
  readonly #heard = new Map<string, number>()
  /** Bytes to each node since its messages were last measured. */
  readonly #sentBytes = new Map<string, number>()
  /** Entries that one read asks for: more while they are small, fewer while they are large. */
  #readEntries = fewEntries
  readonly #logSizes = new LogSizes()
  #lastUpkeep = 0
  #trimmedTo = ''
  /** The masters of the cluster, as last heard; null before the first time. */
  #masters: string | null = null
  /** The policy that the application was warned of. */
  #warned: string | null = null

  constructor (server: RedisServer, application: EngineApplication, limits: RedisEngineLimits) {
    this.#server = server
    this.#limits = limits
    this.#logMs = application.logMs
    this.#keys = new RedisKeys(server.prefix, application.name)
    this.#due = new DueIndex(this.#keys)
    this.#appends = new AppendQueue((entries, waitedMs) => this.#append(entries, waitedMs))
  }

  async open (node: string, on: EngineEvents): Promise<void> {
    this.#node = node
    this.#on = on
    this.#reason = new EngineError('is not connected yet')
    if (this.#server.isCluster) this.#records = new LineKeeper(() => this.#makeLine())
    await new Promise<void>((resolve, reject) => { this.#loop = this.#run({ resolve, reject }) })
  }

  append (entry: Buffer): Promise<void> {
    return this.#bounded(entry.length, () => this.#appends.push(entry))
  }

  range (after: Offset | null, limit: number): Promise<LogEntry[]> {
    return this.#bounded(0, async () => {
      const { log } = this.#keys
      const reply = await this.#open.call(log, ['XRANGE', log, after === null ? '-' : `(${idOf(after)}`, '+', 'COUNT', String(limit)])
      return entriesOf(reply).flatMap(({ id, fields }) => fields.has('e') ? [{ at: offsetOf(id), bytes: fields.get('e')! }] : [])
    })
  }

  send (node: string, message: Buffer): Promise<void> {
    return this.#bounded(message.length, async () => {
      const inbox = this.#keys.inbox(node)
      const line = this.#open
      const number = String(++this.#messages)
      await Promise.all([
        line.call(inbox, ['XADD', inbox, 'MAXLEN', '~', String(redisInboxMessages), '*', 'f', this.#node, 'n', number, 'm', message]),
        line.call(inbox, ['PEXPIRE', inbox, String(redisInboxMs)])
      ])
      this.#boundInbox(line, node, message.length)
    })
  }

  /** Drops the oldest messages to a node that does not read them. Measured once in a while: the count bounds small ones. */
  #boundInbox (line: RedisLine, node: string, bytes: number): void {
    const sent = (this.#sentBytes.get(node) ?? 0) + bytes
    this.#sentBytes.delete(node)
    if (sent < redisInboxBytes / 16) {
      this.#sentBytes.set(node, sent)
      if (this.#sentBytes.size > redisInboxMessages) this.#sentBytes.delete(this.#sentBytes.keys().next().value!)
    } else boundInboxScript.run(line, [this.#keys.inbox(node)], [String(redisInboxBytes)]).catch(() => {})
  }

  get (key: string): Promise<EngineRecord | null> {
    return this.#bounded(0, async () => {
      const record = this.#keys.record(key)
      const [revision, value] = await this.#recordsLine.join(record, ['HMGET', record, 'r', 'v']) as [unknown, unknown]
      if (revision !== null && value !== null) return { revision: textOf(revision), value: bytesOf(value) }
      await this.#verify()
      return null
    })
  }

  put (key: string, value: Buffer, ifRevision: string | null, { ttlMs, dueAt }: PutOptions): Promise<string | null> {
    return this.#bounded(value.length, async () => {
      const records = this.#recordsLine
      const revision = `${this.#author}${(++this.#writes).toString(36)}`
      // Its answer counts: a full server may refuse the one write and take the other.
      if (dueAt !== undefined && !this.#due.covers(key, dueAt, ttlMs / 4)) await this.#due.add(this.#open, key, dueAt)
      let isWritten: unknown
      try {
        isWritten = await putScript.join(records, [this.#keys.record(key), this.#keys.journal(key)], [ifRevision ?? '', revision, value, wholeMs(ttlMs), dueAt === undefined ? '' : String(dueAt)])
      } finally {
        if (Number(isWritten) === 1 && dueAt !== undefined) this.#due.written(key, dueAt)
        else this.#due.forget(key)
      }
      if (Number(isWritten) === 1) return revision
      if (ifRevision !== null) await this.#verify()
      return null
    })
  }

  renew (leaseMs: number, card: Buffer): Promise<void> {
    return this.#bounded(card.length, async () => {
      const { nodes } = this.#keys
      const lease = this.#keys.lease(this.#node)
      const line = this.#open
      try {
        await Promise.all([line.call(nodes, ['SADD', nodes, this.#node]), line.call(lease, ['SET', lease, card, 'PX', wholeMs(leaseMs)])])
      } catch (error) {
        // A full server must not end the leases of all nodes. It prolongs one with its earlier card.
        if (!(error instanceof EngineFullError) || Number(await line.call(lease, ['PEXPIRE', lease, wholeMs(leaseMs)])) !== 1) throw error
      }
    })
  }

  nodes (): Promise<Map<string, Buffer>> {
    return this.#bounded(0, async () => {
      const line = this.#open
      const { nodes } = this.#keys
      const names = (await line.call(nodes, ['SMEMBERS', nodes]) as unknown[]).map(textOf)
      const cards = new Map<string, Buffer>()
      await Promise.all(names.map(async (name) => {
        const lease = this.#keys.lease(name)
        const card = await line.call(lease, ['GET', lease])
        if (card !== null) cards.set(name, bytesOf(card))
        else await dropNodeScript.run(line, [nodes, lease], [name])
      }))
      return cards
    })
  }

  due (now: number, limit: number): Promise<string[]> {
    return this.#bounded(0, () => this.#due.list(this.#open, this.#recordsLine, now, limit))
  }

  journal (key: string, revision: string, entry: Buffer): Promise<boolean> {
    return this.#bounded(entry.length, async () => {
      const reply = Number(await journalScript.join(this.#recordsLine, [this.#keys.record(key), this.#keys.journal(key)], [revision, entry, String(redisJournalEntries)]))
      if (reply === -1) throw new EngineFullError(`a journal has ${redisJournalEntries} entries`)
      if (reply === 0) await this.#verify()
      return reply === 1
    })
  }

  journalOf (key: string): Promise<Buffer[]> {
    return this.#bounded(0, async () => {
      const journal = this.#keys.journal(key)
      return (await this.#recordsLine.call(journal, ['LRANGE', journal, '0', '-1']) as unknown[]).map(bytesOf)
    })
  }

  close (): Promise<void> {
    return this.#closing ??= this.#leave()
  }

  async #leave (): Promise<void> {
    const line = this.#line
    const { nodes } = this.#keys
    const [lease, inbox] = [this.#keys.lease(this.#node), this.#keys.inbox(this.#node)]
    this.#line = null
    this.#reason = new EngineError('was left')
    this.#pauses.end()
    if (line !== null) await Promise.all([line.call(lease, ['DEL', lease, inbox]), line.call(nodes, ['SREM', nodes, this.#node])]).catch(() => {})
    this.#records?.close(this.#reason)
    this.#life?.end(this.#reason)
    await this.#loop
  }

  get #open (): RedisLine {
    if (this.#line === null) throw this.#reason
    return this.#line
  }

  get #recordsLine (): RedisLine {
    const line = this.#open
    return this.#records === null ? line : this.#records.line
  }

  #makeLine (): RedisLine {
    return new RedisLine(this.#server, this.#limits.deadlineMs)
  }

  /** Makes a call, unless too much waits already. */
  async #bounded<Value> (bytes: number, call: () => Promise<Value>): Promise<Value> {
    const { maxCalls, maxCallBytes } = this.#limits
    if (this.#line === null) throw this.#reason
    if (this.#waiting >= maxCalls) throw new EngineError(`does not keep up: ${maxCalls} calls wait`)
    if (this.#waitingBytes + bytes > maxCallBytes) throw new EngineError(`does not keep up: calls wait with ${this.#waitingBytes} bytes, and another has ${bytes} of at most ${maxCallBytes}`)
    this.#waiting++
    this.#waitingBytes += bytes
    try {
      return await call()
    } finally {
      this.#waiting--
      this.#waitingBytes -= bytes
    }
  }

  async #append (entries: readonly Buffer[], waitedMs: number): Promise<void> {
    const line = this.#open
    const { log } = this.#keys
    const cap = String(this.#limits.logEntries)
    const leftMs = Math.max(1, line.deadlineMs - waitedMs)
    if (entries.length === 1) await line.call(log, ['XADD', log, 'MAXLEN', '~', cap, '*', 'e', entries[0]!], leftMs)
    else await appendScript.run(line, [log], [cap, ...entries], leftMs)
  }

  async #run (first: { resolve: () => void, reject: (reason: unknown) => void }): Promise<void> {
    while (this.#closing === null) {
      try {
        await this.#live(first.resolve)
      } catch (error) {
        if (this.#closing !== null) break
        this.#reason = error as Error
        if (this.#line !== null) {
          this.#line = null
          this.#on.down()
        } else if (this.#marker === null && isMisfit(error)) {
          this.#closing = Promise.resolve()
          this.#records?.close(this.#reason)
          first.reject(error)
          return
        }
      }
      // The engine goes on trying.
      first.resolve()
      await this.#pauses.pause()
    }
    first.resolve()
  }

  /** Connects, catches up, reports, until a connection ends. */
  async #live (onUp: () => void): Promise<void> {
    const writer = this.#life = this.#makeLine()
    const reader = this.#makeLine()
    this.#due.clear()
    writer.onEnd((reason) => { reader.end(reason) })
    reader.onEnd((reason) => { writer.end(reason) })
    try {
      await Promise.all([writer.open(), reader.open()])
      await this.#recognise(writer)
      // Who is up expects to read records; a cluster without one of its servers may still have the log.
      await this.#records?.opened(this.#limits.deadlineMs)
      const cursor = await this.#start(writer)
      while (await this.#read(reader, cursor, 0)) { /* There is more. */ }
      if (this.#closing !== null) return
      this.#logAt = cursor.log
      this.#line = writer
      this.#pauses.reset()
      this.#on.up()
      onUp()
      while (this.#closing === null) {
        await this.#read(reader, cursor, redisBlockMs)
        this.#logAt = cursor.log
        this.#inboxAt = cursor.inbox
        this.#tend(writer)
      }
      // The farewell may still be on its way.
      await new Promise((resolve) => { writer.onEnd(resolve) })
    } catch (error) {
      writer.end(error as Error)
      throw error
    } finally {
      writer.end(this.#reason)
    }
  }

  /** Finds out whether the server can write, and whether it remembers. */
  async #recognise (line: RedisLine): Promise<void> {
    const { marker } = this.#keys
    // A write that a full server allows, and a replica does not.
    await line.call(marker, ['PERSIST', marker])
    let found = await line.call(marker, ['GET', marker])
    if (found === null) {
      await line.call(marker, ['SET', marker, randomBytes(12).toString('base64url'), 'NX'])
      found = await line.call(marker, ['GET', marker])
    }
    if (found === null) throw new EngineError('keeps nothing')
    const value = textOf(found)
    await this.#learnSettings(line)
    // A user without the right to ask learns of no failover but that of the log.
    if (this.#server.isCluster) this.#masters = await this.#readMasters(line).catch(() => null)
    const hasForgotten = this.#marker !== null && this.#marker !== value
    this.#marker = value
    if (!hasForgotten || this.#closing !== null) return
    this.#logAt = firstId
    this.#inboxAt = firstId
    this.#logSizes.clear()
    this.#on.forgot()
  }

  /** Reads settings of the server. One that does not tell is taken for one without a file. */
  async #learnSettings (line: RedisLine): Promise<void> {
    let told: string
    try {
      told = textOf(await line.call(this.#keys.log, ['INFO']))
    } catch {
      this.can.durable = false
      return
    }
    this.can.durable = /\baof_enabled:1/.test(told)
    const policy = /\bmaxmemory_policy:(\S+)/.exec(told)?.[1]
    const isEvicting = policy !== undefined && policy !== 'noeviction' && !/\bmaxmemory:0\b/.test(told)
    const warned = isEvicting ? policy : null
    if (isEvicting && this.#warned !== warned) this.#on.warn?.(`Redis may evict sessions and broadcasts of the cluster: its maxmemory-policy is ${policy}; set it to noeviction`)
    this.#warned = warned
  }

  /**
   * From where a new connection reads: a while back. After a failover the log may have lost its end, and
   * new entries may have got ids that were read before, or earlier ones.
   */
  async #start (line: RedisLine): Promise<{ log: string, inbox: string }> {
    const [log, inbox] = await Promise.all([this.#keys.log, this.#keys.inbox(this.#node)].map(async (stream) => {
      return entriesOf(await line.call(stream, ['XREVRANGE', stream, '+', '-', 'COUNT', '1']))[0]?.id ?? firstId
    })) as [string, string]
    return {
      log: this.#logAt === null ? log : before(earlier(this.#logAt, log), redisRereadMs),
      inbox: before(earlier(this.#inboxAt, inbox), redisRereadMs)
    }
  }

  /** Reads once, and reports. Returns whether there may be more. */
  async #read (line: RedisLine, cursor: { log: string, inbox: string }, blockMs: number): Promise<boolean> {
    const { log } = this.#keys
    const inbox = this.#keys.inbox(this.#node)
    const count = this.#readEntries
    const block = blockMs === 0 ? [] : ['BLOCK', String(blockMs)]
    const streams = streamsOf(await line.call(log, ['XREAD', 'COUNT', String(count), ...block, 'STREAMS', log, inbox, cursor.log, cursor.inbox], this.#limits.deadlineMs + blockMs))
    const entries = streams.get(log) ?? []
    const messages = streams.get(inbox) ?? []
    let size = 0
    for (const { id, fields } of entries) {
      cursor.log = id
      const bytes = fields.get('e')
      size += bytes?.length ?? 0
      if (bytes !== undefined && this.#closing === null) this.#on.entry(offsetOf(id), bytes)
    }
    this.#logSizes.add(cursor.log, size)
    for (const { id, fields } of messages) {
      cursor.inbox = id
      size += fields.get('m')?.length ?? 0
      this.#hear(fields)
    }
    const isFull = Math.max(entries.length, messages.length) === count
    if (size > redisReadBytes) this.#readEntries = Math.max(1, count >> 1)
    else if (size < redisReadBytes / 4 && isFull) this.#readEntries = Math.min(redisReadEntries, count * 2)
    return isFull
  }

  /** Reports a message, once: it is read again after each new connection. */
  #hear (fields: ReadonlyMap<string, Buffer>): void {
    const [from, number, bytes] = [fields.get('f')?.toString(), Number(fields.get('n')), fields.get('m')]
    if (from === undefined || bytes === undefined || !(number > (this.#heard.get(from) ?? 0)) || this.#closing !== null) return
    // The senders that were silent for longest are the first.
    this.#heard.delete(from)
    this.#heard.set(from, number)
    if (this.#heard.size > redisInboxMessages) this.#heard.delete(this.#heard.keys().next().value!)
    this.#on.message(from, bytes)
  }

  /** Once in a while: looks whether the server still remembers, and drops what is old. */
  #tend (line: RedisLine): void {
    const now = performance.now()
    if (now - this.#lastUpkeep < redisBlockMs || this.#closing !== null) return
    this.#lastUpkeep = now
    // A line that failed has ended; a full server goes on.
    const ignore = () => {}
    this.#verify().catch(ignore)
    if (this.#server.isCluster) this.#watchMasters(line).catch(ignore)
    const { log } = this.#keys
    const inbox = this.#keys.inbox(this.#node)
    // The clock of the server made the ids; that of this node may be wrong.
    const oldest = later(before(this.#logAt!, this.#logMs), this.#logSizes.trim(this.#limits.logBytes))
    if (oldest !== this.#trimmedTo) {
      this.#trimmedTo = oldest
      line.call(log, ['XTRIM', log, 'MINID', oldest]).catch(ignore)
    }
    if (this.#inboxAt === firstId) return
    line.call(inbox, ['XTRIM', inbox, 'MINID', '~', before(this.#inboxAt, redisRereadMs)]).catch(ignore)
    // A stream that was made anew while the server's clock had gone back would begin before what was read.
    line.call(inbox, ['PEXPIRE', inbox, String(redisInboxMs)]).catch(ignore)
  }

  /**
   * Notices a failover in a cluster. The log's master may be none of those concerned; a replica that took over for another may lack the last
   * writes of records, which their nodes read again when the engine is up again.
   */
  async #watchMasters (line: RedisLine): Promise<void> {
    const masters = await this.#readMasters(line)
    const before = this.#masters
    if (masters === null) return
    this.#masters = masters
    if (before === null || before === masters || this.#line !== line) return
    this.#on.down()
    this.#on.up()
  }

  /** The masters of the cluster; null for an answer that names none. */
  async #readMasters (line: RedisLine): Promise<string | null> {
    return mastersOf(await line.call(this.#keys.log, ['CLUSTER', 'SLOTS'])) || null
  }

  /**
   * Makes sure that the server still remembers: without its memory, an answer that there is nothing means nothing.
   * Calls of one time share a look that begins after all of them.
   */
  #verify (): Promise<void> {
    if (this.#check === null) {
      const check: { promise: Promise<void>, next: Promise<void> | null } = { promise: this.#look().finally(() => { if (this.#check === check) this.#check = null }), next: null }
      this.#check = check
      return check.promise
    }
    return this.#check.next ??= this.#check.promise.catch(() => {}).then(() => this.#verify())
  }

  async #look (): Promise<void> {
    const line = this.#open
    const found = await line.call(this.#keys.marker, ['GET', this.#keys.marker])
    if (found !== null && textOf(found) === this.#marker) return
    const reason = new EngineError('lost its memory')
    line.end(reason)
    throw reason
  }
}

function wholeMs (ms: number): string {
  return String(Math.max(1, Math.ceil(ms)))
}
