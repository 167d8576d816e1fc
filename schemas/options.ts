import { Type, type TObject } from '@sinclair/typebox'
import { defaults } from './defaults.ts'

// setTimeout counts in a signed 32-bit integer.
const longestMs = 2_147_483_647

function count (minimum: number, fallback: number | string, zero?: string) {
  return whole(minimum, Number.MAX_SAFE_INTEGER, fallback, zero)
}

function milliseconds (minimum: number, fallback: number, zero = 'off') {
  return whole(minimum, longestMs, fallback, zero)
}

// `description` is what an error message says is allowed.
function whole (minimum: number, maximum: number, fallback: number | string, zero?: string) {
  const range = maximum === Number.MAX_SAFE_INTEGER ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`
  const nought = minimum === 0 && zero !== undefined ? ` (0: ${zero})` : ''
  return Type.Optional(Type.Integer({ minimum, maximum, description: `a whole number ${range}${nought}; default ${fallback}` }))
}

/** A function as an option: JSON Schema has no word for it, the option validator has. */
function callback (description = 'a function') {
  return Type.Optional(Type.Unsafe<unknown>({ callable: true, description }))
}

/** As with functions: what an origin is, the option validator knows. */
const trustedOrigins = Type.Optional(Type.Array(Type.Unsafe<string>({ origin: true }), {
  description: 'a list of origins, each a scheme, host and port without a path, such as "https://app.example.com"; default none'
}))

const { plugin, stateful, upgrade, websocket, drain } = defaults

export const pluginOptionsSchema = Type.Object({
  maxSessions: count(1, plugin.maxSessions),
  maxSessionsPerOwner: count(0, plugin.maxSessionsPerOwner, 'no limit'),
  maxSessionsPerConnection: count(0, plugin.maxSessionsPerConnection, 'no limit'),
  maxDetached: count(0, 'a quarter of maxSessions', 'a session ends with its stream'),
  maxPending: count(0, plugin.maxPending, 'prepare() always gives null'),
  pendingMs: milliseconds(1, plugin.pendingMs),
  maxBufferedBytes: count(1, plugin.maxBufferedBytes),
  maxCompressorBytes: count(0, plugin.maxCompressorBytes, 'no stream has a compressor of its own'),
  trustedOrigins,
  bind: callback()
}, { additionalProperties: false })

export const compressionOptionsSchema = Type.Object({
  own: Type.Optional(Type.Union([Type.Literal('none'), Type.Literal('uncounted'), Type.Literal('all')])),
  encodings: Type.Optional(Type.Array(Type.Union([Type.Literal('gzip'), Type.Literal('br'), Type.Literal('zstd')]), { minItems: 1, uniqueItems: true }))
}, { additionalProperties: false })

function goodbye (fallback: boolean) {
  return Type.Optional(Type.Boolean({ description: `true or false; default ${fallback}` }))
}

export const upgradeOptionsSchema = Type.Object({
  writeBuffer: count(0, upgrade.writeBuffer, `the default, ${upgrade.writeBuffer}`),
  heartbeatMs: milliseconds(0, upgrade.heartbeatMs),
  retryMs: milliseconds(0, upgrade.retryMs, 'no retry line'),
  stallTimeoutMs: milliseconds(0, upgrade.stallTimeoutMs),
  goodbye: goodbye(upgrade.goodbye),
  compression: Type.Optional(Type.Unsafe<unknown>({
    anyOf: [Type.Boolean(), compressionOptionsSchema],
    description: 'true, false, or an object with own ("none", "uncounted" or "all"; default "none") and encodings (a list of "gzip", "br" and "zstd"; default ["gzip"]); default true'
  }))
}, { additionalProperties: false })

export const webSocketUpgradeOptionsSchema = Type.Object({
  writeBuffer: count(0, websocket.writeBuffer, `the default, ${websocket.writeBuffer}`),
  heartbeatMs: milliseconds(0, websocket.heartbeatMs),
  retryMs: milliseconds(0, websocket.retryMs, 'no retry line'),
  stallTimeoutMs: milliseconds(0, websocket.stallTimeoutMs),
  goodbye: goodbye(websocket.goodbye),
  openTimeoutMs: milliseconds(1, websocket.openTimeoutMs)
}, { additionalProperties: false })

export const statefulConfigSchema = Type.Object({
  contract: Type.Unsafe<unknown>({ type: 'object', required: ['events', 'updates'], description: 'what defineContract() returns' }),
  mode: Type.Optional(Type.Union([Type.Literal('sse'), Type.Literal('websocket'), Type.Literal('both')], { description: '"sse", "websocket" or "both"; default "sse"' })),
  upgrade: callback('what app.tether.sse.upgrade() or app.tether.websocket.upgrade() returns'),
  fallback: callback('what app.tether.sse.upgrade() returns'),
  initialState: callback(),
  on: Type.Optional(Type.Record(Type.String(), Type.Unsafe<unknown>({ callable: true, description: 'a function' }), { description: 'an object with a handler for each event' })),
  onConnect: callback(),
  onDisconnect: callback(),
  onClose: callback(),
  onJoin: callback(),
  onLeave: callback(),
  onError: callback(),
  commandBuffer: count(1, stateful.commandBuffer),
  maxEventBytes: count(1, stateful.maxEventBytes),
  maxBatch: count(1, stateful.maxBatch),
  handlerTimeoutMs: milliseconds(0, stateful.handlerTimeoutMs),
  idleMs: milliseconds(0, stateful.idleMs),
  maxLifetimeMs: milliseconds(0, stateful.maxLifetimeMs),
  reconnectMs: milliseconds(0, stateful.reconnectMs, 'a session ends with its stream'),
  replayFrames: count(0, stateful.replayFrames, 'nothing is kept for a replay'),
  replayBytes: count(0, stateful.replayBytes, 'nothing is kept for a replay'),
  replayAgeMs: milliseconds(0, stateful.replayAgeMs, 'no limit of age'),
  queueFrames: count(1, stateful.queueFrames),
  queueBytes: count(1, stateful.queueBytes),
  onOverflow: Type.Optional(Type.Union([Type.Literal('disconnect'), Type.Literal('dropOldest')], { description: `"disconnect" or "dropOldest"; default "${stateful.onOverflow}"` })),
  minIntervalMs: milliseconds(0, stateful.minIntervalMs),
  trustedOrigins,
  bind: callback()
}, { additionalProperties: false })

export const drainOptionsSchema = Type.Object({
  timeoutMs: milliseconds(0, drain.timeoutMs, 'streams are cut at once'),
  retryMs: milliseconds(0, drain.retryMs, 'at once'),
  spreadMs: milliseconds(0, drain.spreadMs, 'no spread')
}, { additionalProperties: false })

/** What takes options, as error messages say it, and which: so that one which was given to another is told where it belongs. */
export const optionGroups: ReadonlyArray<readonly [where: string, schema: TObject]> = [
  ['app.register(tether)', pluginOptionsSchema],
  ['app.tether.stateful()', statefulConfigSchema],
  ['app.tether.sse.upgrade()', upgradeOptionsSchema],
  ['"compression" of app.tether.sse.upgrade()', compressionOptionsSchema],
  ['app.tether.websocket.upgrade()', webSocketUpgradeOptionsSchema],
  ['app.tether.drain()', drainOptionsSchema],
  ['defineContract()', Type.Object({ events: Type.Unknown(), updates: Type.Unknown() })]
]
