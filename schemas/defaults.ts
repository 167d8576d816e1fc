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
    /** How long one read waits in Redis for something new; the memory of Redis is checked as often. */
    redisBlockMs: 1_000,
    /** How far back each new connection to Redis reads again. */
    redisRereadMs: 10_000,
    /** Most entries, and most messages, of one read from Redis. */
    redisReadEntries: 1_024,
    /** Bytes of one read, beyond which the next asks for fewer entries. */
    redisReadBytes: 4_194_304,
    /** Most entries, and most bytes, of one write to the log in Redis. A larger entry is written alone. */
    redisBatchEntries: 128,
    redisBatchBytes: 1_048_576,
    /** Most messages to one node that Redis keeps, and how long it keeps those to a node that is gone. */
    redisInboxMessages: 10_000,
    redisInboxMs: 60_000,
    /** Most entries of a record's journal in Redis. */
    redisJournalEntries: 10_000
  })
} as const)
