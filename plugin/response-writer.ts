import type { ServerResponse } from 'node:http'
import { chunkHead, type EncodedRun } from './encoded-run.ts'

/** How pieces of a stream get onto a response. Each method gives false when the socket takes no more until it drains. */
export interface ResponseWriter {
  /** Where `drain` is emitted. */
  readonly emitter: NodeJS.EventEmitter
  /** @param bytes length of the text in UTF-8 */
  writeText: (text: string, bytes: number) => boolean
  writeRun: (run: EncodedRun) => boolean
  writeBytes: (bytes: Buffer) => boolean
}

/** The writer that suits a response whose head has been fixed. */
export function createResponseWriter (response: ServerResponse): ResponseWriter {
  const { socket, chunkedEncoding } = response
  // Without a socket of its own (a pipelined request that waits, HTTP/2) or without chunks (HTTP/1.0), Node does it all.
  if (socket === null || chunkedEncoding !== true || 'stream' in response || typeof socket.write !== 'function') return new PlainWriter(response)
  return new ChunkWriter(response)
}

// Text of one byte a character needs no look at each of them.
function encodingOf (text: string, bytes: number): 'latin1' | 'utf8' {
  return text.length === bytes ? 'latin1' : 'utf8'
}

/** Writes through the response. */
class PlainWriter implements ResponseWriter {
  readonly emitter: ServerResponse

  constructor (response: ServerResponse) {
    this.emitter = response
  }

  writeText (text: string, bytes: number): boolean {
    return this.emitter.write(text, encodingOf(text, bytes))
  }

  writeRun (run: EncodedRun): boolean {
    return this.emitter.write(run.bytes)
  }

  writeBytes (bytes: Buffer): boolean {
    return this.emitter.write(bytes)
  }
}

/**
 * Writes HTTP/1.1 chunks to the response's socket.
 *
 * `response.write` makes four writes and a tick of every piece to frame it; a
 * piece that is framed already, once for all who share it, takes one write. The
 * first piece still goes through the response, which puts the head before it, and
 * so does the end, which writes the last chunk.
 */
class ChunkWriter implements ResponseWriter {
  readonly emitter: NonNullable<ServerResponse['socket']>
  readonly #response: ServerResponse
  #begun = false

  constructor (response: ServerResponse) {
    this.#response = response
    this.emitter = response.socket!
  }

  writeText (text: string, bytes: number): boolean {
    if (!this.#begun) return this.#begin(text)
    if (!this.emitter.writable) return false
    return this.emitter.write(`${chunkHead(bytes)}${text}\r\n`, encodingOf(text, bytes))
  }

  writeRun (run: EncodedRun): boolean {
    if (!this.#begun) return this.#begin(run.bytes)
    // A client that has ended its side is about to be closed; writing to it would be an error.
    if (!this.emitter.writable) return false
    return this.emitter.write(run.chunk)
  }

  writeBytes (bytes: Buffer): boolean {
    if (!this.#begun) return this.#begin(bytes)
    const { emitter } = this
    if (!emitter.writable) return false
    emitter.cork()
    emitter.write(chunkHead(bytes.length), 'latin1')
    emitter.write(bytes)
    const writable = emitter.write('\r\n', 'latin1')
    emitter.uncork()
    return writable
  }

  #begin (piece: string | Buffer): boolean {
    this.#begun = true
    return this.#response.write(piece)
  }
}
