import * as zlib from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'
import { defaults } from '../../schemas/defaults.ts'
import type { Encoding } from '../carriers/stream-compression.ts'
import type { Compression } from '../compression/compression.ts'
import type { ResolvedCompression } from '../streams/transport.ts'

/** The types of this package do not know its second argument. */
interface EncodingNegotiator {
  encodings: (available: readonly string[], options: { preferred: readonly string[] }) => string[]
}

/** How one response is going to be encoded. */
export interface ChosenEncoding {
  readonly encoding: Encoding
  /** Bytes set aside for a compressor of its own; 0 where it has none. */
  readonly ownBytes: number
}

const isSupported: Record<Encoding, boolean> = {
  gzip: true,
  br: true,
  // Node.js has it from 22.15 on.
  zstd: 'createZstdCompress' in zlib
}

/** Adds to the `Vary` header what hooks have not said there already. */
export function varyByEncoding (reply: FastifyReply): void {
  const present = [reply.getHeader('vary') ?? []].flat().join(', ')
  if (/(?:^|,)\s*(?:\*|accept-encoding)\s*(?:,|$)/i.test(present)) return
  reply.header('vary', present === '' ? 'Accept-Encoding' : `${present}, Accept-Encoding`)
}

/**
 * The encoding that suits the request; null for none. Where it includes a
 * compressor of its own, memory has been set aside for that, to be released.
 *
 * @param mayWait whether a compressor may work on another thread
 */
export function chooseEncoding (request: FastifyRequest, reply: FastifyReply, options: ResolvedCompression, compression: Compression, mayWait: boolean): ChosenEncoding | null {
  // Whoever set it encodes the body, or means to say that nobody may.
  if (reply.hasHeader('content-encoding')) return null
  if (isOwn(request, options)) {
    const encoding = accepted(request, options.encodings.filter((name) => isSupported[name] && (mayWait || name === 'gzip')))
    const ownBytes = encoding === null ? 0 : defaults.fixed[`${encoding}CompressorBytes`]
    if (encoding !== null && compression.reserve(ownBytes)) return { encoding, ownBytes }
  }
  return accepted(request, ['gzip']) === null ? null : { encoding: 'gzip', ownBytes: 0 }
}

function isOwn (request: FastifyRequest, { own }: ResolvedCompression): boolean {
  if (own === 'none') return false
  return own === 'all' || request.headers['x-tether-session'] === undefined
}

/** What the client likes best of what there is, ours first where it makes no difference to it; null where that is no encoding at all. */
function accepted (request: FastifyRequest, available: readonly Encoding[]): Encoding | null {
  const negotiator = new Negotiator(request.raw) as unknown as EncodingNegotiator
  const [best = 'identity'] = negotiator.encodings([...available, 'identity'], { preferred: available })
  return best === 'identity' ? null : best as Encoding
}
