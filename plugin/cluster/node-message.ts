/** What one node sends to another: a request, or the reply to one. */
export interface NodeMessage {
  readonly kind: 'request' | 'reply'
  /** Numbers the requests of one node, from 1. A reply has the number of its request. */
  readonly id: number
  /** What is asked for; in a reply its outcome. */
  readonly name: string
  readonly data: unknown
}

/** A message of a version that this one cannot read. */
export interface ForeignMessage {
  readonly kind: 'foreign'
  /** The number of the request, which gets a reply; null for anything else. */
  readonly id: number | null
}

// A message is JSON: [format, kind, id, name, data]. Every format has these first three.
const format = 1
const nameLength = 64

/** Writes a message. */
export function packMessage ({ kind, id, name, data }: NodeMessage): Buffer {
  return Buffer.from(JSON.stringify([format, kind === 'request' ? 0 : 1, id, name, data]))
}

/** Reads a message. Gives null for what is none. */
export function unpackMessage (bytes: Buffer): NodeMessage | ForeignMessage | null {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch {
    return null
  }
  if (!Array.isArray(value)) return null
  const [given, kind, id, name, data] = value as unknown[]
  if (!Number.isSafeInteger(given) || !Number.isSafeInteger(id) || (id as number) < 1) return null
  if (given !== format) return { kind: 'foreign', id: kind === 0 ? id as number : null }
  if ((kind !== 0 && kind !== 1) || typeof name !== 'string' || name === '' || name.length > nameLength) return null
  return { kind: kind === 0 ? 'request' : 'reply', id: id as number, name, data }
}
