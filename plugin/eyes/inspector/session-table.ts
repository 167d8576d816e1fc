import { cutText } from '../../../schemas/cut-text.ts'
import type { Row, SessionState, SortKey, View } from '../../../schemas/inspector.ts'
import type { Endpoint } from '../../sessions/endpoint.ts'
import type { TetherSession } from '../../sessions/session.ts'
import type { SessionKeys } from './session-keys.ts'

/** Most names of groups and topics in a row, and in the detail of one session; and most bytes of one name. */
export const namesOfRow = 3
export const namesOfDetail = 50
const nameBytes = 120

/** What a row is sorted by. Rows without a value stand at the end, in either direction. */
type SortValue = number | string | null

/** Some sessions of this node, in order. */
export interface Selection {
  readonly total: number
  readonly matching: number
  readonly sessions: readonly TetherSession[]
}

export function stateOf (session: TetherSession): SessionState {
  if (!session.isOpen) return 'closing'
  if (session.stream !== null) return 'connected'
  return session.everConnected ? 'detached' : 'pending'
}

/** Updates that wait. Those of broadcasts that are on their way to it do not count. */
function waitingOf (session: TetherSession): { readonly frames: number, readonly bytes: number } {
  const { outbox } = session
  return session.isInStep ? session.cohort!.waitingOf(session) : { frames: outbox.waiting, bytes: outbox.waitingBytes }
}

function namesOf (all: Iterable<string>, most: number): Row['groups'] {
  const first: string[] = []
  let count = 0
  for (const name of all) if (count++ < most) first.push(cutText(name, nameBytes))
  return { first, count }
}

function * topicsOf ({ subscriptions }: TetherSession): Iterable<string> {
  for (const { name } of subscriptions?.keys() ?? []) yield name
}

export function groupNames (session: TetherSession, most: number): Row['groups'] {
  return namesOf(session.groups ?? [], most)
}

export function topicNames (session: TetherSession, most: number): Row['topics'] {
  return namesOf(topicsOf(session), most)
}

export function rowOf (session: TetherSession, node: string, keys: SessionKeys, now: number): Row {
  const { frames, bytes } = waitingOf(session)
  return {
    node,
    key: keys.of(session),
    session: session.shortId,
    url: session.scope.url,
    state: stateOf(session),
    transport: session.stream?.protocol ?? null,
    queuedFrames: frames,
    queuedBytes: bytes,
    commands: session.inbox.length,
    stalledMs: session.stallMs(now),
    ageMs: Math.max(0, session.ageMs),
    groups: groupNames(session, namesOfRow),
    topics: topicNames(session, namesOfRow),
    paceMs: session.feed.handPaceMs
  }
}

function firstOf (names: Iterable<string> | null | undefined): string | null {
  const [first = null] = names ?? []
  return first
}

type Sorters<Of> = { readonly [Key in SortKey]: (of: Of, now: number) => SortValue }

const ofSession: Sorters<TetherSession> = {
  queue: (session) => session.isInStep ? session.cohort!.waitingOf(session).frames : session.outbox.waiting,
  stall: (session, now) => session.stallMs(now),
  age: (session) => session.ageMs,
  commands: (session) => session.inbox.length,
  transport: (session) => session.stream?.protocol ?? null,
  node: () => 0,
  url: (session) => session.scope.url,
  group: (session) => firstOf(session.groups),
  topic: (session) => firstOf(topicsOf(session))
}

const ofRow: Sorters<Row> = {
  queue: ({ queuedFrames }) => queuedFrames,
  stall: ({ stalledMs }) => stalledMs,
  age: ({ ageMs }) => ageMs,
  commands: ({ commands }) => commands,
  transport: ({ transport }) => transport,
  node: ({ node }) => node,
  url: ({ url }) => url,
  group: ({ groups }) => groups.first[0] ?? null,
  topic: ({ topics }) => topics.first[0] ?? null
}

/** Puts rows of several nodes in order. Rows of one node that are equal keep theirs. */
export function sortRows (rows: Row[], { sort, descending }: View): Row[] {
  const value = ofRow[sort]
  return rows.sort((left, right) => compare(value(left, 0), value(right, 0), descending))
}

function compare (left: SortValue, right: SortValue, descending: boolean): number {
  if (left === right) return 0
  if (left === null) return 1
  if (right === null) return -1
  return (left < right) === descending ? 1 : -1
}

type Test = (session: TetherSession) => boolean

function testOf ({ session: id, state, transport, group, topic, stalled }: View, now: number): Test {
  const tests: Test[] = []
  const start = id.replace(/…$/, '')
  if (start !== '') tests.push(({ shortId }) => shortId.slice(0, -1).startsWith(start))
  if (state !== '') tests.push((session) => stateOf(session) === state)
  if (transport !== '') tests.push(({ stream }) => (stream?.protocol ?? 'none') === transport)
  if (group !== '') tests.push(({ groups }) => groups?.has(group) === true)
  if (topic !== '') tests.push((session) => { for (const name of topicsOf(session)) if (name === topic) return true; return false })
  if (stalled) tests.push((session) => session.stallMs(now) > 0)
  return (session) => tests.every((test) => test(session))
}

/**
 * The sessions of this node that a view admits, in its order: the first `count`. Blocks for some milliseconds for each
 * 10,000 sessions: all are looked at, and only those that are wanted are sorted.
 */
export function select (endpoints: readonly Endpoint[], view: View, count: number, now: number): Selection {
  const admits = testOf(view, now)
  const valueOf = ofSession[view.sort]
  const matching: TetherSession[] = []
  const values: SortValue[] = []
  let total = 0
  for (const endpoint of endpoints) {
    total += endpoint.sessions.size
    if (view.url !== '' && endpoint.url !== view.url) continue
    for (const session of endpoint.sessions.values()) {
      if (!admits(session)) continue
      matching.push(session)
      values.push(valueOf(session, now))
    }
  }
  const places = placesOf(values, view.descending)
  return { total, matching: matching.length, sessions: firstIn(places, count).map((index) => matching[index]!) }
}

/** A number for each value: the least comes first. */
export function placesOf (values: readonly SortValue[], descending: boolean): Float64Array {
  const sign = descending ? -1 : 1
  const texts = [...new Set(values.filter((value) => typeof value === 'string'))].sort()
  const ranks = new Map(texts.map((text, rank) => [text, rank]))
  return Float64Array.from(values, (value) => value === null ? Infinity : sign * (typeof value === 'string' ? ranks.get(value)! : value))
}

/** Indexes of the `count` least numbers, in order. Those of equal numbers are in the order of the indexes. */
export function firstIn (places: Float64Array, count: number): number[] {
  if (count === 0 || places.length === 0) return []
  const last = places.slice().sort()[Math.min(count, places.length) - 1]!
  const found: number[] = []
  const equal: number[] = []
  for (let index = 0; index < places.length; index++) {
    if (places[index]! < last) found.push(index)
    else if (places[index] === last && equal.length < count) equal.push(index)
  }
  found.sort((left, right) => places[left]! - places[right]! || left - right)
  return [...found, ...equal].slice(0, count)
}
