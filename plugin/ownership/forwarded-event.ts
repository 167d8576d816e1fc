import { BindingError, BusyError, DrainingError, SequenceError, SessionClosedError, SessionMovedError, SessionNotFoundError, UnavailableError, ValidationError, type Fault } from '../../schemas/errors.ts'
import { detailsOf } from '../../schemas/error-details.ts'
import { isRecord } from '../../schemas/record.ts'
import { messageOf, read } from '../../schemas/thrown.ts'
import { parseLastEventId } from '../protocol/claim.ts'
import type { Outcome, Submission } from '../sessions/acceptance.ts'

/** A submission on its way to the node of its session. */
export interface ForwardedSubmission extends Omit<Submission, 'lastEventId' | 'waiter'> {
  /** Number of the last update that the client has; null if it names none. The id of the session stays here. */
  readonly acknowledged: number | null
  /** Under which its reply goes back; null where nobody waits for it. */
  readonly replyTo: number | null
}

/** What goes to the other node. JSON keeps it: it came as JSON, or as the fields of a form. */
export function packSubmission (id: string, { lastEventId, waiter: _, ...submission }: Submission, replyTo: number | null = null): ForwardedSubmission {
  const last = typeof lastEventId === 'string' ? parseLastEventId(lastEventId) : null
  return { ...submission, acknowledged: last?.id === id ? last.seq : null, replyTo }
}

/** Reads a submission of another node. Gives null for anything else. */
export function readSubmission (value: unknown): ForwardedSubmission | null {
  if (!isRecord(value)) return null
  const { event, body, isForm, bytes, sender, acknowledged, replyTo = null } = value
  const isWhole = (number: unknown) => number === null || (Number.isSafeInteger(number) && (number as number) >= 0)
  const isText = (text: unknown) => text === null || typeof text === 'string'
  if (!isText(event) || !isText(sender) || typeof isForm !== 'boolean' || !isWhole(bytes) || !isWhole(acknowledged) || !isWhole(replyTo)) return null
  return { event, body, isForm, bytes, sender, acknowledged, replyTo } as ForwardedSubmission
}

/** An outcome on its way back. */
export function packOutcome (outcome: Outcome): object {
  if (outcome.isAccepted) return outcome
  const { status, error, retryAfter } = outcome
  return { isAccepted: false, status, code: read(error, 'code'), message: messageOf(error), ...detailsOf(error), retryAfter }
}

/** Reads the outcome that another node gave. Gives null for anything else. */
export function readOutcome (value: unknown): Outcome | null {
  if (!isRecord(value)) return null
  const { isAccepted, status, seq, known, durable, code, message, errors, expected, retryAfter } = value
  const isNumber = (number: unknown): number is number => Number.isSafeInteger(number)
  if (!isNumber(status) || status < 200 || status > 599) return null
  if (isAccepted === true) return isNumber(seq) && isNumber(known) ? { isAccepted, status, seq, known, ...isNumber(durable) ? { durable } : {} } : null
  if (isAccepted !== false || typeof message !== 'string') return null
  const details = { errors: isFaults(errors) ? errors : [], expected: isNumber(expected) ? expected : 0 }
  return {
    isAccepted,
    status,
    error: Object.assign(errorOf(typeof code === 'string' ? code : null, details), { message, statusCode: status }, typeof code === 'string' ? { code } : {}),
    retryAfter: isNumber(retryAfter) ? retryAfter : undefined
  }
}

function isFaults (value: unknown): value is Fault[] {
  return Array.isArray(value) && value.every((fault) => isRecord(fault) && typeof fault.path === 'string' && typeof fault.message === 'string')
}

const plain = [BindingError, BusyError, DrainingError, SessionClosedError, SessionMovedError, SessionNotFoundError, UnavailableError]

/** An error of the class that its own node would have thrown. */
function errorOf (code: string | null, { errors, expected }: { errors: Fault[], expected: number }): Error {
  if (errors.length > 0) return new ValidationError(errors)
  if (code === SequenceError.code) return new SequenceError(expected, expected)
  const Class = plain.find((one) => one.code === code)
  return Class === undefined ? new Error() : new Class()
}
