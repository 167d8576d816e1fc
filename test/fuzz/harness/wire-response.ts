/** One response, as far as it has come. */
export interface WireResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What stands at the beginning of some bytes. */
export type Parsed =
  | { readonly kind: 'incomplete' }
  /** The head of an event stream, which has no end; `body` is what came of it so far. */
  | { readonly kind: 'stream', readonly response: WireResponse }
  | { readonly kind: 'whole', readonly response: WireResponse, readonly length: number }

const incomplete: Parsed = Object.freeze({ kind: 'incomplete' })

/** Reads the first response of `bytes`; interim ones are skipped. */
export function parseResponse (bytes: Buffer, isHead: boolean): Parsed {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd === -1) return incomplete
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n')
  const match = /^HTTP\/1\.1 ([1-5]\d\d)( |$)/.exec(statusLine)
  if (match === null) throw new Error(`not a status line: ${JSON.stringify(statusLine.slice(0, 200))}`)
  const status = Number(match[1])
  const start = headEnd + 4
  if (status < 200) {
    const rest = parseResponse(bytes.subarray(start), isHead)
    return rest.kind === 'whole' ? { ...rest, length: rest.length + start } : rest
  }
  const headers = Object.fromEntries(lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  }))
  const whole = (body: string, length: number): Parsed => ({ kind: 'whole', response: { status, headers, body }, length })
  if (isHead || status === 204 || status === 304) return whole('', start)
  if (headers['transfer-encoding'] === 'chunked') {
    const { body, end } = readChunks(bytes, start)
    if (end !== -1) return whole(body, end)
    return headers['content-type']?.startsWith('text/event-stream') === true ? { kind: 'stream', response: { status, headers, body } } : incomplete
  }
  const length = Number(headers['content-length'] ?? 0)
  if (bytes.length < start + length) return incomplete
  return whole(bytes.toString('utf8', start, start + length), start + length)
}

function readChunks (bytes: Buffer, start: number): { body: string, end: number } {
  const pieces: Buffer[] = []
  let at = start
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) break
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    const next = lineEnd + 2 + size + 2
    if (Number.isNaN(size) || bytes.length < next) break
    if (size === 0) return { body: Buffer.concat(pieces).toString(), end: next }
    pieces.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = next
  }
  return { body: Buffer.concat(pieces).toString(), end: -1 }
}
