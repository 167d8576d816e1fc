/**
 * Options that are numbers, flags or choices: a row each, with what an editor shows of it. The types
 * of options, their schemas, their checks, their messages and `defaults` are all made from these
 * rows. `test/options.test.ts` holds comments and docs/options.md to them.
 */

/** A whole number. Its name ends in `Ms` where the unit is milliseconds. */
export type WholeNumberRow = {
  readonly unit: 'sessions' | 'bytes' | 'ms' | 'commands' | 'events' | 'updates' | 'frames' | 'entries' | 'calls' | 'copies' | 'labels' | 'pages' | 'versions' | 'topics' | 'subscriptions' | 'values'
} & (
  /** Words in place of a number where another option decides the default. */
  { readonly default: number } | { readonly defaultInWords: string }
) & (
  /** What 0 means; without it, 1 is the least. */
  { readonly zero: string } | { readonly least: 1 }
)

/** True or false. */
interface FlagRow { readonly default: boolean }
/** One of several words. */
interface ChoiceRow { readonly default: string, readonly choices: readonly string[] }
/** A list of one or more different words. */
interface ListRow { readonly default: readonly string[], readonly each: readonly string[] }

export type OptionRow = WholeNumberRow | FlagRow | ChoiceRow | ListRow
type OptionTables = Readonly<Record<string, Readonly<Record<string, OptionRow>>>>

type ValueOf<Row> =
  Row extends { readonly unit: string } ? number
    : Row extends { readonly choices: ReadonlyArray<infer Choice> } ? Choice
      : Row extends { readonly each: ReadonlyArray<infer Choice> } ? readonly Choice[] : boolean

/** The options of a table, as an application gives them. */
export type OptionsOf<Table> = { -readonly [Name in keyof Table]?: ValueOf<Table[Name]> }

