import { randomFrom } from '../../harness/random.ts'
import { unpackEntry } from '../../../plugin/cluster/log-entry.ts'
import type { MemoryPassage } from '../../../plugin/cluster/memory/memory-engine.ts'
import { unpackRecord, type SessionRecord } from '../../../plugin/cluster/session-record.ts'
import { refOf } from '../../../plugin/sessions/session-id.ts'
import { judge, type NodesTruth, type Verdict } from '../../chaos/nodes/log-oracle.ts'
import { configure, type AppSession, type Config, type State } from './application.ts'
import { SimulatedEngines, type Passage } from './engine.ts'
import { WrittenLog } from './log-truth.ts'
import { SimulatedNode } from './node.ts'
import { isRequest, SimulatedPage } from './page.ts'
import type { Fault, Plan } from './plan.ts'
import { Trace } from './trace.ts'
import { VirtualProcess, VirtualTime } from './virtual-time.ts'

/** Sessions of nodes that were stopped last have this long to go. */
const settleMs = 30_000
const mostFaults = 12

export interface Report {
  readonly seed: number
  readonly faults: readonly string[]
  readonly trace: readonly string[]
  readonly tasks: number
  readonly updates: number
  readonly events: number
  readonly resumed: number
  readonly gaps: number
  readonly lost: number
  readonly moves: number
  readonly crashes: number
  readonly lapses: number
}

interface Trap {
  readonly process: VirtualProcess
  readonly call: string
  readonly isAnswer: boolean
  left: number
  readonly spring: () => void
}

/** All that there is in the run of one plan: nodes, their engine, pages, and what goes wrong. It judges the run, too. */
export class World {
  readonly time: VirtualTime
  readonly #plan: Plan
  readonly #trace: Trace
  readonly #engines: SimulatedEngines
  readonly #log: WrittenLog
  readonly #nodes: SimulatedNode[] = []
  readonly #pages: SimulatedPage[] = []
  /** Pages that went during the storm. */
  readonly #departed: SimulatedPage[] = []
  /** Sessions whose `onClose` has run. */
  readonly #closed = new Set<string>()
  readonly #traps = new Set<Trap>()
  readonly #losses = new Set<{ readonly node: string, readonly call: string, readonly isAnswer: boolean, left: number }>()
  readonly #faults: string[] = []
  readonly #network: () => number
  readonly #chance: () => number
  readonly #app: () => number
  /** How often each event of each page ran. */
  readonly #ran = new Map<string, number>()
  /** The last session of each event that ran. */
  readonly #labels = new Map<string, string>()
  /** Refs of sessions that may be lost, and why. */
  readonly #mayBeLost = new Map<string, string>()
  /** Nodes that others took for dead, that died, or whose way to the engine was broken while they left. */
  readonly #lapsed = new Set<string>()
  readonly #troubled = new Set<string>()
  /** Milliseconds that a node reads the log late, now. */
  readonly #lags = new Map<VirtualProcess, number>()
  #rough: { readonly lost: number, readonly slowMs: number } | null = null
  #isStorm = true
  #isEmptied = false
  /** Whether the log has lost entries. */
  #hasForgotten = false
  #emptiedAt = -Infinity
  #crashes = 0
  #moves = 0

