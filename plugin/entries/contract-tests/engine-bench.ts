import { randomBytes } from 'node:crypto'
import type { Engine, LogEntry } from '../../cluster/engine.ts'
import type { EngineUnderTest, NodeUnderTest, StartedEngine } from './engine-under-test.ts'
import type { Scope } from './transport-under-test.ts'
import { until, within } from './wait.ts'

/** A node of a case, with all that its engine reported. */
export interface Peer {
  readonly name: string
  readonly engine: Engine
  /** The entries by their first report, in the order of the reports. */
  readonly log: readonly LogEntry[]
  /** The same as text. */
  readonly texts: readonly string[]
  readonly messages: ReadonlyArray<{ readonly from: string, readonly bytes: Buffer }>
  /** `up`, `down` and `forgot`, in their order. */
  readonly states: readonly string[]
  /** Reports of any kind so far. */
  readonly reports: number
  cut: () => Promise<void>
  freeze: () => Promise<void>
  mend: () => Promise<void>
}

export const text = (bytes: Buffer) => bytes.toString('latin1')
export const bytes = (text: string) => Buffer.from(text, 'latin1')

/** The tools of one run of one case. */
export class EngineBench {
  readonly underTest: EngineUnderTest
  /** The shortest time for leases and records. */
  readonly shortMs: number
  /** Time for a call that gets no answer, with some for a busy machine. */
  readonly patienceMs: number
  readonly #scope: Scope
  readonly #application = randomName('contract')
  #started: Promise<StartedEngine> | undefined

  constructor (underTest: EngineUnderTest, scope: Scope) {
    this.underTest = underTest
    this.shortMs = underTest.shortestMs ?? 200
    this.patienceMs = underTest.deadlineMs * 2 + 2_000
    this.#scope = scope
  }

  start (): Promise<StartedEngine> {
    return this.#started ??= this.underTest.start(this.#scope)
  }

  /** Opens a node and waits until it is up. */
  async open (application = this.#application): Promise<Peer> {
    const peer = await this.begin(application)
    await until(() => peer.states.includes('up'), 'up')
    return peer
  }

  /** Makes a node and opens it. */
  async begin (application = this.#application): Promise<Peer> {
    const node = await (await this.start()).node({ name: application, logMs: 60_000 })
    const { peer, on } = observe(node)
    this.#scope.after(async () => {
      await node.mend?.()
      await within(peer.engine.close(), 'close', this.patienceMs)
    })
    await within(peer.engine.open(peer.name, on), 'open', this.patienceMs)
    return peer
  }

  /** Opens several nodes. */
  peers (count: number): Promise<Peer[]> {
    return Promise.all(Array.from({ length: count }, () => this.open()))
  }
}

export function randomName (prefix: string): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`
}

function observe (node: NodeUnderTest) {
  const log: LogEntry[] = []
  const texts: string[] = []
  const messages: Array<{ from: string, bytes: Buffer }> = []
  const states: string[] = []
  const known = new Set<string>()
  let reports = 0
  const report = (state: string) => () => {
    reports++
    states.push(state)
  }
  const fault = async (name: 'cut' | 'freeze' | 'mend') => {
    if (node[name] === undefined) throw new Error(`the engine under test has no "${name}", though it declares the fault`)
    await node[name]()
  }
  const peer: Peer = {
    name: randomName('n'),
    engine: node.engine,
    log,
    texts,
    messages,
    states,
    get reports () { return reports },
    cut: () => fault('cut'),
    freeze: () => fault('freeze'),
    mend: () => fault('mend')
  }
  const on = {
    entry: (at: string, bytes: Buffer) => {
      reports++
      const content = text(bytes)
      if (known.has(content)) return
      known.add(content)
      log.push({ at, bytes })
      texts.push(content)
    },
    message: (from: string, bytes: Buffer) => {
      reports++
      messages.push({ from, bytes })
    },
    up: report('up'),
    down: report('down'),
    forgot: report('forgot')
  }
  return { peer, on }
}
