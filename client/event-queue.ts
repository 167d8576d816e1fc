import { isFinal, type Answer } from './answer.ts'
import { ClientError } from './client-error.ts'
import type { Hello } from './hello.ts'
import type { ResumePoint } from './options.ts'

/** JSON of the envelope, but for its number and the brace at its end; and what settles the promise. */
type Entry = [json: string, resolve: () => void, reject: (error: Error) => void]

const encoder = new TextEncoder()

/**
 * Events on their way to the session, oldest first: sent one request at a time and
 * numbered, so that none is lost, doubled or overtaken.
 *
 * The number of an event follows from its place: the first that waits has `accepted + 1`.
 *
 * @param getHello the stream's hello; undefined while there is none
 * @param lose is called when only a new stream can tell how things are
 * @returns what emits; what sends all that waits; what tells whether the page may go, before which all is sent at once; what rejects all
 */
export function createEventQueue (
  { session, accepted = 0, doubtful = 0 }: Partial<ResumePoint>,
  maxQueued: number,
  getHello: () => Hello | undefined,
  send: (body: string, keepalive: boolean) => Promise<Answer>,
  lose: (reason: string) => void
) {
  const entries: Entry[] = []
  let last: Hello | undefined
  let isPumping = false
  /** Whether the page may go away at any moment. */
  let isGoing = false
  /** Bytes more that may outlive the page: a browser takes 64 KiB, in all requests together. */
  let room = 6e4
  /** What `doubtful` was before the request that is on its way. */
  let before = 0
  /** Events in a request at most, while one among more is refused. */
  let most = Infinity
  let timer: ReturnType<typeof setTimeout>

  /** The session to send to. A page that goes loses its stream first, but its session is still there. */
  const current = () => getHello() ?? (isGoing && last)

  /** Takes `count` entries off: accepted, or rejected with `error`. */
  const settle = (count: number, error?: ClientError) => {
    // A number that may have been taken is not used for other data; if it was not, a 409 will say so.
    const taken = Math.min(count, doubtful)
    doubtful -= taken
    accepted += taken
    for (const [, resolve, reject] of entries.splice(0, count)) error ? reject(error) : resolve()
  }

  const settleDoubtful = () => settle(doubtful, new ClientError({ code: 'TETHER_IN_DOUBT' }))

  /** Sends as much from `start` on as one request may hold; gives how much that is. */
  const transmit = (hello: Hello, start = 0): [count: number, answer: Answer | Promise<Answer>] => {
    let count = 0
    let body = ''
    let bytes = 1
    for (const [json] of entries.slice(start)) {
      const envelope = `${json},"seq":${accepted + start + count + 1}}`
      const more = encoder.encode(envelope).length + 1
      if (count && ((isGoing && bytes + more > room) || bytes + more > hello.maxEventBytes || count >= hello.maxBatch || count >= most)) break
      count++
      bytes += more
      body += (body && ',') + envelope
    }
    doubtful = Math.max(doubtful, start + count)
    if (bytes - 2 > hello.maxEventBytes) return [count, { status: 413 }]
    const keepalive = isGoing && bytes <= room
    if (!keepalive) bytes = 0
    room -= bytes
    return [count, send(count > 1 ? `[${body}]` : body, keepalive).finally(() => { room += bytes })]
  }

  /** Lets nothing from `start` on wait for an answer while the page may go, in a session that has all the others; as far as it may be kept. */
  const hurry = (start: number) => {
    const hello = current()
    if (!isGoing || !hello || session !== hello.session) return
    for (let had = Infinity; entries[start] && room < had;) {
      had = room
      start += transmit(hello, start)[0]
      before = doubtful
    }
  }

  const pump = async () => {
    // What is emitted in one go goes up in one request.
    if (isPumping) {
      await null
      hurry(doubtful)
      return
    }
    isPumping = true
    await null
    for (let hello; (hello = current());) {
      if (session !== hello.session) {
        settleDoubtful()
        accepted = 0
      }
      session = hello.session
      last = hello
      if (!entries[0]) break
      before = doubtful
      const [count, answering] = transmit(hello)
      hurry(doubtful)
      const answer = await answering
      const { status, errors, expected, retryAfterMs } = answer
      if (status === 202) {
        settle(count)
        most = Infinity
        continue
      }
      // An answer of the server's own says that nothing was accepted; a proxy's may come after it was.
      if (status && (status < 500 || (status === 503 && answer.code))) doubtful = before
      if (expected) {
        accepted = expected - 1
        doubtful = 0
      }
      if (!isFinal(status)) {
        if (!retryAfterMs) {
          lose('unanswered')
          break
        }
        await new Promise((resolve) => { timer = setTimeout(resolve, Math.min(2e9, retryAfterMs)) })
      } else if (count > 1 && (status === 400 || status === 413)) {
        // The events before the faulty one go up, then that one alone.
        most = +(errors?.[0]?.path.split('/')[1] ?? count >> 1) || 1
      } else {
        settle(count, new ClientError(answer))
        most = Infinity
      }
    }
    isPumping = false
  }

  return [
    (event: string, data: unknown = {}): Promise<void> => {
      const promise = new Promise<void>((resolve, reject) => {
        if (entries.length >= maxQueued) throw new ClientError({ code: maxQueued < 0 ? 'TETHER_CLOSED' : 'TETHER_QUEUE_FULL' })
        // As it is now, whatever becomes of the object meanwhile.
        entries.push([JSON.stringify({ event, data }).slice(0, -1), resolve, reject])
        pump()
      })
      // Nobody need listen.
      promise.catch(() => {})
      return promise
    },
    pump,
    (going: boolean) => {
      isGoing = going
      hurry(0)
    },
    () => {
      maxQueued = -1
      clearTimeout(timer)
      settleDoubtful()
      settle(entries.length, new ClientError({ code: 'TETHER_CLOSED' }))
    }
  ] as const
}
