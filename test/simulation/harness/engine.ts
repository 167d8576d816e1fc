import type { Engine, EngineApplication, EngineEvents, EngineRecord, EngineSource, LogEntry, Offset, PutOptions } from '../../../plugin/cluster/engine.ts'
import type { Clock } from '../../../plugin/cluster/hub/clock.ts'
import { HubStore, type Change, type StoreLimits } from '../../../plugin/cluster/hub/hub-store.ts'
import { Hub } from '../../../plugin/cluster/hub/hub.ts'
import { MemoryEngine, type MemoryPassage } from '../../../plugin/cluster/memory/memory-engine.ts'
import type { VirtualProcess, VirtualTime } from './virtual-time.ts'

/** One step of a node's call: it leaves the node, or its answer is about to reach it. */
export interface Passage {
  readonly process: VirtualProcess
  readonly call: string
  readonly isAnswer: boolean
}

export interface EngineParts {
  readonly time: VirtualTime
  readonly limits: StoreLimits & { readonly deadlineMs: number, readonly maxCalls: number, readonly maxCallBytes: number }
  /** What becomes of one way between a node and the hub: milliseconds, or lost. */
  readonly weather: (passage: MemoryPassage) => number | 'lost'
  /** Milliseconds that a call which may overtake others waits. */
  readonly detour: () => number
  /** Milliseconds that an entry comes later than the answer to a call. */
  readonly lag: (process: VirtualProcess) => number
  readonly onPassage: (passage: Passage) => void
  readonly onAppend: (bytes: Buffer) => void
  /** The hub lost an entry. */
  readonly onLost: (bytes: Buffer) => void
  /** A node was told which others live. It was at the engine since `upAt`; null for a node that is not. */
  readonly onNodes: (told: ReadonlySet<string>, upAt: number | null) => void
}

class WatchedHub extends Hub {
  readonly #onAppend: (bytes: Buffer) => void

  constructor (store: HubStore, onAppend: (bytes: Buffer) => void) {
    super(store)
    this.#onAppend = onAppend
  }

  override append (bytes: Buffer): void {
    this.#onAppend(bytes)
    super.append(bytes)
  }
}

/** The engine of all nodes of a run: a hub in memory, and a bad network to it. */
export class SimulatedEngines implements EngineSource {
  readonly parts: EngineParts
  readonly #clock: Clock
  readonly #engines = new Map<string, SimulatedEngine>()
  #hub: WatchedHub
  #epoch = 1

