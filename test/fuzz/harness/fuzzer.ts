import { Random } from '../../chaos/harness/random.ts'
import { Connection } from './connection.ts'
import { Mutator, type KnownIds } from './mutation.ts'
import { bytesOf, type WireRequest } from './wire-request.ts'
import { parseResponse, type WireResponse } from './wire-response.ts'

export interface FuzzCounts {
  /** Requests that were answered, streams and broken ones included. */
  requests: number
  /** Others, behind one after which the server closed the connection. */
  unanswered: number
  /** Streams that were opened. */
  streams: number
  /** Connections with bytes that need be no request. */
  broken: number
  statuses: Record<number, number>
}

const patienceMs = 30_000
const keptStreams = 12
const keptIds = 200
const mostFaults = 10

// What Node itself refuses is among them: 408, 417, 431.
const rightStatuses = new Set([200, 202, 204, 400, 403, 404, 406, 408, 409, 410, 413, 414, 415, 417, 429, 431])

/** Sends mutated requests, as fast as they are answered, and judges the answers. */
export class Fuzzer {
  readonly counts: FuzzCounts = { requests: 0, unanswered: 0, streams: 0, broken: 0, statuses: {} }
  /** What must not be. */
  readonly faults: string[] = []
  readonly #port: number
  readonly #open = new Map<string, Connection>()
  readonly #ids: { open: string[], other: string[] } = { open: [], other: [] }

  constructor (port: number) {
    this.#port = port
  }

