import type { StoredRecord } from '../cluster/record-store.ts'
import { topicRef, type PlacedValue, type TopicNetwork } from './topic-network.ts'

/** The topic of a seat, on this node. */
export interface SeatOwner {
  /** Whether it has subscribers here, or somebody who is about to be one. */
  readonly isWanted: boolean
  readonly isDraining: boolean
  /** The latest epoch that it knows of. */
  readonly epoch: number
  /** Begins to produce. */
  produce: (epoch: number) => void
  /** Ends that. */
  end: () => void
  /** Values of the producer, up to a place in the log that this node has read. */
  merge: (values: readonly PlacedValue[], epoch: number) => void
  /** The values are here, as far as they go. */
  settled: () => void
  /** Other nodes have come, or gone. */
  followersChanged: () => void
}

/**
 * Which node produces a topic, as one node sees it. A record says so, which changes by compare-and-set alone, and holds while
 * the lease of its node runs.
 *
 * ```
 * idle ──a subscriber──▶ seeking ──the record is free, or its node is dead──▶ producing
 *                           ▲  └────another node produces────▶ following       │
 *                           └──it ends, or its node is gone───────┘◀──lease ends, drain, nobody is left
 * ```
 */
export class ProducerSeat {
  readonly #network: TopicNetwork
  readonly #owner: SeatOwner
  readonly #url: string
  readonly #name: string
  readonly #ref: string
  #state: 'idle' | 'seeking' | 'following' | 'producing' = 'idle'
  #isSeeking = false
  /** Whether this node writes its name into the record. */
  #isTaking = false
  /** The node that it follows. */
  #producer = ''
  #revision = ''
  #epoch = 0
  #term = 0
  #writtenAt = 0
  #isWriting = false
  #timer: unknown
  /** Other nodes with subscribers, and when they last said so. */
  readonly #followers = new Map<string, number>()

  constructor (network: TopicNetwork, url: string, name: string, owner: SeatOwner) {
    this.#network = network
    this.#owner = owner
    this.#url = url
    this.#name = name
    this.#ref = topicRef(url, name)
  }

