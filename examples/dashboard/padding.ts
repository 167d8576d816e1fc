import { randomBytes } from 'node:crypto'
import { setImmediate, setTimeout } from 'node:timers/promises'

// Random, so that compression hardly shortens it.
const text = randomBytes(24_576).toString('base64')
const updatesAtMost = 2000

// The client reads on until about a hundred updates wait to be taken.
const smallFirst = 128
const settleMs = 250

/**
 * Keeps the line of a page that reads nothing full.
 *
 * The operating systems on both ends take some megabytes for such a reader. With a
 * hundred small figures a second it would take a minute before an effect shows.
 *
 * @param send resolves with true when there is room again, and with false when the session is gone
 * @param isWanted whether there is a stream, and the page still reads nothing of it
 */
export async function fillLine (send: (text: string) => Promise<boolean>, isWanted: () => boolean): Promise<void> {
  // Nothing large before the page has really stopped: an operating system gives a reader
  // that takes much in a short time a buffer many times larger.
  for (let sent = 0; sent < smallFirst; sent++) send('')
  await setTimeout(settleMs)
  for (let sent = 0; sent < updatesAtMost && isWanted() && await send(text); sent++) {
    // Otherwise the padding could take all the room before the session's next command is run.
    await setImmediate()
  }
}
