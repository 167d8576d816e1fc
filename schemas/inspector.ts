import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { conflate, defineContract, request } from './contract.ts'
import { defaults } from './defaults.ts'

// What the inspector and its page exchange. The page takes its types from here.

const count = Type.Integer({ minimum: 0 })
const ms = Type.Number({ minimum: 0 })
const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const words = <const Words extends readonly string[]>(list: Words) => Type.Unsafe<Words[number]>({ enum: [...list] })

/** What a table of sessions may be sorted by. */
export const sortKeys = ['queue', 'stall', 'age', 'commands', 'transport', 'node', 'url', 'group', 'topic'] as const
export type SortKey = typeof sortKeys[number]

/** States of a session: with a stream; without one; without its first; on the way out. */
export const sessionStates = ['connected', 'detached', 'pending', 'closing'] as const
export type SessionState = typeof sessionStates[number]

const filter = Type.String({ maxLength: 256 })

/** The part of the sessions that a page shows. An empty text filters nothing. */
const View = Type.Object({
  sort: words(sortKeys),
  descending: Type.Boolean(),
  offset: count,
  limit: Type.Integer({ minimum: 1, maximum: defaults.fixed.inspectorRows }),
  /** The beginning of a shortened id. */
  session: filter,
  url: filter,
  state: words(['', ...sessionStates]),
  /** Also `none`: those without a stream. */
  transport: words(['', 'http/1.1', 'http/2', 'websocket', 'none']),
  node: filter,
  /** The whole name of a group, or of a topic with its parameters. */
  group: filter,
  topic: filter,
  /** Whether only those with a full write buffer count. */
  stalled: Type.Boolean()
}, { additionalProperties: false })
export type View = Static<typeof View>

/** Names a session without its id. */
const Target = Type.Object({ node: Type.String({ maxLength: 64 }), key: Type.String({ maxLength: 32 }) }, { additionalProperties: false })
export type Target = Static<typeof Target>

const names = Type.Object({
  /** The first names; long ones are cut. */
  first: Type.Array(Type.String()),
  count
})

/** One session in a table. */
const Row = Type.Object({
  node: Type.String(),
  key: Type.String(),
  /** The shortened id. */
  session: Type.String(),
  url: Type.String(),
  state: words(sessionStates),
  /** Null without a stream. */
  transport: nullable(words(['http/1.1', 'http/2', 'websocket'])),
  queuedFrames: count,
  queuedBytes: count,
  commands: count,
  /** Of the present stall; 0 for none. */
  stalledMs: ms,
  ageMs: ms,
  groups: names,
  topics: names,
  /** The pace set by hand; 0 for none. */
  paceMs: count
})
export type Row = Static<typeof Row>

const Table = Type.Object({
  /** All sessions, and those that the filter admits. */
  total: count,
  matching: count,
  offset: count,
  rows: Type.Array(Row),
  /** Milliseconds that this node took for it. */
  tookMs: ms,
  /** Nodes that gave no answer, or have no inspector. */
  silent: Type.Array(Type.String())
})
export type Table = Static<typeof Table>

const Sample = Type.Object({
  /** Milliseconds of the wall clock. */
  at: Type.Number(),
  sessions: count,
  streams: count,
  stalled: count,
  bufferedBytes: count,
  /** Since the sample before, for each second; null for the first. */
  updates: nullable(ms),
  events: nullable(ms),
  stalls: nullable(ms)
})
export type Sample = Static<typeof Sample>

const Node = Type.Object({ name: Type.String(), isSelf: Type.Boolean(), sessions: count, draining: Type.Boolean() })

const Totals = Type.Object({
  sample: Sample,
  maxSessions: count,
  draining: Type.Boolean(),
  /** Null without a cluster. */
  cluster: nullable(words(['ready', 'degraded', 'isolated'])),
  nodes: Type.Array(Node)
})
export type Totals = Static<typeof Totals>

const CommandNote = Type.Object({
  /** Counts the commands of the node, so that each has a number of its own. */
  number: count,
  name: Type.String(),
  kind: words(['event', 'update', 'hook']),
  agoMs: ms,
  waitedMs: nullable(ms),
  ms,
  outcome: words(['ok', 'error', 'timeout'])
})
export type CommandNote = Static<typeof CommandNote>

const StreamNote = Type.Object({ agoMs: ms, transport: Type.String(), verdict: Type.String() })
export type StreamNote = Static<typeof StreamNote>

const Detail = Type.Object({
  node: Type.String(),
  key: Type.String(),
  /** Null for a session that is gone, or whose node gave no answer. */
  found: nullable(Type.Object({
    row: Row,
    groups: names,
    topics: names,
    /** The stream that is open now. */
    stream: nullable(Type.Object({ transport: Type.String(), openMs: ms, verdict: nullable(Type.String()), encoding: nullable(Type.String()), writeBuffer: count, isFull: Type.Boolean() })),
    /** Numbers and sizes of its updates: written ones that are kept, written ones that are written again, those that wait. */
    outbox: Type.Object({ first: count, next: count, written: count, replaying: count, waiting: count, heldBytes: count, waitingBytes: count, queueFrames: count, queueBytes: count, replayFrames: count }),
    updates: count,
    bytes: count,
    conflated: count,
    dropped: count,
    events: count,
    acceptedSeq: count,
    errors: count,
    stalls: count,
    stalledMs: ms,
    running: nullable(Type.Object({ name: Type.String(), ms })),
    /** The newest first. */
    commands: Type.Array(CommandNote),
    streams: Type.Array(StreamNote)
  }))
})
export type Detail = Static<typeof Detail>
export type Found = NonNullable<Detail['found']>

const About = Type.Object({
  node: nullable(Type.String()),
  /** What may be done by hand. */
  close: Type.Boolean(),
  slow: Type.Boolean(),
  everyMs: count,
  urls: Type.Array(Type.String())
})
export type About = Static<typeof About>

const Done = Type.Object({ done: Type.Boolean() })

export const inspectorContract = defineContract({
  events: {
    view: View,
    /** Both empty: no session. */
    select: Target,
    close: request(Target, Done),
    slow: request(Type.Object({ ...Target.properties, paceMs: Type.Integer({ minimum: 0, maximum: 60_000 }) }, { additionalProperties: false }), Done)
  },
  updates: {
    about: About,
    /** The samples so far, the oldest first. */
    history: Type.Object({ samples: Type.Array(Sample) }),
    totals: conflate(Totals),
    table: conflate(Table),
    detail: conflate(Detail)
  }
})
