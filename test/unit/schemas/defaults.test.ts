import t from 'tap'
import { defaults } from '../../../schemas/defaults.ts'

t.test('nobody can change a default', async (t) => {
  const check = (value: unknown, name: string) => {
    if (typeof value !== 'object' || value === null) return
    t.ok(Object.isFrozen(value), name)
    for (const [key, child] of Object.entries(value)) check(child, `${name}.${key}`)
  }
  check(defaults, 'defaults')
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
