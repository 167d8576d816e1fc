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
    /** A page hides on reload too, so a session outlives `tether.close` by this. */
    leaveGraceMs: 2_000,
    /** What an update, one with a key, a place in a queue and an event count for in `maxBufferedBytes` beside their bytes: as measured. */
    frameWeight: 112,
    keyWeight: 128,
    slotWeight: 16,
    commandWeight: 512,
    /** Share of `maxSessions` that one public address may have, where `bind` names nobody and no option says otherwise. */
    addressShare: 0.1,
    /** Sessions closed for good that are still answered with 204 and 410. */
    tombstones: 1_024,
    /** Bytes handed to one `write()`, on HTTP/1.1; one frame may be larger only over several. */
    writeBytes: 65_536,
    /** The same on HTTP/2, where one stream's bytes hold up the others. */
    http2WriteBytes: 16_384,
    /** Bytes of a WebSocket's first message, and of what goes around an event that is too large. */
    openingBytes: 1_024,
    /** Messages that a WebSocket may send before its session is there. */
    earlyMessages: 32,
    /** Commands that one session runs before others get their turn. */
    commandsPerTurn: 64,
    /** Sends that one session, or transport, is granted at once before the next takes a turn of the event loop. */
    sendsPerTurn: 256,
    /** Faults named in one 400: a body of thousands must not make a huge answer. */
    faults: 128,
    /** Bytes of them, as JSON; beyond, only the first are named. */
    faultBytes: 12_288,
    /** Bytes of one pointer, and of one message, as JSON; the rest is left out. */
    faultPathBytes: 1_024,
    faultTextBytes: 2_048,
    /** Bytes of the error's message from which on it names no more of them. */
    faultMessageBytes: 1_024,
    /** Branches of unions that are looked at to name the faults of one event's data. */
    explainedBranches: 8_192,
    /** Levels of nesting within which faults are named; data that is refused and deeper gets one for all. */
    explainedDepth: 64,
    /** Broadcasts on their way to their members at one time; beyond, the caller waits while they are delivered. */
    broadcastFrames: 256,
    broadcastBytes: 1_048_576,
    /** Runs of frames, a write's worth each, that are kept for other readers of the very same. */
    sharedRuns: 64,
    /** Runs below this are stored: deflate makes next to nothing of them. */
    storedBelowBytes: 128,
    /** The same of runs that follow another, to which they may refer; and how far back they do. */
    chainedStoredBelowBytes: 32,
    chainBytes: 4_096,
    /** Least bytes of an update with an id before it, to be a block of its own. */
    splicedBytes: 1_024,
    /** Levels of deflate for what many get, and for what one gets. */
    deflateLevel: 6,
    privateDeflateLevel: 1,
    /** Text of one stream is deflated from so many bytes on, */
    privateDeflateBytes: 512,
    /** in so much of the time, of which at most so many milliseconds may gather. */
    privateDeflateShare: 0.1,
    privateDeflateMs: 20,
    /** Texts that a compressor of their own leaves as they are: heartbeats, mostly. */
    ownStoredBelowBytes: 32,
    /** How far back such a compressor of gzip looks, and how far (as a power of 2) the others do. */
    compressorWindowBytes: 8_192,
    compressorWindowBits: 16,
    brotliQuality: 4,
    zstdLevel: 1,
    /** Bytes of text that may be with a compressor that works on another thread. */
    compressorQueueBytes: 65_536,
    /** What one of them counts for in `maxCompressorBytes`. */
    gzipCompressorBytes: 9_216,
    brCompressorBytes: 655_360,
    zstdCompressorBytes: 196_608,
    /** How long one slice of flushing may hold the event loop. */
    flushSliceMs: 4,
    /** `Retry-After` of a 429 and a 503, in whole seconds. */
    retryAfterSeconds: 1,
    /** Least and greatest `retry:` sent to a reader that finds no room. */
    busyRetryMs: 1_000,
    busyRetrySpreadMs: 4_000
  })
} as const)
