import { EngineError } from '../../../schemas/errors.ts'
import type { EngineEvents, Offset } from '../engine.ts'
import type { Clock } from '../hub/clock.ts'
import { HubEngine } from '../hub/hub-engine.ts'
import { hubCalls, type CallArguments, type CallResult, type Hub, type HubCall, type Member } from '../hub/hub.ts'
import { PendingCalls, type CallLimits } from '../hub/pending-calls.ts'
import { Lane } from './lane.ts'

/** One thing on its way between a node and the memory hub. */
export interface MemoryPassage {
  /** The node that calls, or that a report goes to. */
  readonly node: string
  /** The name of the call, on its way to the hub or back; or what is reported. */
  readonly what: HubCall | 'entry' | 'message'
  /** Whether it is the answer to a call: the call has taken effect. */
  readonly isAnswer: boolean
}

/**
 * Decides what happens to each passage: the milliseconds that it takes, or that it is lost. A lost call or answer
 * rejects at the deadline. An entry cannot get lost. What a node sends, or is sent, keeps its order all the same.
 */
export type MemoryWeather = (passage: MemoryPassage) => number | 'lost'

/** What an engine sees of the hub that it belongs to. */
export interface MemoryHome {
  readonly clock: Clock
  readonly limits: CallLimits
  readonly weather: MemoryWeather
  /** The hub, which changes when it loses its memory. */
  readonly hub: () => Hub
  readonly arrived: (node: string, engine: MemoryEngine) => void
  readonly left: (node: string, engine: MemoryEngine) => void
}

/** Entries under way to one node. More wait in the log. */
const entriesUnderWay = 256

/** One node's engine on a hub in memory, with a simulated connection between the two. */
export class MemoryEngine extends HubEngine implements Member {
  readonly can = Object.freeze({ durable: false, due: true, journal: true })
  readonly #home: MemoryHome
  readonly #calls: PendingCalls
  readonly #up: Lane
  readonly #down: Lane
  #node: string | null = null
  #on: EngineEvents | null = null
  #isClosed = false
  /** The hub that the node is connected to. */
  #hub: Hub | null = null
  /** The hub that the node knows: another one has forgotten. */
  #known: Hub | null = null
  /** The last entry that was reported, and the number of the next one to send. */
  #reported: Offset | null = null
  #next = 0
  /** Whether the last report was `up`. */
  #isUp = false
  /** Whether `down` is still to be reported. */
  #owesDown = false
  #canConnect = true
  #noticing: unknown

  constructor (home: MemoryHome) {
    super()
    this.#home = home
    this.#calls = new PendingCalls(home.limits, home.clock)
    this.#up = new Lane(home.clock)
    this.#down = new Lane(home.clock)
  }