  constructor (plan: Plan, traceLines: number) {
    const { seed, logMs } = plan
    this.#plan = plan
    this.#trace = new Trace(traceLines)
    this.#network = randomFrom(seed * 31 + 1)
    this.#chance = randomFrom(seed * 31 + 2)
    this.#app = randomFrom(seed * 31 + 3)
    this.time = new VirtualTime(seed * 31 + 4)
    this.#log = new WrittenLog((node, counter) => this.#engines.store.range(null, 1e9).some(({ bytes }) => {
      const entry = unpackEntry(bytes)!
      return entry.node === node && entry.counter === counter
    }))
    this.#engines = new SimulatedEngines({
      time: this.time,
      limits: { deadlineMs: 150, maxCalls: 10_000, maxCallBytes: 1e8, logEntries: 1e6, logBytes: 1e8, recordBytes: 1e8, logMs },
      weather: (passage) => this.#weather(passage),
      detour: () => this.#isStorm && this.#network() < plan.detours ? this.#network() * 40 : 0,
      lag: (process) => this.#lagOf(process),
      onPassage: (passage) => { this.#passed(passage) },
      onAppend: (bytes) => {
        const before = this.#log.length
        this.#log.append(bytes)
        const { node, counter } = unpackEntry(bytes)!
        this.trace(`log: entry ${counter} of ${this.#nameOf(node)}${this.#log.length > before ? `, broadcasts ${before} to ${this.#log.length - 1}` : ''}`)
      },
      onLost: (bytes) => {
        this.#hasForgotten = true
        this.#log.forget(bytes)
      },
      onNodes: (told, upAt) => { if (upAt !== null && this.#knowsTheDead(upAt)) this.#told(told) }
    })
  }

  /** Whether a crash may undo events that were accepted: their page sends them again. */
  get mayUndo (): boolean { return this.#plan.persist === 'command' }

  get ready (): SimulatedNode[] { return this.#nodes.filter((node) => node.isAlive && node.isReady) }

  readonly trace = (line: string): void => { this.#trace.add(`${this.time.now.toFixed(2).padStart(9)} ${line}`) }

  readonly fault = (what: string): void => {
    this.trace(`FAULT ${what}`)
    if (this.#faults.length < mostFaults) this.#faults.push(what)
  }

  /** The name of a session in traces. */
  short (id: string | null): string {
    if (id === null) return 'nothing'
    const [session, number] = id.split('.')
    const ref = session!.length === 22 ? session! : refOf(session!)
    let label = this.#labels.get(ref)
    if (label === undefined) this.#labels.set(ref, label = `s${this.#labels.size + 1}`)
    return number === undefined ? label : `${label}.${number}`
  }

  /** Milliseconds on a connection between a page and a node. */
  wire (): number {
    return this.#network() < 0.05 ? this.#network() * 60 : 0.2 + this.#network() * 4
  }

  pickNode (): SimulatedNode | null {
    const { ready } = this
    return ready.length === 0 ? null : ready[Math.floor(this.#chance() * ready.length)]!
  }

  /** A page learned that its session is gone. */
  sessionIsGone (page: SimulatedPage, id: string): void {
    const ref = refOf(id)
    if (!this.#isLossAllowed(ref)) this.fault(`page ${page.number}: the session ${this.short(id)} is gone, and no node that had it died; its record: ${this.#describe(ref)}`)
  }

  #describe (ref: string): string {
    const record = this.#recordOf(ref)
    if (record === null) return 'none'
    const owner = 'owner' in record ? this.#nameOf(record.owner) : ''
    return `${record.status} ${owner} ${record.epoch}`
  }

  /** The short name of a node. */
  #nameOf (node: string): string {
    return this.#nodes.find(({ name }) => name === node)?.process.name ?? node
  }

  // The run

  async run (): Promise<Report> {
    const { time } = this
    time.begin()
    try {
      await this.#live()
    } finally {
      time.end()
    }
    const verdicts = this.#pages.map((page) => this.#judge(page))
    const sum = (of: (verdict: Verdict) => number) => verdicts.reduce((total, verdict) => total + of(verdict), 0)
    return {
      seed: this.#plan.seed,
      faults: this.#faults,
      trace: this.#trace.lines,
      tasks: time.tasks,
      updates: sum(({ updates }) => updates),
      events: [...this.#ran.values()].length,
      resumed: sum(({ resumed }) => resumed),
      gaps: sum(({ gaps }) => gaps),
      lost: sum(({ lost }) => lost),
      moves: this.#moves,
      crashes: this.#crashes,
      lapses: this.#lapsed.size
    }
  }

  async #live (): Promise<void> {
    const { time } = this
    const { stormMs, nodes, pages, faults } = this.#plan
    this.trace(JSON.stringify(this.#plan))
    const step = (process: VirtualProcess) => {
      this.#checkOwners()
      this.#checkLease(process)
    }
    for (let count = 0; count < nodes; count++) this.#addNode()
    await time.run(() => this.ready.length === nodes, 10_000, step)
    for (let count = 0; count < pages; count++) this.#pages.push(this.#addPage())
    for (const fault of faults) time.after(fault.at, () => { this.#strike(fault) })
    this.#broadcast()
    this.#act()
    const end = time.now + stormMs
    await time.run(() => time.now >= end, stormMs, step)
    this.#calm()
    const isWhole = () => this.#pages.every((page) => page.isOpen && page.waiting === 0) && this.#pages.every((page) => this.#judgement(page).isComplete && this.#unanswered(page).length === 0)
    // A judgement costs more than a step.
    let next = 0
    const settled = await time.run(() => {
      if (time.now < next) return false
      next = time.now + 50
      return isWhole()
    }, settleMs, step)
    if (!settled) this.trace('not settled')
    for (const page of this.#pages) this.#judgeNow(page)
    if (this.#faults.length === 0) await this.#leave(step)
    for (const what of [...time.uncaught, ...this.#log.faults]) this.fault(what)
  }

  /** All go, and nothing is left. */
  async #leave (step: (process: VirtualProcess) => void): Promise<void> {
    const { time } = this
    for (const page of this.#pages) page.bye()
    await time.run(() => this.#departed.every((page) => !page.isGoing || page.isClosed), settleMs, step)
    await time.run(() => false, 500, step)
    if (this.#plan.reconnectMs < settleMs) await time.run(() => false, this.#plan.reconnectMs + 4_000, step)
    for (const page of this.#departed) this.#checkDeparted(page)
    if (!await time.run(() => this.#pages.every(({ isClosed }) => isClosed), settleMs, step)) {
      this.fault(`pages ${this.#pages.filter(({ isClosed }) => !isClosed).map(({ number }) => number).join()} cannot end their sessions`)
      return
    }
    await time.run(() => this.#nodes.every(({ isAlive, isReady }) => isReady || !isAlive), settleMs, step)
    for (const node of this.#nodes.filter(({ isAlive }) => isAlive)) node.stop(0)
    if (!await time.run(() => this.#nodes.every(({ isAlive }) => !isAlive), settleMs, step)) {
      this.fault('a node does not stop')
      return
    }
    await time.run(() => false, 2_000, step)
    for (const node of this.#nodes) {
      const left = node.process.isDead ? [] : node.remains()
      if (left.length > 0) this.fault(`${node.process.name} has stopped, and has left ${left.join(', ')}`)
    }
    for (const page of this.#pages) {
      const record = this.#recordOf(refOf(page.session!))
      // Who could not write for a lease leaves the record to expire.
      if (record?.status === 'live' && this.#lapsed.has(record.owner)) continue
      if (record !== null && record.status !== 'ended') this.fault(`the session of page ${page.number} is closed, and its record is ${record.status}`)
    }
  }

  #addNode (): SimulatedNode {
    const { persist, freezeMs, reconnectMs, isTight, leaseMs, isolatedMs, logMs } = this.#plan
    const process = new VirtualProcess(`n${this.#nodes.length + 1}`, Math.floor(this.#chance() * 1e6), Math.floor((this.#chance() - 0.5) * leaseMs * 0.4))
    const node: SimulatedNode = new SimulatedNode(this.time, process, this.#engines, {}, { leaseMs, logMs, handoverMs: 400, forwardMs: 300, isolatedMs }, (tether): Config => ({
      ...configure({
        ran: (session, page, k) => { this.#noteRun(node, session, page, k) },
        fault: (what) => { if (!process.isDead && !this.#isExcused(node, what)) this.fault(`${process.name}: ${what}`) },
        hook: (name, session, detail) => {
          if (name === 'onRestore') this.#moves++
          this.trace(`${process.name}: ${name} of ${this.short(session.ref)} ${detail}`)
          this.#checkOpen(process, name, session)
          if (name !== 'onClose') return
          this.#closed.add(session.ref)
          // A drain keeps no session without a stream that never had an event.
          if (detail === 'draining' && !node.hasProved(session.ref)) this.#mayBeLost.set(session.ref, 'it was new when its node stopped')
        }
      }, (k) => k % 4 === 0 ? 1 + this.#app() * 30 : 0, () => this.#app() < 0.25 ? 1 + this.#app() * 25 : 0),
      reconnectMs,
      replayAgeMs: 0,
      ...isTight ? { replayFrames: 6, queueFrames: 8 } : { replayFrames: 100_000, queueFrames: 100_000 },
      persist: persist as 'move',
      freezeMs,
      upgrade: tether.sse.upgrade({ retryMs: 10, heartbeatMs: 1_000 })
    }), (level, what) => {
      this.trace(`${process.name}: ${level} ${what.replaceAll(/[\w-]{20,}/g, '…')}`)
      if ((level === 'error' || level === 'fatal') && !this.#isExcused(node, what)) this.fault(`${process.name} logs: ${what}`)
    })
    this.#nodes.push(node)
    node.start()
    return node
  }

  #broadcast (): void {
    if (!this.#isStorm) return
    const node = this.pickNode()
    if (node !== null) {
      const count = this.#app() < 0.2 ? 1 + Math.floor(this.#app() * 4) : 1
      node.do(() => { for (let left = count; left > 0; left--) node.broadcast(this.time.now, 'x'.repeat(Math.floor(this.#app() * 30))) })
    }
    this.time.after(this.#plan.broadcastEveryMs * (0.2 + 1.6 * this.#app()), () => { this.#broadcast() })
  }

  #act (): void {
    if (!this.#isStorm) return
    const page = this.#pages[Math.floor(this.#app() * this.#pages.length)]!
    page.act(this.#app() < 0.2 ? 3 : 1)
    this.time.after(this.#plan.actEveryMs / this.#pages.length * (0.2 + 1.6 * this.#app()), () => { this.#act() })
  }

  #noteRun (node: SimulatedNode, session: AppSession, page: number, k: number): void {
    this.trace(`${node.process.name}: event ${k} of page ${page} runs in ${this.short(session.ref)}`)
    this.#checkOpen(node.process, `event ${k}`, session)
    const key = `${page} ${k}`
    this.#ran.set(key, (this.#ran.get(key) ?? 0) + 1)
  }

  /** A process that stood still has not run its hooks in time. */
  #isExcused ({ name }: SimulatedNode, what: string): boolean {
    return this.#troubled.has(name) && what.includes('did not settle within')
  }

  /** `onClose` is the last that a session sees, on whatever node. */
  #checkOpen ({ name }: VirtualProcess, what: string, { ref }: AppSession): void {
    if (this.#closed.has(ref)) this.fault(`${name}: ${what} of ${this.short(ref)} runs after its onClose`)
  }

  #addPage (): SimulatedPage {
    const number = this.#pages.length + this.#departed.length
    return new SimulatedPage(this, number, randomFrom(this.#plan.seed * 1_009 + number))
  }

  // What goes wrong

  #weather ({ node, what, isAnswer }: MemoryPassage): number | 'lost' {
    for (const loss of this.#losses) {
      if (loss.node !== node || loss.call !== what || loss.isAnswer !== isAnswer || --loss.left > 0) continue
      this.#losses.delete(loss)
      this.trace(`${isAnswer ? 'the answer to ' : ''}${what} of ${this.#nameOf(node)} is lost`)
      return 'lost'
    }
    const rough = this.#rough
    const random = this.#network
    if (rough === null) return random() < 0.02 ? random() * 15 : 0.1 + random() * 1.5
    if (what !== 'entry' && random() < rough.lost * (isAnswer ? 1.3 : 0.7)) return 'lost'
    return random() * rough.slowMs
  }

  #strike (fault: Fault): void {
    if (!this.#isStorm) return
    const { time } = this
    const alive = this.#nodes.filter(({ isAlive }) => isAlive)
    const node = 'node' in fault ? alive[fault.node % Math.max(1, alive.length)] : undefined
    const ms = 'ms' in fault ? fault.ms : 0
    const arm = (spring: (node: SimulatedNode) => void) => {
      if (node === undefined || !('call' in fault)) return
      this.#traps.add({ process: node.process, call: fault.call, isAnswer: fault.isAnswer, left: fault.count, spring: () => { spring(node) } })
    }
    switch (fault.is) {
      case 'drop': {
        const page = this.#pages[fault.page % this.#pages.length]!
        this.trace(`cut: the stream of page ${page.number}`)
        page.connection?.cut(fault.nodeKnowsMs)
        break
      }
      case 'bye':
      case 'vanish': {
        const index = fault.page % this.#pages.length
        const page = this.#pages[index]!
        this.trace(`page ${page.number}: ${fault.is}`)
        this.#departed.push(page)
        this.#pages[index] = this.#addPage()
        if (fault.is === 'bye') page.bye()
        else page.close()
        break
      }
      case 'rough':
        this.trace(`rough for ${ms} ms`)
        this.#rough = fault
        time.after(ms, () => { if (this.#rough === fault) this.#rough = null })
        break
      case 'add':
        this.#addNode()
        break
      case 'replace':
        if (node === undefined || node.isLeaving) break
        this.#addNode()
        time.after(20, () => {
          if (!node.isReady) return
          this.trace(`${node.process.name}: stops`)
          node.stop(0)
        })
        break
      case 'crash':
        if (node !== undefined) this.#crash(node)
        break
      case 'crashAt':
        arm((victim) => { this.#crash(victim) })
        break
      case 'cut':
      case 'freeze':
        if (node !== undefined) this.#cutOff(node, fault.is, ms)
        break
      case 'cutAt':
        arm((victim) => { this.#cutOff(victim, 'cut', ms) })
        break
      case 'pause':
        if (node !== undefined) this.#pause(node, ms)
        break
      case 'pauseAt':
        arm((victim) => { this.#pause(victim, ms) })
        break
      case 'stallAt':
        arm((victim) => {
          this.#pause(victim, ms)
          // What has come to it until then waits for it.
          time.after(ms * 0.9, () => { this.#cutOff(victim, 'freeze', fault.awayMs) })
        })
        break
      case 'lag':
        if (node === undefined) break
        this.trace(`${node.process.name}: reads the log ${fault.lagMs} ms late for ${ms} ms`)
        this.#lags.set(node.process, fault.lagMs)
        time.after(ms, () => { this.#lags.delete(node.process) })
        break
      case 'clog': {
        const page = this.#pages[fault.page % this.#pages.length]!
        this.trace(`page ${page.number}: takes nothing for ${ms} ms`)
        page.connection?.clog(ms)
        break
      }
      case 'sleep': {
        const page = this.#pages[fault.page % this.#pages.length]!
        this.trace(`page ${page.number}: sleeps for ${ms} ms`)
        page.sleep(ms)
        break
      }
      case 'burst':
        if (node?.isReady !== true) break
        node.do(() => { for (let left = fault.count; left > 0; left--) node.broadcast(time.now, '') })
        break
      case 'push':
      case 'strike': {
        const page = this.#pages[fault.page % this.#pages.length]!
        const victim = this.#push(page, fault.count)
        if (fault.is === 'strike' && victim !== null) time.after(ms, () => { this.#crash(victim) })
        break
      }
      case 'empty':
        this.trace('the engine loses its memory')
        this.#isEmptied = true
        this.#emptiedAt = time.now
        for (const ref of this.#knownRefs()) {
          // Who has it writes its record again.
          if (!this.#isHeld(ref) || this.#recordOf(ref)?.status !== 'live') this.#mayBeLost.set(ref, 'the engine was emptied')
        }
        for (const each of this.#nodes) this.#troubled.add(each.name)
        this.#scatter(alive, fault.spreadMs)
        this.#engines.empty()
        break
      case 'loseAt':
        if (node !== undefined) this.#losses.add({ node: node.name, call: fault.call, isAnswer: fault.isAnswer, left: fault.count })
        break
      case 'away':
        this.trace(`the engine is away for ${ms} ms`)
        for (const each of alive) this.#cutOff(each, this.#network() < 0.5 ? 'cut' : 'freeze', ms + this.#network() * fault.spreadMs)
        break
      case 'failOver':
        this.trace(`the engine fails over, and loses ${fault.lost} entries`)
        this.#scatter(alive, fault.spreadMs)
        this.#engines.failOver(fault.lost)
    }
  }

  #passed ({ process, call, isAnswer }: Passage): void {
    for (const trap of this.#traps) {
      if (trap.process !== process || trap.call !== call || trap.isAnswer !== isAnswer || --trap.left > 0) continue
      this.#traps.delete(trap)
      this.trace(`${process.name}: at ${isAnswer ? 'the answer to ' : ''}${call}`)
      if (!process.isDead) trap.spring()
    }
  }

  #crash (node: SimulatedNode): void {
    if (!node.isAlive) return
    this.trace(`${node.process.name}: crashes`)
    this.#crashes++
    this.#noteLosses(node, 'its node crashed')
    this.#lapsed.add(node.name)
    this.time.kill(node.process)
    this.#engines.cut(node.name)
    for (const connection of [...node.connections]) this.time.after(this.#network() * 20, () => { connection.cut(0) })
    this.time.after(100 + this.#network() * 300, () => { if (this.#isStorm) this.#addNode() })
  }

  #cutOff (node: SimulatedNode, how: 'cut' | 'freeze', ms: number): void {
    if (!node.isAlive) return
    this.trace(`${node.process.name}: ${how} off for ${ms} ms`)
    this.#troubled.add(node.name)
    this.#engines[how](node.name)
    this.time.after(ms, () => { if (!node.process.isDead) this.#engines.mend(node.name) })
  }

  /** The nodes come back to an engine that was away, one after the other. */
  #scatter (nodes: readonly SimulatedNode[], spreadMs: number): void {
    if (spreadMs > 0) for (const node of nodes) this.#cutOff(node, 'cut', this.#network() * spreadMs)
  }

  /** The application sends a page private updates outside of any command. Gives the node that did. */
  #push (page: SimulatedPage, count: number): SimulatedNode | null {
    const ref = page.session === null ? '' : refOf(page.session)
    for (const node of this.#nodes) {
      const session = this.#sessionOf(node, ref)
      if (session === undefined || !session.isOpen || session.isAway) continue
      this.trace(`${node.process.name}: sends ${count} updates to ${this.short(ref)}`)
      node.do(() => {
        if (!session.isOpen || session.isAway) return
        for (let left = count; left > 0; left--) session.send('own', { n: ++(session.state as State).own })
      })
      return node
    }
    return null
  }

  #sessionOf (node: SimulatedNode, ref: string) {
    return node.isAlive ? node.endpoint.index.ofRef(ref) : undefined
  }

  /** Whether a living node has a session in its memory. */
  #isHeld (ref: string): boolean {
    return this.#nodes.some((node) => this.#sessionOf(node, ref)?.isOpen === true)
  }

  #lagOf (process: VirtualProcess): number {
    if (!this.#isStorm) return 0
    return (this.#lags.get(process) ?? 0) + (this.#plan.detours > 0 && this.#network() < 0.2 ? this.#network() * 90 : 0)
  }

  #pause (node: SimulatedNode, ms: number): void {
    if (!node.isAlive || node.process.isStopped) return
    this.trace(`${node.process.name}: stands still for ${ms} ms`)
    this.#troubled.add(node.name)
    this.time.stop(node.process)
    this.time.after(ms, () => { this.#goOn(node) })
  }

  #goOn (node: SimulatedNode): void {
    if (!node.process.isStopped || node.process.isDead) return
    this.trace(`${node.process.name}: goes on`)
    this.time.goOn(node.process)
  }

  #calm (): void {
    this.trace('calm')
    this.#isStorm = false
    this.#rough = null
    this.#traps.clear()
    this.#losses.clear()
    this.#lags.clear()
    for (const node of this.#nodes) {
      if (node.process.isDead) continue
      this.#engines.mend(node.name)
      this.#goOn(node)
    }
    this.#addNode()
  }

  // What is true

  /** The sessions in a node's memory may be lost, and those that have left it and that the engine does not have yet. */
  #noteLosses (node: SimulatedNode, why: string): void {
    if (this.#plan.survives) return
    for (const { ref } of node.endpoint.sessions.values()) this.#mayBeLost.set(ref, why)
    for (const ref of this.#knownRefs()) {
      const record = this.#recordOf(ref)
      if (record?.status === 'live' && record.owner === node.name) this.#mayBeLost.set(ref, why)
    }
  }

  /** Nobody is dead before the engine was there for a lease: each living node had the time to renew its own. */
  #knowsTheDead (upAt: number): boolean {
    return this.time.now >= upAt + this.#plan.leaseMs
  }

  /** A node that others miss: they may take it for dead. */
  #told (told: ReadonlySet<string>): void {
    for (const node of this.#nodes) {
      if (!node.isAlive || !(node.isReady || node.isLeaving) || told.has(node.name)) continue
      if (!this.#lapsed.has(node.name)) this.trace(`${node.process.name}: is taken for dead`)
      this.#lapsed.add(node.name)
      this.#noteLosses(node, 'its node lost its lease')
    }
  }

  #recordOf (ref: string): SessionRecord | null {
    const found = this.#engines.store.get(ref)
    return found === null ? null : unpackRecord(found.value)
  }

  #knownRefs (): string[] {
    return [...this.#pages, ...this.#departed].flatMap(({ sessions }) => sessions.map(refOf))
  }

  #isLossAllowed (ref: string): boolean {
    const isKnown = this.#engines.present.some((upAt) => this.#knowsTheDead(upAt))
    if (isKnown) this.#told(new Set(this.#engines.store.nodes().map(([name]) => name)))
    if (this.#mayBeLost.has(ref)) return true
    const record = this.#recordOf(ref)
    // Its node was away for so long that the others did not wait for it to write the record again; or a newcomer found nobody to tell it.
    if (record === null && this.#isEmptied && (isKnown || this.#nodes.some(({ madeAt }) => madeAt > this.#emptiedAt))) {
      this.#mayBeLost.set(ref, 'its node came back late to an engine without memory')
      return true
    }
    if (record?.status !== 'live' || this.#plan.survives) return false
    // Its node died before the session was in its memory.
    const owner = this.#nodes.find(({ name }) => name === record.owner)
    const isAllowed = owner === undefined || this.#lapsed.has(owner.name) || (owner.isStopped && this.#troubled.has(owner.name))
    // The record of a node that was taken for dead may go on.
    if (isAllowed) this.#mayBeLost.set(ref, 'its node was taken for dead')
    return isAllowed
  }

  /** At any time, at most one node serves a session. */
  #checkOwners (): void {
    const owners = new Map<string, SimulatedNode>()
    for (const node of this.#nodes) {
      if (!node.isAlive || node.process.isStopped) continue
      for (const session of node.endpoint.sessions.values()) {
        if (!session.isOpen || session.isAway || session.stream === null) continue
        const other = owners.get(session.ref)
        if (other === undefined) owners.set(session.ref, node)
        else if (other.isServing && node.isServing) this.fault(`${other.process.name} and ${node.process.name} both serve ${this.short(session.ref)}`)
      }
    }
  }

  /** A node that serves has a lease, whatever it knows of the time. */
  #checkLease (process: VirtualProcess): void {
    const node = this.#nodes.find((each) => each.process === process)
    if (node === undefined || !node.isAlive || !node.isReady || !node.isServing) return
    if (this.#engines.store.nodes().some(([name]) => name === node.name)) return
    if (this.time.now > this.#emptiedAt + this.#plan.leaseMs) this.fault(`${process.name} serves without a lease`)
  }

  #truth (page: SimulatedPage): NodesTruth {
    const sessions = new Map<string, { readonly own: number, readonly last: number }>()
    for (const node of this.#nodes) {
      if (!node.isAlive) continue
      for (const session of node.endpoint.sessions.values()) {
        if (!session.isOpen) continue
        const { own, ran } = session.state as State
        sessions.set(session.ref, { own, last: ran.length })
      }
    }
    const truth = {
      survives: this.#plan.survives,
      log: this.#log.truth,
      sessions,
      timesRun: (k: number) => this.#ran.get(`${page.number} ${k}`) ?? 0,
      mayBeLost: (ref: string) => this.#isLossAllowed(ref)
    }
    return truth
  }

  #judgement (page: SimulatedPage): Verdict {
    return judge(page.seen, page.outcomes, page.events, this.#truth(page))
  }

  /** Its last session has ended, once, and its events have run. */
  #checkDeparted (page: SimulatedPage): void {
    for (const [k, { is, session }] of page.outcomes) {
      const times = this.#ran.get(`${page.number} ${k}`) ?? 0
      if (times > 1 && !this.#plan.survives) this.fault(`page ${page.number}: event ${k} ran ${times} times`)
      if (is === 'accepted' && times === 0 && !this.#isLossAllowed(refOf(session))) this.fault(`page ${page.number}: event ${k} was accepted, and did not run`)
    }
    // A page that does not know that its goodbye came may have got another session since, which waits for it.
    const ended = this.#plan.reconnectMs < settleMs ? page.session : page.ended
    if (ended === null) return
    const ref = refOf(ended)
    const record = this.#recordOf(ref)
    // Nobody knows when the stream of a node that died has ended: the session waits for longer.
    if (this.#plan.survives && record?.status === 'live' && this.#nodes.some(({ name, isAlive }) => name === record.owner && !isAlive)) return
    if (!this.#closed.has(ref) && !this.#isLossAllowed(ref)) this.fault(`page ${page.number} has gone, and onClose of ${this.short(ref)} did not run; its record: ${this.#describe(ref)}`)
  }

  /** Requests that were accepted, and that no reply came to. */
  #unanswered (page: SimulatedPage): number[] {
    return [...page.outcomes].filter(([k, { is, session }]) => is === 'accepted' && isRequest(k) && !page.replies.has(k) && !this.#mayBeLost.has(refOf(session))).map(([k]) => k)
  }

  #verdicts = new Map<SimulatedPage, Verdict>()

  /** Judges while the sessions are there. */
  #judgeNow (page: SimulatedPage): void {
    const verdict = this.#judgement(page)
    this.#verdicts.set(page, verdict)
    // Where the log forgot entries, their node's next one shows it. Those of other nodes may come before.
    const isLate = (what: string) => (this.#plan.logMs < settleMs || this.#hasForgotten) && verdict.gaps > 0 && /^broadcast \d+ of the log after \d+: lost/.test(what)
    for (const what of verdict.faults) if (!isLate(what)) this.fault(`page ${page.number}: ${what}`)
    if (verdict.gaps > 0 && !this.#plan.mayGap) this.fault(`page ${page.number}: ${verdict.gaps} gaps, and nothing was lost`)
    const unanswered = this.#unanswered(page)
    if (unanswered.length > 0) this.fault(`page ${page.number}: requests ${unanswered.join()} got no reply`)
    const ref = page.session === null ? null : refOf(page.session)
    for (const node of this.#nodes) {
      if (!node.isAlive || ref === null) continue
      const state = [...node.endpoint.sessions.values()].find((session) => session.ref === ref)?.state as State | undefined
      if (state === undefined) continue
      // Each event once in its state, in order.
      for (const [index, k] of state.ran.entries()) if (index > 0 && k <= state.ran[index - 1]!) this.fault(`page ${page.number}: event ${k} is in the state after ${state.ran[index - 1]}`)
    }
  }

  #judge (page: SimulatedPage): Verdict {
    return this.#verdicts.get(page) ?? this.#judgement(page)
  }
}