  get isProducing (): boolean { return this.#state === 'producing' }
  get followers (): number { return this.#followers.size }

  /** Whether this node still is the producer, of this epoch. Ends the producer otherwise. */
  holds (epoch: number): boolean {
    this.#check()
    return this.#state === 'producing' && this.#epoch === epoch
  }

  /** There is a subscriber here. */
  wake (): void {
    if (this.#state === 'idle') this.#seek()
  }

  /** There is no more subscriber here. */
  rest (): void {
    if (this.#state !== 'following') return
    this.#state = 'idle'
    this.#network.clock.clearTimeout(this.#timer)
    this.#network.leaveProducer(this.#url, this.#name, this.#producer)
  }

  /** Reads the values again: a part of the log was lost. */
  reread (): void {
    if (this.#state === 'following') this.#seek()
    else if (this.#state === 'producing') this.#owner.settled()
  }

  // The search

  async #seek (): Promise<void> {
    this.#state = 'seeking'
    this.#network.clock.clearTimeout(this.#timer)
    if (this.#isSeeking) return
    this.#isSeeking = true
    while (this.#state === 'seeking' && this.#owner.isWanted && !this.#network.isClosed) {
      if (!await this.#attempt().catch(() => false)) await this.#network.pause(this.#network.retryMs)
    }
    this.#isSeeking = false
    if (this.#state === 'seeking') this.#state = 'idle'
  }

  /** Looks once who produces. Returns false if nobody can tell now. */
  async #attempt (): Promise<boolean> {
    const { node } = this.#network
    if (node.gate.until === 0 || !node.gate.isOpen) return false
    let stored: StoredRecord | null
    try {
      stored = await node.records.read(this.#ref)
    } catch {
      return false
    }
    if (stored === null && node.isRecovering) return false
    const record = stored?.record ?? null
    if (record?.status === 'live' && record.owner !== node.node) {
      const joined = await this.#join(record.owner)
      if (joined === 'joined') return true
      if (joined === 'pending') return false
      if (joined === 'failed') {
        const state = await node.stateOf(record.owner, true).catch(() => 'unknown')
        if (state !== 'dead') return false
      }
    }
    return await this.#take(stored)
  }

  async #join (producer: string): Promise<'joined' | 'none' | 'pending' | 'failed'> {
    const network = this.#network
    const joined = await network.join(this.#url, this.#name, producer, true)
    if (typeof joined === 'string') return joined
    const last = joined.values.reduce((latest, { at }) => at > latest ? at : latest, '')
    // What comes from the log later is newer than these values.
    if (last !== '' && !await network.node.passes(last, network.valuesMs)) return 'pending'
    if (this.#state !== 'seeking') return 'joined'
    if (!this.#owner.isWanted) {
      this.#state = 'idle'
      network.leaveProducer(this.#url, this.#name, producer)
      return 'joined'
    }
    this.#state = 'following'
    this.#producer = producer
    this.#epoch = joined.epoch
    this.#owner.merge(joined.values, joined.epoch)
    this.#owner.settled()
    this.#keep()
    return 'joined'
  }

  async #take (stored: StoredRecord | null): Promise<boolean> {
    const network = this.#network
    const { node: { node, records, gate }, clock } = network
    const owner = this.#owner
    if (owner.isDraining || !owner.isWanted) return false
    const { term } = gate
    // A record may get lost, and its epoch with it. Clocks go on.
    const epoch = Math.max((stored?.record.epoch ?? 0) + 1, owner.epoch + 1, Date.now())
    let revision: string | null
    this.#isTaking = true
    try {
      revision = await records.write(this.#ref, { status: 'live', url: this.#url, epoch, owner: node }, stored?.revision ?? null, network.recordMs, () => gate.isOpen && term === gate.term)
    } catch {
      return false
    } finally {
      this.#isTaking = false
    }
    if (revision === null) return false
    this.#revision = revision
    this.#epoch = epoch
    this.#term = term
    if (owner.isDraining || !owner.isWanted || !gate.isOpen || term !== gate.term || network.isClosed) {
      this.#free()
      return false
    }
    this.#state = 'producing'
    this.#writtenAt = clock.now()
    this.#followers.clear()
    network.mark(this.#url, 'began', this.#name, epoch)
    owner.produce(epoch)
    this.#watch()
    // What it published at once is among the values.
    const settle = () => { if (this.isProducing && this.#epoch === epoch) owner.settled() }
    network.node.synced().then(settle, settle)
    return true
  }

  /** A mark in the log says that another producer began. */
  began (epoch: number): void {
    if (epoch <= this.#epoch) return
    if (this.#state === 'producing') this.#lose()
    else if (this.#state === 'following') this.#seek()
  }

  ended (epoch: number): void {
    if (this.#state === 'following' && epoch === this.#epoch) this.#seek()
  }

  // While another node produces

  /** Says to the producer's node that there still are subscribers here. */
  #keep (): void {
    const { clock, leaseMs } = this.#network
    clock.clearTimeout(this.#timer)
    this.#timer = clock.setTimeout(() => { this.#stay() }, leaseMs / 4)
  }

  async #stay (): Promise<void> {
    const joined = await this.#network.join(this.#url, this.#name, this.#producer, false)
    if (this.#state !== 'following') return
    if (typeof joined === 'object' && joined.epoch === this.#epoch) this.#keep()
    else this.#seek()
  }

  // While this node produces

  /** Another node has subscribers. Gives the epoch of the producer here. */
  join (from: string): number | 'none' | 'pending' {
    this.#check()
    if (this.#state !== 'producing') return this.#isTaking ? 'pending' : 'none'
    const isNew = !this.#followers.has(from)
    this.#followers.set(from, this.#network.clock.now())
    if (isNew) this.#owner.followersChanged()
    return this.#epoch
  }

  leave (from: string): void {
    if (this.#followers.delete(from) && this.#state === 'producing') this.#owner.followersChanged()
  }

  #watch (): void {
    const { clock, leaseMs, node: { gate } } = this.#network
    clock.clearTimeout(this.#timer)
    // The next one may begin when the lease ends.
    this.#timer = clock.setTimeout(() => { this.#look() }, Math.max(1, Math.min(leaseMs / 10, gate.until - clock.now())))
  }

  #look (): void {
    this.#check()
    if (this.#state !== 'producing') return
    if (this.#owner.isDraining) return this.release()
    const { clock, leaseMs, recordMs, others, node } = this.#network
    const now = clock.now()
    let hasLeft = false
    for (const [name, seenAt] of this.#followers) {
      // A node that has just started may not be known here.
      if (now - seenAt <= (others?.includes(name) === true ? leaseMs : leaseMs / 2)) continue
      this.#followers.delete(name)
      hasLeft = true
    }
    if (hasLeft) this.#owner.followersChanged()
    if (this.#state !== 'producing') return
    if (node.isRecovering || now - this.#writtenAt > recordMs / 2) this.#renew()
    this.#watch()
  }

  /** Writes its record again, which may be lost or expire. */
  async #renew (): Promise<void> {
    const { node: { node, records, gate }, clock, recordMs } = this.#network
    if (this.#isWriting) return
    this.#isWriting = true
    const epoch = this.#epoch
    try {
      const stored = await records.read(this.#ref)
      const isOwn = stored === null || (stored.record.status === 'live' && stored.record.owner === node && stored.record.epoch === epoch)
      const revision = isOwn ? await records.write(this.#ref, { status: 'live', url: this.#url, epoch, owner: node }, stored?.revision ?? null, recordMs, () => gate.isOpen) : null
      if (!this.isProducing || this.#epoch !== epoch) return
      if (revision === null) return this.#lose()
      this.#revision = revision
      this.#writtenAt = clock.now()
    } catch {
      // The next look tries again, while the lease runs.
    } finally {
      this.#isWriting = false
    }
  }

  /** The lease that it began with must run. */
  #check (): void {
    const { gate } = this.#network.node
    if (this.#state === 'producing' && (!gate.isOpen || gate.term !== this.#term)) this.#lose()
  }

  /** Another node may produce now. */
  #lose (): void {
    this.#network.clock.clearTimeout(this.#timer)
    this.#state = 'idle'
    this.#followers.clear()
    this.#owner.end()
    if (this.#owner.isWanted) this.#seek()
  }

  /** Ends the producer: nobody needs it, or its node stops. */
  release (): void {
    if (this.#state !== 'producing') return
    this.#network.clock.clearTimeout(this.#timer)
    this.#state = 'idle'
    this.#followers.clear()
    this.#owner.end()
    this.#free()
    if (this.#owner.isWanted && !this.#owner.isDraining) this.#seek()
  }

  #free (): void {
    const { node: { records, gate } } = this.#network
    const epoch = this.#epoch
    const written = records.write(this.#ref, { status: 'ended', url: this.#url, epoch, isForGood: false }, this.#revision, this.#network.recordMs, () => gate.isOpen)
    this.#network.release(written.finally(() => { this.#network.mark(this.#url, 'ended', this.#name, epoch) }))
  }
}
