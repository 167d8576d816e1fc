import { inspect } from 'node:util'
import { defaults } from '../../schemas/defaults.ts'
import { OptionError } from '../../schemas/errors.ts'
import { drainOptionsSchema, pluginOptionsSchema, statefulConfigSchema, upgradeOptionsSchema, webSocketUpgradeOptionsSchema } from '../../schemas/options.ts'
import { isRecord } from '../../schemas/record.ts'
import { didYouMean } from '../../schemas/suggestion.ts'
import type { AnyStatefulConfig } from '../routes/stateful-config.ts'
import type { SessionOptions } from '../sessions/config.ts'
import type { SessionLimits } from '../sessions/session-registry.ts'
import type { CompressionOptions, ResolvedCompression, ResolvedUpgradeOptions, UpgradeOptions } from '../streams/transport.ts'
import type { ResolvedWebSocketOptions, WebSocketUpgradeOptions } from '../websocket/websocket-upgrade.ts'
import type { DrainOptions, TetherOptions } from './api.ts'
import { OptionValidator } from './option-validator.ts'

const where = 'app.tether.stateful()'
const pluginValidator = new OptionValidator('app.register(tether)', pluginOptionsSchema)
const statefulValidator = new OptionValidator(where, statefulConfigSchema)
const upgradeValidator = new OptionValidator('app.tether.sse.upgrade()', upgradeOptionsSchema)
const webSocketUpgradeValidator = new OptionValidator('app.tether.websocket.upgrade()', webSocketUpgradeOptionsSchema)
const drainValidator = new OptionValidator('app.tether.drain()', drainOptionsSchema)

/** Options with the defaults of their table in place of those that are left out. */
function fill<Defaults extends object> (given: object, fallback: Defaults): { [Name in keyof Defaults]: Defaults[Name] } {
  const filled: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fallback)) filled[name] = (given as Record<string, unknown>)[name] ?? value
  return filled as Defaults
}

/** Options of `app.register`, without those of Fastify's own. Throws an error that names what cannot be. */
export function resolvePluginOptions (options: TetherOptions): { readonly limits: SessionLimits, readonly maxBufferedBytes: number, readonly maxCompressorBytes: number } {
  pluginValidator.check(options)
  const { maxDetachedShare, ...fallback } = defaults.plugin
  const { maxSessions, maxSessionsPerOwner, maxSessionsPerConnection, maxPending, pendingMs, maxBufferedBytes, maxCompressorBytes } = fill(options, fallback)
  return {
    limits: {
      maxSessions,
      maxPerBinding: maxSessionsPerOwner,
      maxPerAddress: options.maxSessionsPerOwner ?? Math.ceil(maxSessions * defaults.fixed.addressShare),
      maxPerConnection: maxSessionsPerConnection,
      maxDetached: options.maxDetached ?? Math.ceil(maxSessions * maxDetachedShare),
      maxPending,
      pendingMs
    },
    maxBufferedBytes,
    maxCompressorBytes
  }
}

export function resolveUpgradeOptions (options: UpgradeOptions = {}): ResolvedUpgradeOptions {
  upgradeValidator.check(options)
  const { compression, ...rest } = fill(options, defaults.upgrade)
  // As in the package that this option comes from, 0 stands for the default.
  return Object.freeze({ ...rest, writeBuffer: options.writeBuffer || defaults.upgrade.writeBuffer, compression: resolveCompression(compression) })
}

export function resolveWebSocketOptions (options: WebSocketUpgradeOptions = {}): ResolvedWebSocketOptions {
  webSocketUpgradeValidator.check(options)
  const filled = fill(options, defaults.websocket)
  return Object.freeze({ ...filled, writeBuffer: options.writeBuffer || defaults.websocket.writeBuffer })
}

export function resolveDrainOptions (options: DrainOptions = {}): Required<DrainOptions> {
  drainValidator.check(options)
  return fill(options, defaults.drain)
}

function resolveCompression (given: boolean | CompressionOptions): ResolvedCompression | null {
  if (given === false) return null
  const { own, encodings } = given === true ? {} : given
  const fallback = defaults.compression
  return Object.freeze({ own: own ?? fallback.own, encodings: Object.freeze([...encodings ?? fallback.encodings]) })
}

/** Checks a configuration whole, before any route is made. Throws an error that names what is wrong. */
export function checkConfig (prefix: string, url: unknown, config: AnyStatefulConfig): void {
  // Events are posted to paths below it, so its last part cannot be one that may be anything, or absent.
  if (typeof url !== 'string' || !(url === '' ? prefix : url).startsWith('/') || /[*?]\/?$/.test(url)) {
    throw new OptionError(`the first argument of ${where} must be a URL path that begins with "/" and does not end with a wildcard or an optional parameter; got ${typeof url === 'string' ? JSON.stringify(url) : inspect(url, { depth: 0 })}`)
  }
  statefulValidator.check(config, (name) => isEventOf(config, name) ? `"${name}" is an event: its handler belongs in "on"` : null)
  const on: Record<string, unknown> = config.on ?? {}
  const events = Object.keys(config.contract.events)
  for (const name of Object.keys(on)) {
    if (events.includes(name)) continue
    const advice = Object.hasOwn(statefulConfigSchema.properties, name) ? `. "${name}" belongs to ${where}, beside "on"` : didYouMean(name, events)
    throw new OptionError(`option "on" of ${where} has a handler for "${name}", which is no event of its contract${advice}`)
  }
  for (const name of events) {
    if (on[name] === undefined) throw new OptionError(`option "on" of ${where} has no handler for event "${name}" of its contract`)
  }
  const commandBuffer = config.commandBuffer ?? defaults.stateful.commandBuffer
  if (config.maxBatch !== undefined && config.maxBatch > commandBuffer) {
    throw new OptionError(`option "maxBatch" of ${where} must be at most commandBuffer, ${commandBuffer}, since a batch is queued whole; got ${config.maxBatch}`)
  }
}

/** Whether a configuration that has not been checked has such an event. */
function isEventOf (config: unknown, name: string): boolean {
  const events: unknown = (config as Partial<AnyStatefulConfig>).contract?.events
  return isRecord(events) && Object.hasOwn(events, name)
}

/** Sizes and times of a session's configuration. */
export function resolveSessionOptions (config: SessionOptions): Readonly<Required<SessionOptions>> {
  const filled: Required<SessionOptions> = fill(config, defaults.stateful)
  return Object.freeze({ ...filled, maxBatch: Math.min(filled.maxBatch, filled.commandBuffer) })
}
