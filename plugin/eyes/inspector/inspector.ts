import type { FastifyBaseLogger } from 'fastify'
import { EventError } from '../../../schemas/event-error.ts'
import { inspectorContract, type Target, type View } from '../../../schemas/inspector.ts'
import type { StatefulConfig } from '../../routes/stateful-config.ts'
import type { Session } from '../../sessions/api.ts'
import { Journal } from './journal.ts'
import { LocalNode, type Deed } from './local-node.ts'
import { Nodes } from './nodes.ts'
import type { InspectedSubject, InspectorSettings } from './subject.ts'
import { TotalsHistory } from './totals.ts'

type Events = typeof inspectorContract.events
type Updates = typeof inspectorContract.updates
type PageSession = Session<PageState, Updates>

/** What one page of the inspector wants to see. */
interface PageState {
  /** Null until the page tells. */
  view: View | null
  /** Null for no session. */
  target: Target | null
  /** When its last table was made; 0 for never. */
  tableAt: number
  /** Whether other nodes are being asked for it. */
  isAsking: boolean
}

/** For so long after another node has asked, somebody looks there. */
const askedMs = 10_000

/** How long the session of a page outlives its stream. */
const reconnectMs = 10_000

/**
 * The sessions of an application, for pages that are sessions themselves. While no page is open it has no timer, observes
 * nothing and remembers nothing.
 */
export class Inspector {
  readonly config: StatefulConfig<Events, Updates, PageState>
  readonly #subject: InspectedSubject
  readonly #settings: InspectorSettings
  readonly #journal: Journal
  readonly #totals: TotalsHistory
  readonly #nodes: Nodes
  readonly #local: LocalNode
  readonly #pages = new Set<PageSession>()
  #timer: NodeJS.Timeout | null = null
  #askedTimer: NodeJS.Timeout | null = null
  #stopObserving: (() => void) | null = null

  constructor (subject: InspectedSubject, settings: InspectorSettings, log: FastifyBaseLogger) {
    const { limits } = subject.runtime
    this.#subject = subject
    this.#settings = settings
    this.#journal = new Journal(limits.inspectorSessions, settings.maxCommands)
    this.#totals = new TotalsHistory(subject, limits.inspectorSamples)
    this.#local = new LocalNode(subject, settings.allow, this.#journal, log)
    this.#nodes = new Nodes(this.#local, subject.cluster, { rows: limits.inspectorClusterRows, waitMs: limits.inspectorNodeMs }, () => { this.#asked() })
    this.config = {
      contract: inspectorContract,
      // A page gets everything anew when it comes back.
      replayFrames: 0,
      reconnectMs,
      maxLifetimeMs: limits.inspectorLifetimeMs,
      persist: 'never',
      route: { schema: { hide: true } },
      initialState: () => ({ view: null, target: null, tableAt: 0, isAsking: false }),
      on: {
        view: (session, view) => {
          session.state.view = view
          if (performance.now() - session.state.tableAt >= settings.everyMs) return this.#sendTable(session)
        },
        select: (session, target) => {
          session.state.target = target.key === '' ? null : target
          return this.#sendDetail(session)
        },
        close: (session, target) => this.#act(target, { deed: 'close' }),
        slow: (session, { paceMs, ...target }) => this.#act(target, { deed: 'slow', paceMs })
      },
      onConnect: (session) => { this.#open(session) },
      onDisconnect: (session) => { this.#leave(session) }
    }
  }

  /** Whether anything is observed. */
  get isOn (): boolean { return this.#stopObserving !== null }

  async #act (target: Target, deed: Deed): Promise<{ done: boolean }> {
    if (!this.#settings.allow[deed.deed]) throw new EventError('NOT_ALLOWED', `The inspector was registered without allow.${deed.deed}`)
    return { done: await this.#nodes.act(target, deed) }
  }

  #open (session: PageSession): void {
    const { everyMs, allow } = this.#settings
    this.#pages.add(session)
    this.#observe()
    session.send('about', {
      node: this.#local.name === '' ? null : this.#local.name,
      ...allow,
      everyMs,
      urls: this.#subject.endpoints.map(({ url }) => url)
    })
    session.send('history', { samples: [...this.#totals.samples] })
    if (this.#timer !== null) return
    this.#timer = setInterval(() => { this.#tick() }, everyMs)
    this.#timer.unref()
    session.send('totals', this.#totals.take())
  }

  #leave (session: PageSession): void {
    this.#pages.delete(session)
    if (this.#pages.size > 0) return
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    this.#totals.stop()
    if (this.#askedTimer === null) this.#rest()
  }

  #observe (): void {
    this.#stopObserving ??= this.#subject.runtime.watch.add(this.#journal)
  }

  #rest (): void {
    this.#stopObserving?.()
    this.#stopObserving = null
    this.#journal.clear()
  }

  /** A page of another node looks at the sessions of this one. */
  #asked (): void {
    this.#observe()
    if (this.#askedTimer !== null) {
      this.#askedTimer.refresh()
      return
    }
    this.#askedTimer = setTimeout(() => {
      this.#askedTimer = null
      if (this.#pages.size === 0) this.#rest()
    }, askedMs)
    this.#askedTimer.unref()
  }

  #tick (): void {
    const totals = this.#totals.take()
    // A page that does not read would not see the table before the next one.
    const reading = [...this.#pages].filter(({ stats }) => stats.queuedFrames === 0)
    for (const session of reading) session.send('totals', totals)
    this.#refreshEach(reading)
  }

  /** Serves one page in a turn of the event loop, so that other work gets its turn between two tables. */
  #refreshEach (pages: readonly PageSession[]): void {
    const [first, ...others] = pages
    if (first === undefined) return
    if (this.#pages.has(first)) this.#refresh(first)
    if (others.length > 0) setImmediate(() => { this.#refreshEach(others) })
  }

  #refresh (session: PageSession): void {
    const { state } = session
    if (state.isAsking) return
    state.isAsking = true
    const done = () => { state.isAsking = false }
    Promise.all([this.#sendTable(session), this.#sendDetail(session)]).then(done, (error: unknown) => {
      done()
      session.log.error({ err: error }, 'the inspector failed')
    })
  }

  async #sendTable (session: PageSession): Promise<void> {
    const { state } = session
    if (state.view === null) return
    const { view } = state
    const startedAt = state.tableAt = performance.now()
    const asked = this.#nodes.rows(view)
    // Until here this node works; from here on others do.
    const tookMs = performance.now() - startedAt
    const { total, matching, rows, silent } = await asked
    session.send('table', { total, matching, offset: view.offset, rows, tookMs, silent })
  }

  async #sendDetail (session: PageSession): Promise<void> {
    const { target } = session.state
    if (target === null) return
    const detail = await this.#nodes.detail(target)
    if (session.state.target === target) session.send('detail', detail)
  }

  /** Ends all that it does. */
  stop (): void {
    this.#pages.clear()
    if (this.#timer !== null) clearInterval(this.#timer)
    if (this.#askedTimer !== null) clearTimeout(this.#askedTimer)
    this.#timer = this.#askedTimer = null
    this.#rest()
  }
}