export const optionTable = {
  plugin: {
    /** Sessions at one time, with or without a stream. Beyond this, new sessions are refused. Default 10,000; at least 1. */
    maxSessions: { unit: 'sessions', default: 10_000, least: 1 },
    /**
     * Sessions of one owner, within `maxSessions`. `bind` names the owner. Where it names nobody, the owner
     * is the request's public address (an IPv6 address by its first 64 bits); loopback and private addresses
     * own nothing. Beyond this, new sessions are refused, as beyond `maxSessions`. Default 200, or a tenth
     * of `maxSessions` for an address; 0: no limit.
     */
    maxSessionsPerOwner: { unit: 'sessions', default: 200, zero: 'no limit' },
    /** Sessions whose latest stream was opened on one HTTP/2 connection. Beyond this, new sessions are refused. Default 200; 0: no limit. */
    maxSessionsPerConnection: { unit: 'sessions', default: 200, zero: 'no limit' },
    /**
     * Sessions without a stream at one time. Beyond this, the owner with most of them loses its oldest;
     * sessions that never posted nor resumed go first. Default a quarter of `maxSessions`; 0: a session
     * ends with its stream.
     */
    maxDetached: { unit: 'sessions', defaultInWords: 'a quarter of maxSessions', zero: 'a session ends with its stream' },
    /**
     * Sessions that this node has moved into the cluster's engine, and that are still there. Beyond this, a session stays in memory, or is
     * closed where it would have gone there. Without a cluster it has no effect. Default as many as `maxSessions`; 0: no session goes there.
     */
    maxFrozen: { unit: 'sessions', defaultInWords: 'as many as maxSessions', zero: 'no session goes there' },
    /** Sessions made by `prepare` that no page has claimed yet. Beyond this, `prepare` gives null. Default 128; 0: `prepare` always gives null. */
    maxPending: { unit: 'sessions', default: 128, zero: 'prepare always gives null' },
    /** Milliseconds that a prepared session waits for its page. Default 30,000; at least 1. */
    pendingMs: { unit: 'ms', default: 30_000, least: 1 },
    /**
     * Bytes of memory for updates that all sessions and transports hold together (shared updates count
     * once) and for events that wait or run. Events may have half of it; beyond that they get 429. Where
     * updates exceed it, those who hold most lose first, and lose written updates before waiting ones.
     * Default 268,435,456; at least 1.
     */
    maxBufferedBytes: { unit: 'bytes', default: 268_435_456, least: 1 },
    /**
     * Bytes of memory for compressors that belong to one stream each. Beyond this, streams share what
     * is compressed once for all. Default 67,108,864; 0: no stream has a compressor of its own.
     */
    maxCompressorBytes: { unit: 'bytes', default: 67_108_864, zero: 'no stream has a compressor of its own' }
  },
  stateful: {
    /** Events and updates that may wait on a session's command channel. A full channel answers 429. Default 64; at least 1. */
    commandBuffer: { unit: 'commands', default: 64, least: 1 },
    /** Bytes of a POST's body, or of a message on a WebSocket. A larger one gets 413. Default 65,536; at least 1. */
    maxEventBytes: { unit: 'bytes', default: 65_536, least: 1 },
    /** Events in one POST; at most `commandBuffer`. Default 32, or `maxSubscriptions` where the contract has topics, or `commandBuffer` where that is less; at least 1. */
    maxBatch: { unit: 'events', default: 32, least: 1 },
    /**
     * Requests of one session that wait or run, or whose reply its client has not acknowledged. Beyond this, a POST with a
     * further one gets 429; one that has more itself gets 400. Default 32; at least 1.
     */
    maxRequests: { unit: 'events', default: 32, least: 1 },
    /**
     * Bytes of the replies that are kept until the client acknowledges them. Beyond this, the oldest is kept no longer: where its
     * client turns out not to have it, `TETHER_IN_DOUBT` takes its place. A single larger reply still passes. Default
     * 262,144; at least 1.
     */
    maxReplyBytes: { unit: 'bytes', default: 262_144, least: 1 },
    /**
     * Milliseconds within which a handler or hook must settle. Then its session goes on without it, and
     * `onError` is called. Time in which the write buffer is full does not count. Default 30,000; 0: no limit.
     */
    handlerTimeoutMs: { unit: 'ms', default: 30_000, zero: 'no limit' },
    /** Milliseconds without a stream and without an event after which a session is closed. Default 0; 0: off. */
    idleMs: { unit: 'ms', default: 0, zero: 'off' },
    /** Milliseconds after which a session is closed, however active; its client gets a new one. Default 0; 0: off. */
    maxLifetimeMs: { unit: 'ms', default: 0, zero: 'off' },
    /** Milliseconds that a session is kept without a stream. Default 30,000; 0: a session ends with its stream. */
    reconnectMs: { unit: 'ms', default: 30_000, zero: 'a session ends with its stream' },
    /** Updates kept, once written, for a client that reconnects. Default 256; 0: none are kept. */
    replayFrames: { unit: 'updates', default: 256, zero: 'none are kept' },
    /** Bytes of the updates kept once written. Default 262,144; 0: none are kept. */
    replayBytes: { unit: 'bytes', default: 262_144, zero: 'none are kept' },
    /** Milliseconds that updates are kept once written. Default 60,000; 0: no limit. */
    replayAgeMs: { unit: 'ms', default: 60_000, zero: 'no limit' },
    /** Updates that may wait, never written, where the application ignores the promise of `send`; see `onOverflow`. Default 1,024; at least 1. */
    queueFrames: { unit: 'updates', default: 1_024, least: 1 },
    /** Bytes of the updates that may wait. A single larger update still passes. Default 1,048,576; at least 1. */
    queueBytes: { unit: 'bytes', default: 1_048_576, least: 1 },
    /**
     * What happens beyond `queueFrames` or `queueBytes`. `'disconnect'` ends the stream; its client resumes,
     * or learns of a gap. `'dropOldest'` drops what has waited longest and announces a gap. Without a
     * stream, the oldest is always dropped. Default `'disconnect'`.
     */
    onOverflow: { default: 'disconnect', choices: ['disconnect', 'dropOldest'] },
    /**
     * Least milliseconds from one write of updates to the next, for a page that redraws at a fixed rate.
     * Meanwhile updates wait, and conflate. Default 0; 0: off.
     */
    minIntervalMs: { unit: 'ms', default: 0, zero: 'off' },
    /**
     * In a cluster, when a session may leave its node. `'never'`: it ends with its node. `'move'`: it moves to another node
     * when a client comes back there, or when its node stops. `'detach'`: it is also kept in the engine whenever it
     * loses its stream, and then survives a crash of its node. `'command'`: the engine gets a snapshot behind each command, so that
     * it survives a crash with all but the last milliseconds. `'event'`: the engine has each event, too, before it is accepted.
     * Default `'move'`.
     */
    persist: { default: 'move', choices: ['never', 'move', 'detach', 'command', 'event'] },
    /** In a cluster, the version of the state that `serialize` gives. Another one needs `deserialize`. Default 1; at least 1. */
    stateVersion: { unit: 'versions', default: 1, least: 1 },
    /** In a cluster, milliseconds without a stream after which a session leaves its node's memory for the engine. Default 0; 0: never. */
    freezeMs: { unit: 'ms', default: 0, zero: 'never' },
    /** Topics that one session may subscribe to. Beyond this, a subscription is refused. Default 64; at least 1. */
    maxSubscriptions: { unit: 'subscriptions', default: 64, least: 1 },
    /**
     * Topics of the URL that have subscribers, a producer or retained values, each set of parameters counted by itself. Beyond
     * this, the topic without subscribers and producer that was published least recently goes; if there is none, a
     * subscription is refused. Default 10,000; at least 1.
     */
    maxTopics: { unit: 'topics', default: 10_000, least: 1 },
    /**
     * Bytes of memory for the retained values of all topics of the URL, a part of `maxBufferedBytes`. Beyond this, the value
     * that was published least recently goes, those of topics with a producer last. Default 33,554,432; 0: none are retained.
     */
    maxRetainedBytes: { unit: 'bytes', default: 33_554_432, zero: 'none are retained' }
  },
  topic: {
    /** Milliseconds that a producer goes on after the last subscriber has left. Default 5,000; 0: it ends at once. */
    lingerMs: { unit: 'ms', default: 5_000, zero: 'it ends at once' },
    /** Values that are retained of one topic, one for each key of each update; at most `queueFrames`. Beyond this, the one that was published least recently goes. Default 256; 0: none are retained. */
    maxRetained: { unit: 'values', default: 256, zero: 'none are retained' },
    /** Where `start` runs: on each node that has subscribers, or on one node for all of them. Default `'node'`. */
    run: { default: 'node', choices: ['node', 'cluster'] }
  },
  /** Of both kinds of stream. */
  stream: {
    /**
     * Frames that may wait while the socket takes no more. When this many wait, `send` blocks and
     * the session's loop stalls. Default 4; 0: the default, 4.
     */
    writeBuffer: { unit: 'frames', default: 4, zero: 'the default, 4' },
    /**
     * Milliseconds without a write after which a heartbeat is written; on a WebSocket a ping too. A peer
     * that has not answered one ping before the next loses its stream. Default 20,000; 0: none is written.
     */
    heartbeatMs: { unit: 'ms', default: 20_000, zero: 'none is written' },
    /** Milliseconds that a client waits before it reconnects, sent as `retry:`. Default 1,000; 0: none is sent. */
    retryMs: { unit: 'ms', default: 1_000, zero: 'none is sent' },
    /**
     * Milliseconds within which a client must read some of what was written to it; otherwise it loses its
     * stream. Default 30,000; 0: no limit.
     */
    stallTimeoutMs: { unit: 'ms', default: 30_000, zero: 'no limit' },
    /**
     * Whether a transport without a session says goodbye (a frame of the event type `tether`) when the
     * server stops. Otherwise it gets a `retry:` line alone, and on a WebSocket a close code. Sessions
     * always say goodbye. Default false.
     */
    goodbye: { default: false }
  },
  websocket: {
    /** Milliseconds within which a new socket must name its session. Default 10,000; at least 1. */
    openTimeoutMs: { unit: 'ms', default: 10_000, least: 1 }
  },
  compression: {
    /**
     * Which streams have a compressor of their own, within `maxCompressorBytes`. `'uncounted'` means streams
     * that get an id with each update, and transports without a session. All others share what is
     * compressed once for all. Default `'none'`.
     */
    own: { default: 'none', choices: ['none', 'uncounted', 'all'] },
    /**
     * Encodings of such a compressor, the preferred one first. An encoding that this version of Node.js
     * lacks is skipped. Default `['gzip']`.
     */
    encodings: { default: ['gzip'], each: ['gzip', 'br', 'zstd'] }
  },
  drain: {
    /** Milliseconds to wait for sessions to close and streams to end. Default 10,000; 0: streams are cut at once. */
    timeoutMs: { unit: 'ms', default: 10_000, zero: 'streams are cut at once' },
    /** Least milliseconds after which clients are asked to reconnect. Default 1,000; 0: at once. */
    retryMs: { unit: 'ms', default: 1_000, zero: 'at once' },
    /** Greatest milliseconds of a random part on top of `retryMs`, so that clients do not all reconnect at once. Default 10,000; 0: none. */
    spreadMs: { unit: 'ms', default: 10_000, zero: 'none' }
  },
  cluster: {
    /**
     * Milliseconds after which the other nodes take a node for dead that has not been heard of. It is renewed every third
     * of this time. All nodes need the same. Default 10,000; at least 1.
     */
    leaseMs: { unit: 'ms', default: 10_000, least: 1 },
    /**
     * Milliseconds that the log keeps a broadcast, for nodes that could not read meanwhile. All nodes need the same.
     * Default 60,000; at least 1.
     */
    logMs: { unit: 'ms', default: 60_000, least: 1 },
    /**
     * Milliseconds that a node waits for another to hand over a session, and to have read the log up to its place. Where a
     * handler of the session runs longer, the session stays; where the node reads later, it does not take the session. In
     * both cases its client retries. Default 5,000; at least 1.
     */
    handoverMs: { unit: 'ms', default: 5_000, least: 1 },
    /**
     * Milliseconds that a POST waits for the node of its session. Later, it gets a 503, and its client sends it again
     * under the same `seq`. Default 3,000; at least 1.
     */
    forwardMs: { unit: 'ms', default: 3_000, least: 1 },
    /**
     * Milliseconds without a lease after which a node ends its streams with the goodbye `isolated`, so that their
     * clients look for another node. Default 60,000; 0: it never does.
     */
    isolatedMs: { unit: 'ms', default: 60_000, zero: 'it never does' },
    /**
     * Broadcasts of this node that may wait until they are back from the log. Beyond this, the oldest is dropped, and
     * the sessions of all nodes get a gap. Default 65,536; at least 1.
     */
    queueFrames: { unit: 'updates', default: 65_536, least: 1 },
    /** Bytes of these broadcasts. A single larger one still passes. Default 33,554,432; at least 1. */
    queueBytes: { unit: 'bytes', default: 33_554_432, least: 1 },
    /** Values that the nodes share. Beyond this, a change of a further one throws. All nodes need the same. Default 1,000; at least 1. */
    maxValues: { unit: 'values', default: 1_000, least: 1 },
    /** Bytes of the names of these values, and of the values as JSON. Beyond this, a change throws. All nodes need the same. Default 262,144; at least 1. */
    maxValueBytes: { unit: 'bytes', default: 262_144, least: 1 }
  },
  nats: {
    /**
     * Where JetStream keeps its streams. `'file'` survives the end of the server, `'memory'` does not. It cannot
     * be changed while the streams exist. Default `'file'`.
     */
    storage: { default: 'file', choices: ['file', 'memory'] },
    /** Servers of a NATS cluster that hold each stream, 1, 3 or 5. Default 1; at least 1. */
    replicas: { unit: 'copies', default: 1, least: 1 },
    /** Milliseconds after which a call that got no answer rejects. Default 5,000; at least 1. */
    deadlineMs: { unit: 'ms', default: 5_000, least: 1 },
    /** Calls of one node that may wait for an answer. Beyond this, the next one rejects at once. Default 10,000; at least 1. */
    maxCalls: { unit: 'calls', default: 10_000, least: 1 },
    /** Bytes of the calls that wait, and of messages on their way. Beyond either, the next one rejects at once. Default 16,777,216; at least 1. */
    maxCallBytes: { unit: 'bytes', default: 16_777_216, least: 1 },
    /** Entries that the log keeps, within `logMs`. Default 100,000; at least 1. */
    logEntries: { unit: 'entries', default: 100_000, least: 1 },
    /** Bytes that the log keeps, within `logMs`. JetStream reserves them. Default 67,108,864; at least 1. */
    logBytes: { unit: 'bytes', default: 67_108_864, least: 1 },
    /** Bytes of all records. JetStream reserves them. Beyond this, writes get `FST_ERR_TETHER_ENGINE_FULL`. Default 268,435,456; at least 1. */
    recordBytes: { unit: 'bytes', default: 268_435_456, least: 1 },
    /** Bytes of all journals. JetStream reserves them. Beyond this, writes get `FST_ERR_TETHER_ENGINE_FULL`. Default 67,108,864; at least 1. */
    journalBytes: { unit: 'bytes', default: 67_108_864, least: 1 }
  },
  /** Of both engines that need no server. */
  hub: {
    /** Milliseconds within which the hub must answer. Later, calls reject, and the node connects anew. Default 2,000; at least 1. */
    deadlineMs: { unit: 'ms', default: 2_000, least: 1 },
    /** Calls of this node that wait for an answer. Beyond this, calls reject at once. Default 65,536; at least 1. */
    maxCalls: { unit: 'calls', default: 65_536, least: 1 },
    /** Bytes of the entries, records and messages in these calls. Beyond this, calls reject at once. Default 67,108,864; at least 1. */
    maxCallBytes: { unit: 'bytes', default: 67_108_864, least: 1 },
    /** Entries that the log keeps, whatever their age. The oldest go first. Default 100,000; at least 1. */
    logEntries: { unit: 'entries', default: 100_000, least: 1 },
    /** Bytes of memory for the log. The oldest entries go first. A single larger entry still passes. Default 67,108,864; at least 1. */
    logBytes: { unit: 'bytes', default: 67_108_864, least: 1 },
    /** Bytes of memory for records, journals and the cards of nodes. Beyond this, writes are refused. Default 268,435,456; at least 1. */
    recordBytes: { unit: 'bytes', default: 268_435_456, least: 1 }
  },
  local: {
    /** Bytes of one entry, record or message, and of an answer. Larger ones reject. Default 16,777,216; at least 1. */
    maxFrameBytes: { unit: 'bytes', default: 16_777_216, least: 1 },
    /** Bytes of answers and messages that wait for one node. Beyond this, messages get lost, and a node that does not read its answers is cut. Default 67,108,864; at least 1. */
    maxUnreadBytes: { unit: 'bytes', default: 67_108_864, least: 1 },
    /** Milliseconds within which a node must read some of what was written to it; otherwise it is cut. Default 10,000; at least 1. */
    stallTimeoutMs: { unit: 'ms', default: 10_000, least: 1 },
    /** Whether the hub keeps its memory in a file, for the process that serves it next. Default true. */
    durable: { default: true }
  },
  redis: {
    /** Milliseconds within which Redis must answer. Later, the connection is replaced, and what waited on it rejects. Default 2,000; at least 1. */
    deadlineMs: { unit: 'ms', default: 2_000, least: 1 },
    /** Entries that the log keeps, whatever their age; Redis drops them by the hundred. Default 100,000; at least 1. */
    logEntries: { unit: 'entries', default: 100_000, least: 1 },
    /** Bytes of the log's entries; each node drops the oldest of what it has read beyond this, once a second. A single larger entry still passes. Default 67,108,864; at least 1. */
    logBytes: { unit: 'bytes', default: 67_108_864, least: 1 },
    /** Calls of this node that wait for an answer. Beyond this, calls reject at once. Default 65,536; at least 1. */
    maxCalls: { unit: 'calls', default: 65_536, least: 1 },
    /** Bytes of the entries, records and messages in these calls. Beyond this, calls reject at once. Default 67,108,864; at least 1. */
    maxCallBytes: { unit: 'bytes', default: 67_108_864, least: 1 }
  },
  /** Of the exporters of figures. */
  metrics: {
    /** URLs that are labels of figures. Those beyond this share the label `other`. Default 100; at least 1. */
    maxUrls: { unit: 'labels', default: 100, least: 1 },
    /** Names of updates, and of events, that are labels of figures, for each URL. Those beyond this share the label `other`. Default 100; at least 1. */
    maxNames: { unit: 'labels', default: 100, least: 1 }
  },
  inspector: {
    /** Least milliseconds from one table to the next, and from one sample of the totals to the next. Default 1,000; at least 1. */
    everyMs: { unit: 'ms', default: 1_000, least: 1 },
    /** Pages that may be open at one time. A further one is refused. Default 16; at least 1. */
    maxPages: { unit: 'pages', default: 16, least: 1 },
    /** Commands of one session that are remembered while a page is open, the latest ones. Default 20; 0: none. */
    maxCommands: { unit: 'commands', default: 20, zero: 'none' }
  }
} as const satisfies OptionTables

/** The defaults of a table. */
export type DefaultsOf<Table> = { readonly [Name in keyof Table as Table[Name] extends { readonly default: unknown } ? Name : never]: Table[Name] extends { readonly default: infer Default } ? Default : never }

/** Collects the defaults of a table. Lists among them are frozen. */
export function defaultsOf<Table extends Readonly<Record<string, OptionRow>>> (table: Table): DefaultsOf<Table> {
  const rows = Object.entries(table).flatMap(([name, row]) => 'default' in row ? [[name, Array.isArray(row.default) ? Object.freeze([...row.default]) : row.default]] : [])
  return Object.fromEntries(rows) as DefaultsOf<Table>
}
