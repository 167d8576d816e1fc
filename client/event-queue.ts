import type { Hello } from '../schemas/hello.ts'
import type { Verdict } from '../schemas/verdict.ts'
import { isFinal, type Answer } from './answer.ts'
import { mostMs } from './back-off.ts'
import { ClientError } from './client-error.ts'
import type { ResumePoint, Settings } from './options.ts'
import { quietPromise } from './quiet-promise.ts'
import { blankVerdict } from './blank-verdict.ts'

/** JSON of the envelope without its number and closing brace; the functions that settle the promise; and the number under which it was sent last. */
type Entry = [json: string, resolve: (number: any) => void, reject: (error: unknown) => void, number?: number]

/** Sends an event of any name. */
export type Emitter = (event: string, data?: unknown, signal?: AbortSignal) => Promise<void>

const encoder = new TextEncoder()

/**
 * Queue of events on their way to the session, oldest first. One numbered request at a time carries them, so that
 * none is lost, doubled or overtaken. Events of `setup` go before all others, then subscriptions to topics.
 *
 * An event's number follows from its place: the first waiting event has `accepted + 1`.
 *
 * @param getHello returns the stream's hello; undefined while there is no stream
 * @param lose ends the stream, where only a new one can settle the state of the session
 * @param sendTopics sends the subscriptions of the page, by the function that it gets; with false, it waits for the next call
 * @returns six functions: `emit`; `begin` starts on a new stream; `pump` sends waiting events; `flush` takes whether
 * the page may go, and then sends all at once; `cutShort` ends `setup` with the stream, and returns whether it was
 * running; `close` rejects all events
 */
