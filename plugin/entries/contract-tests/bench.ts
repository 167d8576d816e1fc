import type { FastifyInstance } from 'fastify'
import type { TetherOptions } from '../../app/api.ts'
import type { Protocol } from '../../carriers/carrier.ts'
import { startLink, type Link } from './link.ts'
import { mountLive, type LiveConfig, type LiveHandler, type LiveSession } from './live.ts'
import { TabView, type Control } from './tab-view.ts'
import type { Scope, ServerNeeds, ServerUnderTest, TransportUnderTest } from './transport-under-test.ts'
import { until } from './wait.ts'

/** A case's settings for its server. Each has a default. */
export interface CaseOptions {
  readonly live?: LiveConfig
  readonly tether?: TetherOptions
  readonly upgrade?: ServerNeeds['upgrade']
  /** Runs before `/live` is mounted. */
  readonly setup?: (app: FastifyInstance) => void
}

/** A server, as a case sees it. */
export interface CaseServer {
  readonly underTest: ServerUnderTest
  readonly app: FastifyInstance
  readonly origin: string
  readonly live: LiveHandler
  /** Messages of the errors that were logged. */
  readonly errors: readonly string[]
}

export interface CaseTab {
  /** Default `new`. */
  readonly session?: string
  readonly lastEventId?: string
  /** Query of the URL, with its question mark. */
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The link to connect through. */
  readonly link?: Link
}

/** The tools of one run of one case. */
export class Bench {
  readonly protocol: Protocol
  readonly #transport: TransportUnderTest
  readonly #scope: Scope

  constructor (transport: TransportUnderTest, scope: Scope) {
    this.protocol = transport.protocol
    this.#transport = transport
    this.#scope = scope
  }

  async start ({ live: config = {}, tether = {}, upgrade = {}, setup }: CaseOptions = {}): Promise<CaseServer> {
    let live: LiveHandler | undefined
    const errors: string[] = []
    const stream = {
      write: (line: string) => {
        const { level, err } = JSON.parse(line) as { level: number, err?: { message: string } }
        if (level >= 50 && err !== undefined) errors.push(err.message)
      }
    }
    const underTest = await this.#transport.start(this.#scope, {
      fastify: { logger: { level: 'trace', stream } },
      tether,
      upgrade,
      mount: (app, carriage) => {
        setup?.(app)
        live = mountLive(app, config, carriage)
      }
    })
    if (live === undefined) throw new Error(`start() of "${this.#transport.name}" must call needs.mount(app, …)`)
    return { underTest, app: underTest.app, origin: underTest.origin, live, errors }
  }

  /** Asks for a session, and does not wait for it. */
  begin (server: CaseServer, { session = 'new', lastEventId, query = '', headers = {}, link }: CaseTab = {}): TabView {
    const url = new URL(`/live${query}`, server.origin)
    if (link !== undefined) url.port = String(link.port)
    const tab = new TabView(this.#transport.begin(server.underTest, { url: url.href, session, lastEventId, headers }))
    this.#scope.after(() => { tab.destroy() })
    return tab
  }

  /** Opens a tab and waits for its hello. */
  async open (server: CaseServer, options?: CaseTab): Promise<{ tab: TabView, hello: Control, session: LiveSession }> {
    const tab = this.begin(server, options)
    const hello = await until(() => tab.controls.find(({ type }) => type === 'hello'), 'the hello frame')
    const session = await until(() => server.live.get(hello.session as string), 'the session')
    return { tab, hello, session }
  }

  /** Puts a network link before a server. */
  link (server: CaseServer): Promise<Link> {
    return startLink(this.#scope, Number(new URL(server.origin).port))
  }
}
