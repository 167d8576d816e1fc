import createError, { type FastifyErrorConstructor } from '@fastify/error'
import type { Fault } from './fault.ts'
import { faultSummary } from './fault-summary.ts'

export type { Fault } from './fault.ts'

// Each error is one exported statement. `errorTable` and the check of docs/errors.md read the exports.

/** The values of a message's `%s` (a string) and `%d` (a number). */
type Values<Message extends string> =
  Message extends `${string}%${infer Letter}${infer Rest}` ? [Letter extends 'd' ? number : string, ...Values<Rest>] : []

/** The class of one error, with its code and its status. */
export type ErrorClass<Code extends string = string, Status extends number = number, Message extends string = string> =
  FastifyErrorConstructor<{ code: Code, statusCode: Status }, Values<Message>> & { readonly code: Code, readonly statusCode: Status }

function define<const Code extends string, const Status extends number, const Message extends string> (code: Code, status: Status, message: Message, Base: ErrorConstructor, hasStack: boolean): ErrorClass<Code, Status, Message> {
  return Object.assign(createError<Code, Status, Values<Message>>(code, message, status, Base, hasStack), { code, statusCode: status })
}

/** An error that answers a request. It has no stack: a server under load makes thousands, and their stacks would show only this library. */
function answer<const Code extends string, const Status extends number, const Message extends string> (code: Code, status: Status, message: Message): ErrorClass<Code, Status, Message> {
  return define(code, status, message, Error, false)
}

/** An error of a wrong call by the application. */
function misuse<const Code extends string, const Message extends string> (code: Code, message: Message): ErrorClass<Code, 500, Message> {
  return define(code, 500, message, TypeError, true)
}

/** Any other error that the application gets or logs. */
function failure<const Code extends string, const Status extends number, const Message extends string> (code: Code, status: Status, message: Message): ErrorClass<Code, Status, Message> {
  return define(code, status, message, Error, true)
}

/** Refuses a body, and names its faults. */
export class ValidationError extends answer('FST_ERR_VALIDATION', 400, '%s') {
  readonly errors: Fault[]

  constructor (faults: Fault[]) {
    super(faultSummary(faults))
    this.errors = faults
  }
}

/** Refuses an event whose `seq` skips one; `expected` is the next one due. */
export class SequenceError extends answer('FST_ERR_TETHER_SEQUENCE', 409, 'seq %d skips: the next one due is %d') {
  readonly expected: number

  constructor (seq: number, expected: number) {
    super(seq, expected)
    this.expected = expected
  }
}

export const UpgradeRefusedError = answer('FST_ERR_TETHER_NO_WEBSOCKET', 400, 'This URL carries sessions over server-sent events, not over a WebSocket')
export const OriginError = answer('FST_ERR_TETHER_ORIGIN', 403, 'A request from another site is refused; list its origin in trustedOrigins to allow it')
export const InspectorRefusedError = answer('FST_ERR_TETHER_INSPECTOR_REFUSED', 403, 'The inspector is not open to this request')
export const BindingError = answer('FST_ERR_TETHER_BINDING', 403, 'The session belongs to someone else')
export const TuningRefusedError = answer('FST_ERR_TETHER_TUNING', 403, 'The application does not give its figures to this request')
export const SessionNotFoundError = answer('FST_ERR_TETHER_SESSION_NOT_FOUND', 404, 'There is no such session, or it has expired')
export const NotAcceptableError = answer('FST_ERR_TETHER_NOT_ACCEPTABLE', 406, 'The request does not accept text/event-stream')
export const SessionClosedError = answer('FST_ERR_TETHER_SESSION_CLOSED', 410, 'The session has been closed')
/**
 * Refuses an event whose schema's check threw, or gave a promise. A retry would get the same answer, so the status
 * lets the client go on with its next event. The `cause` is for the application: a client does not get its message.
 */
export class SchemaError extends answer('FST_ERR_TETHER_SCHEMA', 422, 'The schema of event "%s" could not check its data') {
  /** Name of the event. */
  readonly event: string
  readonly errors: Fault[]

