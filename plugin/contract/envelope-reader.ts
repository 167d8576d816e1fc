import type { Fault } from '../../schemas/errors.ts'
import { escapePointer } from '../../schemas/json-pointer.ts'
import { isRecord } from '../../schemas/record.ts'
import type { CompiledContract } from './compiled-contract.ts'
import type { EventReader } from './event-validator.ts'
import { pingEvent, pingReader } from './ping-reader.ts'

/** An event that has passed all checks. */
export interface CheckedEvent {
  readonly name: string
  readonly data: unknown
  /** 0 for none. */
  readonly seq: number
}

/** Reads the body of `POST url`: an envelope, or an array of them. It adds every fault to `faults`; if there is one, no event may be applied. */
export function readEnvelopes (body: unknown, contract: CompiledContract, maxBatch: number, faults: Fault[]): CheckedEvent[] {
  const events: CheckedEvent[] = []
  if (!Array.isArray(body)) {
    readEnvelope(body, '', contract, faults, events)
    return events
  }
  if (body.length === 0 || body.length > maxBatch) {
    faults.push({ path: '', message: `must hold 1 to ${maxBatch} events, holds ${body.length}` })
    return events
  }
  for (const [index, envelope] of body.entries()) readEnvelope(envelope, `/${index}`, contract, faults, events)
  return events
}

function readEnvelope (envelope: unknown, pointer: string, contract: CompiledContract, faults: Fault[], events: CheckedEvent[]): void {
  if (!isRecord(envelope)) {
    faults.push({ path: pointer, message: 'must be an object with "event" and "data"' })
    return
  }
  const { event, data, seq } = envelope
  for (const key in envelope) {
    if (key !== 'event' && key !== 'data' && key !== 'seq') faults.push(unknownKey(pointer, key))
  }
  if (seq !== undefined && !(Number.isSafeInteger(seq) && (seq as number) > 0)) {
    faults.push({ path: `${pointer}/seq`, message: 'must be a whole number from 1' })
  }
  if (seq !== undefined && event === pingEvent) faults.push({ path: `${pointer}/seq`, message: 'is not known here: a ping has no number' })
  if (data === undefined) faults.push({ path: `${pointer}/data`, message: 'is required' })
  if (typeof event !== 'string') {
    faults.push({ path: `${pointer}/event`, message: event === undefined ? 'is required' : 'must be string' })
    return
  }
  const reader = readerOf(event, contract)
  if (reader === undefined) {
    faults.push({ path: `${pointer}/event`, message: unknownEvent(contract) })
    return
  }
  if (data === undefined) return
  const before = faults.length
  const value = reader.read(data, `${pointer}/data`, false, faults)
  if (faults.length === before) events.push({ name: event, data: value, seq: seq === undefined ? 0 : seq as number })
}

/** Reads the body of `POST url/:event`: the data itself, or the fields of a form. */
export function readEventData (name: string, data: unknown, coerce: boolean, contract: CompiledContract, faults: Fault[]): CheckedEvent[] {
  const reader = readerOf(name, contract)
  if (reader === undefined) {
    faults.push({ path: '', message: `the event of the URL ${unknownEvent(contract)}` })
    return []
  }
  const value = reader.read(data, '', coerce, faults)
  return faults.length === 0 ? [{ name, data: value, seq: 0 }] : []
}

/** The content of the first message on a WebSocket. */
export interface Opening {
  readonly session: string
  readonly lastEventId: string | null
}

/** Reads the first message on a WebSocket; null when it has faults. */
export function readOpening (body: unknown, faults: Fault[]): Opening | null {
  if (!isRecord(body)) {
    faults.push({ path: '', message: 'must be an object with "session"' })
    return null
  }
  const { session, lastEventId, ...rest } = body
  for (const key in rest) faults.push(unknownKey('', key))
  if (typeof session !== 'string' || session === '') faults.push({ path: '/session', message: session === undefined ? 'is required' : 'must be "new" or the id of a session' })
  if (lastEventId !== undefined && typeof lastEventId !== 'string') faults.push({ path: '/lastEventId', message: 'must be string' })
  return faults.length > 0 ? null : { session: session as string, lastEventId: lastEventId as string | undefined ?? null }
}

function readerOf (event: string, contract: CompiledContract): EventReader | undefined {
  return event === pingEvent ? pingReader() : contract.event(event)
}

function unknownKey (pointer: string, key: string): Fault {
  return { path: `${pointer}/${escapePointer(key)}`, message: 'is not known here' }
}

function unknownEvent (contract: CompiledContract): string {
  const names = contract.eventNames
  return names.length === 0 ? 'is not known: this session takes no events' : `must be one of ${names.map((name) => JSON.stringify(name)).join(', ')}`
}
