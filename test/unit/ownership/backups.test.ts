// The bounds and timers of backups. What they keep is tested over engines, in test/cluster.
import t from 'tap'
import { Backups, type BackupsParts } from '../../../plugin/ownership/backups.ts'
import { HeldSession } from '../../../plugin/ownership/held-session.ts'
import type { Endpoint } from '../../../plugin/sessions/endpoint.ts'
import type { JournalEntry } from '../../../plugin/sessions/snapshot.ts'
import type { TetherSession } from '../../../plugin/sessions/session.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { VirtualClock } from '../cluster/virtual-clock.ts'

const entry = { event: 'add', body: {}, isForm: false, sender: null, bytes: 10, done: 0 } as unknown as JournalEntry

/** Settles by hand. */
function hand (): { settle: () => void, settled: Promise<boolean> } {
  let settle = () => {}
  const settled = new Promise<boolean>((resolve) => { settle = () => { resolve(true) } })
  return { settle, settled }
}

function begin (parts: Partial<BackupsParts> = {}, limits: Partial<BackupsParts['limits']> = {}) {
  const clock = new VirtualClock()
  const backups = new Backups({
    clock,
    limits: { ...defaults.fixed, ...limits },
    // An engine that never answers.
    records: { journal: async () => await new Promise(() => {}) },
    mayWrite: () => true,
    isHere: () => true,
    put: () => ({ bytes: 1, isWritten: new Promise(() => {}) }),
    verify: async () => {},
    report: () => {},
    ...parts
  })
  const keep = (ref: string, durableSeq: number | null = 0) => {
    const session = { isOpen: true, inbox: { isBetweenCommands: true }, keepBy () {}, backUp: () => ({ acceptedSeq: 0 }) } as unknown as TetherSession
    const endpoint = { limits: { persist: 'event', commandBuffer: 100 } } as unknown as Endpoint
    const held = new HeldSession(ref, session, endpoint, 1, '1', 0, () => {})
    backups.keep(held, durableSeq)
    return { held, journal: (session as unknown as { backup?: unknown }, held.backup as unknown as { write: (bytes: number, make: () => JournalEntry | null, accept: () => unknown) => Promise<unknown>, resume: () => void, distrust: () => void, stop: () => void }) }
  }
  return { backups, clock, keep }
}

/** How each promise has settled: its code, or "waits". */
async function outcomes (promises: ReadonlyArray<Promise<unknown>>): Promise<string[]> {
  return await Promise.all(promises.map(async (promise) => await Promise.race([
    promise.then(() => 'done', ({ code }: { code: string }) => code),
    new Promise<string>((resolve) => { setImmediate(resolve, 'waits') })
  ])))
}

t.test('events that wait for journals are bounded over all sessions, by count and by bytes', async (t) => {
  for (const [limits, bytes] of [[{ journalWaits: 4 }, 10], [{ journalWaitBytes: 40 }, 10]] as const) {
    const { keep } = begin({}, limits)
    const sessions = [keep('a'), keep('b')]
    // The first of each is on its way to the engine.
    const writes = [0, 1, 2, 3].flatMap(() => sessions.map(({ journal }) => journal.write(bytes, () => entry, () => {})))
    t.same(await outcomes(writes), ['waits', 'waits', 'waits', 'waits', 'waits', 'waits', 'FST_ERR_TETHER_BUSY', 'FST_ERR_TETHER_BUSY'])
    sessions[0]!.journal.stop()
    t.same(await outcomes([writes[2]!, writes[4]!]), ['FST_ERR_TETHER_UNAVAILABLE', 'FST_ERR_TETHER_UNAVAILABLE'], 'a session that is gone rejects what waited')
    t.same(await outcomes([0, 1, 2].map(() => sessions[1]!.journal.write(bytes, () => entry, () => {}))), ['waits', 'waits', 'FST_ERR_TETHER_BUSY'], 'and frees its room')
  }
})

t.test('one event beyond the bytes goes alone', async (t) => {
  const { keep } = begin({}, { journalWaitBytes: 40 })
  const [first, second] = [keep('a'), keep('b')]
  const writes = [first, first, second, second].map(({ journal }, index) => journal.write(index === 1 ? 100 : 10, () => entry, () => {}))
  t.same(await outcomes(writes), ['waits', 'waits', 'FST_ERR_TETHER_BUSY', 'FST_ERR_TETHER_BUSY'])
})

t.test('however often a backup is resumed without a lease, one timer tries it again', async (t) => {
  let asked = 0
  const { backups, clock, keep } = begin({ mayWrite: () => { asked++; return false } })
  const { journal } = keep('a')
  for (let count = 0; count < 20; count++) {
    journal.resume()
    await clock.pass(1)
  }
  await clock.pass(200)
  t.equal(clock.pending, 1)
  asked = 0
  await clock.pass(60_000)
  t.ok(asked > 3 && asked < 15, `${asked} times in a minute`)
  backups.close()
  t.equal(clock.pending, 0, 'no timer is left')
})

t.test('one snapshot empties a full journal', async (t) => {
  const steps: string[] = []
  const { keep } = begin({
    put: (held, _snapshot, onWritten) => {
      steps.push('snapshot')
      const isWritten = held.write(async () => {
        await new Promise(setImmediate)
        onWritten()
        return true
      })
      return { bytes: 1, isWritten }
    },
    records: { journal: async () => { steps.push('journal'); return true } }
  }, { journalEntries: 2 })
  const { journal } = keep('a')
  await Promise.all([0, 1, 2, 3, 4].map(() => journal.write(10, () => entry, () => {})))
  t.same(steps, ['journal', 'journal', 'snapshot', 'journal', 'journal', 'snapshot', 'journal'])
})

t.test('without a snapshot in the engine, no event goes into a journal', async (t) => {
  for (const way of ['never had one', 'may have lost it'] as const) {
    const put = hand()
    const steps: string[] = []
    const { keep } = begin({
      put: (held, _snapshot, onWritten) => {
        steps.push('snapshot')
        const isWritten = held.write(async () => {
          await put.settled
          onWritten()
          return true
        })
        return { bytes: 1, isWritten }
      },
      records: { journal: async () => { steps.push('journal'); return true } }
    })
    const { journal } = keep('a', way === 'never had one' ? null : 0)
    if (way === 'may have lost it') {
      await journal.write(10, () => entry, () => {})
      steps.length = 0
      journal.distrust()
    }
    const written = journal.write(10, () => entry, () => {})
    t.same(await outcomes([written]), ['waits'])
    t.same(steps, ['snapshot'], way)
    put.settle()
    await written
    t.same(steps, ['snapshot', 'journal'], way)
  }
})