  constructor (event: string, path: string, cause: unknown) {
    super(event)
    this.event = event
    this.errors = [{ path, message: 'could not be checked' }]
    this.cause = cause
  }
}

export const UpgradeRequiredError = answer('FST_ERR_TETHER_UPGRADE_REQUIRED', 426, 'This URL serves WebSockets only, and the request is no upgrade to one')
/** Refuses events that would fit later. */
export class BusyError extends answer('FST_ERR_TETHER_BUSY', 429, '%s') {
  constructor (reason = 'The session\'s command channel is full') {
    super(reason)
  }
}

/** Refuses a ping. Events have a limit of their own. */
export const PingLimitError = answer('FST_ERR_TETHER_PING_LIMIT', 429, 'Too many pings of this session wait for their answer, or came within a second')
export const SessionLimitError = answer('FST_ERR_TETHER_SESSION_LIMIT', 503, 'There is no room for another session')
export const DrainingError = answer('FST_ERR_TETHER_DRAINING', 503, 'The server is shutting down')
export const UnavailableError = answer('FST_ERR_TETHER_UNAVAILABLE', 503, 'The cluster cannot reach the session now')

/** Refuses what came for a session that is leaving this node, or has left it. A retry finds it on its new node. */
export const SessionMovedError = answer('FST_ERR_TETHER_SESSION_MOVED', 503, 'The session has moved to another node')

/** A call of the cluster's engine that did not succeed. A write may have happened all the same. */
export const EngineError = answer('FST_ERR_TETHER_ENGINE', 503, 'The cluster\'s engine %s')
/** A write that did not happen: the engine has no memory left. */
export const EngineFullError = answer('FST_ERR_TETHER_ENGINE_FULL', 503, 'The cluster\'s engine has no room left: %s')

export const OptionError = misuse('FST_ERR_TETHER_OPTION', '%s')
export const ArgumentError = misuse('FST_ERR_TETHER_ARGUMENT', '%s')
export const ContractError = misuse('FST_ERR_TETHER_CONTRACT', '%s')
export const FrameError = misuse('FST_ERR_TETHER_FRAME', '%s')
export const SerializationError = misuse('FST_ERR_TETHER_SERIALIZATION', '%s cannot be serialised: %s')
export const UnknownUpdateError = misuse('FST_ERR_TETHER_UNKNOWN_UPDATE', 'the contract has no update "%s"%s')
export const UnknownTopicError = misuse('FST_ERR_TETHER_UNKNOWN_TOPIC', 'the contract has no topic "%s"%s')

export const AlreadyRegisteredError = failure('FST_ERR_TETHER_ALREADY_REGISTERED', 500, 'fastify-tether is already registered on this instance or one above it')
export const ModeError = failure('FST_ERR_TETHER_MODE', 500, 'mode "%s" %s')
export const NoSocketError = failure('FST_ERR_TETHER_NO_SOCKET', 500, 'app.tether.websocket.upgrade() was given no WebSocket: %s')
export const StreamPipedError = failure('FST_ERR_TETHER_STREAM_PIPED', 500, 'An onSend hook pipes the event stream into another stream, but frames go to the response itself: make the hook skip text/event-stream')
export const HandlerTimeoutError = failure('FST_ERR_TETHER_HANDLER_TIMEOUT', 500, 'The handler of "%s" did not settle within %d ms')
/** The state of a session that cannot leave its node. */
export const StateError = failure('FST_ERR_TETHER_STATE', 500, 'the state of a session cannot be kept as JSON: %s')
/** Bytes from the engine that are no snapshot of a session, or one of a later format. */
export const SnapshotError = failure('FST_ERR_TETHER_SNAPSHOT', 500, 'what the cluster has of a session cannot be read: %s')
// No client reads this status. Fastify logs no error for a status below 500, and a client that leaves is no error.
export const StreamAbortedError = failure('FST_ERR_TETHER_STREAM_ABORTED', 499, 'The stream was not established: %s')
