import { defaults } from '../schemas/defaults.ts'
import { BusyError, DrainingError, SequenceError, SessionClosedError, ValidationError, type Fault } from '../schemas/errors.ts'
import { shareContext } from './command-context.ts'
import { cutPath } from './fault-list.ts'
import type { CheckedEvent } from './ingress.ts'
import type { TetherSession } from './session.ts'
import { parseLastEventId } from './verdict.ts'

/** The name under which a page says that it goes away; not an event of any contract. */
export const leaveEvent = 'tether.close'

/** What the answer to accepted events says. */
export interface Accepted {
  /** Last `seq` accepted. */
  seq: number
  /** How many of the events were accepted before; left out when none. */
  known?: number
}

/** The error for faults, of which it names the first, as many as one answer holds. */
export function refusal (faults: Fault[]): ValidationError {
  const { faults: most, faultCharacters } = defaults.fixed
  const named: Fault[] = []
  let room: number = faultCharacters
  for (const fault of faults.slice(0, most).map(cutPath)) {
    room -= fault.path.length + fault.message.length
    if (room < 0 && named.length > 0) break
    named.push(fault)
  }
  return new ValidationError(named)
}

/** @throws `FST_ERR_TETHER_SESSION_CLOSED`, `FST_ERR_TETHER_DRAINING` when the session takes nothing any more. */
export function checkOpen (session: TetherSession): void {
  if (session.isOpen) return
  throw session.host.runtime.draining ? new DrainingError() : new SessionClosedError()
}

/**
 * Queues events, all or none, in the same step that takes their numbers.
 *
 * @returns what the answer says
 * @throws `FST_ERR_TETHER_SEQUENCE`, `FST_ERR_TETHER_BUSY`
 */
export function acceptEvents (session: TetherSession, events: readonly CheckedEvent[]): Accepted {
  const due = session.acceptedSeq + 1
  let expected = due
  let known = 0
  for (const event of events) {
    if (event.seq === 0) continue
    if (event.seq > expected) throw new SequenceError(event.seq, due)
    if (event.seq === expected) expected++
    else known++
  }
  if (!session.hasCapacity(events.length - known)) throw new BusyError()
  if (events.length === 1) queueEvents(session, events)
  else shareContext(() => queueEvents(session, events))
  return known === 0 ? { seq: session.acceptedSeq } : { seq: session.acceptedSeq, known }
}

function queueEvents (session: TetherSession, events: readonly CheckedEvent[]): void {
  for (const event of events) {
    // What was accepted before is acknowledged again, and not run again.
    if (event.seq === 0 || event.seq > session.acceptedSeq) session.accept(event.name, event.data, event.seq)
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
