import { createError } from '@fastify/error'
import { defaults } from './defaults.ts'
import type { Fault } from './fault.ts'

export type { Fault } from './fault.ts'

// Answers to requests are made by the thousand under load, and their stack shows only us.
const withoutStack = false

/** `400 FST_ERR_VALIDATION`: the body names no session, is no envelope, or its data is bad. */
export class ValidationError extends createError('FST_ERR_VALIDATION', '%s', 400, Error, withoutStack) {
  readonly errors: Fault[]

  constructor (faults: Fault[]) {
    super(summary(faults))
    this.errors = faults
  }
}

/** Faults in one line, and how many there are beside them where it gets too long. */
function summary (faults: readonly Fault[]): string {
  const { faultMessageBytes } = defaults.fixed
  let text = ''
  for (const [index, { path, message }] of faults.entries()) {
    if (jsonBytes(text) > faultMessageBytes) return `${text}; and ${faults.length - index} more`
    text += `${index === 0 ? '' : '; '}${cutText(`${path}${path === '' ? '' : ' '}${message}`, faultMessageBytes)}`
  }
  return text
}

/** A text, or as much of its beginning as goes into so many bytes of JSON, and `…`. */
export function cutText (text: string, bytes: number): string {
  // No character takes more than six: an escape.
  if (text.length * 6 <= bytes) return text
  let length = 0
  let left = bytes
  for (const character of text) {
    left -= jsonBytes(character)
    if (left < 0) return `${text.slice(0, length)}…`
    length += character.length
  }
  return text
}

/** The bytes of a text in JSON, without the quotes. */
function jsonBytes (text: string): number {
  let bytes = 0
  for (const character of text) {
    const point = character.codePointAt(0)!
    if (point < 0x80) bytes += JSON.stringify(character).length - 2
    else if (point < 0x800) bytes += 2
    // Half of a pair alone is written as an escape.
    else if (point >= 0xd800 && point <= 0xdfff) bytes += 6
    else bytes += point < 0x10000 ? 3 : 4
  }
  return bytes
}

/** `409`: an event's `seq` skipped; `expected` is the one that is due. */
export class SequenceError extends createError<[number, number]>('FST_ERR_TETHER_SEQUENCE', 'seq %d skips: the next one due is %d', 409, Error, withoutStack) {
  readonly expected: number

  constructor (seq: number, expected: number) {
    super(seq, expected)
    this.expected = expected
  }
}

export const OriginError = createError('FST_ERR_TETHER_ORIGIN', 'A request from another site is refused; list its origin in trustedOrigins to allow it', 403, Error, withoutStack)
export const BindingError = createError('FST_ERR_TETHER_BINDING', 'The session belongs to someone else', 403, Error, withoutStack)
export const SessionNotFoundError = createError('FST_ERR_TETHER_SESSION_NOT_FOUND', 'There is no such session, or it has expired', 404, Error, withoutStack)
export const NotAcceptableError = createError('FST_ERR_TETHER_NOT_ACCEPTABLE', 'The request does not accept text/event-stream', 406, Error, withoutStack)
export const UpgradeRefusedError = createError('FST_ERR_TETHER_NO_WEBSOCKET', 'This URL carries sessions over server-sent events, not over a WebSocket', 400, Error, withoutStack)
export const UpgradeRequiredError = createError('FST_ERR_TETHER_UPGRADE_REQUIRED', 'No upgrade to a WebSocket arrived, and nothing else can be given here', 426, Error, withoutStack)
export const SessionClosedError = createError('FST_ERR_TETHER_SESSION_CLOSED', 'The session has been closed', 410, Error, withoutStack)
export const BusyError = createError('FST_ERR_TETHER_BUSY', 'The session\'s command channel is full', 429, Error, withoutStack)
export const SessionLimitError = createError('FST_ERR_TETHER_SESSION_LIMIT', 'There is no room for another session', 503, Error, withoutStack)
export const DrainingError = createError('FST_ERR_TETHER_DRAINING', 'The server is shutting down', 503, Error, withoutStack)

export const AlreadyRegisteredError = createError('FST_ERR_TETHER_ALREADY_REGISTERED', 'fastify-tether is already registered on this instance or one above it', 500)
export const OptionError = createError<[string]>('FST_ERR_TETHER_OPTION', '%s', 500, TypeError)
export const ArgumentError = createError<[string]>('FST_ERR_TETHER_ARGUMENT', '%s', 500, TypeError)
export const ContractError = createError<[string]>('FST_ERR_TETHER_CONTRACT', '%s', 500, TypeError)
export const ModeError = createError<[string, string]>('FST_ERR_TETHER_MODE', 'mode "%s" %s', 500)
export const NoSocketError = createError<[string]>('FST_ERR_TETHER_NO_SOCKET', 'app.tether.websocket.upgrade() was given no WebSocket: %s', 500)
export const FrameError = createError<[string]>('FST_ERR_TETHER_FRAME', '%s', 500, TypeError)
export const SerializationError = createError<[string, string]>('FST_ERR_TETHER_SERIALIZATION', 'update "%s" cannot be serialised: %s', 500, TypeError)
export const UnknownUpdateError = createError<[name: string, hint: string]>('FST_ERR_TETHER_UNKNOWN_UPDATE', 'the contract has no update "%s"%s', 500, TypeError)
// Nobody is left to read the status; below 500, Fastify does not log a client that just left as an error.
export const StreamAbortedError = createError<[string]>('FST_ERR_TETHER_STREAM_ABORTED', 'The stream was not established: %s', 499)
export const StreamPipedError = createError('FST_ERR_TETHER_STREAM_PIPED', 'An onSend hook pipes the event stream into a stream of its own, but its frames go to the response itself: let the hook pass over text/event-stream', 500)
export const HandlerTimeoutError = createError<[string, number]>('FST_ERR_TETHER_HANDLER_TIMEOUT', 'The handler of "%s" did not settle within %d ms', 500)

/**
 * Every error that the library makes: its code and, where it answers a request,
 * the status. `docs/errors.md` is tested against this table.
 */
export const errorTable = Object.freeze({
  FST_ERR_VALIDATION: 400,
  FST_ERR_TETHER_NO_WEBSOCKET: 400,
  FST_ERR_TETHER_ORIGIN: 403,
  FST_ERR_TETHER_BINDING: 403,
  FST_ERR_TETHER_SESSION_NOT_FOUND: 404,
  FST_ERR_TETHER_NOT_ACCEPTABLE: 406,
  FST_ERR_TETHER_SEQUENCE: 409,
  FST_ERR_TETHER_SESSION_CLOSED: 410,
  FST_ERR_TETHER_UPGRADE_REQUIRED: 426,
  FST_ERR_TETHER_BUSY: 429,
  FST_ERR_TETHER_SESSION_LIMIT: 503,
  FST_ERR_TETHER_DRAINING: 503,
  FST_ERR_TETHER_ALREADY_REGISTERED: 500,
  FST_ERR_TETHER_OPTION: 500,
  FST_ERR_TETHER_ARGUMENT: 500,
  FST_ERR_TETHER_CONTRACT: 500,
  FST_ERR_TETHER_MODE: 500,
  FST_ERR_TETHER_NO_SOCKET: 500,
  FST_ERR_TETHER_FRAME: 500,
  FST_ERR_TETHER_SERIALIZATION: 500,
  FST_ERR_TETHER_UNKNOWN_UPDATE: 500,
  FST_ERR_TETHER_STREAM_ABORTED: 499,
  FST_ERR_TETHER_STREAM_PIPED: 500,
  FST_ERR_TETHER_HANDLER_TIMEOUT: 500
})
