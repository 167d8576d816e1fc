import { once } from 'node:events'
import { Agent, createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect as connectHttp2, constants, createServer as createHttp2Server, type ClientHttp2Session, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { connect, type AddressInfo } from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import type { Random } from '../harness/random.ts'
import type { Ports } from './messages.ts'
import type { PageKind } from './page.ts'

/** A stream to a page, which may be cut. */
interface Cuttable { destroy: () => unknown }

/** Passes each request to a node that it picks at random, by the protocol in which it came. It knows nothing of sessions. */
export class Balancer {
  targets: readonly Ports[] = []
  /** Requests by the port of their node. */
  readonly requests = new Map<number, number>()
  /** Streams that were opened, by how they came. */
  readonly opened = { 'http/1.1': 0, 'http/2': 0, websocket: 0 }
  /** Requests that it sent again to another node, because the first one gave no answer. */
  repeats = 0
  breaks = 0
  readonly #streams = new Set<Cuttable>()
  readonly #random: Random
  readonly #agent = new Agent({ keepAlive: true })
  readonly #server: Server
  readonly #http2Server: Http2Server
  readonly #fromPages = new Set<ServerHttp2Session>()
  /** One connection to each node, as proxies have it. */
  readonly #toNodes = new Map<number, ClientHttp2Session>()

  private constructor (random: Random) {
    this.#random = random
    this.#server = createServer({ noDelay: true }, (incoming, answer) => {
      this.#serve(incoming, answer).catch(() => { answer.destroy() })
    })
    this.#server.on('upgrade', (incoming, socket, head) => { this.#tunnel(incoming, socket, head, 3) })
    this.#http2Server = createHttp2Server()
    this.#http2Server.on('session', (session) => {
      this.#fromPages.add(session)
      session.on('error', () => {})
      session.once('close', () => { this.#fromPages.delete(session) })
    })
    this.#http2Server.on('stream', (incoming, headers) => {
      incoming.on('error', () => {})
      this.#serveHttp2(incoming, headers).catch(() => { incoming.destroy() })
    })
  }

  static async start (random: Random): Promise<Balancer> {
    const balancer = new Balancer(random)
    for (const server of [balancer.#server, balancer.#http2Server]) await once(server.listen(0, '127.0.0.1'), 'listening')
    return balancer
  }

  originFor (kind: PageKind): string {
    const server = kind === 'tether-h2c' ? this.#http2Server : this.#server
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** Cuts one of the open streams. Its page comes back to any node. */
  cut (): void {
    if (this.#streams.size > 0) this.#random.pick([...this.#streams]).destroy()
  }

  async close (): Promise<void> {
    const closed = [this.#server, this.#http2Server].map((server) => once(server, 'close'))
    for (const stream of this.#streams) stream.destroy()
    for (const session of [...this.#fromPages, ...this.#toNodes.values()]) session.destroy()
    this.#server.close()
    this.#http2Server.close()
    this.#server.closeAllConnections()
    this.#agent.destroy()
    await Promise.all(closed)
  }

  #pick (): Ports | null {
    if (this.targets.length === 0) return null
    const picked = this.#random.pick(this.targets)
    this.requests.set(picked.http1, (this.requests.get(picked.http1) ?? 0) + 1)
    return picked
  }

  #opened (kind: keyof Balancer['opened'], stream: Cuttable & { once: (event: 'close', run: () => void) => unknown }): void {
    this.opened[kind]++
    this.#streams.add(stream)
    stream.once('close', () => { this.#streams.delete(stream) })
  }

  /** As balancers do: a request that arrived nowhere goes to another node; of the others, some go there too, and some fail. */
  #mayRepeat (tries: number, error: Error | null): boolean {
    const may = tries > 1 && ((error as NodeJS.ErrnoException | null)?.code === 'ECONNREFUSED' || this.#random.chance(0.5))
    if (may) this.repeats++
    else this.breaks++
    return may
  }

  // HTTP/1.1

  async #serve (incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    this.#pass(incoming, await bodyOf(incoming), answer, 3)
  }

  #pass (incoming: IncomingMessage, body: Buffer, answer: ServerResponse, tries: number): void {
    const picked = answer.destroyed ? null : this.#pick()
    if (picked === null) {
      answer.destroy()
      return
    }
    const { method, url, headers } = incoming
    const outgoing = request({ host: '127.0.0.1', port: picked.http1, method, path: url, headers, agent: this.#agent })
    const leave = () => { outgoing.destroy() }
    answer.once('close', leave)
    outgoing.on('response', (response) => {
      answer.writeHead(response.statusCode!, response.statusMessage, response.headers)
      answer.flushHeaders()
      if (isEventStream(response.headers['content-type'])) this.#opened('http/1.1', answer)
      response.on('data', (chunk: Buffer) => { answer.write(chunk) })
      response.on('end', () => { answer.end() })
      // A node that dies leaves half an answer.
      response.on('close', () => {
        if (!response.complete) answer.destroy()
      })
      response.on('error', () => {})
    })
    outgoing.on('error', (error) => {
      answer.off('close', leave)
      if (answer.headersSent || answer.destroyed) return
      if (this.#mayRepeat(tries, error)) this.#pass(incoming, body, answer, tries - 1)
      else if (method === 'POST' && this.#random.chance(0.5)) answer.writeHead(502).end()
      else answer.destroy()
    })
    outgoing.end(body)
  }

  // WebSockets

  #tunnel (incoming: IncomingMessage, socket: Duplex, head: Buffer, tries: number): void {
    const picked = socket.destroyed ? null : this.#pick()
    if (picked === null) {
      socket.destroy()
      return
    }
    const { method, url, rawHeaders } = incoming
    const outgoing = connect(picked.http1, '127.0.0.1')
    let isConnected = false
    outgoing.once('connect', () => {
      isConnected = true
      let text = `${method} ${url} HTTP/1.1\r\n`
      for (let at = 0; at < rawHeaders.length; at += 2) text += `${rawHeaders[at]}: ${rawHeaders[at + 1]}\r\n`
      outgoing.write(`${text}\r\n`)
      outgoing.write(head)
      this.#opened('websocket', socket)
      outgoing.pipe(socket)
      socket.pipe(outgoing)
    })
    const leave = () => { outgoing.destroy() }
    socket.once('close', leave)
    socket.on('error', () => {})
    outgoing.on('error', (error) => {
      if (isConnected || socket.destroyed || !this.#mayRepeat(tries, error)) return
      // The next try has the socket now.
      isConnected = true
      socket.off('close', leave)
      outgoing.removeAllListeners('close')
      this.#tunnel(incoming, socket, head, tries - 1)
    })
    outgoing.once('close', () => { socket.destroy() })
  }

  // HTTP/2

  async #serveHttp2 (incoming: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    this.#passHttp2(incoming, headers, await bodyOf(incoming), 3)
  }

  #passHttp2 (incoming: ServerHttp2Stream, headers: IncomingHttpHeaders, body: Buffer, tries: number): void {
    const picked = incoming.destroyed ? null : this.#pick()
    if (picked === null) {
      incoming.close(constants.NGHTTP2_CANCEL)
      return
    }
    const outgoing = this.#nodeAt(picked.http2).request(headers)
    const leave = () => { outgoing.close(constants.NGHTTP2_CANCEL) }
    incoming.once('close', leave)
    let hasAnswer = false
    let fault: Error | null = null
    outgoing.on('response', ({ ':status': status, ...rest }) => {
      hasAnswer = true
      if (incoming.destroyed) return
      incoming.respond({ ...rest, ':status': status })
      if (isEventStream(rest['content-type'])) this.#opened('http/2', incoming)
    })
    outgoing.on('data', (chunk: Buffer) => { incoming.write(chunk) })
    outgoing.on('error', (error) => { fault = error })
    outgoing.once('close', () => {
      incoming.off('close', leave)
      if (incoming.destroyed) return
      if (hasAnswer) {
        if (outgoing.rstCode === constants.NGHTTP2_NO_ERROR && outgoing.readableEnded) incoming.end()
        else incoming.close(constants.NGHTTP2_INTERNAL_ERROR)
      } else if (this.#mayRepeat(tries, fault)) this.#passHttp2(incoming, headers, body, tries - 1)
      else if (headers[':method'] === 'POST' && this.#random.chance(0.5)) {
        incoming.respond({ ':status': 502 })
        incoming.end()
      } else incoming.close(constants.NGHTTP2_INTERNAL_ERROR)
    })
    // That of a GET has ended.
    if (body.length > 0) outgoing.end(body)
    else outgoing.end()
  }

  #nodeAt (port: number): ClientHttp2Session {
    const known = this.#toNodes.get(port)
    if (known !== undefined && !known.closed && !known.destroyed) return known
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    // The error of a connection reaches its streams.
    session.on('error', () => {})
    this.#toNodes.set(port, session)
    return session
  }
}

function isEventStream (type: string | string[] | undefined): boolean {
  return type?.includes('text/event-stream') === true
}

/** An iterator would destroy a stream of HTTP/2 at the end of its body, before the answer. */
function bodyOf (incoming: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => { chunks.push(chunk) })
    incoming.once('end', () => { resolve(Buffer.concat(chunks)) })
    incoming.once('close', () => { reject(new Error('left')) })
  })
}
