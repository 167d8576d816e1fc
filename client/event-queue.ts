import type { Hello } from '../schemas/hello.ts'
import type { Verdict } from '../schemas/verdict.ts'
import { isFinal, mayBeProxys, type Answer } from './answer.ts'
import { ask, type ReplyOptions } from './ask.ts'
import { mostMs } from './back-off.ts'
import { blankVerdict } from './blank-verdict.ts'
import { ClientError, type ErrorFields } from './client-error.ts'
import type { Emitter } from './emitter.ts'
import { throwLater } from './listeners.ts'
import type { ResumePoint, Settings } from './options.ts'
import { quietPromise } from './quiet-promise.ts'
import type { Reply } from './requests.ts'

/** JSON of the envelope without its number and closing brace; the functions that settle the event; the number under which it was sent last; and whether that was accepted. */
type Entry = [json: string, accept: (number: any) => void, reject: (error: unknown) => void, number?: number, wasAccepted?: boolean]

/**
 * Queue of events on their way to the session, oldest first. One numbered request at a time carries them, so that
 * none is lost, doubled or overtaken. Events of `setup` go before all others, then subscriptions to topics.
 *
 * An event's number follows from its place: the first waiting event has `accepted + 1`.
 *
 * @param getHello returns the stream's hello; undefined while there is no stream
 * @param lose ends the stream, where only a new one can settle the state of the session
 * @param sendTopics gets the function that sends the subscriptions of the page, or none where the session cannot take them yet
 * @returns nine functions: `emit`; `begin` starts on a new stream; `pump` sends waiting events; `flush` takes whether
 * the page may go, and then sends all at once; `cutShort` ends `setup` with the stream, and returns whether it was
 * running; `close` rejects all events; `request` emits an event and gives its reply; `hear` takes a reply; `forget` takes
 * the number of the last event that survives a crash of the session's node
 */
