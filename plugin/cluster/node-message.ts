import { jsonArrayOf } from './json-text.ts'
import { isTrace } from './trace.ts'

/** What one node sends to another: a request, or the reply to one. */
export interface NodeMessage {
  readonly kind: 'request' | 'reply'
  /** Numbers the requests of one node, from 1. A reply has the number of its request. */
  readonly id: number
  /** What is asked for; in a reply its outcome. */
  readonly name: string
  readonly data: unknown
  /** The trace that a request belongs to; absent for none. */
  readonly trace?: string | undefined
}

/** A message of a version that this one cannot read. */
export interface ForeignMessage {
  readonly kind: 'foreign'
  /** The number of the request, which gets a reply; null for anything else. */
  readonly id: number | null
}

// A message is JSON: [format, kind, id, name, data, trace], the last only if it has one. Every format has the first three.
// Later versions add behind the end, which earlier ones ignore.
const format = 1
const nameLength = 64

/** Writes a message. */
export function packMessage ({ kind, id, name, data, trace }: NodeMessage): Buffer {
  const message = [format, kind === 'request' ? 0 : 1, id, name, data]
  if (trace !== undefined) message.push(trace)
  return Buffer.from(JSON.stringify(message))
}

/** Reads a message. Gives null for what is none. */
export function unpackMessage (bytes: Buffer): NodeMessage | ForeignMessage | null {
  const value = jsonArrayOf(bytes.toString())
  if (value === null) return null
  const [given, kind, id, name, data, trace] = value
  if (!Number.isSafeInteger(given) || !Number.isSafeInteger(id) || (id as number) < 1) return null
  if (given !== format) return { kind: 'foreign', id: kind === 0 ? id as number : null }
  if ((kind !== 0 && kind !== 1) || typeof name !== 'string' || name === '' || name.length > nameLength) return null
  const message = { kind: kind === 0 ? 'request' : 'reply', id: id as number, name, data } as const
  return isTrace(trace) ? { ...message, trace } : message
}