  async open (node: string, on: EngineEvents): Promise<void> {
    if (this.#node !== null) throw new EngineError('is open already')
    this.#node = node
    this.#on = on
    this.#home.arrived(node, this)
    this.#connect()
  }

  async close (): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#hub !== null && this.#noticing === undefined) hubCalls.leave(this.#hub, this.#node!)
    this.#disconnect()
    this.#calls.close()
    if (this.#node !== null) this.#home.left(this.#node, this)
  }

  /** Breaks the connection. The node comes back with `mend`. */
  cut (): void {
    this.#canConnect = false
    this.#lose()
  }

  /** Carries nothing more. The node notices when the deadline has passed. */
  freeze (): void {
    if (this.#hub === null || this.#noticing !== undefined) return
    this.#canConnect = false
    this.#up.freeze()
    this.#down.freeze()
    this.#noticing = this.#home.clock.setTimeout(() => { this.#lose() }, this.#home.limits.deadlineMs)
  }

  mend (): void {
    this.#canConnect = true
    if (this.#hub === null) return this.#connect()
    if (this.#noticing === undefined) return
    this.#endNotice()
    this.#up.thaw()
    this.#down.thaw()
    this.#pump()
  }

  /** Connects to the hub that has taken the place of the other. */
  moved (): void {
    this.#lose()
    this.#connect()
  }

  grown (): void {
    this.#pump()
  }

  message (from: string, bytes: Buffer): void {
    const { maxCalls, maxCallBytes } = this.#home.limits
    const delayMs = this.#home.weather({ node: this.#node!, what: 'message', isAnswer: false })
    if (delayMs === 'lost' || this.#down.length >= maxCalls + entriesUnderWay || this.#down.bytes + bytes.length > maxCallBytes) return
    this.#down.send(delayMs, bytes.length, () => { this.#on!.message(from, bytes) })
  }

  protected override async call<Name extends HubCall> (name: Name, bytes: number, ...args: CallArguments<Name>): Promise<CallResult<Name>> {
    if (this.#isClosed || this.#node === null) throw new EngineError(this.#isClosed ? 'was left' : 'is not open')
    if (this.#hub === null) throw new EngineError('does not answer')
    const node = this.#node
    const { weather } = this.#home
    const { id, promise } = this.#calls.add(bytes)
    const there = weather({ node, what: name, isAnswer: false })
    if (there !== 'lost') {
      // The caller may use its buffers again.
      const kept = args.map((arg) => Buffer.isBuffer(arg) ? Buffer.from(arg) : arg) as CallArguments<Name>
      this.#up.send(there, bytes, () => { this.#perform(id, name, kept) })
    }
    return await promise as CallResult<Name>
  }

  #perform<Name extends HubCall> (id: number, name: Name, args: CallArguments<Name>): void {
    let settle: () => void
    try {
      const result = (hubCalls[name] as unknown as (hub: Hub, node: string, ...args: CallArguments<Name>) => CallResult<Name>)(this.#hub!, this.#node!, ...args)
      settle = () => { this.#calls.resolve(id, result) }
    } catch (error) {
      settle = () => { this.#calls.reject(id, error as Error) }
    }
    const back = this.#home.weather({ node: this.#node!, what: name, isAnswer: true })
    if (back !== 'lost') this.#down.send(back, 0, settle)
  }

  #connect (): void {
    if (this.#isClosed || this.#hub !== null || !this.#canConnect || this.#node === null) return
    const hub = this.#home.hub()
    const on = this.#on!
    this.#hub = hub
    hub.join(this.#node, this)
    // What the new connection brings may come in an earlier turn.
    this.#down.send(0, 0, () => { this.#tellDown() })
    if (this.#known === null) this.#next = hub.store.tail
    else if (this.#known === hub) this.#next = hub.store.numberAfter(this.#reported)
    else {
      this.#next = 0
      this.#reported = null
      this.#down.send(0, 0, () => { on.forgot() })
    }
    // Entries that come while the node is away are reported too, even before its first.
    if (this.#known === null) this.#reported = hub.store.tail > hub.store.head ? hub.store.entry(hub.store.tail - 1).at : null
    this.#known = hub
    this.#pump()
    this.#down.send(0, 0, () => {
      this.#isUp = true
      on.up()
    })
  }

  #pump (): void {
    if (this.#hub === null || this.#noticing !== undefined) return
    const { store } = this.#hub
    this.#next = Math.max(this.#next, store.head)
    while (this.#next < store.tail && this.#down.length < entriesUnderWay) {
      const { at, bytes } = store.entry(this.#next++)
      const delayMs = this.#home.weather({ node: this.#node!, what: 'entry', isAnswer: false })
      this.#down.send(delayMs === 'lost' ? 0 : delayMs, bytes.length, () => {
        this.#reported = at
        this.#on!.entry(at, bytes)
        this.#pump()
      })
    }
  }

  #disconnect (): void {
    this.#endNotice()
    this.#hub?.part(this.#node!, this)
    this.#hub = null
    this.#up.break()
    this.#down.break()
  }

  #lose (): void {
    if (this.#hub === null) return
    this.#disconnect()
    this.#calls.rejectAll('has broken the connection')
    if (!this.#isUp) return
    this.#isUp = false
    this.#owesDown = true
    this.#home.clock.defer(() => { this.#tellDown() })
  }

  #tellDown (): void {
    if (!this.#owesDown || this.#isClosed) return
    this.#owesDown = false
    this.#on!.down()
  }

  #endNotice (): void {
    if (this.#noticing !== undefined) this.#home.clock.clearTimeout(this.#noticing)
    this.#noticing = undefined
  }
}
