import { defaultsOf, optionTable } from './option-table.ts'

/**
 * Every default and every fixed limit of the library, in one frozen table. Times are
 * milliseconds, sizes are bytes or counts; docs/options.md lists the same.
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
  /** Parts of the option `compression`, where it is an object. */
  compression: Object.freeze(defaultsOf(optionTable.compression)),
  /** Options of `app.tether.websocket.upgrade(options)`. */
  websocket: Object.freeze({
    ...defaultsOf(optionTable.stream),
    ...defaultsOf(optionTable.websocket)
  }),
  /** Options of `app.tether.drain(options)`. */
  drain: Object.freeze(defaultsOf(optionTable.drain)),
  /** Fixed limits that no option changes. */
  fixed: Object.freeze({
    /** How long `app.close()` waits for streams to take their last bytes. */
    shutdownMs: 1_000,
    /** How long a session outlives `tether.close`: a page sends it on reload too. */
    leaveGraceMs: 2_000,
    /** What an update, a key, a place in a queue and an event count for in `maxBufferedBytes`, beside their bytes, as measured. */
    frameWeight: 112,
    keyWeight: 128,
    slotWeight: 16,
    commandWeight: 512,
    /** Share of `maxSessions` that one public address may have, where `bind` names nobody and `maxSessionsPerOwner` is not given. */
    addressShare: 0.1,
    /** Sessions closed for good that are still answered with 204 and 410. */
    tombstones: 1_024,
    /** Most characters of a client's name for itself, `X-Tether-Sender`; and changes of the sender that a session remembers. */
    senderLength: 64,
    numberTurns: 16,
    /** Most bytes of one `write()` on HTTP/1.1. A larger frame takes several. */
    writeBytes: 65_536,
    /** Most bytes of one `write()` on HTTP/2, where one stream's bytes delay the others. */
    http2WriteBytes: 16_384,
    /** Bytes of a WebSocket's first message, and of the envelope around an event that is too large. */
    openingBytes: 1_024,
    /** Messages that a WebSocket may send before its session exists. */
    earlyMessages: 32,
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
    /** Branches of unions that are examined to name the faults of one event's data. */
    explainedBranches: 8_192,
    /** Levels of nesting within which faults are named. Refused data that is nested deeper gets a single fault. */
    explainedDepth: 64,
    /** Broadcasts that are being delivered, and their bytes. Beyond either, the next call delivers them before it returns. */
    broadcastFrames: 256,
    broadcastBytes: 1_048_576,
    /** Batches of frames, of one write each, that are kept for other streams with the same frames. */
    sharedRuns: 64,
    /** Bytes below which a batch is stored: deflate saves next to nothing. */
    storedBelowBytes: 128,
    /** The same for a batch that may refer to the batch before it, and how many bytes back it may. */
    chainedStoredBelowBytes: 32,
    chainBytes: 4_096,
    /** Least bytes of an update with an id that is deflated as a block of its own. */
    splicedBytes: 1_024,
    /** Levels of deflate for updates that many streams get, and for those that one stream gets. */
    deflateLevel: 6,
    privateDeflateLevel: 1,
    /** Bytes from which text of one stream alone is deflated. */
    privateDeflateBytes: 512,
    /** Share of the time that this may take, and the milliseconds of it that may accumulate. */
    privateDeflateShare: 0.1,
    privateDeflateMs: 20,
    /** Bytes below which a stream's own compressor leaves a text uncompressed; these are mostly heartbeats. */
    ownStoredBelowBytes: 32,
    /** How many bytes back such a gzip compressor refers, and how far brotli and zstd do, as a power of 2. */
    compressorWindowBytes: 8_192,
    compressorWindowBits: 16,
    brotliQuality: 4,
    zstdLevel: 1,
    /** Bytes of text that may be inside a compressor, which works on another thread. */
    compressorQueueBytes: 65_536,
    /** What one compressor counts for in `maxCompressorBytes`. */
    gzipCompressorBytes: 9_216,
    brCompressorBytes: 655_360,
    zstdCompressorBytes: 196_608,
    /** How long one slice of flushing may hold the event loop. */
    flushSliceMs: 4,
    /** `Retry-After` of a 429 and a 503, in whole seconds. */
    retryAfterSeconds: 1,
    /** Least `retry:` for a client that is refused for want of room, and the greatest random part on top. */
    busyRetryMs: 1_000,
    busyRetrySpreadMs: 4_000
  })
} as const)
