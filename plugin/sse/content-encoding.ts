import * as zlib from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'
import type { Encoding } from '../carriers/stream-compression.ts'
import type { Compression } from '../compression/compression.ts'
import type { ResolvedCompression } from '../streams/transport.ts'

/** The package's own types lack the second argument. */
interface EncodingNegotiator {
  encodings: (available: readonly string[], options: { preferred: readonly string[] }) => string[]
}

/** The encoding of one response. */
export interface ChosenEncoding {
  readonly encoding: Encoding
  /** Bytes of memory reserved for the stream's own compressor; 0 for no such compressor. */
  readonly ownBytes: number
}

const isSupported: Record<Encoding, boolean> = {
  gzip: true,
  br: true,
  // Node.js has zstd from 22.15 on.
  zstd: 'createZstdCompress' in zlib
}

/** Adds `Accept-Encoding` to the `Vary` header, unless a hook has done so. */
export function varyByEncoding (reply: FastifyReply): void {
  const present = [reply.getHeader('vary') ?? []].flat().join(', ')
  if (/(?:^|,)\s*(?:\*|accept-encoding)\s*(?:,|$)/i.test(present)) return
  reply.header('vary', present === '' ? 'Accept-Encoding' : `${present}, Accept-Encoding`)
}

/**
 * Chooses the encoding for a request; null for none. It reserves memory for the stream's own
 * compressor, if there is one; the caller must release that memory.
 *
 * @param mayWait whether a compressor may work on another thread
 */
export function chooseEncoding (request: FastifyRequest, reply: FastifyReply, options: ResolvedCompression, compression: Compression, mayWait: boolean): ChosenEncoding | null {
  // A hook has set the encoding: it encodes the body itself, or forbids any encoding.
  if (reply.hasHeader('content-encoding')) return null
  if (isOwn(request, options)) {
    const encoding = accepted(request, options.encodings.filter((name) => isSupported[name] && (mayWait || name === 'gzip')))
    const ownBytes = encoding === null ? 0 : compression.limits[`${encoding}CompressorBytes`]
    if (encoding !== null && compression.reserve(ownBytes)) return { encoding, ownBytes }
  }
  return accepted(request, ['gzip']) === null ? null : { encoding: 'gzip', ownBytes: 0 }
}

function isOwn (request: FastifyRequest, { own }: ResolvedCompression): boolean {
  if (own === 'none') return false
  return own === 'all' || request.headers['x-tether-session'] === undefined
}

/** The client's preferred encoding among the available ones; our order decides between equals. Null for no encoding. */
function accepted (request: FastifyRequest, available: readonly Encoding[]): Encoding | null {
  const negotiator = new Negotiator(request.raw) as unknown as EncodingNegotiator
  const [best = 'identity'] = negotiator.encodings([...available, 'identity'], { preferred: available })
  return best === 'identity' ? null : best as Encoding
}
