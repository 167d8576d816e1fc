/** A request, not yet bytes. */
export interface WireRequest {
  method: string
  target: string
  headers: Array<[name: string, value: string]>
  body: Buffer | null
  /** How the body is framed; `none` sends it without a word. */
  framing: 'length' | 'chunked' | 'none'
  /** Bytes of the chunks, one after the other, over and over. */
  chunkBytes: number
}

/** A request as it goes over the wire. */
export function bytesOf (request: WireRequest): Buffer {
  const { method, target, headers, body, framing } = request
  let head = `${method} ${target} HTTP/1.1\r\n`
  for (const [name, value] of headers) head += `${name}: ${value}\r\n`
  if (body === null || framing === 'none') return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), body ?? Buffer.alloc(0)])
  if (framing === 'length') return Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`, 'latin1'), body])
  const pieces: Buffer[] = [Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`, 'latin1')]
  for (let at = 0; at < body.length; at += request.chunkBytes) {
    const chunk = body.subarray(at, at + request.chunkBytes)
    pieces.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'))
  }
  pieces.push(Buffer.from('0\r\n\r\n'))
  return Buffer.concat(pieces)
}
