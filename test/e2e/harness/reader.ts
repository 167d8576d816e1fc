import type { IncomingHttpHeaders } from 'node:http'
import type { ClientHttp2Session } from 'node:http2'
import type { Transform } from 'node:stream'
import { contentDecoder, type ContentDecoder } from './content-decoder.ts'
import { connectHttp2 } from './http2-connection.ts'
import { GrowingBlocks, type EventBlock } from '../../../plugin/entries/contract-tests/event-block.ts'
import { RawResponse } from './raw-response.ts'
import { isHttp2, isSecure, type Server } from './server.ts'

/** Data of a control frame or an update. */
export type Json = Record<string, any>

/** Reads the response to one request as it arrives. */
export interface Reader {
  /** Resolves when status and headers have arrived; rejects if the connection ends first. */
  readonly opened: Promise<void>
  /** 0 before {@link Reader.opened} resolves. */
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The body so far, without transfer framing and content encoding. */
  readonly text: string
  /** Bytes of the body so far. */
  readonly bytes: number
  /** The chunks of chunked HTTP/1.1; otherwise the pieces from the client's stack. */
  readonly chunks: readonly Buffer[]
  /** All complete blocks so far. */
  readonly blocks: EventBlock[]
  /** Blocks with data that are not control frames. */
  readonly updates: EventBlock[]
  /** Data of the control frames, in order: hello, heartbeat, goodbye, gap. */
  readonly controls: Json[]
  /** Id of the session, from the hello frame. Throws before the hello. */
  readonly session: string
  /** Whether the body came to its proper end. */
  readonly ended: boolean
  /** Whether nothing more will come, properly ended or not. */
  readonly closed: boolean
  /** Stops reading, so that the server's writes back up. */
  pause: () => void
  resume: () => void
  /** Destroys the connection, without a goodbye. */
  destroy: () => void
}

export interface ReaderOptions {
  /** Headers in addition to `Accept: text/event-stream`; undefined leaves a header out. */
  headers?: Record<string, string | undefined>
  method?: string
  /** Whether the reader stops reading after the headers. */
  frozen?: boolean
  /** Milliseconds between two reads of at most 64 KiB, for a slow but steady reader; 0 for no limit. */
  pieceEveryMs?: number
  /** An HTTP/2 connection to share with other readers. By default each reader has its own. */
  over?: ClientHttp2Session
  /** A port other than the server's own, for example of a {@link Link}. */
  port?: number
}

/** `ACCEPT_ENCODING` compresses the streams of all tests that set no encoding themselves. */
const acceptedByAll = process.env.ACCEPT_ENCODING === undefined ? {} : { 'accept-encoding': process.env.ACCEPT_ENCODING }

/** Sends a GET that accepts an event stream, and reads the response. */
export function startReader (server: Server, path = '/live', options: ReaderOptions = {}): Reader {
  const wanted = { accept: 'text/event-stream', ...acceptedByAll, ...options.headers }
  const headers = Object.fromEntries(Object.entries(wanted).filter((entry): entry is [string, string] => entry[1] !== undefined))
  const body = isHttp2(server.protocol)
    ? connectHttp2(server, options.port ?? server.port, path, headers, options)
    : new RawResponse(options.port ?? server.port, path, headers, options, isSecure(server.protocol))
  const reader = new StreamReader(body)
  server.readers.add(reader)
  return reader
}

/** Does the same, and waits for the headers. */
export async function openReader (server: Server, path = '/live', options: ReaderOptions = {}): Promise<Reader> {
  const reader = startReader(server, path, options)
  await reader.opened
  return reader
}

/** Reads the bytes of a response, over any protocol. */
export interface ResponseBody {
  readonly opened: Promise<void>
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly pieces: Buffer[]
  readonly ended: boolean
  readonly closed: boolean
  pause: () => void
  resume: () => void
  destroy: () => void
}

export class StreamReader implements Reader {
  readonly #body: ResponseBody
  #text = ''
  #bytes = 0
  #joined = 0
  readonly #blocks = new GrowingBlocks()
  readonly #decoder = new TextDecoder()
  #stream: Transform | null = null
  /** Whether the body has ended, but its encoding is incomplete. */
  #isBroken = false

  constructor (body: ResponseBody) {
    this.#body = body
  }

  get opened (): Promise<void> { return this.#body.opened }
  get status (): number { return this.#body.status }
  get headers (): IncomingHttpHeaders { return this.#body.headers }

  get ended (): boolean {
    if (!this.#body.ended) return false
    this.#join()
    return !this.#isBroken
  }

  get closed (): boolean { return this.#body.closed }
  get chunks (): readonly Buffer[] { return this.#body.pieces }

  get text (): string {
    this.#join()
    return this.#text
  }

  get bytes (): number {
    this.#join()
    return this.#bytes
  }

  get blocks (): EventBlock[] {
    return this.#blocks.of(this.text)
  }

  get updates (): EventBlock[] {
    return this.blocks.filter((block) => block.data !== undefined && block.event !== 'tether')
  }

  get controls (): Json[] {
    return this.blocks.filter((block) => block.event === 'tether').map((block) => JSON.parse(block.data ?? 'null') as Json)
  }

  get session (): string {
    const hello = this.controls.find((control) => control.type === 'hello')
    if (hello === undefined) throw new Error(`no hello frame yet: ${JSON.stringify(this.text.slice(0, 400))}`)
    return hello.session as string
  }

  pause (): void { this.#body.pause() }
  resume (): void { this.#body.resume() }
  destroy (): void { this.#body.destroy() }

  #join (): void {
    const { pieces } = this.#body
    while (this.#joined < pieces.length) {
      const piece = pieces[this.#joined++]!
      this.#bytes += piece.length
      if (this.#decoding === null) this.#decode(piece)
      else this.#decompressor().write(piece)
    }
    if (this.#stream !== null && (this.#body.ended || this.#body.closed)) this.#decompressAll(this.#stream)
  }

  get #decoding (): ContentDecoder | null {
    return contentDecoder(this.headers['content-encoding'])
  }

  #decompressor (): Transform {
    if (this.#stream === null) {
      this.#stream = this.#decoding!.stream()
      this.#stream.on('data', (bytes: Buffer) => { this.#decode(bytes) })
      // An error shows in the text, which stops.
      this.#stream.on('error', () => {})
    }
    return this.#stream
  }

  /** Decodes the rest after the last byte, at once. If the body ended properly, its trailer must be right. */
  #decompressAll (stream: Transform): void {
    if (stream.destroyed) return
    stream.destroy()
    const all = Buffer.concat(this.#body.pieces)
    const { whole } = this.#decoding!
    if (this.#body.ended) {
      try {
        this.#text = whole(all, false).toString()
        return
      } catch {
        this.#isBroken = true
      }
    }
    this.#text = whole(all, true).toString()
  }

  #decode (bytes: Buffer): void {
    this.#text += this.#decoder.decode(bytes, { stream: true })
  }
}
