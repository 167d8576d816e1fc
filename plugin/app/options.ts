import { inspect } from 'node:util'
import { defaults } from '../../schemas/defaults.ts'
import { OptionError } from '../../schemas/errors.ts'
import { optionGroups } from '../../schemas/options.ts'
import { isRecord } from '../../schemas/record.ts'
import { didYouMean } from '../../schemas/suggestion.ts'
import type { ClusterOptions } from '../cluster/api.ts'
import type { EngineSource } from '../cluster/engine.ts'
import type { CompiledContract } from '../contract/compiled-contract.ts'
import type { AnyStatefulConfig } from '../routes/stateful-config.ts'
import type { SessionOptions } from '../sessions/config.ts'
import type { SessionLimits } from '../sessions/session-registry.ts'
import type { CompressionOptions, ResolvedCompression, ResolvedUpgradeOptions, UpgradeOptions } from '../streams/transport.ts'
import type { AnyTopicConfig, TopicKind } from '../topics/topic-record.ts'
import type { TopicKinds } from '../topics/topics.ts'
import type { ResolvedWebSocketOptions, WebSocketUpgradeOptions } from '../websocket/websocket-upgrade.ts'
import type { DrainOptions, TetherOptions } from './api.ts'
import { isEngineSource, OptionValidator } from './option-validator.ts'

const validators = {
  plugin: new OptionValidator(optionGroups.plugin),
  cluster: new OptionValidator(optionGroups.cluster),
  stateful: new OptionValidator(optionGroups.stateful),
  upgrade: new OptionValidator(optionGroups.upgrade),
  websocket: new OptionValidator(optionGroups.websocket),
  drain: new OptionValidator(optionGroups.drain)
}

// Every resolver below throws FST_ERR_TETHER_OPTION, which names the option, its value and what is allowed.

/** Fills in the defaults of a group. Options that have no default there are left out. */
function fill<Defaults extends object> (given: object, fallback: Defaults): Defaults {
  const filled: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fallback)) filled[name] = (given as Record<string, unknown>)[name] ?? value
  return filled as Defaults
}

/** Resolves the options of `app.register`, without Fastify's own. */
export function resolvePluginOptions (options: TetherOptions): { readonly limits: SessionLimits, readonly maxFrozen: number, readonly maxBufferedBytes: number, readonly maxCompressorBytes: number, readonly cluster: Required<ClusterOptions> | null } {
  validators.plugin.check(options)
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
    maxFrozen: options.maxFrozen ?? maxSessions,
    maxBufferedBytes,
    maxCompressorBytes,
    cluster: options.cluster === undefined ? null : resolveCluster(options.cluster)
  }
}

function resolveCluster (given: EngineSource | ClusterOptions): Required<ClusterOptions> {
  const options = isEngineSource(given) ? { engine: given } : given
  validators.cluster.check(options)
  return Object.freeze({ ...fill(options, defaults.cluster), engine: options.engine })
}

export function resolveUpgradeOptions (options: UpgradeOptions = {}): ResolvedUpgradeOptions {
  validators.upgrade.check(options)
  const { compression, ...rest } = fill(options, defaults.upgrade)
  // 0 means the default.
  return Object.freeze({ ...rest, writeBuffer: rest.writeBuffer || defaults.upgrade.writeBuffer, compression: resolveCompression(compression) })
}

export function resolveWebSocketOptions (options: WebSocketUpgradeOptions = {}): ResolvedWebSocketOptions {
  validators.websocket.check(options)
  const filled = fill(options, defaults.websocket)
  return Object.freeze({ ...filled, writeBuffer: filled.writeBuffer || defaults.websocket.writeBuffer })
}

export function resolveDrainOptions (options: DrainOptions = {}): Required<DrainOptions> {
  validators.drain.check(options)
  return fill(options, defaults.drain)
}

/**
 * Resolves sizes and times of a configuration that `checkConfig` has passed.
 *
 * @param hasRequests whether its contract has requests
 */
export function resolveSessionOptions (config: SessionOptions, hasRequests = false): Readonly<Required<SessionOptions>> {
  const filled: Required<SessionOptions> = fill(config, defaults.stateful)
  const hasTopics = Object.keys((config as Partial<AnyStatefulConfig>).contract?.topics ?? {}).length > 0
  // The subscriptions of a page leave in one request.
  const maxBatch = config.maxBatch ?? (hasTopics ? Math.max(filled.maxBatch, filled.maxSubscriptions) : filled.maxBatch)
  // A batch is accepted whole or not at all. Subscriptions have no replies: beside them, the requests of a batch are counted by themselves.
  return Object.freeze({ ...filled, maxBatch: Math.min(maxBatch, filled.commandBuffer, hasRequests && !hasTopics ? filled.maxRequests : Infinity) })
}

