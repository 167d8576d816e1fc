import { randomBytes } from 'node:crypto'
import type { LiveSession } from './live.ts'
import { isSettled, until } from './wait.ts'

/** What a frozen reader's session got before it took no more. */
export interface Filled {
  /** Updates sent, the blocked one included. */
  readonly sent: number
  /** The promise of the `send` that blocks. */
  readonly blocked: Promise<boolean>
}

/**
 * Sends `row` updates, one when the one before has settled, until one blocks: the
 * kernel's buffers on both sides are full then.
 *
 * @param ahead length of a single update that goes before them, to get there sooner
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

/** Whether `send` waits and nothing moves; a large write waits for its drain a moment even when the socket takes it. */
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
