import { jsonArrayOf } from './json-text.ts'

/** Where a session is; or, by a claim, which session it is for. A topic's record says where its producer is: it is live, or ended. */
export type SessionRecord = LiveRecord | MovingRecord | FrozenRecord | EndedRecord | ClaimRecord

interface Held {
  /** The full URL pattern of its endpoint. */
  readonly url: string
  /** Grows with each change of the owner. */
  readonly epoch: number
}

/** A node has it in memory. */
export interface LiveRecord extends Held {
  readonly status: 'live'
  readonly owner: string
  /** A snapshot for the case that its node dies; absent for none. */
  readonly backup?: Buffer
  /** When the session is over if nobody takes the backup, in milliseconds of the wall clock; null where nothing has to be done then. */
  readonly endsAt?: number | null
}

/** A snapshot in the engine. */
interface Resting extends Held {
  readonly snapshot: Buffer
  /** When the session is over, in milliseconds of the wall clock; null where nothing has to be done then. */
  readonly endsAt: number | null
}

/** A node may take it out of the record; nobody else, while that node is alive. */
export interface MovingRecord extends Resting {
  readonly status: 'moving'
  readonly owner: string
}

/** Any node may take it out of the record. */
export interface FrozenRecord extends Resting {
  readonly status: 'frozen'
  /** The node that it counts for; null for none. */
  readonly by: string | null
}

/** It is over. */
export interface EndedRecord extends Held {
  readonly status: 'ended'
  /** Whether it was closed for good, so that its client need not come back. */
  readonly isForGood: boolean
}

/** A claim for a prepared session. */
export interface ClaimRecord extends Held {
  readonly status: 'claim'
  /** The id of the session, which only the claim opens. */
  readonly sealed: Buffer
}

// A record is a line of JSON, [format, status, url, epoch, owner, isForGood, endsAt, by], and behind it the snapshot or the backup, or what a claim has sealed.
// Later versions add behind the end of the line. What earlier ones must not ignore gets another format.
const format = 1
const lineEnd = 10
const nodeName = /^[A-Za-z0-9_-]{1,64}$/

/** Writes a record. */
export function packRecord (record: SessionRecord): Buffer {
  const { status, url, epoch } = record
  const owner = 'owner' in record ? record.owner : null
  const line = Buffer.from(`${JSON.stringify([
    format, status, url, epoch, owner, status === 'ended' && record.isForGood,
    'endsAt' in record ? record.endsAt ?? null : null, status === 'frozen' ? record.by : null
  ])}\n`)
  if (record.status === 'claim') return Buffer.concat([line, record.sealed])
  const bytes = snapshotIn(record)
  return bytes === null ? line : Buffer.concat([line, bytes])
}

/** The snapshot in a record, whole or a backup; null for none. */
export function snapshotIn (record: SessionRecord): Buffer | null {
  return 'snapshot' in record ? record.snapshot : record.status === 'live' ? record.backup ?? null : null
}

/** Reads a record. Gives null for what is none, or is of a later format. */
export function unpackRecord (bytes: Buffer): SessionRecord | null {
  const end = bytes.indexOf(lineEnd)
  if (end === -1) return null
  const value = jsonArrayOf(bytes.toString('utf8', 0, end))
  if (value === null) return null
  const [given, status, url, epoch, owner, isForGood, until, from] = value
  if (given !== format || typeof url !== 'string' || !Number.isSafeInteger(epoch) || (epoch as number) < 1) return null
  const held = { url, epoch: epoch as number }
  const snapshot = bytes.subarray(end + 1)
  const isOwned = typeof owner === 'string' && nodeName.test(owner)
  const endsAt = Number.isSafeInteger(until) ? until as number : null
  if (status === 'live' && isOwned) return snapshot.length === 0 ? { ...held, status, owner } : { ...held, status, owner, backup: snapshot, endsAt }
  if (status === 'moving' && isOwned && snapshot.length > 0) return { ...held, status, owner, snapshot, endsAt }
  if (status === 'frozen' && snapshot.length > 0) return { ...held, status, snapshot, endsAt, by: typeof from === 'string' && nodeName.test(from) ? from : null }
  if (status === 'claim' && snapshot.length > 0) return { ...held, status, sealed: snapshot }
  if (status === 'ended' && typeof isForGood === 'boolean') return { ...held, status, isForGood }
  return null
}
