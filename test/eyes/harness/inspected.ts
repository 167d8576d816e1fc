import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import inspector, { type InspectorOptions } from '../../../plugin/entries/inspector.ts'
import type { About, Detail, Row, Table, Totals, View } from '../../../schemas/inspector.ts'
import { openReader, type Reader } from '../../e2e/harness/reader.ts'
import { request, type Answer } from '../../e2e/harness/request.ts'
import type { Server } from '../../e2e/harness/server.ts'
import { until } from '../../e2e/harness/until.ts'

/** Builds the page, which the plugin serves. */
export function buildPage (): void {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../../scripts/build-inspector.mjs', import.meta.url))])
}

/** Registers an inspector at `/inspector` that anybody may see, and that is fast. */
export async function inspect (app: FastifyInstance, options: Partial<InspectorOptions> & { prefix?: string } = {}): Promise<void> {
  await app.register(inspector, { prefix: '/inspector', authorize: () => true, everyMs: 40, ...options })
}

interface Updates { about: About, table: Table, detail: Detail, totals: Totals, history: { samples: Array<Totals['sample']> } }

const wholeView: View = { sort: 'age', descending: true, offset: 0, limit: 50, session: '', url: '', state: '', transport: '', node: '', group: '', topic: '', stalled: false }

/** A page of the inspector without a browser. */
export class Page {
  /** Everything that the server ever answered, stream and POSTs. */
  readonly texts: string[] = []
  readonly reader: Reader
  readonly #server: Server

  constructor (server: Server, reader: Reader) {
    this.#server = server
    this.reader = reader
  }

  static async open (server: Server, headers: Record<string, string> = {}): Promise<Page> {
    const reader = await openReader(server, '/inspector/live', { headers: { 'x-tether-session': 'new', ...headers } })
    const page = new Page(server, reader)
    await page.got('about')
    return page
  }

  /** All updates of a name so far. */
  all<Name extends keyof Updates> (name: Name): Array<Updates[Name]> {
    return this.reader.updates.filter(({ event }) => event === name).map(({ data }) => JSON.parse(data!) as Updates[Name])
  }

  /** Waits for an update of a name that is so, and came after the first `from`. */
  got<Name extends keyof Updates> (name: Name, test: (update: Updates[Name]) => boolean = () => true, from = 0): Promise<Updates[Name]> {
    return until(() => this.all(name).slice(from).find(test), `${name}: ${test}`)
  }

  async post (name: string, data: object, headers: Record<string, string> = {}): Promise<Answer> {
    const answer = await request(this.#server, `/inspector/live/${name}`, { method: 'POST', headers: { 'x-tether-session': this.reader.session, ...headers }, body: data })
    this.texts.push(answer.text, JSON.stringify(answer.headers))
    return answer
  }

  /** Asks for a view, and waits for its table. */
  async view (part: Partial<View> = {}, test: (table: Table) => boolean = () => true): Promise<Table> {
    const view = { ...wholeView, ...part }
    const { status, text } = await this.post('view', view)
    if (status !== 202) throw new Error(text)
    const before = this.all('table').length
    // The next one may have been on its way.
    return this.got('table', (table) => table.offset === view.offset && test(table), before + 1)
  }

  /** Asks for a session, and waits for its detail. */
  async detail ({ node, key }: Pick<Row, 'node' | 'key'>, test: (found: NonNullable<Detail['found']>) => boolean = () => true): Promise<NonNullable<Detail['found']>> {
    const before = this.all('detail').length
    await this.post('select', { node, key })
    return (await this.got('detail', (detail) => detail.key === key && detail.found !== null && test(detail.found), before)).found!
  }

  /** Does something by hand, and waits for the reply. */
  act (deed: 'close' | 'slow', { node, key }: Pick<Row, 'node' | 'key'>, more: object = {}): Promise<Answer> {
    return this.post(deed, { node, key, ...more }, { prefer: 'wait=5' })
  }
}
