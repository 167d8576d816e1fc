import t from 'tap'
import { endOf } from '../../../plugin/sessions/session-end.ts'
import type { SessionSnapshot } from '../../../plugin/sessions/snapshot.ts'

const limits = { maxLifetimeMs: 0, idleMs: 0 }
const snapshot = (parts: Partial<SessionSnapshot>) => ({ everConnected: true, leaveMs: null, ageMs: 5_000, detachedMs: 100, idleMs: 400, ...parts }) as SessionSnapshot

t.test('a session without a stream ends at the first of its deadlines', async (t) => {
  t.strictSame(endOf(snapshot({}), limits, 30_000), { ms: 30_000, reason: 'reconnect-timeout' })
  t.strictSame(endOf(snapshot({ leaveMs: 2_000 }), limits, 30_000), { ms: 2_000, reason: 'left' })
  t.strictSame(endOf(snapshot({}), { ...limits, maxLifetimeMs: 6_000 }, 30_000), { ms: 1_000, reason: 'lifetime' })
  // From the loss of the stream, or from a later event.
  t.strictSame(endOf(snapshot({}), { ...limits, idleMs: 1_000 }, 30_000), { ms: 900, reason: 'idle' })
  t.strictSame(endOf(snapshot({ detachedMs: 600 }), { ...limits, idleMs: 1_000 }, 30_000), { ms: 600, reason: 'idle' })
  t.strictSame(endOf(snapshot({ ageMs: 9_000 }), { ...limits, maxLifetimeMs: 6_000 }, 30_000), { ms: 0, reason: 'lifetime' }, 'not before now')
  t.equal(endOf(snapshot({ everConnected: false }), limits, 30_000), null, 'nobody has had it yet')
})
