import type { TObject } from '@sinclair/typebox'
import t from 'tap'
import { defaults } from '../../../schemas/defaults.ts'
import { drainOptionsSchema, pluginOptionsSchema, statefulConfigSchema, upgradeOptionsSchema, webSocketUpgradeOptionsSchema } from '../../../schemas/options.ts'

t.test('nobody can change a default', async (t) => {
  const check = (value: unknown, name: string) => {
    if (typeof value !== 'object' || value === null) return
    t.ok(Object.isFrozen(value), name)
    for (const [key, child] of Object.entries(value)) check(child, `${name}.${key}`)
  }
  check(defaults, 'defaults')
})

/** Options without a figure of their own: what an application brings along, or what another option decides. */
const withoutDefault = new Set([
  'trustedOrigins', 'bind', 'maxDetached', 'contract', 'mode', 'upgrade', 'fallback', 'initialState', 'on',
  'onConnect', 'onDisconnect', 'onClose', 'onJoin', 'onLeave', 'onError'
])

const { maxDetachedShare, ...plugin } = defaults.plugin
const groups: Array<[name: string, schema: TObject, defaults: Readonly<Record<string, unknown>>]> = [
  ['plugin', pluginOptionsSchema, plugin],
  ['stateful', statefulConfigSchema, defaults.stateful],
  ['upgrade', upgradeOptionsSchema, defaults.upgrade],
  ['websocket', webSocketUpgradeOptionsSchema, defaults.websocket],
  ['drain', drainOptionsSchema, defaults.drain]
]

t.test('each option has a default, and each default an option', async (t) => {
  for (const [name, schema, figures] of groups) {
    t.same(Object.keys(schema.properties).filter((option) => !withoutDefault.has(option)).sort(), Object.keys(figures).sort(), name)
    for (const [option, figure] of Object.entries(figures)) {
      const { description } = schema.properties[option]!
      t.match(description, new RegExp(`default "?${figure}"?$`), `${option}, as its description has it`)
    }
  }
  t.equal(maxDetachedShare, 0.25)
  t.match(pluginOptionsSchema.properties.maxDetached.description, /default a quarter of maxSessions$/)
})

t.test('the figures that users rely on', async (t) => {
  t.match(defaults.upgrade, { writeBuffer: 4, heartbeatMs: 20_000, retryMs: 1_000, stallTimeoutMs: 30_000 })
  const { compression, ...upgrade } = defaults.upgrade
  t.equal(compression, true)
  t.strictSame(defaults.websocket, { ...upgrade, openTimeoutMs: 10_000 }, 'the same for either transport')
  t.match(defaults.stateful, {
    commandBuffer: 64,
    maxEventBytes: 65_536,
    maxBatch: 32,
    handlerTimeoutMs: 30_000,
    idleMs: 0,
    maxLifetimeMs: 0,
    reconnectMs: 30_000,
    replayFrames: 256,
    replayBytes: 262_144,
    replayAgeMs: 60_000,
    queueFrames: 1_024,
    queueBytes: 1_048_576,
    onOverflow: 'disconnect'
  })
  t.match(defaults.plugin, { maxSessions: 10_000, maxPending: 128, pendingMs: 30_000, maxBufferedBytes: 268_435_456 })
  t.match(defaults.fixed, { tombstones: 1_024, leaveGraceMs: 2_000, writeBytes: 65_536 })
})
