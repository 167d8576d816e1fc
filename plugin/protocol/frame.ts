import { defaults } from '../../schemas/defaults.ts'
import { FrameError } from '../../schemas/errors.ts'
import { messageOf } from '../../schemas/thrown.ts'

const { frameWeight, keyWeight } = defaults.fixed

/** One or more SSE fields, ready for any number of streams. A broadcast makes one and shares it. */
export class Frame {
  /** The fields, ending with the blank line. An `id` of a session's stream is written before it. */
  readonly text: string
  /** Length of `text` in UTF-8. */
  readonly bytes: number
  /** Memory that it takes, about: the text, and what there is for each. */
  readonly weight: number
  /** While it waits, a later frame with the same key takes its place; null for a frame that every reader gets. */
  readonly key: string | null
  /** Outboxes that hold it, for the plugin's total. */
  holders = 0
  /** Whether it ever had more than one, even if the others have it no longer. */
  isShared = false

  constructor (text: string, key: string | null = null) {
    this.text = text
    this.bytes = Buffer.byteLength(text)
    // One character beyond Latin-1 makes all of them take two bytes.
    const textWeight = this.bytes === text.length ? this.bytes : Math.max(this.bytes, 2 * text.length)
    this.weight = textWeight + frameWeight + (key === null ? 0 : keyWeight + key.length)
    this.key = key
  }
}

/** The fields of a frame, as a plain transport takes them. */
export interface FrameFields {
  /** Event type; the browser's default is `message`. No CR, LF or NUL. */
  event?: string | undefined
  /**
   * Last event id; the browser sends it when it comes back, in a header. So no control
   * characters, no blank or tab at either end, no half of a surrogate pair.
   */
  id?: string | undefined
  /** A string goes out as it is, each of its lines a `data:` line; anything else as JSON. */
  data?: unknown
  /** A line that parsers skip; one comment line per line of it. */
  comment?: string | undefined
  /** Milliseconds that the browser waits before it comes back; a whole number from 0. */
  retry?: number | undefined
}

const lineEnd = /\r\n|\r|\n/
const forbidden = /[\r\n\0]/
// eslint-disable-next-line no-control-regex
const controls = /[\x01-\x1f\x7f]/

/**
 * Writes the fields of one frame, and the blank line that ends it.
 *
 * @throws `FST_ERR_TETHER_FRAME` for a frame without any field, for CR, LF or NUL in
 * `event` or `id`, for an `id` that would not come back as it is, for a `retry` that is
 * no whole number, and for data that JSON cannot hold.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export function encodeFrame (fields: FrameFields): string {
  if (typeof fields !== 'object' || fields === null) throw new FrameError(`a frame is made of fields, got ${fields === null ? 'null' : typeof fields}`)
  let text = ''
  if (fields.comment !== undefined) text += encodeComment(fields.comment)
  if (fields.retry !== undefined) text += encodeRetry(fields.retry)
  if (fields.id !== undefined) text += `id: ${headerValue(singleLine('id', fields.id))}\n`
  if (fields.event !== undefined) text += `event: ${singleLine('event', fields.event)}\n`
  if (fields.data !== undefined) text += encodeData(typeof fields.data === 'string' ? fields.data : toJson(fields.data))
  if (text === '') throw new FrameError('a frame needs at least one of event, id, data, comment and retry')
  return text + '\n'
}

/** Writes `data:` lines. CR, LF and CRLF all end a line for a parser, which gives each back as LF. */
export function encodeData (data: string): string {
  if (data.indexOf('\n') === -1 && data.indexOf('\r') === -1) return `data: ${data}\n`
  let text = ''
  for (const line of data.split(lineEnd)) text += `data: ${line}\n`
  return text
}

/** Writes the `retry:` line alone, without the blank line. */
export function encodeRetry (retry: number): string {
  if (!Number.isSafeInteger(retry) || retry < 0) throw new FrameError(`retry must be a whole number of milliseconds from 0, got ${String(retry)}`)
  return `retry: ${retry}\n`
}

function encodeComment (comment: string): string {
  if (typeof comment !== 'string') throw new FrameError(`comment must be a string, got ${typeof comment}`)
  let text = ''
  for (const line of comment.split(lineEnd)) text += line === '' ? ':\n' : `: ${line}\n`
  return text
}

function singleLine (field: string, value: string): string {
  if (typeof value !== 'string') throw new FrameError(`${field} must be a string, got ${typeof value}`)
  if (forbidden.test(value)) throw new FrameError(`${field} must not contain CR, LF or NUL`)
  return value
}

/** An id that a header brings back as it went out. */
function headerValue (id: string): string {
  if (controls.test(id)) throw new FrameError('id must not contain control characters, since no header can bring them back')
  if (/^ | $/.test(id)) throw new FrameError('id must not begin or end with a blank, which HTTP takes off')
  if (/\p{Surrogate}/u.test(id)) throw new FrameError('id must not contain half of a surrogate pair, which UTF-8 does not have')
  return id
}

function toJson (data: unknown): string {
  let json: string | undefined
  try {
    json = JSON.stringify(data)
  } catch (error) {
    throw new FrameError(`data cannot be written as JSON: ${messageOf(error)}`)
  }
  if (json === undefined) throw new FrameError(`data cannot be written as JSON: it is ${typeof data}`)
  return json
}
