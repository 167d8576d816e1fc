import { defaults } from '../../schemas/defaults.ts'
import { BusyError, DrainingError, SequenceError, SessionClosedError, ValidationError, type Fault } from '../../schemas/errors.ts'
import { shareContext } from '../commands/command-context.ts'
import type { CheckedEvent } from '../contract/envelope-reader.ts'
import { cutFault } from '../contract/fault-list.ts'
import { parseLastEventId } from '../protocol/claim.ts'
import { NumberTakers } from './number-takers.ts'
import type { TetherSession } from './session.ts'

/** The name under which a page says that it goes away; not an event of any contract. */
export const leaveEvent = 'tether.close'

/** What the answer to accepted events says. */
export interface Accepted {
  /** Last `seq` accepted. */
  seq: number
  /** How many of the events were accepted before, up to the last whose number another than their sender took. */
  known: number
}

/** The error for faults, of which it names the first, as many as one answer holds. */
export function refusal (faults: Fault[]): ValidationError {
  const { faults: most, faultBytes } = defaults.fixed
  const named: Fault[] = []
  let room: number = faultBytes
  for (const fault of faults.slice(0, most).map(cutFault)) {
    // With the comma behind it.
    room -= Buffer.byteLength(JSON.stringify(fault)) + 1
    if (room < 0 && named.length > 0) break
    named.push(fault)
  }
  return new ValidationError(named)
}

/** @throws `FST_ERR_TETHER_SESSION_CLOSED`, `FST_ERR_TETHER_DRAINING` when the session takes nothing any more. */
export function checkOpen (session: TetherSession): void {
  if (session.isOpen) return
  throw session.scope.runtime.draining ? new DrainingError() : new SessionClosedError()
}

/**
 * Queues events, all or none, in the same step that takes their numbers.
 *
 * @param bytes of the body that they came in
 * @param sender who numbered them; null where it does not say
 * @returns what the answer says
 * @throws `FST_ERR_TETHER_SEQUENCE`, `FST_ERR_TETHER_BUSY`
 */
export function acceptEvents (session: TetherSession, events: readonly CheckedEvent[], bytes: number, sender: string | null = null): Accepted {
  const due = session.acceptedSeq + 1
  let expected = due
  let skipped = 0
  let known = 0
  for (const { seq } of events) {
    if (seq === 0) continue
    if (seq > expected) throw new SequenceError(seq, due)
    if (seq === expected) expected++
    else {
      skipped++
      if (sender === null || (seq < due && session.takers?.wasTaken(sender, seq) !== true)) known = skipped
    }
  }
  const fresh = events.length - skipped
  const weight = defaults.fixed.commandWeight + bytes / events.length
  if (fresh > 0 && !session.hasCapacity(fresh, fresh * weight)) throw new BusyError()
  if (expected > due && (sender ?? session.takers) !== null) (session.takers ??= new NumberTakers()).note(sender, due)
  if (events.length === 1) queueEvents(session, events, weight)
  else shareContext(() => queueEvents(session, events, weight))
  return { seq: session.acceptedSeq, known }
}

function queueEvents (session: TetherSession, events: readonly CheckedEvent[], weight: number): void {
  for (const event of events) {
    // What was accepted before is acknowledged again, and not run again.
    if (event.seq === 0 || event.seq > session.acceptedSeq) session.accept(event.name, event.data, event.seq, weight)
  }
  const { budget } = session.scope.runtime
  if (budget.isExceeded) budget.onExceeded()
}

/** Bytes of a body, as its request says, or else as it would be written. */
export function bodyBytes (headers: { 'content-length'?: string | undefined, 'content-encoding'?: string | undefined }, body: unknown): number {
  const { 'content-length': length, 'content-encoding': encoding } = headers
  if (length !== undefined && encoding === undefined) return Number(length)
  try {
    return Buffer.byteLength(JSON.stringify(body) ?? '')
  } catch {
    // A parser of the application's own may make what JSON has no word for.
    return 0
  }
}

/** What the reader says that it has need not be kept for it. */
export function acknowledge (session: TetherSession, lastEventId: unknown): void {
  if (typeof lastEventId !== 'string') return
  const last = parseLastEventId(lastEventId)
  if (last?.id === session.id && last.seq !== null) session.outbox.acknowledge(last.seq)
}

/** Seconds after which the same may be asked again; undefined for an error that time does not mend. */
export function retryAfterSeconds (error: unknown): number | undefined {
  return error instanceof BusyError || error instanceof DrainingError ? defaults.fixed.retryAfterSeconds : undefined
}