/**
 * The configuration of each topic of a contract.
 *
 * @param config has passed `checkConfig`
 */
export function topicKinds (contract: CompiledContract, config: AnyStatefulConfig): TopicKinds {
  const { where } = optionGroups.topic
  const { queueFrames = defaults.stateful.queueFrames } = config
  return new Map(Array.from(contract.topics, (compiled): [string, TopicKind] => {
    const given: AnyTopicConfig = config.topics?.[compiled.name] ?? {}
    const place = `topic "${compiled.name}" in ${where}`
    if (given.maxRetained !== undefined && given.maxRetained > queueFrames) throw new OptionError(`option "maxRetained" of ${place} must be at most queueFrames, ${queueFrames}, since a subscriber gets all values at once; got ${given.maxRetained}`)
    const limits = fill(given, defaults.topic)
    return [compiled.name, { compiled, config: given, limits: Object.freeze({ ...limits, maxRetained: Math.min(limits.maxRetained, queueFrames) }) }]
  }))
}

function checkTopics (config: AnyStatefulConfig): void {
  const names = Object.keys(config.contract.topics ?? {})
  for (const [name, given] of Object.entries(config.topics ?? {})) {
    if (!names.includes(name)) throw new OptionError(`option "topics" of ${optionGroups.stateful.where} has "${name}", which is no topic of its contract${didYouMean(name, names)}`)
    new OptionValidator({ ...optionGroups.topic, where: `topic "${name}" in ${optionGroups.topic.where}` }).check(given)
  }
}

function resolveCompression (given: boolean | CompressionOptions): ResolvedCompression | null {
  if (given === false) return null
  const { own, encodings }: Required<CompressionOptions> = fill(given === true ? {} : given, defaults.compression)
  return Object.freeze({ own, encodings: Object.freeze([...encodings]) })
}

/** Parts of a route's schema that follow from the contract, or that no two routes may share. */
const ownSchemaKeys: ReadonlySet<string> = new Set(['body', 'headers', 'querystring', 'query', 'params', 'response', 'consumes', 'produces', 'operationId'])

/** Checks a whole configuration before any route is made. */
export function checkConfig (prefix: string, url: unknown, config: AnyStatefulConfig): void {
  const { where, schema } = optionGroups.stateful
  // Clients post events to paths below the URL, so its last part must exist and be a single part.
  if (typeof url !== 'string' || !(url === '' ? prefix : url).startsWith('/') || /[*?]\/?$/.test(url)) {
    throw new OptionError(`the first argument of ${where} must be a URL path that begins with "/" and does not end with a wildcard or an optional parameter; got ${typeof url === 'string' ? JSON.stringify(url) : inspect(url, { depth: 0 })}`)
  }
  validators.stateful.check(config, (name) => isEventOf(config, name) ? `"${name}" is an event: its handler belongs in "on"` : null)
  for (const key of Object.keys(config.route?.schema ?? {})) {
    if (ownSchemaKeys.has(key)) throw new OptionError(`option "route" of ${where} cannot have "${key}" in its schema, which each route has for itself`)
  }
  const on: Record<string, unknown> = config.on ?? {}
  const events = Object.keys(config.contract.events)
  for (const name of Object.keys(on)) {
    if (events.includes(name)) continue
    const advice = Object.hasOwn(schema.properties, name) ? `. "${name}" belongs to ${where}, beside "on"` : didYouMean(name, events)
    throw new OptionError(`option "on" of ${where} has a handler for "${name}", which is no event of its contract${advice}`)
  }
  for (const name of events) {
    if (on[name] === undefined) throw new OptionError(`option "on" of ${where} has no handler for event "${name}" of its contract`)
  }
  checkTopics(config)
  const commandBuffer = config.commandBuffer ?? defaults.stateful.commandBuffer
  if (config.maxBatch !== undefined && config.maxBatch > commandBuffer) {
    throw new OptionError(`option "maxBatch" of ${where} must be at most commandBuffer, ${commandBuffer}, since a batch is queued whole; got ${config.maxBatch}`)
  }
}

/** Whether the contract of an unchecked configuration has this event. */
function isEventOf (config: unknown, name: string): boolean {
  const events: unknown = (config as Partial<AnyStatefulConfig>).contract?.events
  return isRecord(events) && Object.hasOwn(events, name)
}
