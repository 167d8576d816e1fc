import type { BroadcastPlace, LogPosition } from '../cluster/log-position.ts'
import type { Offset } from '../cluster/engine.ts'
import { SnapshotError } from '../../schemas/errors.ts'
import { isRecord } from '../../schemas/record.ts'
import { messageOf } from '../../schemas/thrown.ts'
import type { NumberTurn } from './number-takers.ts'
import type { RepliesSnapshot } from './replies.ts'
import type { Submission } from './submission.ts'
import type { SubscriptionSnapshot } from './topics-part.ts'

/**
 * Why a session leaves its node. Its stream, if one is open, says goodbye with this word.
 * `'draining'`: the node stops. `'replaced'`: its client is at another node. `'moved'`: the node gives it away unasked.
 */
export type FreezeReason = 'draining' | 'replaced' | 'moved'

/**
 * Where a restored session was before. `'moved'`: on another node, in memory. `'frozen'`: in the engine. `'crashed'`: on a
 * node that is dead; what happened after its snapshot is lost.
 */
export type RestoreFrom = 'moved' | 'frozen' | 'crashed'

export interface FreezeOptions {
  /** Milliseconds within which the commands that wait or run must settle. */
  readonly deadlineMs: number
  /** Milliseconds after which the client of an open stream may reconnect; absent: it chooses. */
  readonly retryMs?: number
}

export interface RestoreOptions {
  readonly from: RestoreFrom
  /** Milliseconds to wait for this node to read the log up to the snapshot's position. */
  readonly deadlineMs: number
  /**
   * Whether the caller attaches a stream at once. Otherwise the session counts among those without a stream, which may close it. A
   * caller whose stream fails calls `endpoint.detached(session)`. Default false.
   */
  readonly awaitsStream?: boolean
  /** The session's ref where nobody knows its id, which is a new one then. */
  readonly ref?: string
  /** Whether the caller closes the session at once: it gets no updates, and `onRestore` does not run. Default false. */
  readonly isOver?: boolean
  /** Whether the session may come back while the node drains, as one does that can go nowhere else. Default false. */
  readonly mayDrain?: boolean
}

/** An update that a snapshot holds: by its text, or by its place in the log. */
export type SnapshotFrame = InlineFrame | PlacedFrame

export interface InlineFrame {
  readonly text: string
  readonly key: string | null
  /** Whether other readers received it too. */
  readonly shared: boolean
  /** Milliseconds since it was written; null while it waits. */
  readonly writtenMsAgo: number | null
}

export interface PlacedFrame {
  readonly place: BroadcastPlace
  readonly writtenMsAgo: number | null
}

/**
 * All that a session is, apart from its id and its stream. Plain data. It needs no id: the engine must not learn
 * it, and who restores the session knows it.
 */
export interface SessionSnapshot {
  /** The state as JSON, made by `serialize`; null for a state that is undefined. */
  readonly state: string | null
  readonly stateVersion: number
  /** The owner by `bind`; null for nobody in particular. */
  readonly boundTo: string | null
  /** Counts against `maxSessionsPerOwner`; null for no owner. */
  readonly owner: string | null
  /** Whether it ever had a stream. */
  readonly everConnected: boolean
  /** Whether it ever posted an event or was resumed. */
  readonly proven: boolean
  /** Whether its latest client counts updates itself; null before the first. Its next client says so anew. */
  readonly counted: boolean | null
  /** Names of its groups. */
  readonly groups: readonly string[]
  /** The last `seq` accepted; 0 for none. All accepted events have run. */
  readonly acceptedSeq: number
  /** Changes of the sender that took event numbers, each with the first number; null for a sender without a name. */
  readonly takers: readonly NumberTurn[]
  /** Number of the first of `frames`; of the next update if there are none. */
  readonly first: number
  /** All held updates in order: the written ones, then the waiting ones. */
  readonly frames: readonly SnapshotFrame[]
  /** How far its node had read the log; null outside of a cluster, and where the node had read nothing. */
  readonly log: LogPosition | null
  /** An entry of the log before all that `frames` name; null for the beginning of the log. Only with placed frames. */
  readonly framesAfter: Offset | null
  /** When the snapshot was made, in milliseconds of the wall clock. */
  readonly takenAt: number
  /** Milliseconds since the session was made, then. */
  readonly ageMs: number
  /** Milliseconds since it lost its stream, then; 0 if one was open. */
  readonly detachedMs: number
  /** Milliseconds since its last event without a stream, then; at most `ageMs`. */
  readonly idleMs: number
  /** Milliseconds that were left of the grace after the page's goodbye; null while the page is there. */
  readonly leaveMs: number | null
  /** The topics that it subscribes to. */
  readonly subscriptions: readonly SubscriptionSnapshot[]
  /** The replies that its client has not acknowledged. */
  readonly replies: RepliesSnapshot
  /**
   * Whether the session went on behind it, until its node died: what happened then is lost, and `from` is `'crashed'` for whoever
   * restores it. It holds no updates. Absent for a whole snapshot.
   */
  readonly isBackup?: true
  /** After a crash of which its client does not know yet: the number from which on the client may have updates that are lost. Absent for none. */
  readonly unsureFrom?: number
  /** What was accepted behind `acceptedSeq`, and runs again. Absent for nothing. */
  readonly pending?: readonly JournalEntry[]
}

