import { AsyncResource } from 'node:async_hooks'
import { ArgumentError, type Fault } from '../../schemas/errors.ts'
import { faultSummary } from '../../schemas/fault-summary.ts'
import { refusedCode, revokedCode, subscribeEvent, unsubscribeEvent } from '../../schemas/topic-events.ts'
import type { TopicOutcome } from '../../schemas/topic-outcome.ts'
import { Command } from '../commands/command-channel.ts'
import { isSyncCallback } from '../commands/sync-callback.ts'
import type { Subscription, SubscriptionReader } from '../contract/subscription-reader.ts'
import { RetainedValues } from '../delivery/retained-values.ts'
import type { Offset } from '../cluster/engine.ts'
import { topicOf, type Frame } from '../protocol/frame.ts'
import type { LiveTopic } from '../sessions/api.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import type { EventHandler } from '../sessions/session-inbox.ts'
import type { TetherSession } from '../sessions/session.ts'
import type { EpochFilter, SubscriptionSnapshot, TopicFigures, TopicLog, TopicsPart } from '../sessions/topics-part.ts'
import { HeldValues, packHeld } from './held-values.ts'
import { outcomeFrame, valuesFrame } from './outcome-frame.ts'
import { ProducerSeat } from './producer-seat.ts'
import { SubscriptionBatch, Unsubscription, type Refusal, type SubscriptionDesk } from './subscription-batch.ts'
import { TopicRecord, type TopicKind } from './topic-record.ts'
import { EpochReader, type PlacedValue, type TopicDesk, type TopicNetwork } from './topic-network.ts'
import { TopicView } from './topic-view.ts'

/** Configuration of topics, by their names. */
export type TopicKinds = ReadonlyMap<string, TopicKind>

/** The places in the log of values that came from there. */
const places = new WeakMap<Frame, Offset>()

/** The topics of one `stateful` URL. */
export class Topics implements TopicsPart<TetherSession>, SubscriptionDesk, TopicDesk {
  readonly handlers: ReadonlyMap<string, EventHandler>
  readonly #endpoint: Endpoint
  /** Null where no other node is. */
  readonly #network: TopicNetwork | null
  readonly #kinds: TopicKinds
  readonly #reader: SubscriptionReader
  readonly #values: RetainedValues
  /** By name. */
  readonly #records = new Map<string, TopicRecord>()
  /** Those without subscribers and producer, the least recently published first. */
  readonly #idle = new Set<TopicRecord>()
  readonly #batches = new WeakMap<TetherSession, SubscriptionBatch>()
  /** Topics whose values are on their way to a session whose client has lost updates. */
  readonly #refreshing = new WeakMap<TetherSession, Set<TopicRecord>>()
  /** Producers run in it: they outlive the request of their first subscriber. */
  readonly #context = new AsyncResource('fastify-tether.topics')
  #subscriptions = 0
  #isStopped = false

  constructor (endpoint: Endpoint, kinds: TopicKinds, network: TopicNetwork | null = null) {
    this.#endpoint = endpoint
    this.#network = network
    network?.register(endpoint.url, this)
    this.#kinds = kinds
    this.#reader = endpoint.contract.subscriptions!
    this.#values = new RetainedValues(endpoint.runtime.budget, endpoint.limits.maxRetainedBytes)
    const isSync = [...kinds.values()].every(({ config: { authorize } }) => authorize === undefined || isSyncCallback(authorize))
    this.handlers = new Map<string, EventHandler>([
      [subscribeEvent, {
        handle: () => {},
        isSync,
        toCommand: (session: TetherSession, subscription: Subscription) => new SubscriptionBatch(this, session, subscription).toCommand()
      }],
      [unsubscribeEvent, {
        handle: () => {},
        isSync: true,
        toCommand: (session: TetherSession, { name }: Subscription) => new Unsubscription(this, session, name).toCommand()
      }]
    ])
  }