  constructor (parts: EngineParts) {
    this.parts = parts
    const { time } = parts
    this.#clock = {
      now: () => time.now,
      setTimeout: (run, ms) => time.within(time.world, () => setTimeout(run, ms)),
      clearTimeout: (timer) => { clearTimeout(timer as NodeJS.Timeout) },
      defer: (run) => { time.after(0, run) }
    }
    this.#hub = this.#makeHub()
  }

  get store (): HubStore { return this.#hub.store }

  engineFor (_application: EngineApplication): Engine {
    return new SimulatedEngine(this.parts.time.current, this)
  }

  innerFor (): MemoryEngine {
    const { limits, weather } = this.parts
    return new MemoryEngine({ clock: this.#clock, limits, weather, hub: () => this.#hub, arrived: () => {}, left: () => {} })
  }

  opened (node: string, engine: SimulatedEngine): void {
    this.#engines.set(node, engine)
  }

  /** Since when each node that is at the engine is there. */
  get present (): number[] {
    return [...this.#engines.values()].flatMap(({ upAt, isDead }) => upAt === null || isDead ? [] : [upAt])
  }

  /** Breaks the connection of a node. */
  cut (node: string): void {
    this.#engines.get(node)?.inner.cut()
  }

  freeze (node: string): void {
    this.#engines.get(node)?.inner.freeze()
  }

  mend (node: string): void {
    this.#engines.get(node)?.inner.mend()
  }

  /** The hub loses all that it knows. */
  empty (): void {
    for (const { bytes } of this.store.range(null, 1e9)) this.parts.onLost(bytes)
    this.#move(this.#makeHub(), false)
  }

  /** Another hub takes over, which lacks the latest entries of the log. Nodes read the whole log again. */
  failOver (lost: number): void {
    const changes = [...this.#hub.store.changes()]
    const entries = changes.filter(([what]) => what === 'append')
    const gone = new Set<Change>(lost === 0 ? [] : entries.slice(-lost))
    const hub = this.#makeHub()
    for (const change of changes) {
      if (!gone.has(change)) hub.store.apply(change)
      else if (change[0] === 'append') this.parts.onLost(change[3])
    }
    this.#move(hub, true)
  }

  #move (hub: WatchedHub, isFailover: boolean): void {
    this.#hub = hub
    for (const engine of this.#engines.values()) {
      engine.mayForget = !isFailover
      engine.inner.moved()
    }
  }

  #makeHub (): WatchedHub {
    const { limits, onAppend } = this.parts
    return new WatchedHub(new HubStore(limits, { now: this.#clock.now, epoch: this.#epoch++ }), onAppend)
  }
}

/** One node's engine. What comes from outside is a task of the node's process, so that the process can end before each. */
class SimulatedEngine implements Engine {
  readonly can = { durable: false, due: true, journal: true }
  readonly inner: MemoryEngine
  readonly #process: VirtualProcess
  readonly #engines: SimulatedEngines
  /** Whether another hub knows nothing: one that took over has all but the latest. */
  mayForget = true
  /** Since when the node knows that the engine is there; null while it is not. */
  upAt: number | null = null

  constructor (process: VirtualProcess, engines: SimulatedEngines) {
    this.#process = process
    this.#engines = engines
    this.inner = engines.innerFor()
  }

  get isDead (): boolean { return this.#process.isDead }

  async open (node: string, on: EngineEvents): Promise<void> {
    const { time } = this.#engines.parts
    const { lag } = this.#engines.parts
    const post = (run: () => void) => { time.post(this.#process, run) }
    // What is read comes over a connection of its own, and may be behind the answers to calls.
    let lastAt = 0
    const late: Array<() => void> = []
    const read = (run: () => void) => {
      lastAt = Math.max(lastAt, time.now + lag(this.#process))
      late.push(run)
      time.at(lastAt, () => {
        const first = late.shift()
        if (first !== undefined) post(first)
      })
    }
    // That it has broken is known before any answer of the next one.
    const readAll = (run: () => void) => { for (const each of [...late.splice(0), run]) post(each) }
    this.#engines.opened(node, this)
    // The connection lives in the world: the process may be dead when the hub has something for it.
    await time.within(time.world, () => this.inner.open(node, {
      entry: (at, bytes) => { read(() => { on.entry(at, bytes) }) },
      message: (from, bytes) => { post(() => { on.message(from, bytes) }) },
      up: () => {
        read(() => {
          this.upAt = time.now
          on.up()
        })
      },
      down: () => {
        readAll(() => {
          this.upAt = null
          on.down()
        })
      },
      forgot: () => {
        if (this.mayForget) readAll(() => { on.forgot() })
        this.mayForget = true
      }
    }))
  }

  append (entry: Buffer): Promise<void> { return this.#call('append', false, () => this.inner.append(entry)) }
  range (after: Offset | null, limit: number): Promise<LogEntry[]> { return this.#call('range', true, () => this.inner.range(after, limit)) }
  send (node: string, message: Buffer): Promise<void> { return this.#call('send', false, () => this.inner.send(node, message)) }
  get (key: string): Promise<EngineRecord | null> { return this.#call('get', true, () => this.inner.get(key)) }
  put (key: string, value: Buffer, ifRevision: string | null, options: PutOptions): Promise<string | null> { return this.#call('put', true, () => this.inner.put(key, value, ifRevision, options)) }
  renew (leaseMs: number, card: Buffer): Promise<void> { return this.#call('renew', true, () => this.inner.renew(leaseMs, card)) }
  due (now: number, limit: number): Promise<string[]> { return this.#call('due', true, () => this.inner.due(now, limit)) }
  journal (key: string, revision: string, entry: Buffer): Promise<boolean> { return this.#call('journal', true, () => this.inner.journal(key, revision, entry)) }
  journalOf (key: string): Promise<Buffer[]> { return this.#call('journalOf', true, () => this.inner.journalOf(key)) }
  close (): Promise<void> { return this.#call('close', false, () => this.inner.close()) }

  async nodes (): Promise<Map<string, Buffer>> {
    const told = await this.#call('nodes', true, () => this.inner.nodes())
    this.#engines.parts.onNodes(new Set(told.keys()), this.upAt)
    return told
  }

  #call<Result> (call: string, mayOvertake: boolean, ask: () => Promise<Result>): Promise<Result> {
    const { time, detour, onPassage } = this.#engines.parts
    const process = this.#process
    onPassage({ process, call, isAnswer: false })
    return new Promise((resolve, reject) => {
      const settle = (run: () => void) => {
        time.post(process, run)
        onPassage({ process, call, isAnswer: true })
      }
      const begin = () => {
        time.within(time.world, ask).then((result) => { settle(() => { resolve(result) }) }, (error: Error) => { settle(() => { reject(error) }) })
      }
      const ms = mayOvertake ? detour() : 0
      if (ms > 0) time.after(ms, begin)
      else begin()
    })
  }
}
