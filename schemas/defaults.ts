import { defaultsOf, optionTable } from './option-table.ts'

/**
 * Every default and every fixed limit of the library, in one frozen table. Times are in
 * milliseconds, sizes in bytes or counts. docs/options.md has the same list.
 */
export const defaults = Object.freeze({
  /** Options of `app.register(tether, options)`. */
  plugin: Object.freeze({
    ...defaultsOf(optionTable.plugin),
    /** The share of `maxSessions` that is the default of `maxDetached`. */
    maxDetachedShare: 0.25
  }),
  /** Options of `app.tether.stateful(url, config)`. */
  stateful: Object.freeze(defaultsOf(optionTable.stateful)),
  /** Options of one topic, in `topics` of `app.tether.stateful(url, config)`. */
  topic: Object.freeze(defaultsOf(optionTable.topic)),
  /** Options of `app.tether.sse.upgrade(options)`. */
  upgrade: Object.freeze({
    ...defaultsOf(optionTable.stream),
    compression: true
  }),
  /** Parts of the option `compression`, if it is an object. */
  compression: Object.freeze(defaultsOf(optionTable.compression)),
  /** Options of `app.tether.websocket.upgrade(options)`. */
  websocket: Object.freeze({
    ...defaultsOf(optionTable.stream),
    ...defaultsOf(optionTable.websocket)
  }),
  /** Options of `app.tether.drain(options)`. */
  drain: Object.freeze(defaultsOf(optionTable.drain)),
  /** Parts of the option `cluster`, if it is an object. */
  cluster: Object.freeze({
    ...defaultsOf(optionTable.cluster),
    name: 'tether'
  }),
  /** Options of `nats(connection, options)`. */
  nats: Object.freeze(defaultsOf(optionTable.nats)),
  /** Options of `memory(options)`. */
  memory: Object.freeze(defaultsOf(optionTable.hub)),
  /** Options of `local(options)`. */
  local: Object.freeze({
    ...defaultsOf(optionTable.hub),
    ...defaultsOf(optionTable.local)
  }),
  /** Options of `redis(client, options)`. */
  redis: Object.freeze(defaultsOf(optionTable.redis)),
  /** Options of `prometheus(app, options)` and `otel(app, meter, options)`. */
  metrics: Object.freeze(defaultsOf(optionTable.metrics)),
  /** Options of `app.register(inspector, options)`. */
  inspector: Object.freeze(defaultsOf(optionTable.inspector)),
  /** Fixed limits that no option changes. */
  fixed: Object.freeze({
    /** How long `app.close()` waits for clients to read the last bytes of their streams. */
    shutdownMs: 1_000,
    /** How long a session outlives `tether.close`, which a page also sends on reload. */
    leaveGraceMs: 2_000,
    /** Memory of an update, a key, a place in a queue and an event in `maxBufferedBytes`, in addition to their bytes; measured. */
    frameWeight: 112,
    keyWeight: 128,
    slotWeight: 16,
    commandWeight: 512,
    /** Most sessions of one public address, as a share of `maxSessions`; used if `bind` names nobody and `maxSessionsPerOwner` is not given. */
    addressShare: 0.1,
    /** Most sessions closed for good that the server remembers, to answer 204 and 410. */
    tombstones: 1_024,
    /** Most characters of the name of a topic's update, parameters included. */
    topicNameLength: 512,
    /** Most characters of a subscription's parameters, as JSON. */
    topicGivenLength: 2_048,
    /** Most characters of `X-Tether-Sender`, and most changes of the sender that a session remembers. */
    senderLength: 64,
    numberTurns: 16,
    /** Most bytes of one `write()` on HTTP/1.1. A larger frame takes several. */
    writeBytes: 65_536,
    /** Most bytes of one `write()` on HTTP/2: there one stream's bytes delay the other streams. */
    http2WriteBytes: 16_384,
    /** Most bytes of a WebSocket's first message, and of the envelope around an event that is too large. */
    openingBytes: 1_024,
    /** Messages that a WebSocket may send before its session exists. */
    earlyMessages: 32,
    /** Most pings of one session that wait for their answer, most pings of one second, and most characters of a ping's id. */
    waitingPings: 16,
    pingsPerSecond: 128,
    pingIdLength: 64,
    /** Commands that one session runs before other work gets its turn. */
    commandsPerTurn: 64,
    /** Sends of one session or transport that resolve at once. The next one waits a turn of the event loop. */
    sendsPerTurn: 256,
    /** Faults named in one 400: a body of thousands must not make a huge answer. */
    faults: 128,
    /** Bytes of all faults in one 400, as JSON. Beyond this, only the first are named. */
    faultBytes: 12_288,
    /** Bytes of one fault's pointer, and of its message, as JSON. The rest is cut. */
    faultPathBytes: 1_024,
    faultTextBytes: 2_048,
    /** Bytes of the error's message after which it names no more faults. */
    faultMessageBytes: 1_024,
    /** Most branches of unions that are examined to name the faults of one event's data. */
    explainedBranches: 8_192,
    /** Levels of nesting within which faults are named. Refused data that is nested deeper gets a single fault. */
    explainedDepth: 64,
    /** Broadcasts that are being delivered, and their bytes. Beyond either, the next call delivers them before it returns. */
    broadcastFrames: 256,
    broadcastBytes: 1_048_576,
    /** Batches of frames kept for other streams with the same frames. A batch is one write. */
    sharedRuns: 64,
    /** Bytes below which a batch is stored: deflate saves next to nothing. */
    storedBelowBytes: 128,
    /** The same for a batch that may refer to the previous batch, and the most bytes it may refer back. */
    chainedStoredBelowBytes: 32,
    chainBytes: 4_096,
    /** Least bytes of an update with an id for a deflate block of its own. */
    splicedBytes: 1_024,
    /** Deflate levels for updates of many streams, and for updates of one stream. */
    deflateLevel: 6,
    privateDeflateLevel: 1,
    /** Least bytes of a text of one stream for deflate. */
    privateDeflateBytes: 512,
    /** Share of the time for deflate of such text, and the most unused milliseconds that may accumulate. */
    privateDeflateShare: 0.1,
    privateDeflateMs: 20,
    /** Bytes below which a stream's own compressor leaves a text uncompressed; these are mostly heartbeats. */
    ownStoredBelowBytes: 32,
    /** Window of a stream's own compressor: of gzip in bytes; of brotli and zstd as a power of 2. */
    compressorWindowBytes: 8_192,
    compressorWindowBits: 16,
    brotliQuality: 4,
    zstdLevel: 1,
    /** Most bytes of text inside a compressor, which works on another thread. */
    compressorQueueBytes: 65_536,
    /** Memory of one compressor in `maxCompressorBytes`. */
    gzipCompressorBytes: 9_216,
    brCompressorBytes: 655_360,
    zstdCompressorBytes: 196_608,
    /** How long one slice of flushing may hold the event loop. */
    flushSliceMs: 4,
    /** Most milliseconds that a POST with `Prefer: wait` waits for a reply. */
    replyWaitMs: 60_000,
    /** Most milliseconds that a subscription waits for the values of other nodes. They come later otherwise. */
    topicValuesMs: 1_000,
    /** Bytes of the values in one message between nodes. A single larger value still passes. */
    topicReplyBytes: 262_144,
    /** `Retry-After` of a 429 and a 503, in whole seconds. */
    retryAfterSeconds: 1,
    /** Least `retry:` for a client that is refused at a session limit, and the greatest random part on top. */
    busyRetryMs: 1_000,
    busyRetrySpreadMs: 4_000,
    /** How long a start waits for the cluster's engine. Later, the application serves without it until it answers. */
    clusterStartMs: 3_000,
    /** Most broadcasts of one entry of the cluster's log, and their bytes. A single larger broadcast has an entry for itself. */
    logEntryFrames: 1_024,
    logEntryBytes: 262_144,
    /** Entries of one node that may be in the log, and not back from it. */
    logUnreadEntries: 64,
    /** Least and greatest wait before a failed entry is written again. */
    logRetryMs: 50,
    logMaxRetryMs: 1_000,
    /** Refusals after which a broadcast of more than `logEntryBytes` is dropped: the engine cannot take it. */
    logLargeAttempts: 5,
    /** Most requests of a node that wait for others, and their bytes; and the same of those that others wait for. */
    nodeCalls: 8_192,
    nodeCallBytes: 33_554_432,
    /** How long the record of a session in memory outlives its node; it is written again within half of this time. */
    recordMs: 3_600_000,
    /** How often a node looks for sessions in the engine whose time is over, how many at a time, and how many of them it ends at a time. */
    dueMs: 1_000,
    dueKeys: 256,
    dueWrites: 64,
    /** How long the record of a session whose time is over waits for a node that ends it. */
    overMs: 3_600_000,
    /** Least wait before a write of a record is tried again that got no answer. */
    recordRetryMs: 100,
    /** Records that are read or written at a time for many sessions: at a drain, and when a lease begins. */
    recordWrites: 256,
    /** With `persist: 'command'` and `'event'`: snapshots on their way into the engine at a time, and their bytes. */
    backupWrites: 256,
    backupBytes: 16_777_216,
    /** With `persist: 'event'`: entries of a session's journal, and milliseconds, until a snapshot empties it; and bytes of events that wait for it. */
    journalEntries: 64,
    journalMs: 100,
    journalBytes: 1_048_576,
    /** Events of all sessions that wait for their journals, and their bytes. */
    journalWaits: 65_536,
    journalWaitBytes: 67_108_864,
    /** Most sessions of other nodes whose node is remembered, and most claims whose record is. */
    knownOwners: 10_000,
    /** Entries of the log, and their bytes, that a node keeps or reads again for sessions that come from other nodes. Beyond either, they get a gap. */
    logTailEntries: 16_384,
    logTailBytes: 16_777_216,
    /** How long a node collects changes of group sizes for the others, and most groups in one broadcast. */
    groupSizesMs: 100,
    /** Least time from one request for the sizes of the others to the next. */
    groupSizesAskMs: 1_000,
    groupSizesEntry: 1_000,
    /** Most groups of other nodes whose sizes a node knows, and bytes of their names. */
    knownGroups: 100_000,
    knownGroupBytes: 8_388_608,
    /** Most characters of the name of an event of the cluster, or of a value. */
    clusterNameLength: 128,
    /** Errors of listeners to events of the cluster that are logged within a time, and that time. */
    busErrors: 10,
    busErrorsMs: 10_000,
    /** Least time from one report that the state of a session cannot be kept to the next. */
    stateErrorMs: 60_000,
    /** How long a start waits, once the engine answers, until the node has the values that others share. */
    valueStartMs: 500,
    /** How long one read waits in Redis for something new; the memory of Redis is checked as often. */
    redisBlockMs: 1_000,
    /** How far back each new connection to Redis reads again. */
    redisRereadMs: 10_000,
    /** Most entries, and most messages, of one read from Redis. */
    redisReadEntries: 1_024,
    /** Bytes of one read, beyond which the next asks for fewer entries. */
    redisReadBytes: 4_194_304,
    /** Most entries of the log, or writes of records, that share one write to Redis, and their most bytes. A larger one goes alone. */
    redisBatchEntries: 128,
    redisBatchBytes: 1_048_576,
    /** Most messages to one node that Redis keeps, about their most bytes, and how long it keeps those to a node that is gone. */
    redisInboxMessages: 10_000,
    redisInboxBytes: 67_108_864,
    redisInboxMs: 60_000,
    /** Most entries of a record's journal in Redis. */
    redisJournalEntries: 10_000,
    /** Most records whose due time this node leaves as it is in the index, where that names an earlier one. */
    redisDuePlaces: 50_000,
    /** Most rows of one table of the inspector, and most rows of a cluster that can be leafed through. */
    inspectorRows: 100,
    inspectorClusterRows: 1_000,
    /** Samples of the totals that the inspector keeps while a page of it is open. */
    inspectorSamples: 300,
    /** Sessions whose latest commands the inspector remembers while a page of it is open. */
    inspectorSessions: 2_000,
    /** How long a page of the inspector keeps its session. Then `authorize` is asked again. */
    inspectorLifetimeMs: 900_000,
    /** How long the inspector waits for another node. */
    inspectorNodeMs: 1_000
  })
} as const)