export function createEventQueue (
  { session, accepted = 0, doubtful = 0, setupDue }: Partial<ResumePoint>,
  { maxQueued, setup, onReady }: Settings<any>,
  getHello: () => Hello | undefined,
  send: (body: string, keepalive: boolean) => Promise<Answer>,
  lose: (reason: string, cause?: unknown) => void,
  sendTopics: (send?: Emitter | false) => void = () => {}
) {
  const queue: Entry[] = []
  /** Events of `setup` and subscriptions of a new session, until all are settled. */
  let lane: Entry[] | undefined
  /** The one of the two lists that is being sent. Its first `doubtful` entries are in doubt. */
  let entries = queue
  /** Whether the promise of `setup` has resolved. The session is ready when its last event is settled, too. */
  let isSetUp = false
  let last: Hello | undefined
  let isPumping = false
  /** Whether the page may go away at any moment. */
  let isGoing = false
  /** Bytes left for requests that outlive the page. A browser takes 64 KiB in all of them together. */
  let room = 6e4
  /** Value of `doubtful` before the current request. */
  let before = 0
  /** Most events of a request, while a refused event is being isolated. */
  let most = Infinity
  /** Whether a refusal that may be a proxy's has come once. The second one in a row counts. */
  let isWarned = false
  let timer: ReturnType<typeof setTimeout>

  /** Hello of the session to send to. A page that goes away loses its stream first, while its session lives on. */
  const current = () => getHello() ?? (isGoing && last)

  /** Removes `count` entries from the head: accepted, or rejected with `error`. */
  const settle = (count: number, error?: ClientError, list = entries) => {
    // A number that may be taken is not used for other data. If it was free, a 409 says so.
    const taken = list === entries ? Math.min(count, doubtful) : 0
    doubtful -= taken
    accepted += taken
    for (const [, resolve, reject, number] of list.splice(0, count)) error ? reject(error) : resolve(number)
  }

  const settleDoubtful = () => settle(doubtful, new ClientError({ code: 'TETHER_IN_DOUBT' }))

  const reject = (list: Entry[]) => {
    if (list === entries) settleDoubtful()
    settle(list.length, new ClientError({ code: 'TETHER_CLOSED' }), list)
  }

  /** Ends `setup` early. Events that it emits afterwards reject. */
  const cutShort = () => {
    const own = lane
    if (!own) return
    reject(own)
    if (own === entries) entries = []
    lane = undefined
    return own
  }

  /** Sends as many entries from `start` on as one request holds; returns how many. */
  const transmit = (hello: Hello, start = 0): [count: number, answer: Answer | Promise<Answer>] => {
    let count = 0
    let body = ''
    let bytes = 1
    for (const entry of entries.slice(start)) {
      const envelope = `${entry[0]},"seq":${entry[3] = accepted + start + count + 1}}`
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

  /** While the page may go, sends the entries from `start` on without waiting for answers, as far as keepalive allows. The session must have all entries before them. */
  const hurry = (start: number) => {
    const hello = current()
    if (!isGoing || !hello || session !== hello.session || entries !== (setupDue ? lane : queue)) return
    for (let had = Infinity; entries[start] && room < had;) {
      had = room
      start += transmit(hello, start)[0]
      before = doubtful
    }
  }

  const pump = async () => {
    // Events emitted in one turn share a request.
    if (isPumping) {
      await null
      hurry(doubtful)
      return
    }
    isPumping = true
    await null
    for (let hello; (hello = current());) {
      const { accepted: told } = hello
      if (session !== hello.session) {
        settleDoubtful()
        accepted = told ?? 0
        // Events in doubt keep their numbers. Otherwise another sender of this session may be ahead.
      } else if (last !== hello && !doubtful && told! > accepted) accepted = told!
      session = hello.session
      last = hello
      if (setupDue && !lane) break
      const list = entries = lane ?? queue
      if (!list[0]) {
        if (!lane || !isSetUp) break
        lane = setupDue = undefined
        onReady?.()
        continue
      }
      const tried = before = doubtful
      const [count, answering] = transmit(hello)
      hurry(doubtful)
      const answer = await answering
      // The entries were of a `setup` that was cut short.
      if (list !== entries) continue
      const { status, code, errors, expected, known, seq, retryAfterMs } = answer
      if (status === 202) {
        // Known to the server, but never sent before: another sender took their numbers.
        const swallowed = list.splice(tried, Math.min(known!, count) - tried)
        settle(count - swallowed.length)
        accepted += swallowed.length
        doubtful -= swallowed.length
        list.splice(doubtful, 0, ...swallowed)
        if (!doubtful && seq! > accepted) accepted = seq!
        most = Infinity
        isWarned = false
        continue
      }
      let why = code === 'FST_ERR_TETHER_BINDING' ? 'binding' : !isFinal(answer) && 'unanswered'
      const isRefusal = /40[0356]|422/.test(status as never)
      // An answer of the server's own says that nothing was accepted; a proxy's may come after it was.
      if ((/^4/.test(status as never) && !(isRefusal && why === 'unanswered')) || (status === 503 && code)) doubtful = before
      if (status === 409 && expected! > 0) {
        accepted = expected! - 1
        doubtful = 0
      }
      if (why && isRefusal) {
        if (isWarned) why = false
        isWarned = true
      }
      if (why) {
        if (!retryAfterMs) {
          lose(why)
          break
        }
        await new Promise((resolve) => { timer = setTimeout(resolve, Math.min(mostMs, retryAfterMs)) })
      } else if (count > 1 && /4(00|13|22)/.test(status as never)) {
        // First the events before the faulty one are sent, then the faulty one alone.
        most = +(String(errors?.[0]?.path).split('/')[1] ?? count >> 1) || 1
      } else {
        settle(count, new ClientError(answer))
        most = Infinity
        isWarned = false
      }
    }
    isPumping = false
  }

  /** The promise gives the number. An abort of the signal takes the event back, unless it may have been sent. */
  const emitTo = (list: Entry[]): Emitter => (event, data = {}, signal) => quietPromise((resolve, reject) => {
    if (maxQueued < 0 || (list !== queue && list !== lane)) throw new ClientError({ code: 'TETHER_CLOSED' })
    if (list.length >= maxQueued) throw new ClientError({ code: 'TETHER_QUEUE_FULL' })
    // Serialised now, since the caller may change the object later.
    const entry: Entry = [JSON.stringify({ event, data }).slice(0, -1), resolve, reject]
    list.push(entry)
    signal?.addEventListener('abort', () => {
      const index = list.indexOf(entry)
      if (index < (list === entries ? doubtful : 0)) return
      list.splice(index, 1)
      reject(signal.reason)
    })
    pump()
  })

  const runSetup = async (own: Entry[], verdict: Verdict) => {
    try {
      await setup?.(emitTo(own) as never, { verdict })
      if (own !== lane) return
      sendTopics(emitTo(own))
      isSetUp = true
      pump()
    } catch (cause) {
      if (own !== lane) return
      cutShort()
      lose('setup', cause)
    }
  }

  return [
    emitTo(queue),
    (verdict: Verdict) => {
      if (blankVerdict.test(verdict)) setupDue = verdict
      isSetUp = false
      if (setupDue) {
        sendTopics(false)
        runSetup(lane = [], setupDue)
      } else sendTopics()
      pump()
    },
    pump,
    (going: boolean) => {
      isGoing = going
      hurry(0)
    },
    cutShort,
    () => {
      maxQueued = -1
      clearTimeout(timer)
      cutShort()
      reject(queue)
    }
  ] as const
}