export function createEventQueue (
  { session, accepted = 0, doubtful = 0, setupDue }: Partial<ResumePoint>,
  { maxQueued, setup, onReady, emitTopic, onError = throwLater }: Settings<any>,
  getHello: () => Hello | undefined,
  send: (body: string, keepalive: boolean) => Promise<Answer>,
  lose: (reason: string, cause?: unknown) => void,
  sendTopics: (send?: Emitter) => void = () => {}
) {
  const queue: Entry[] = []
  /** Events of `setup` and subscriptions of a new session, until all are settled. */
  let lane: Entry[] | undefined
  /** The lane to which no more events come. */
  let fullLane: Entry[] | undefined
  /** The one of the two lists that is being sent. Its first `doubtful` entries are in doubt. */
  let entries = queue
  /** Accepted events that a crash of the session's node would undo, oldest first. */
  let kept: Entry[] = []
  /** What takes the replies to accepted requests, by their numbers. */
  const open = new Map<number, (reply: ErrorFields) => void>()
  /** Replies that came before the answer to their request, which confirms its number. */
  const early: Reply[] = []
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
  const current = () => (!setupDue || lane) && (getHello() ?? (isGoing && last))

  const hear = (reply: Reply) => {
    const finish = open.get(reply.seq)
    if (open.delete(reply.seq)) finish!(reply)
    else if (doubtful) early.push(reply)
  }

  /** Removes `count` entries from the head: accepted, or rejected with `error`. */
  const settle = (count: number, error?: ClientError) => {
    // A number that may be taken is not used for other data. If it was free, a 409 says so.
    const taken = Math.min(count, doubtful)
    doubtful -= taken
    accepted += taken
    for (const entry of entries.splice(0, count)) {
      if (error) {
        entry[2](error)
        if (entry[4]) onError(error)
      } else {
        entry[1](entry[3])
        kept.push(entry)
        entry[4] = true
      }
    }
    early.splice(0).forEach(hear)
  }

  /** Keeps only the events behind the last durable one. */
  const forget = (durable: number) => {
    kept = kept.filter((entry) => entry[3]! > durable)
  }

  const settleDoubtful = () => settle(doubtful, new ClientError({ code: 'TETHER_IN_DOUBT' }))

  const failRequests = () => {
    open.forEach((finish) => finish({ code: 'TETHER_IN_DOUBT' }))
  }

  /** Rejects all of a list. */
  const drop = (list: Entry[]) => {
    if (list === entries) {
      settleDoubtful()
      entries = []
    }
    for (const [, , reject] of list.splice(0)) reject(new ClientError({ code: 'TETHER_CLOSED' }))
  }

  /** Ends `setup` early. Events that it emits afterwards reject. */
  const cutShort = () => {
    const own = lane
    lane = undefined
    if (own) drop(own)
    return own
  }

  /**
   * Sends as many entries from `start` on as one request holds; returns how many, and the answer. The session must have
   * all entries before them. While the page may go, the next ones leave at once, as far as keepalive allows.
   */
  const transmit = (start: number): [count: number, answer: Answer | Promise<Answer>] | undefined => {
    const hello = current()
    if (!entries[start] || !hello || session !== hello.session || entries !== (lane ?? queue)) return
    let count = 0
    let body = ''
    let bytes = 1
    for (const entry of entries.slice(start, start + Math.min(hello.maxBatch, most))) {
      const envelope = `${entry[0]},"seq":${entry[3] = accepted + start + count + 1}}`
      const more = new TextEncoder().encode(envelope).length + 1
      if (count && bytes + more > Math.min(hello.maxEventBytes, isGoing ? room : Infinity)) break
      count++
      bytes += more
      body += (body && ',') + envelope
    }
    doubtful = Math.max(doubtful, start + count)
    if (bytes - 2 > hello.maxEventBytes) return [count, { status: 413 }]
    const keepalive = isGoing && bytes <= room
    if (!keepalive) bytes = 0
    room -= bytes
    const answer = send(count > 1 ? `[${body}]` : body, keepalive).finally(() => { room += bytes })
    if (keepalive) hurry(start + count)
    return [count, answer]
  }

  const hurry = (start: number) => {
    if (isGoing && transmit(start)) before = doubtful
  }

  const pump = async () => {
    // Events emitted in one turn share a request.
    await null
    if (isPumping) return hurry(doubtful)
    isPumping = true
    for (let hello; (hello = current());) {
      if (session !== hello.session) {
        settleDoubtful()
        failRequests()
        kept = []
        accepted = hello.accepted ?? 0
        // Events in doubt keep their numbers. Otherwise another sender of this session may be ahead.
      } else if (last !== hello && !doubtful && hello.accepted! > accepted) accepted = hello.accepted!
      const list = entries = lane ?? queue
      if (last !== hello) {
        const known = hello.accepted ?? 0
        forget(hello.durable ?? known)
        // The session is as it was before these: its node has died.
        const again = kept.filter((entry) => entry[3]! > known)
        const { length } = again
        list.unshift(...again)
        kept.length -= length
        accepted -= length
        if (doubtful) doubtful += length
      }
      session = hello.session
      last = hello
      if (!list[0]) {
        if (list !== fullLane) break
        lane = setupDue = undefined
        onReady?.()
        continue
      }
      const tried = before = doubtful
      const [count, answering] = transmit(0)!
      const answer = await answering
      // The entries were of a `setup` that was cut short.
      if (list !== entries) continue
      const { status, code, errors, expected, known, seq, retryAfterMs } = answer
      let why = /TETHER_BINDING$/.test(code!) ? 'binding' : !isFinal(answer) && 'unanswered'
      const isProxys = !isFinal(answer) && mayBeProxys.test(status as never)
      // An answer of the server's own says that nothing was accepted; a proxy's, or one of a cluster that cannot reach the session, may come after it was.
      if ((/^4/.test(status as never) && !isProxys) || (status === 503 && code && !/UNAVAILABLE$/.test(code))) doubtful = before
      if (status === 409 && expected! > 0) {
        accepted = expected! - 1
        doubtful = 0
      }
      if (isProxys || why === 'binding') {
        if (isWarned) why = false
        isWarned = true
      }
      if (status === 202) {
        // Known to the server, but never sent before: another sender took their numbers.
        const swallowed = list.splice(tried, Math.min(known!, count) - tried)
        settle(count - swallowed.length)
        accepted += swallowed.length
        doubtful -= swallowed.length
        list.splice(doubtful, 0, ...swallowed)
        if (!doubtful && seq! > accepted) accepted = seq!
        forget(answer.durable ?? accepted)
      } else if (why) {
        if (!retryAfterMs) {
          lose(why)
          break
        }
        await new Promise((resolve) => { timer = setTimeout(resolve, Math.min(mostMs, retryAfterMs)) })
        continue
      } else if (count > 1 && !/40[13]/.test(status as never)) {
        // First the events before the faulty one are sent, then the faulty one alone.
        most = +(/\d+/.exec(errors?.[0]?.path!) ?? count >> 1) || 1
        continue
      } else settle(count, new ClientError(answer))
      most = Infinity
      isWarned = false
    }
    isPumping = false
  }

  /** Returns a function that takes the event back; see `Hold`. */
  const put = (list: Entry[], event: string, data: unknown = {}, accept: Entry[1], reject: Entry[2]) => {
    if (maxQueued < 0 || (list !== queue && list !== lane)) throw new ClientError({ code: 'TETHER_CLOSED' })
    if (list.length + kept.length >= maxQueued) throw new ClientError({ code: 'TETHER_QUEUE_FULL' })
    // Serialised now, since the caller may change the object later.
    const entry: Entry = [JSON.stringify({ event, data }).slice(0, -1), accept, reject]
    list.push(entry)
    pump()
    // What has left may run.
    return () => {
      const at = list.indexOf(entry)
      if (entry[3] || at < 0) return false
      list.splice(at, 1)
      reject(new ClientError({ code: 'TETHER_CLOSED' }))
      return true
    }
  }

  /** The promise gives the number. */
  const emitTo = (list: Entry[]): Emitter => (event, data, hold) => quietPromise((resolve, reject) => {
    const takeBack = put(list, event, data, resolve, reject)
    hold?.(takeBack)
  })
  const emit = emitTo(queue)
  const emitInTurn: Emitter = (...given) => (lane ? emitTo(lane) : emitTopic ?? emit)(...given)

  const request = (name: string, data?: unknown, options: ReplyOptions = {}) => ask(options, (finish, end) => put(queue, name, data, (number) => open.set(number, finish), end))

  return [
    emit,
    async (verdict: Verdict) => {
      if (blankVerdict.test(verdict)) setupDue = verdict
      pump()
      sendTopics(setupDue ? undefined : emitInTurn)
      if (!setupDue) return
      const own: Entry[] = lane = []
      try {
        await setup?.(emitTo(own) as never, { verdict: setupDue })
        if (own !== lane) return
        sendTopics(emitInTurn)
        fullLane = own
        pump()
      } catch (cause) {
        if (own !== lane) return
        cutShort()
        lose('setup', cause)
      }
    },
    pump,
    (going: boolean) => {
      isGoing = going
      hurry(0)
    },
    cutShort,
    () => {
      clearTimeout(timer)
      cutShort()
      drop(queue)
      maxQueued = -1
      failRequests()
    },
    request,
    hear,
    forget
  ] as const
}
