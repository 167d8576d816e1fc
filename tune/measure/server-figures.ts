import { fetchText, type FetchOptions } from '../fetch.ts'
import type { TuneOptions } from '../input/options.ts'
import type { Buckets } from '../statistics/buckets.ts'

/** A limit beyond which the server refuses sessions. */
export type SessionLimitOption = keyof ServerFigures['stats']['refusals']

/** Answer of `GET <url>/tether.tuning`. Every count and time is a total since the start. @see docs/tune.md */
export interface ServerFigures {
  readonly version: 1
  readonly pid: number
  readonly node: string
  readonly atMs: number
  readonly cpuMs: number
  readonly loopIdleMs: number
  readonly loopActiveMs: number
  readonly memory: { readonly residentBytes: number, readonly heapBytes: number, readonly externalBytes: number }
  readonly collections: { readonly count: number, readonly ms: number }
  readonly events: {
    readonly accepted: number
    readonly settled: number
    readonly waiting: number
    readonly running: number
    readonly presenceMs: number
    readonly heldMs: number
    readonly totalMs: number
    readonly runMs: number
    readonly total: Buckets
    readonly run: Buckets
  }
  readonly stats: {
    readonly sessions: number
    readonly streams: number
    readonly stalled: number
    readonly stalls: number
    readonly stalledMs: number
    readonly framesWritten: number
    readonly bytesWritten: number
    readonly overflowDisconnects: number
    readonly stallDisconnects: number
    readonly dropped: number
    readonly handlerErrors: number
    readonly queueHighWater: number
    readonly bufferedMemory: number
    readonly refusals: { readonly maxSessions: number, readonly maxSessionsPerOwner: number, readonly maxSessionsPerConnection: number }
  }
  readonly options: {
    readonly writeBuffer: number
    readonly commandBuffer: number
    readonly queueFrames: number
    readonly queueBytes: number
    readonly maxSessions: number
    readonly maxBufferedBytes: number
  }
  readonly socketBytes: number
  readonly cluster: { readonly nodes: number } | null
}

const timeoutMs = 15_000

/** The route of a server's figures. */
export class TuningRoute {
  readonly #url: URL
  readonly #options: FetchOptions

  constructor ({ url, headers, transport }: Pick<TuneOptions, 'url' | 'headers' | 'transport'>) {
    this.#options = { headers, isHttp2: transport === 'http2', timeoutMs }
    this.#url = new URL(url)
    this.#url.search = ''
    this.#url.pathname = `${url.pathname.replace(/\/$/, '')}/tether.tuning`
  }

  /**
   * The figures, or why there are none.
   *
   * @param collect whether the server collects garbage first
   */
  async read (collect = false): Promise<ServerFigures | string> {
    const url = new URL(this.#url)
    if (collect) url.searchParams.set('collect', '')
    try {
      const { status, text } = await fetchText(url, this.#options)
      if (status !== 200) return status === 404 ? 'the server has no route tether.tuning' : `the server answers ${status} to tether.tuning`
      const figures = JSON.parse(text) as ServerFigures
      return figures.version === 1 ? figures : 'the server has another version of the figures'
    } catch (error) {
      return `tether.tuning does not answer: ${(error as Error).message}`
    }
  }
}