/** What a submission of a client has brought, for handlers of another node. JSON keeps it. */
export interface JournalEntry extends Pick<Submission, 'event' | 'body' | 'isForm' | 'bytes' | 'sender'> {
  /** How many of its events without a number have run. */
  readonly done: number
}

/** What is left of a snapshot when its session has gone on behind it. */
export function asBackup (snapshot: SessionSnapshot): SessionSnapshot {
  const written = snapshot.frames.filter(({ writtenMsAgo }) => writtenMsAgo !== null).length
  return { ...snapshot, first: snapshot.first + written, frames: [], framesAfter: null, replies: snapshot.replies.map(([seq, update]) => [seq, update, 0]), isBackup: true }
}

// Snapshots are JSON, from all versions of the library that run at a time: [format, state, version of the state, ...].
// Later versions add behind the end, which earlier ones ignore. What earlier ones must not ignore gets another format.
const format = 1

/** Most frames of a snapshot. A run of many takes few bytes, so a fault must not make millions. */
const mostFrames = 1_048_576

/** Ages of frames are kept to about a part of this many of the greatest. */
const ageSteps = 64

const flagBits = { hasState: 1, everConnected: 2, proven: 4, counted: 8, uncounted: 16 } as const

/** Writes a snapshot for the engine. */
export function encodeSnapshot (snapshot: SessionSnapshot): Buffer {
  const { state, log } = snapshot
  // With `persist: 'command'` this runs behind each command, mostly without frames.
  const nodes = new Map<string, number>()
  for (const node in log?.known) nodes.set(node, log.known[node]!)
  const flags = (state === null ? 0 : flagBits.hasState) + (snapshot.everConnected ? flagBits.everConnected : 0) + (snapshot.proven ? flagBits.proven : 0) +
    (snapshot.counted === null ? 0 : snapshot.counted ? flagBits.counted : flagBits.uncounted)
  const frames = packFrames(snapshot.frames, nodes)
  const { isBackup = false, unsureFrom = 0, pending = [] } = snapshot
  const rest = [
    snapshot.stateVersion, flags, snapshot.boundTo, snapshot.owner, snapshot.groups, snapshot.acceptedSeq,
    flat(snapshot.takers, ({ sender, from }) => [sender, from]),
    snapshot.first, frames, packAges(snapshot.frames),
    // Nodes that only frames name have no number of a last entry.
    log === null ? null : [log.at, log.before], flat(nodes, (pair) => pair), snapshot.framesAfter,
    [snapshot.takenAt, snapshot.ageMs, snapshot.detachedMs, snapshot.idleMs].map(Math.round), snapshot.leaveMs === null ? null : Math.round(snapshot.leaveMs),
    snapshot.subscriptions.map(({ topic, name, params, given, held, epoch }) => epoch === 0 ? [topic, name, params, given, held] : [topic, name, params, given, held, epoch]), snapshot.replies,
    ...isBackup || unsureFrom > 0 || pending.length > 0 ? [isBackup ? 1 : 0, unsureFrom, pending.map(packEntry)] : []
  ]
  return Buffer.from(`[${format},${state ?? 'null'},${JSON.stringify(rest).slice(1)}`)
}

/** The parts of all of them. The method of arrays takes five times as long. */
function flat<Whole> (wholes: Iterable<Whole>, partsOf: (whole: Whole) => readonly unknown[]): unknown[] {
  const parts: unknown[] = []
  for (const whole of wholes) parts.push(...partsOf(whole))
  return parts
}

function packEntry ({ event, body, isForm, bytes, sender, done }: JournalEntry): unknown[] {
  return [event, body, isForm ? 1 : 0, bytes, sender, done]
}

/** Writes an entry for the engine's journal. */
export function encodeEntry (entry: JournalEntry): Buffer {
  return Buffer.from(JSON.stringify(packEntry(entry)))
}

/**
 * Reads what `encodeEntry` wrote.
 *
 * @throws `FST_ERR_TETHER_SNAPSHOT`, and nothing else, for any other bytes
 */
export function decodeEntry (bytes: Buffer): JournalEntry {
  return entryOf(parse(bytes))
}

