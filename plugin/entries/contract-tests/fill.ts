import { randomBytes } from 'node:crypto'
import type { LiveSession } from './live.ts'
import { isSettled, until } from './wait.ts'

/** The updates of a frozen reader's session, up to the one that blocks. */
export interface Filled {
  /** Updates sent, the blocked one included. */
  readonly sent: number
  /** The promise of the `send` that blocks. */
  readonly blocked: Promise<boolean>
}

/**
 * Sends `row` updates one after the other, each when the one before has settled, until one
 * blocks. Then the kernel's buffers on both sides are full.
 *
 * @param ahead length of a first update that fills the buffers sooner
 */
export async function fill (session: Pick<LiveSession, 'send' | 'stats'>, ahead = 0): Promise<Filled> {
  const text = randomBytes(24_576).toString('base64')
  if (ahead > 0) session.send('row', 'x'.repeat(ahead))
  for (let sent = ahead > 0 ? 2 : 1; ; sent++) {
    const blocked = session.send('row', text)
    if (await hasStopped(session, blocked)) return { sent, blocked }
    if (sent * text.length > 256 * 1024 * 1024) throw new Error('the reader is not frozen')
  }
}

/** Whether `send` waits and nothing moves. A large write waits a moment for its drain even if the socket accepts it. */
async function hasStopped (session: Pick<LiveSession, 'stats'>, blocked: Promise<boolean>): Promise<boolean> {
  let settled = await isSettled(blocked)
  if (settled) return false
  blocked.finally(() => { settled = true })
  let { bytesWritten } = session.stats
  let quietSince = performance.now()
  await until(() => {
    const now = session.stats.bytesWritten
    if (now !== bytesWritten) {
      bytesWritten = now
      quietSince = performance.now()
    }
    return settled || performance.now() - quietSince > 100
  }, 'the stream to come to rest')
  return !settled
}