  get figures (): TopicFigures {
    return { topics: this.#records.size, subscriptions: this.#subscriptions, retainedValues: this.#values.size, retainedBytes: this.#values.weight }
  }

  // For the application

  topic (name: string, params: unknown, log: TopicLog | null): LiveTopic {
    const { kind, name: full } = this.#addressOf(name, params)
    return new TopicView(full, kind, this, log)
  }

  #addressOf (name: string, params: unknown): { readonly kind: TopicKind, readonly name: string } {
    const compiled = this.#endpoint.contract.topic(name)
    const faults: Fault[] = []
    const address = compiled.read(params, '', false, faults)
    if (address === null) throw new ArgumentError(`the parameters of topic "${name}" are refused: ${faultSummary(faults)}`)
    return { kind: this.#kinds.get(name)!, name: address.name }
  }

  all (log: TopicLog | null): Iterable<LiveTopic> {
    return Array.from(this.#records.values(), ({ name, kind }) => new TopicView(name, kind, this, log))
  }

  record (name: string): TopicRecord | undefined {
    return this.#records.get(name)
  }

  /** @returns the number of subscribers on this node */
  publish (kind: TopicKind, name: string, update: string, data: unknown, log: TopicLog | null): number {
    const frame = kind.compiled.encode(update, name, data)
    const record = this.#records.get(name)
    const size = record?.audience.size ?? 0
    if (log === null) {
      if (record !== undefined && frame.key === null && this.#endpoint.broadcastLog !== null) record.unretainedAt = Date.now()
      this.#deliver(kind, name, frame)
    } else log.publish(null, frame, null)
    return size
  }

  /** Takes a subscription back. */
  revoke (session: TetherSession, name: string): boolean {
    if ((session as TetherSession | null | undefined)?.scope !== this.#endpoint) throw new ArgumentError('a topic takes sessions of its own handler only')
    const record = this.#records.get(name)
    const given = record === undefined ? undefined : session.subscriptions?.get(record)
    if (given === undefined) return this.#batches.get(session)?.revoke(name) === true
    this.#leave(session, record!)
    session.feed.send(outcomeFrame({ topic: record!.kind.compiled.name, params: given, name, ok: false, code: revokedCode, message: 'the subscription was taken back' }))
    return true
  }

  // Updates

  deliver (frame: Frame, at: Offset, epoch: number | undefined): void {
    const name = topicOf(frame)!
    // During a deploy, another node may know topics that this node does not.
    const kind = this.#kinds.get(name.split('?', 1)[0]!)
    if (kind === undefined) return
    const record = this.#records.get(name)
    if (record !== undefined && epoch !== undefined && !this.#admits(record, epoch)) return
    if (frame.key !== null) places.set(frame, at)
    this.#deliver(kind, name, frame)
  }

  /** Whether an update is one of the latest producer. The values of the one before go: nobody keeps them up to date. */
  #admits (record: TopicRecord, epoch: number): boolean {
    if (epoch < record.epoch) return false
    if (epoch > record.epoch) {
      record.epoch = epoch
      this.#values.clear(record.shelf)
    }
    return true
  }

  #deliver (kind: TopicKind, name: string, frame: Frame): void {
    let record = this.#records.get(name)
    if (record === undefined && frame.key !== null && kind.config.start === undefined && this.#endpoint.limits.maxRetainedBytes > 0) record = this.#create(kind, name)
    if (record === undefined) return
    record.published++
    if (this.#idle.delete(record)) this.#idle.add(record)
    if (record.retains) this.#values.put(record.shelf, frame, kind.limits.maxRetained)
    if (record.audience.size > 0) this.#endpoint.runtime.broadcasts.push(record.audience, null, frame)
    else this.#forgetIfUnused(record)
  }

  /** Makes a record; undefined if there is no room for another. */
  #create (kind: TopicKind, name: string): TopicRecord | undefined {
    if (this.#records.size >= this.#endpoint.limits.maxTopics) {
      const [oldest] = this.#idle
      if (oldest === undefined) return undefined
      this.#values.clear(oldest.shelf)
      this.#forgetIfUnused(oldest)
    }
    const record = new TopicRecord(name, kind, { now: () => this.#endpoint.runtime.time.now(), onLingered: () => { this.#lingered(record) }, onEmptied: () => this.#forgetIfUnused(record) })
    this.#records.set(name, record)
    this.#idle.add(record)
    if (this.#network !== null && isOfCluster(kind)) record.seat = this.#seatOf(record, this.#network)
    return record
  }

  #forgetIfUnused (record: TopicRecord): void {
    if (!record.isIdle || record.shelf.frames.size > 0) return
    this.#idle.delete(record)
    if (this.#records.get(record.name) === record) this.#records.delete(record.name)
  }

  // Subscribers

  isSubscribed (session: TetherSession, name: string): boolean {
    const record = this.#records.get(name)
    return record !== undefined && session.subscriptions?.has(record) === true
  }

  configOf ({ topic }: Subscription): TopicKind['config'] {
    return this.#kinds.get(topic.name)!.config
  }

  begin (session: TetherSession, batch: SubscriptionBatch): void {
    this.#batches.set(session, batch)
  }

  end (session: TetherSession, batch: SubscriptionBatch): void {
    if (this.#batches.get(session) === batch) this.#batches.delete(session)
  }

  conclude (session: TetherSession, subscription: Subscription, refusal: Refusal | null): Promise<boolean> {
    if (!session.isOpen) return Promise.resolve(false)
    const { topic, given, name } = subscription
    const outcome: TopicOutcome = { topic: topic.name, params: given, name, ok: refusal === null, ...refusal }
    const record = refusal === null ? this.#enter(session, subscription) : null
    if (typeof record === 'string') Object.assign(outcome, { ok: false, code: refusedCode, message: record })
    session.catchUp()
    return session.feed.send(outcomeFrame(outcome))
  }

  /** Subscribes a session, and sends it the retained values. Gives the reason if there is no room. */
  #enter (session: TetherSession, { topic, name, params, given }: Subscription): TopicRecord | string {
    const { maxSubscriptions, maxTopics } = this.#endpoint.limits
    let record = this.#records.get(name)
    const isNew = record === undefined || session.subscriptions?.has(record) !== true
    if (isNew && (session.subscriptions?.size ?? 0) >= maxSubscriptions) return `a session may have ${maxSubscriptions} subscriptions`
    record ??= this.#create(this.#kinds.get(topic.name)!, name)
    if (record === undefined) return `there are ${maxTopics} topics already`
    if (isNew) this.#add(session, record, given)
    record.params ??= params
    session.catchUp()
    this.#sendValues(session, record, isNew ? [] : [valuesFrame(name)])
    // What `start` publishes at once comes before the outcome.
    if (isNew) this.#startIfFirst(record)
    return record
  }

  #startIfFirst (record: TopicRecord): void {
    this.#settle(record)
    if (record.seat === null && record.audience.size === 1 && record.producer === null && record.kind.config.start !== undefined) this.#start(record)
  }

  #add (session: TetherSession, record: TopicRecord, given: Readonly<Record<string, unknown>>): void {
    // Earlier updates are not for the new subscriber, but for those that are retained.
    session.unsettle()
    record.audience.add(session)
    ;(session.subscriptions ??= new Map()).set(record, given)
    this.#subscriptions++
    this.#idle.delete(record)
    record.lingersUntil = Infinity
    this.#endpoint.runtime.deadlines.remove(record)
  }

  #sendValues (session: TetherSession, { shelf }: TopicRecord, before: readonly Frame[] = []): Promise<boolean> | undefined {
    return shelf.frames.size === 0 ? undefined : session.feed.sendAll([...before, ...shelf.frames.values()])
  }

  unsubscribe (session: TetherSession, name: string): void {
    const record = this.#records.get(name)
    if (record !== undefined && session.subscriptions?.has(record) === true) this.#leave(session, record)
  }

  #leave (session: TetherSession, record: TopicRecord): void {
    // Earlier updates are still for the leaving subscriber.
    session.unsettle()
    session.subscriptions!.delete(record)
    record.restored.delete(session)
    record.audience.delete(session)
    this.#subscriptions--
    if (record.audience.size === 0) this.#vacate(record)
  }

  forget (session: TetherSession): void {
    if (session.subscriptions === null) return
    for (const record of [...session.subscriptions.keys()] as TopicRecord[]) this.#leave(session, record)
    session.subscriptions = null
  }

  /** Its last subscriber has left. */
  #vacate (record: TopicRecord): void {
    if (record.isWanted) return
    if (record.seat !== null) return this.#vacateSeat(record, record.seat)
    const { config, limits: { lingerMs } } = record.kind
    const { deadlines, draining, time } = this.#endpoint.runtime
    if (record.producer !== null && lingerMs > 0 && !draining) {
      record.lingersUntil = time.now() + lingerMs
      deadlines.set(record, record.lingersUntil)
      return
    }
    if (config.start !== undefined) return this.#stop(record)
    this.#idle.add(record)
    this.#forgetIfUnused(record)
  }

  // Moving

  snapshot (session: TetherSession): SubscriptionSnapshot[] {
    return Array.from((session.subscriptions ?? []) as Iterable<[TopicRecord, Readonly<Record<string, unknown>>]>, ([record, given]) => ({ topic: record.kind.compiled.name, name: record.name, params: record.params!, given, held: packHeld(record.shelf.frames.values()), epoch: record.epoch }))
  }

  restore (session: TetherSession, subscriptions: readonly SubscriptionSnapshot[]): void {
    for (const { topic, name, params, given, epoch } of subscriptions) {
      // During a deploy, this node may not know the topic, or have no room for it.
      const kind = this.#kinds.get(topic)
      const record = this.#records.get(name) ?? (kind === undefined ? undefined : this.#create(kind, name))
      if (record === undefined || session.subscriptions?.has(record) === true) continue
      this.#add(session, record, given)
      record.params ??= params
      record.epoch = Math.max(record.epoch, epoch)
    }
  }

  epochsFor (subscriptions: readonly SubscriptionSnapshot[]): EpochFilter {
    return new EpochReader(this.#endpoint.url, new Map(subscriptions.map(({ name, epoch }) => [name, epoch])))
  }

  resume (session: TetherSession, subscriptions: readonly SubscriptionSnapshot[], replayed: ReadonlyMap<string, string> | null, takenAt: number): void {
    const joined = subscriptions.flatMap(({ name, held }) => {
      const record = this.#records.get(name)
      return record !== undefined && session.subscriptions?.has(record) === true ? [{ record, held }] : []
    })
    // Nobody knows which of these it got at its last node.
    const isLossy = joined.some(({ record }) => record.unretainedAt >= takenAt)
    if (isLossy) session.feed.lose()
    for (const { record, held } of joined) {
      if (replayed !== null && !isLossy) {
        const values = new HeldValues(held, replayed)
        this.#sendMissing(session, record.shelf.frames.values(), values)
        if (this.#needsValues(record)) record.restored.set(session, values)
      }
      this.#startIfFirst(record)
    }
  }

  #sendMissing (session: TetherSession, frames: Iterable<Frame>, held: HeldValues): void {
    const missing = [...frames].filter((frame) => !held.has(frame))
    if (missing.length > 0) session.feed.sendAll(missing)
  }

  // What clients do without events of their own

  refresh (session: TetherSession): void {
    for (const record of (session.subscriptions?.keys() ?? []) as Iterable<TopicRecord>) {
      let due = this.#refreshing.get(session)
      if (due === undefined) this.#refreshing.set(session, due = new Set())
      if (due.has(record)) continue
      due.add(record)
      // A command waits for room.
      session.inbox.queueOwn(new Command(subscribeEvent, () => {
        due.delete(record)
        if (session.subscriptions?.has(record) !== true) return
        session.catchUp()
        this.#sendValues(session, record)
      }), true)
    }
  }

  subscribeByUrl (session: TetherSession, query: unknown): void {
    const { maxSubscriptions } = this.#endpoint.limits
    const names = [(query as { topic?: unknown } | null | undefined)?.topic ?? []].flat()
    for (const name of names.slice(0, maxSubscriptions)) {
      const faults: Fault[] = []
      const subscription = this.#reader.readName(name, faults)
      if (subscription !== null) session.inbox.queueOwn(new SubscriptionBatch(this, session, subscription).toCommand(), false)
      else this.#refuseName(session, name, faultSummary(faults))
    }
    if (names.length > maxSubscriptions) this.#refuseName(session, names[maxSubscriptions], `a session may have ${maxSubscriptions} subscriptions`)
  }

  /** Refuses what is no topic in a URL. A status would make a browser give up the stream. */
  #refuseName (session: TetherSession, name: unknown, message: string): void {
    const outcome = { topic: String(name), params: {}, name: String(name), ok: false, code: refusedCode, message }
    session.inbox.queueOwn(new Command(subscribeEvent, () => { session.feed.send(outcomeFrame(outcome)) }), true)
  }

  // Values of other nodes

  /** Whether other nodes may have values that this one lacks. A producer of this node alone has its own. */
  #needsValues (record: TopicRecord): boolean {
    return this.#network !== null && !record.isSettled && (record.seat !== null || record.kind.config.start === undefined)
  }

  /** Begins to fetch the values of a topic, unless they are here. */
  #settle (record: TopicRecord): void {
    record.seat?.wake()
    if (!this.#needsValues(record) || record.seat !== null) return
    const { others } = this.#network!
    if (others?.length === 0) this.#settled(record)
    else if (!record.isFetching) this.#fetch(record, this.#network!)
  }

  /** Asks all other nodes, again while one of them does not answer. */
  async #fetch (record: TopicRecord, network: TopicNetwork): Promise<void> {
    record.isFetching = true
    while (record.isWanted && !record.isSettled && !network.isClosed) {
      const { others } = network
      const found = await Promise.all((others ?? []).map((node) => network.valuesAt(node, this.#endpoint.url, record.name).catch(() => null)))
      const values = found.flatMap((given) => given ?? []).sort((one, two) => one.at < two.at ? -1 : one.at > two.at ? 1 : 0)
      const last = values.at(-1)
      // What comes from the log later is newer than these values.
      const hasRead = last === undefined || await network.node.passes(last.at, network.valuesMs)
      if (hasRead) this.#merge(record, values)
      if (hasRead && others !== null && !found.includes(null)) this.#settled(record)
      else await network.pause(network.retryMs)
    }
    record.isFetching = false
  }

  /** Takes values of other nodes that are newer than its own. */
  #merge (record: TopicRecord, values: readonly PlacedValue[]): void {
    const { kind, shelf, audience, restored } = record
    const fresh: Frame[] = []
    for (const { frame, at } of values) {
      const own = shelf.frames.get(frame.key!)
      const ownAt = own === undefined ? '' : places.get(own)
      // A value without a place was published for this node alone.
      if (ownAt === undefined || ownAt >= at) continue
      places.set(frame, at)
      this.#values.put(shelf, frame, kind.limits.maxRetained)
      fresh.push(frame)
    }
    if (fresh.length === 0) return
    for (const session of audience.members) {
      const held = restored.get(session)
      session.catchUp()
      if (held === undefined) session.feed.sendAll(fresh)
      else this.#sendMissing(session, fresh, held)
    }
  }

  #settled (record: TopicRecord): void {
    record.isSettled = true
    record.restored.clear()
    for (const done of [...record.waiting]) done()
  }

  await (session: TetherSession, { topic, name, params }: Subscription): Promise<void> | undefined {
    const network = this.#network
    if (network === null || network.others === null || !session.isOpen) return undefined
    // It will be refused.
    if ((session.subscriptions?.size ?? 0) >= this.#endpoint.limits.maxSubscriptions) return undefined
    const record = this.#records.get(name) ?? this.#create(this.#kinds.get(topic.name)!, name)
    if (record === undefined || !this.#needsValues(record)) return undefined
    record.params ??= params
    this.#expect(record)
    this.#settle(record)
    if (record.isSettled) {
      this.forgo({ name })
      return undefined
    }
    return new Promise((resolve) => {
      const done = () => {
        record.waiting.delete(done)
        network.clock.clearTimeout(timer)
        resolve()
      }
      const timer = network.clock.setTimeout(done, network.valuesMs)
      record.waiting.add(done)
    })
  }

  /** Somebody is about to subscribe. */
  #expect (record: TopicRecord): void {
    record.interests++
    this.#idle.delete(record)
    record.lingersUntil = Infinity
    this.#endpoint.runtime.deadlines.remove(record)
  }

  forgo ({ name }: { readonly name: string }): void {
    const record = this.#records.get(name)
    if (record === undefined) return
    record.interests--
    if (!record.isWanted) this.#vacate(record)
  }

  lost (): void {
    if (this.#network === null) return
    for (const record of [...this.#records.values()]) {
      if (!record.isSettled) continue
      record.isSettled = false
      if (!record.isWanted) continue
      if (record.seat === null) this.#settle(record)
      else record.seat.reread()
    }
  }

  * valuesOf (name: string): Iterable<PlacedValue> {
    for (const frame of this.#records.get(name)?.shelf.frames.values() ?? []) {
      const at = places.get(frame)
      if (at !== undefined) yield { frame, at }
    }
  }

  // The producer of all nodes

  #seatOf (record: TopicRecord, network: TopicNetwork): ProducerSeat {
    const { runtime } = this.#endpoint
    return new ProducerSeat(network, this.#endpoint.url, record.name, {
      get isWanted () { return record.isWanted },
      get isDraining () { return runtime.draining },
      get epoch () { return record.epoch },
      produce: (epoch) => {
        this.#admits(record, epoch)
        this.#start(record, epoch)
      },
      end: () => {
        record.isSettled = false
        this.#stop(record)
      },
      merge: (values, epoch) => {
        this.#admits(record, epoch)
        this.#merge(record, values)
      },
      settled: () => { this.#settled(record) },
      followersChanged: () => { this.#linger(record) }
    })
  }

  /** This node has no more subscribers. */
  #vacateSeat (record: TopicRecord, seat: ProducerSeat): void {
    if (seat.isProducing) return this.#linger(record)
    seat.rest()
    record.isSettled = false
    this.#values.clear(record.shelf)
    if (record.isIdle) this.#idle.add(record)
    this.#forgetIfUnused(record)
  }

  /** The producer of all nodes goes on while one of them has subscribers, and for a time after that. */
  #linger (record: TopicRecord): void {
    const { deadlines, draining, time } = this.#endpoint.runtime
    const { lingerMs } = record.kind.limits
    if (record.isWanted || record.seat!.followers > 0) {
      record.lingersUntil = Infinity
      deadlines.remove(record)
    } else if (record.producer === null || lingerMs === 0 || draining) record.seat!.release()
    else if (record.lingersUntil === Infinity) {
      record.lingersUntil = time.now() + lingerMs
      deadlines.set(record, record.lingersUntil)
    }
  }

  join (from: string, name: string): number | 'none' | 'pending' {
    return this.#records.get(name)?.seat?.join(from) ?? 'none'
  }

  leave (from: string, name: string): void {
    this.#records.get(name)?.seat?.leave(from)
  }

  began (name: string, epoch: number): void {
    const record = this.#records.get(name)
    if (record === undefined || !this.#admits(record, epoch)) return
    record.seat?.began(epoch)
  }

  ended (name: string, epoch: number): void {
    this.#records.get(name)?.seat?.ended(epoch)
  }

  // Producers

  #start (record: TopicRecord, epoch?: number): void {
    const { config, compiled } = record.kind
    const controller = new AbortController()
    const { signal } = controller
    record.producer = controller
    this.#values.setProduced(record.shelf, true)
    const publish = epoch === undefined
      ? (update: string, data: unknown) => signal.aborted ? 0 : this.publish(record.kind, record.name, update, data, null)
      : (update: string, data: unknown) => signal.aborted || record.seat?.holds(epoch) !== true ? 0 : this.#publishToAll(record, update, data, epoch)
    const fail = (error: unknown) => {
      // A producer that is stopped may end by the error of its signal.
      if (signal.aborted && (error === signal.reason || (error as Error | null)?.name === 'AbortError')) return
      if (record.producer === controller) this.#stop(record)
      // Otherwise the next look at who needs it would not end the seat.
      if (record.seat?.isProducing === true) this.#linger(record)
      this.#endpoint.reportTopic(record.audience.members, error, `topics.${compiled.name}.start`)
    }
    try {
      const running: unknown = this.#context.runInAsyncScope(() => config.start!(record.params as never, { publish, signal }))
      Promise.resolve(running).catch(fail)
    } catch (error) {
      fail(error)
    }
  }

  #publishToAll (record: TopicRecord, update: string, data: unknown, epoch: number): number {
    this.#endpoint.broadcastLog!.publish({ url: this.#endpoint.url, group: null, except: null, frame: record.kind.compiled.encode(update, record.name, data), epoch })
    return record.audience.size
  }

  /** Ends the producer of a record. Its values would not be kept up to date any more. */
  #stop (record: TopicRecord): void {
    const { producer, shelf } = record
    record.producer = null
    record.lingersUntil = Infinity
    this.#endpoint.runtime.deadlines.remove(record)
    this.#values.clear(shelf)
    this.#values.setProduced(shelf, false)
    if (record.isIdle) this.#idle.add(record)
    this.#forgetIfUnused(record)
    // The last step: a listener may publish.
    producer?.abort()
  }

  #lingered (record: TopicRecord): void {
    if (record.seat === null) this.#stop(record)
    else if (!record.isWanted && record.seat.followers === 0) record.seat.release()
  }

  stop (): void {
    if (this.#isStopped) return
    this.#isStopped = true
    for (const record of [...this.#records.values()]) {
      if (record.seat?.isProducing === true) record.seat.release()
      else if (record.producer !== null) this.#stop(record)
    }
  }
}

/** Whether one node produces a topic for all. */
function isOfCluster ({ config }: TopicKind): boolean {
  return config.start !== undefined && config.run === 'cluster'
}