/** A frame by its text, or a run of frames of one node. */
type PackedFrame =
  /** Text, key and whether it is shared. The last two may be left out. */
  | readonly [string, (string | null)?, 1?]
  /**
   * Index of the node, the entry's number less that of the node's last run, index in the entry, number of frames, and 1 for
   * frames of one entry, 0 for the same index in consecutive entries. The last two may be left out.
   */
  | readonly [number, number, number, number?, 1?]

interface Run {
  readonly node: string
  readonly counter: number
  readonly index: number
  count: number
  isOfOneEntry: boolean
}

/** @param nodes gets the nodes that are not in it, with the number 0 */
function packFrames (frames: readonly SnapshotFrame[], nodes: Map<string, number>): PackedFrame[] {
  if (frames.length === 0) return []
  const indexes = new Map(Array.from(nodes.keys(), (node, index) => [node, index]))
  const counters = new Map<string, number>()
  const packed: PackedFrame[] = []
  let run: Run | null = null
  const endRun = () => {
    if (run === null) return
    const { node, counter, index, count, isOfOneEntry } = run
    const head = [indexes.get(node)!, counter - (counters.get(node) ?? 0), index] as const
    counters.set(node, counter)
    packed.push(count === 1 ? head : isOfOneEntry ? [...head, count, 1] : [...head, count])
    run = null
  }
  for (const frame of frames) {
    if (!('place' in frame)) {
      endRun()
      const { text, key, shared } = frame
      packed.push(shared ? [text, key, 1] : key === null ? [text] : [text, key])
      continue
    }
    const { node, counter, index } = frame.place
    if (!indexes.has(node)) {
      indexes.set(node, indexes.size)
      nodes.set(node, 0)
    }
    if (run !== null && run.node === node) {
      const count: number = run.count
      const isNextInEntry = (count === 1 || run.isOfOneEntry) && counter === run.counter && index === run.index + count
      const isInNextEntry = (count === 1 || !run.isOfOneEntry) && counter === run.counter + count && index === run.index
      if (isNextInEntry || isInNextEntry) {
        run.count++
        run.isOfOneEntry = isNextInEntry
        continue
      }
    }
    endRun()
    run = { node, counter, index, count: 1, isOfOneEntry: false }
  }
  endRun()
  return packed
}

/** The ages of the written frames: a unit in milliseconds, then pairs of an age in units and a number of frames. */
function packAges (frames: readonly SnapshotFrame[]): number[] {
  const ages = frames.flatMap(({ writtenMsAgo }) => writtenMsAgo ?? [])
  const unit = Math.max(1, Math.ceil(Math.max(0, ages[0] ?? 0) / ageSteps))
  const packed = [unit]
  let last = -1
  for (const age of ages) {
    // Rounded down: a frame may stay a little longer, and never goes too early.
    const units = Math.max(0, Math.floor(age / unit))
    if (units === last) packed[packed.length - 1]!++
    else packed.push(units, 1)
    last = units
  }
  return packed
}

/**
 * Reads what `encodeSnapshot` of this or another version of the library wrote.
 *
 * @throws `FST_ERR_TETHER_SNAPSHOT`, and nothing else, for any other bytes
 */
export function decodeSnapshot (bytes: Buffer): SessionSnapshot {
  const [given, state, ...rest] = list(parse(bytes))
  if (given !== format) throw new SnapshotError(Number.isSafeInteger(given) ? `its format is ${given as number}, and this node reads ${format}` : 'it is something else')
  const [stateVersion, flags, boundTo, owner, groups, acceptedSeq, takers, first, frames, ages, log, nodes, framesAfter, times, leaveMs, subscriptions = [], replies = [], isBackup = 0, unsureFrom = 0, pending = []] = rest
  const known = pairs(nodes).map(([node, counter]) => [text(node), whole(counter)] as const)
  const isSet = (flag: keyof typeof flagBits) => (whole(flags) & flagBits[flag]) !== 0
  const held = unpackFrames(list(frames), known.map(([node]) => node), list(ages))
  const [takenAt, ageMs, detachedMs, idleMs] = list(times).map((time) => whole(time))
  if (takenAt === undefined || ageMs === undefined || detachedMs === undefined || idleMs === undefined) throw wrong()
  if (!Number.isSafeInteger(whole(first, 1) + held.length)) throw wrong()
  return {
    state: isSet('hasState') ? written(state) : null,
    stateVersion: whole(stateVersion),
    boundTo: textOrNull(boundTo),
    owner: textOrNull(owner),
    everConnected: isSet('everConnected'),
    proven: isSet('proven'),
    counted: isSet('counted') ? true : isSet('uncounted') ? false : null,
    groups: list(groups).map((name) => text(name)),
    acceptedSeq: whole(acceptedSeq),
    takers: pairs(takers).map(([sender, from]) => ({ sender: textOrNull(sender), from: whole(from) })),
    first: whole(first, 1),
    frames: held,
    log: log === null ? null : positionOf(list(log), known),
    framesAfter: textOrNull(framesAfter),
    takenAt,
    ageMs,
    detachedMs,
    idleMs,
    leaveMs: leaveMs === null ? null : whole(leaveMs),
    subscriptions: list(subscriptions).map(subscriptionOf),
    replies: list(replies).map(replyOf),
    ...isBackup === 1 ? { isBackup: true } : {},
    ...unsureFrom === 0 ? {} : { unsureFrom: whole(unsureFrom) },
    ...list(pending).length === 0 ? {} : { pending: list(pending).map(entryOf) }
  }
}

