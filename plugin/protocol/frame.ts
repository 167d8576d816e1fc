import { defaults } from '../../schemas/defaults.ts'
import { FrameError } from '../../schemas/errors.ts'
import { messageOf } from '../../schemas/thrown.ts'

const { frameWeight, keyWeight } = defaults.fixed

/** One or more SSE fields, ready for any number of streams. A broadcast makes one and shares it. */
export class Frame {
  /** The fields, ending with the blank line. A session's stream writes its `id:` line before them. */
  readonly text: string
  /** Length of `text` in UTF-8. */
  readonly bytes: number
  /** Approximate memory in bytes: the text, and a fixed amount for the frame and its key. */
  readonly weight: number
  /** A later frame with the same key replaces this one while it waits; null if none may. */
  readonly key: string | null
  /** Number of outboxes that hold it; the plugin's total counts the frame once. */
  holders = 0
  /** Whether it ever had more than one holder. */
  isShared = false
  /** Whether it came out of the cluster's log, so that other nodes have it too. */
  isOfLog = false

  constructor (text: string, key: string | null = null) {
    this.text = text
    this.bytes = Buffer.byteLength(text)
    // One character beyond Latin-1 makes all of them take two bytes.
    const textWeight = this.bytes === text.length ? this.bytes : Math.max(this.bytes, 2 * text.length)
    this.weight = textWeight + frameWeight + (key === null ? 0 : keyWeight + key.length)
    this.key = key
  }
}

/** Name of the topic whose update a frame is, such as `host?id=a`; null for any other frame. */
export function topicOf ({ text }: Frame): string | null {
  const line = text.slice(0, text.indexOf('\n'))
  const at = line.indexOf('@')
  return at === -1 || !line.startsWith('event: ') ? null : line.slice(at + 1)
}

/** The fields of a frame, as a plain transport takes them. */
export interface FrameFields {
  /** Event type; the browser's default is `message`. No CR, LF or NUL. */
  event?: string | undefined
  /**
   * Last event id; the browser sends it in a header when it reconnects. So it must not contain
   * control characters, a blank or tab at either end, or half of a surrogate pair.
   */
  id?: string | undefined
  /** A string is sent as it is, one `data:` line for each of its lines; anything else is sent as JSON. */
  data?: unknown
  /** Text that parsers skip; each of its lines becomes a comment line. */
  comment?: string | undefined
  /** Milliseconds until the browser reconnects; a whole number from 0. */
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
 * `event` or `id`, for an `id` that a header cannot carry unchanged, for a `retry` that is
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

/** Writes `data:` lines. A parser ends a line at CR, LF or CRLF, and returns each as LF. */
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

/** Returns the id if a header can carry it unchanged; throws otherwise. */
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
