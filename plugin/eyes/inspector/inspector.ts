import type { FastifyBaseLogger } from 'fastify'
import { EventError } from '../../../schemas/event-error.ts'
import { inspectorContract, type Target, type View } from '../../../schemas/inspector.ts'
import type { StatefulConfig } from '../../routes/stateful-config.ts'
import type { Session } from '../../sessions/api.ts'
import type { TetherSession } from '../../sessions/session.ts'
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
  /** Until the next table; null while none is due. */
  timer: NodeJS.Timeout | null
  /** Whether other nodes are being asked for it. */
  isAsking: boolean
}

/** How long the last page may be away: for a new session, or after a broken connection. */
const lingerMs = 2_000

/** How long after its request another node counts as looking. */
const askedMs = 10_000

/** How long the session of a page outlives its stream. */
const reconnectMs = 10_000

/**
 * The sessions of an application, for pages that are sessions themselves. Soon after the last page
 * has gone it has no timer, observes nothing and remembers nothing.
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
  #restTimer: NodeJS.Timeout | null = null
  /** Not before this time it rests. */
  #restAt = 0
  #stopObserving: (() => void) | null = null

  constructor (subject: InspectedSubject, settings: InspectorSettings, log: FastifyBaseLogger) {
    const { limits } = subject.runtime
    this.#subject = subject
    this.#settings = settings
    this.#journal = new Journal(limits.inspectorSessions, settings.maxCommands)
    this.#totals = new TotalsHistory(subject, limits.inspectorSamples)
    this.#local = new LocalNode(subject, settings.allow, this.#journal, log)
    this.#nodes = new Nodes(this.#local, subject.cluster, { rows: limits.inspectorClusterRows, waitMs: limits.inspectorNodeMs }, () => {
      this.#observe()
      this.#restIn(askedMs)
    })
    this.config = {
      contract: inspectorContract,
      // A page gets everything anew when it comes back.
      replayFrames: 0,
      reconnectMs,
      maxLifetimeMs: limits.inspectorLifetimeMs,
      persist: 'never',
      route: { schema: { hide: true } },
      initialState: () => ({ view: null, target: null, timer: null, isAsking: false }),
      on: {
        view: (session, view) => {
          session.state.view = view
          this.#serve(session)
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
    if (this.#timer === null) this.#sample()
    this.#serve(session)
  }

  #leave (session: PageSession): void {
    this.#pages.delete(session)
    if (this.#pages.size === 0) this.#restIn(lingerMs)
  }

  #observe (): void {
    this.#stopObserving ??= this.#subject.runtime.watch.add(this.#journal)
  }

  /** Rests after this time, unless somebody looks then. */
  #restIn (ms: number): void {
    this.#restAt = Math.max(this.#restAt, performance.now() + ms)
    if (this.#restTimer !== null) return
    this.#restTimer = setTimeout(() => {
      this.#restTimer = null
      if (this.#pages.size > 0) return
      const leftMs = this.#restAt - performance.now()
      if (leftMs > 0) this.#restIn(leftMs)
      else this.#rest()
    }, ms)
    this.#restTimer.unref()
  }

  #rest (): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#totals.stop()
    this.#stopObserving?.()
    this.#stopObserving = null
    this.#journal.clear()
  }

  /** Takes a sample of the totals now, and the next in `everyMs`. */
  #sample (): void {
    this.#timer = setTimeout(() => { this.#sample() }, this.#settings.everyMs).unref()
    const totals = this.#totals.take()
    for (const session of this.#pages) if (!isBehind(session)) session.send('totals', totals)
  }

  /** Sends a table now, unless the last one is younger than `everyMs`, and then the next ones. Each page has its own times, so that other work gets its turn between two tables. */
  #serve (session: PageSession): void {
    const { state } = session
    if (state.timer !== null || state.view === null) return
    state.timer = setTimeout(() => {
      state.timer = null
      if (this.#pages.has(session)) this.#serve(session)
    }, this.#settings.everyMs).unref()
    if (!isBehind(session)) this.#refresh(session)
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
    const { view } = session.state
    if (view === null) return
    const startedAt = performance.now()
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
    if (this.#restTimer !== null) clearTimeout(this.#restTimer)
    this.#rest()
  }
}

/** A page that does not read would not see a table before the next one. */
function isBehind (session: PageSession): boolean {
  return (session as unknown as TetherSession).stream?.writable === false
}
