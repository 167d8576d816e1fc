import { once } from 'node:events'
import { Agent, createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Random } from '../harness/random.ts'

/** Passes each request to a node that it picks at random. It knows nothing of sessions. */
export class Balancer {
  /** The ports of the nodes. */
  targets: readonly number[] = []
  /** Requests by the port of their node. */
  readonly requests = new Map<number, number>()
  /** Requests that it sent again to another node, because the first one gave no answer. */
  repeats = 0
  breaks = 0
  readonly #streams = new Set<ServerResponse>()
  readonly #random: Random
  readonly #agent = new Agent({ keepAlive: true })
  readonly #server: Server

  private constructor (random: Random) {
    this.#random = random
    this.#server = createServer({ noDelay: true }, (incoming, answer) => {
      this.#serve(incoming, answer).catch(() => { answer.destroy() })
    })
  }

  static async start (random: Random): Promise<Balancer> {
    const balancer = new Balancer(random)
    balancer.#server.listen(0, '127.0.0.1')
    await once(balancer.#server, 'listening')
    return balancer
  }

  get origin (): string { return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}` }

  /** Cuts one of the open streams. Its page comes back to any node. */
  cut (): void {
    if (this.#streams.size > 0) this.#random.pick([...this.#streams]).destroy()
  }

  async close (): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    this.#agent.destroy()
    await closed
  }

  async #serve (incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    this.#pass(incoming, Buffer.concat(chunks), answer, 3)
  }

  #pass (incoming: IncomingMessage, body: Buffer, answer: ServerResponse, tries: number): void {
    if (this.targets.length === 0 || answer.destroyed) {
      answer.destroy()
      return
    }
    const port = this.#random.pick(this.targets)
    this.requests.set(port, (this.requests.get(port) ?? 0) + 1)
    const { method, url, headers } = incoming
    const outgoing = request({ host: '127.0.0.1', port, method, path: url, headers, agent: this.#agent })
    const leave = () => { outgoing.destroy() }
    answer.once('close', leave)
    outgoing.on('response', (response) => {
      answer.writeHead(response.statusCode!, response.statusMessage, response.headers)
      answer.flushHeaders()
      if (response.headers['content-type']?.startsWith('text/event-stream')) {
        this.#streams.add(answer)
        answer.once('close', () => { this.#streams.delete(answer) })
      }
      response.on('data', (chunk: Buffer) => { answer.write(chunk) })
      response.on('end', () => { answer.end() })
      // A node that dies leaves half an answer.
      response.on('close', () => {
        if (!response.complete) answer.destroy()
      })
      response.on('error', () => {})
    })
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      answer.off('close', leave)
      if (answer.headersSent || answer.destroyed) return
      // As balancers do: a request that arrived nowhere goes to another node; of the others, some go there too, and some fail.
      if (tries > 1 && (error.code === 'ECONNREFUSED' || this.#random.chance(0.5))) {
        this.repeats++
        this.#pass(incoming, body, answer, tries - 1)
      } else if (method === 'POST' && this.#random.chance(0.5)) {
        this.breaks++
        answer.writeHead(502).end()
      } else {
        this.breaks++
        answer.destroy()
      }
    })
    outgoing.end(body)
  }
}