function parse (bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch (error) {
    throw new SnapshotError(messageOf(error))
  }
}

function entryOf (given: unknown): JournalEntry {
  const [event, body, isForm, bytes, sender, done] = list(given)
  return { event: textOrNull(event), body, isForm: isForm === 1, bytes: bytes === null ? null : whole(bytes), sender: textOrNull(sender), done: whole(done) }
}

function subscriptionOf (given: unknown): SubscriptionSnapshot {
  const [topic, name, params, sent, held = '', epoch = 0] = list(given)
  return { topic: text(topic), name: text(name), params: record(params), given: record(sent), held: text(held), epoch: whole(epoch) }
}

function replyOf (given: unknown): RepliesSnapshot[number] {
  const [seq, update, number] = list(given)
  if (!isUpdate(text(update))) throw wrong()
  return [whole(seq, 1), update as string, whole(number)]
}

function positionOf ([at, before]: readonly unknown[], nodes: ReadonlyArray<readonly [string, number]>): LogPosition {
  return { at: text(at), before: textOrNull(before), known: Object.fromEntries(nodes.filter(([, counter]) => counter > 0)) }
}

function unpackFrames (packed: readonly unknown[], nodes: readonly string[], [unit, ...ages]: readonly unknown[]): SnapshotFrame[] {
  const frames: Array<SnapshotFrame & { writtenMsAgo: number | null }> = []
  const counters = new Map<string, number>()
  for (const one of packed) {
    const [what, ...more] = list(one)
    if (typeof what === 'string') {
      frames.push(inline(what, more))
      continue
    }
    const node = nodes[whole(what)]
    const [step, index, count = 1, isOfOneEntry] = more
    if (node === undefined || !Number.isSafeInteger(step)) throw wrong()
    const counter = whole((counters.get(node) ?? 0) + (step as number), 1)
    counters.set(node, counter)
    if (whole(count, 1) + frames.length > mostFrames) throw wrong()
    for (let number = 0; number < (count as number); number++) {
      frames.push({ place: isOfOneEntry === 1 ? { node, counter, index: whole(index) + number } : { node, counter: counter + number, index: whole(index) }, writtenMsAgo: null })
    }
  }
  let at = 0
  for (const [age, count] of pairs(ages)) {
    const writtenMsAgo = whole(age) * whole(unit, 1)
    if (at + whole(count, 1) > frames.length) throw wrong()
    for (const end = at + (count as number); at < end; at++) frames[at]!.writtenMsAgo = writtenMsAgo
  }
  return frames
}

function inline (given: string, [key = null, shared]: readonly unknown[]): InlineFrame {
  if (!isUpdate(given)) throw wrong()
  return { text: given, key: textOrNull(key), shared: shared === 1, writtenMsAgo: null }
}

/** Whether a text is one update and nothing else: it goes to streams as it is. */
function isUpdate (given: string): boolean {
  if (!given.endsWith('\n\n') || given.includes('\r') || given.includes('\0')) return false
  const last = given.length - 1
  let start = given.startsWith('event: ') ? given.indexOf('\n') + 1 : 0
  if (start >= last) return false
  while (start < last) {
    if (!given.startsWith('data: ', start)) return false
    start = given.indexOf('\n', start) + 1
  }
  return start === last
}

function written (state: unknown): string {
  try {
    return JSON.stringify(state)
  } catch (error) {
    throw new SnapshotError(messageOf(error))
  }
}

function wrong (): Error {
  return new SnapshotError('a part of it is wrong')
}

function list (value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong()
  return value as unknown[]
}

function pairs (value: unknown): Array<readonly [unknown, unknown]> {
  const flat = list(value)
  if (flat.length % 2 !== 0) throw wrong()
  return Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index], flat[2 * index + 1]] as const)
}

function record (value: unknown): Record<string, unknown> {
  if (!isRecord(value)) throw wrong()
  return value
}

function text (value: unknown): string {
  if (typeof value !== 'string') throw wrong()
  return value
}

function textOrNull (value: unknown): string | null {
  return value === null ? null : text(value)
}

function whole (value: unknown, least = 0): number {
  if (!Number.isSafeInteger(value) || (value as number) < least) throw wrong()
  return value as number
}
