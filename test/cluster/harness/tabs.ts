import type { Test } from 'tap'
import { connect, type Connection } from '../../../client/index.ts'
import type { contract } from '../../e2e/harness/contract.ts'
import type { LiveConfig, LiveSession } from '../../e2e/harness/live.ts'
import { counting, exactly } from '../../e2e/harness/claim.ts'
import { openReader, type Reader, type ReaderOptions } from '../../e2e/harness/reader.ts'
import { until } from '../../e2e/harness/until.ts'
import { seen, type Node } from './nodes.ts'

/** What a session keeps in these tests. */
export interface Kept { said: string[] }

/** Sessions whose state is the texts of their events. */
export const keeping: LiveConfig = {
  initialState: (): Kept => ({ said: [] }),
  on: { say: (session, { text }) => { stateOf(session).said.push(text) } }
}

export function stateOf (session: LiveSession | undefined): Kept {
  return session?.state as Kept
}

/** The text events of a session, on the node that has it. */
export function saidAt (node: Node, id: string): string[] {
  return stateOf(node.live.get(id)).said
}

/** What of a node a page needs: it may be a process of its own. */
export type Reached = Pick<Node, 'protocol' | 'port' | 'origin' | 'readers'>

/** One page without the library's client. It can go from node to node. */
export class Tab {
  readonly isCounting: boolean
  reader: Reader
  /** What it got, over all its streams. */
  readonly got: string[] = []
  readonly verdicts: string[] = []
  #seq = 0
  session: string
  readonly #path: string

  private constructor (reader: Reader, isCounting: boolean, path: string) {
    this.reader = reader
    this.isCounting = isCounting
    this.#path = path
    this.session = reader.session
    this.verdicts.push(reader.controls[0]!.verdict as string)
  }

  static async open (node: Reached, { isCounting = true, path = '/live', ...options }: ReaderOptions & { isCounting?: boolean, path?: string } = {}): Promise<Tab> {
    const reader = await openReader(node as Node, path, isCounting ? { ...options, headers: { 'x-tether-session': 'new', ...options.headers } } : options)
    await until(() => reader.controls.length > 0, 'the hello frame')
    return new Tab(reader, isCounting, path)
  }

  /** All it got so far. */
  get all (): string[] { return [...this.got, ...seen(this.reader)] }

  /** Leaves its stream as it is, or cuts it, and asks another node for its session. */
  async goTo (node: Reached, { isCut = true, ...options }: ReaderOptions & { isCut?: boolean } = {}): Promise<void> {
    if (isCut) this.reader.destroy()
    const { reader } = this
    const last = this.#seq = this.last
    this.got.push(...seen(reader))
    this.reader = await openReader(node as Node, this.#path, { ...options, headers: { ...this.isCounting ? counting(this.session, last) : exactly(this.session, last), ...options.headers } })
    await until(() => this.reader.controls.length > 0 || this.reader.status !== 200, 'the hello frame')
    this.verdicts.push(this.reader.controls[0]?.verdict as string)
  }

  /** The same, again and again while it is refused, as a client does. Gives the verdict. */
  async comeTo (node: Reached, options: ReaderOptions & { isCut?: boolean } = {}): Promise<string> {
    for (const startedAt = performance.now(); performance.now() - startedAt < 30_000;) {
      await this.goTo(node, options)
      const verdict = this.verdicts.at(-1)
      if (verdict !== undefined) {
        this.session = this.reader.session
        return verdict
      }
      this.verdicts.pop()
      await new Promise((resolve) => { setTimeout(resolve, 20) })
    }
    throw new Error('waited in vain for a node to take a session')
  }

  /** The number of the last update that it has. */
  get last (): number {
    let last = this.#seq
    for (const { event, data, id } of this.reader.blocks) {
      if (event !== 'tether') last = this.isCounting ? last + 1 : Number(id!.split('.')[1])
      else {
        const control = JSON.parse(data!) as { type: string, seq?: number }
        if (control.type === 'hello' || control.type === 'gap') last = control.seq!
      }
    }
    return last
  }
}

/** Opens a stream, again and again while a node cannot know whether another is dead, as a client does. */
export async function comeTo (node: Reached, options: ReaderOptions): Promise<Reader> {
  return until(async () => {
    const reader = await openReader(node as Node, '/live', options)
    return reader.status === 503 ? null : reader
  }, 'a node to take a session', 30_000)
}

/** The library's client, behind a balancer that picks a node at random for each request. */
export function connectAnywhere (t: Test, nodes: () => readonly Node[]): Connection<typeof contract> {
  const client = connect<typeof contract>('http://anywhere/live', {
    retryMs: 10,
    retryMaxMs: 100,
    fetch: (url, init) => {
      const all = nodes()
      const { origin } = all[Math.floor(Math.random() * all.length)]!
      return fetch(`${origin}${new URL(String(url)).pathname}`, init)
    }
  })
  t.teardown(() => client.close())
  return client
}