  /** One connection after the other, until so many requests have been sent by all together. */
  async work (seed: number, worker: number, requests: number): Promise<void> {
    const random = new Random(seed, worker)
    const mutator = new Mutator(random, this.#port, this.#ids satisfies KnownIds)
    let connection = new Connection(this.#port)
    while (this.counts.requests < requests && this.faults.length < mostFaults) {
      const what = random.weighted({ answered: 12, stream: 3, broken: 2 })
      if (what === 'answered') {
        if (connection.isClosed) connection = new Connection(this.#port)
        await this.#answered(connection, [...Array.from({ length: random.skewed(1, 12) }, () => mutator.answered(false)), mutator.answered()])
      } else if (what === 'stream') {
        const behind = random.chance(0.1) ? [random.chance(0.5) ? mutator.stream() : mutator.answered()] : []
        await this.#stream(mutator.stream(), behind, random.chance(0.3))
      } else await this.#broken(mutator.broken())
    }
    connection.destroy()
  }

  /** Leaves all streams that were kept. */
  close (): void {
    for (const connection of this.#open.values()) connection.destroy()
  }

  async #answered (connection: Connection, requests: WireRequest[]): Promise<void> {
    connection.write(Buffer.concat(requests.map(bytesOf)))
    let bytes: Buffer = Buffer.alloc(0)
    for (const [index, request] of requests.entries()) {
      for (;;) {
        let parsed
        try {
          parsed = parseResponse(bytes, request.method === 'HEAD')
        } catch (error) {
          return this.#fault(request, (error as Error).message, connection)
        }
        if (parsed.kind === 'whole') {
          bytes = bytes.subarray(parsed.length)
          this.#judge(request, parsed.response)
          break
        }
        if (parsed.kind === 'stream') return this.#fault(request, 'a stream', connection)
        let more: Buffer | null
        try {
          more = await connection.read(patienceMs)
        } catch (error) {
          return this.#fault(request, (error as Error).message, connection)
        }
        // Node closes after what it cannot parse, and after some refusals; what stands behind is not answered then.
        if (more === null) {
          this.counts.unanswered += requests.length - index
          return
        }
        bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more])
      }
    }
  }

  async #stream (request: WireRequest, behind: WireRequest[], isKept: boolean): Promise<void> {
    const connection = new Connection(this.#port)
    connection.write(Buffer.concat([request, ...behind].map(bytesOf)))
    let bytes: Buffer = Buffer.alloc(0)
    try {
      for (;;) {
        const parsed = parseResponse(bytes, request.method === 'HEAD')
        if (parsed.kind === 'whole') {
          this.#judge(request, parsed.response)
          break
        }
        if (parsed.kind === 'stream') {
          const hello = /^data: (\{"type":"hello".*\})$/m.exec(parsed.response.body)
          if (hello !== null) {
            this.counts.streams++
            this.#judge(request, parsed.response)
            const { session } = JSON.parse(hello[1]!) as { session: string }
            if (isKept && behind.length === 0) return this.#keep(session, connection)
            this.#note(session)
            break
          }
        }
        const more = await connection.read(patienceMs)
        if (more === null) break
        bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more])
      }
    } catch (error) {
      this.#fault(request, (error as Error).message, connection)
    }
    connection.destroy()
  }

  async #broken (bytes: Buffer): Promise<void> {
    this.counts.requests++
    this.counts.broken++
    const connection = new Connection(this.#port)
    connection.write(bytes)
    connection.end()
    let received = ''
    try {
      for (let more = await connection.read(patienceMs); more !== null; more = await connection.read(patienceMs)) received += more.toString('latin1')
    } catch (error) {
      this.#fault(bytes, `the connection does not end: ${(error as Error).message}`, connection)
      return
    }
    if (/^HTTP\/1\.1 5/m.test(received)) this.#fault(bytes, received, connection)
  }

  /** Keeps a stream open, and drops the oldest of too many. */
  #keep (session: string, connection: Connection): void {
    this.#open.get(session)?.destroy()
    this.#open.set(session, connection)
    if (this.#open.size > keptStreams) {
      const [oldest, itsConnection] = this.#open.entries().next().value!
      this.#open.delete(oldest)
      itsConnection.destroy()
      this.#note(oldest)
    }
    this.#ids.open = [...this.#open.keys()]
    this.#drain(session, connection)
  }

  async #drain (session: string, connection: Connection): Promise<void> {
    while (await connection.read(2 ** 31 - 1) !== null) { /* it is read and forgotten */ }
    if (this.#open.get(session) === connection) this.#open.delete(session)
    this.#ids.open = [...this.#open.keys()]
    this.#note(session)
  }

  #note (session: string): void {
    this.#ids.other.push(session)
    if (this.#ids.other.length > keptIds) this.#ids.other.shift()
  }

  #judge (request: WireRequest, { status, headers, body }: WireResponse): void {
    this.counts.requests++
    this.counts.statuses[status] = (this.counts.statuses[status] ?? 0) + 1
    if (!rightStatuses.has(status)) return this.#fault(request, `${status} ${body}`)
    if (status === 202 && !/^\{"seq":\d+\}$/.test(body)) return this.#fault(request, `202 ${body}`)
    if (request.target === '/page' && status === 200) {
      const { session } = body === '' ? { session: null } : JSON.parse(body) as { session: string | null }
      if (session !== null) this.#note(session)
    }
    if (status < 400 || headers['content-type']?.startsWith('application/json') !== true || request.method === 'HEAD') return
    const refusal = JSON.parse(body) as { statusCode: number, message: unknown, code?: string, errors?: Array<{ path: unknown, message: unknown }>, expected?: unknown }
    if (refusal.statusCode !== status || typeof refusal.message !== 'string') return this.#fault(request, `${status} ${body}`)
    if (refusal.code === 'FST_ERR_VALIDATION' && !(refusal.errors?.length !== 0 && refusal.errors?.every(({ path, message }) => typeof path === 'string' && typeof message === 'string'))) this.#fault(request, body)
    if (refusal.code === 'FST_ERR_TETHER_SEQUENCE' && !(Number.isInteger(refusal.expected))) this.#fault(request, body)
    if (status === 429 && headers['retry-after'] === undefined) this.#fault(request, 'a 429 without Retry-After')
  }

  #fault (request: WireRequest | Buffer, what: string, connection?: Connection): void {
    connection?.destroy()
    const bytes = Buffer.isBuffer(request) ? request : bytesOf(request)
    if (this.faults.length < mostFaults) this.faults.push(`${JSON.stringify(bytes.toString('latin1').slice(0, 1_500))} of ${bytes.length} bytes got: ${what.slice(0, 1_500)}`)
  }
}
