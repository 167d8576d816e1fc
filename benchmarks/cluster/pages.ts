import { Agent, request } from 'node:http'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { answer } from '../../tune/process/child-endpoint.ts'
import { microseconds } from '../harness/process/clock.ts'
import { latencyOf, type Latency } from '../harness/report/latency.ts'
import { countedHeaders, liveUrl, SocketStream } from '../harness/streams/socket-stream.ts'

// A process of pages: it reads streams, moves them from node to node, and posts.

const longest = 60_000_000
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024)
const stamp = /"t":(\d+)/g
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const concurrency = 100

/** A page, which goes on with its session on any node. */
class Page {
  session = ''
  verdict = ''
  /** Number of the last update. */
  seq = 0
  frames = 0
  readonly #path: string
  #stream: SocketStream | undefined
  #carry = ''

  constructor (path: string) {
    this.#path = path
  }

  /** Opens its stream, the first or the next one. Resolves with the hello. */
  async open (port: number, timeoutMs = 60_000): Promise<void> {
    this.#stream?.leave()
    this.#carry = this.verdict = ''
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => { reject(new Error('no hello in time')) }, timeoutMs)
      const settle = (error?: Error) => {
        clearTimeout(timer)
        if (error === undefined) resolve()
        else reject(error)
      }
      const headers = this.session === '' ? countedHeaders : { ...countedHeaders, 'x-tether-session': this.session, 'last-event-id': `${this.session}.${this.seq}` }
      this.#stream = new SocketStream({
        target: { port, headers, path: this.#path },
        buffer: readBuffer,
        onBody: (bytes, length) => {
          this.#read(bytes.toString('latin1', 0, length))
          if (this.verdict !== '') settle()
          return true
        },
        onFault: (reason) => { settle(new Error(reason)) }
      })
    })
  }

  leave (): void { this.#stream?.leave() }

  #read (text: string): void {
    const all = this.#carry + text
    const end = all.lastIndexOf('\n\n') + 1
    this.#carry = all.slice(end)
    const whole = all.slice(0, end)
    if (this.verdict === '') {
      const hello = /data: (\{"type":"hello".*\})\n/.exec(whole)
      if (hello === null) {
        this.#carry = all
        return
      }
      const { session, verdict, seq } = JSON.parse(hello[1]!) as { session: string, verdict: string, seq: number }
      if (session !== this.session) this.session = session
      this.verdict = verdict
      this.seq = seq
    }
    let count = 0
    const now = microseconds()
    for (const [, sentAt] of whole.matchAll(stamp)) {
      count += 1
      histogram?.record(Math.max(1, now - Number(sentAt)))
    }
    this.seq += count
    this.frames += count
  }
}

const pages: Page[] = []
/** There while latencies are measured. */
let histogram: RecordableHistogram | null = null

async function each (all: readonly Page[], run: (page: Page, index: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: Math.min(concurrency, all.length) }, async () => {
    while (next < all.length) {
      const index = next++
      await run(all[index]!, index)
    }
  }))
}

async function post (port: number, session: string, seq: number): Promise<number> {
  const body = JSON.stringify({ event: 'say', data: { n: seq }, seq })
  const startedAt = microseconds()
  return await new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path: liveUrl, method: 'POST', agent, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'x-tether-session': session } }, (response) => {
      response.resume().on('end', () => {
        if (response.statusCode === 202) resolve(microseconds() - startedAt)
        else reject(new Error(`a POST got ${response.statusCode}`))
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

const calls = {
  /** Opens pages, the n-th at the n-th of the ports in turn. Gives their sessions. */
  open: async ({ ports, count, path = liveUrl }: { ports: readonly number[], count: number, path?: string }): Promise<string[]> => {
    const added = Array.from({ length: count }, () => new Page(path))
    pages.push(...added)
    await each(added, async (page, index) => { await page.open(ports[index % ports.length]!) })
    return added.map(({ session }) => session)
  },
  /** Counts from zero again. */
  reset: (hasLatency: boolean): void => {
    histogram = hasLatency ? createHistogram({ lowest: 1, highest: longest }) : null
    for (const page of pages) page.frames = 0
  },
  /** Resolves with the time when each page has that number of frames. */
  arrived: async ({ frames, withinMs }: { frames: number, withinMs: number }): Promise<number> => {
    const by = performance.now() + withinMs
    while (pages.some((page) => page.frames < frames)) {
      if (performance.now() > by) throw new Error(`${Math.min(...pages.map((page) => page.frames))} of ${frames} frames came`)
      await delay(1)
    }
    return microseconds()
  },
  latency: (): Latency => latencyOf(histogram!),
  /** Posts to the first page's session, in turns to each of the ports. Gives microseconds. */
  post: async ({ ports, count, seq }: { ports: readonly number[], count: number, seq: number }): Promise<number[][]> => {
    const took: number[][] = ports.map(() => [])
    for (let done = 0; done < count; done += 1) {
      for (const [index, port] of ports.entries()) took[index]!.push(await post(port, pages[0]!.session, seq + done * ports.length + index))
    }
    return took
  },
  /** Opens the streams of all pages again, one after the other: at the node that has the session, then at the other. */
  reopen: async ({ owner, other }: { owner: number, other: number }): Promise<{ atOwner: number[], atOther: number[] }> => {
    const [atOwner, atOther]: [number[], number[]] = [[], []]
    for (const page of pages) {
      for (const [port, took] of [[owner, atOwner], [other, atOther]] as const) {
        const startedAt = microseconds()
        await page.open(port)
        took.push(microseconds() - startedAt)
        if (page.verdict !== 'resumed') throw new Error(`a session is ${page.verdict} after its move`)
      }
    }
    return { atOwner, atOther }
  },
  /** Opens the streams of all pages again at once, in turn at these nodes. Gives milliseconds and the verdicts. */
  thaw: async (ports: readonly number[]): Promise<{ ms: number, verdicts: Record<string, number> }> => {
    const startedAt = microseconds()
    const verdicts: Record<string, number> = {}
    await each(pages, async (page, index) => {
      await page.open(ports[index % ports.length]!)
      verdicts[page.verdict] = (verdicts[page.verdict] ?? 0) + 1
    })
    return { ms: (microseconds() - startedAt) / 1_000, verdicts }
  },
  close: (): void => {
    for (const page of pages) page.leave()
    pages.length = 0
  }
}

export type PagesCalls = typeof calls

answer(calls)
