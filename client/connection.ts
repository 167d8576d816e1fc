import type { AnyContract, ReceivedData } from '../schemas/contract.ts'
import type { ControlFrame } from '../schemas/control-frame.ts'
import type { Goodbye } from '../schemas/goodbye.ts'
import type { Hello } from '../schemas/hello.ts'
import type { Verdict } from '../schemas/verdict.ts'
import { isFinal, type Answer } from './answer.ts'
import { ask } from './ask.ts'
import { backOff, mostMs } from './back-off.ts'
import { ClientError, type ErrorFields } from './client-error.ts'
import { defaults } from './defaults.ts'
import type { Emit } from './emit.ts'
import { createEventQueue } from './event-queue.ts'
import { createParser } from './event-stream-parser.ts'
import { createListeners } from './listeners.ts'
import type { Claim, Transport } from './link.ts'
import { anyUpdate, createListening, gapFound, stateChange } from './listening.ts'
import { resolveNumbers, type ConnectOptions, type ResumePoint, type Settings } from './options.ts'
import type { Request } from './requests.ts'
import { sseLink } from './sse-link.ts'
import { createSubscriptions, type Subscribe } from './subscriptions.ts'

/** State of a connection. */
export type ConnectionState =
  /** With `autoConnect: false`: nothing happens before `open()`. */
  | 'idle'
  /** The stream is being opened. */
  | 'connecting'
  /** Updates come, and events go. */
  | 'open'
  /** The stream was lost or refused, and will be tried again. */
  | 'waiting'
  /** The connection has ended for good. */
  | 'closed'

/** Details of a state. */
export interface StateDetail extends Partial<Answer> {
  /** With `open`. After `new`, `gap` and `expired`, the server's `onConnect` sends a snapshot. */
  readonly verdict?: Verdict
  /**
   * With `waiting` and `closed`: the reason of the server's goodbye; or `'silent'`, `'gap'`, `'unanswered'`, `'binding'`,
   * `'not-a-stream'`, `'too-long'`, `'setup'`, `'hidden'`; or `'closed'` after `close()`.
   */
  readonly reason?: string | undefined
  /** With `open`: number of the update before the next one. */
  readonly seq?: number
  /** With `waiting`: milliseconds until the next try, unless something wakes the connection sooner. */
  readonly retryMs?: number
}

/** Removes a listener; a second call does nothing. */
export type Unsubscribe = () => void

type Updates<Contract extends AnyContract> = Contract['updates']

/** Name of an update. */
export type UpdateName<Contract extends AnyContract> = keyof Updates<Contract> & string
/** Data of an update, as its listeners get it: after the schema's defaults and transforms, as JSON carries it. */
export type DataOf<Contract extends AnyContract, Name extends UpdateName<Contract>> = ReceivedData<Updates<Contract>[Name]>

/** Any update, with its name. */
export type NamedUpdate<Contract extends AnyContract> = {
  [Name in UpdateName<Contract>]: { name: Name, data: DataOf<Contract, Name> }
}[UpdateName<Contract>]

/** The page's view of its session. */
export interface Connection<Contract extends AnyContract = AnyContract> {
  /** Id of the session, a secret of this page; undefined before the first hello. */
  readonly session: string | undefined
  readonly state: ConnectionState
  /** What carries the stream; undefined while none is open. */
  readonly transport: Transport | undefined
  /** Connects: at first with `autoConnect: false`, and at once while the connection waits for its next try. Else, does nothing. */
  open: () => void
  /** Calls `listener` with each update of that name. An error that it throws goes to `onError` and stops no other listener. */
  on: <Name extends UpdateName<Contract>>(name: Name, listener: (data: DataOf<Contract, Name>) => unknown) => Unsubscribe
  /** Calls `listener` with the next update of that name only. Without a listener: a promise for it, which rejects with `TETHER_CLOSED`. */
  once: {
    <Name extends UpdateName<Contract>>(name: Name, listener: (data: DataOf<Contract, Name>) => unknown): Unsubscribe
    <Name extends UpdateName<Contract>>(name: Name): Promise<DataOf<Contract, Name>>
  }
  /** Iterates over the updates of that name. While about a hundred wait, nothing is read from the network. Ends when the connection is closed. */
  updates: <Name extends UpdateName<Contract>>(name: Name) => AsyncGenerator<DataOf<Contract, Name>, void>
  /** Iterates over all updates, each with its name, in the same way. */
  [Symbol.asyncIterator]: () => AsyncGenerator<NamedUpdate<Contract>, void>
  /**
   * Sends an event, after all events before it. While there is no stream, the event waits.
   *
   * @returns a promise that resolves when the session has accepted the event. It rejects with a
   * `ClientError`: a refusal (the server's code, and `errors`), `TETHER_IN_DOUBT`,
   * `TETHER_QUEUE_FULL` or `TETHER_CLOSED`. A rejection without a listener is no uncaught error.
   */
  emit: Emit<Contract>
  /**
   * Sends a request as `emit` sends an event, and gives the reply.
   *
   * @returns a promise of the reply. It rejects with a `ClientError`: with the code, the message and the `data` of the handler's
   * `EventError`; with `TETHER_FAILED` where the handler failed in any other way; with `TETHER_TIMEOUT`; and as `emit` does. An
   * abort of `signal` rejects it with the signal's reason. A rejection without a listener is no uncaught error.
   */
  request: Request<Contract>
  /**
   * Subscribes to a topic: its retained values come first, then each update. It holds in each later session, too, until it
   * is closed. Several subscriptions to one topic with the same parameters are one for the server.
   *
   * @throws `URIError` for a parameter with half of a surrogate pair
   */
  subscribe: Subscribe<Contract>
  /** Calls `listener` with each new state and its details. */
  onState: (listener: (state: ConnectionState, detail: StateDetail) => unknown) => Unsubscribe
  /** Calls `listener` when updates are lost, with the number of the last lost one. */
  onGap: (listener: (seq: number) => unknown) => Unsubscribe
  /**
   * Measures the way to the session and back: an event up, and its answer behind all updates that wait. A second
   * call before the answer gets the same promise.
   *
   * @returns a promise for milliseconds. It rejects with a `ClientError`: `TETHER_NO_STREAM` if no stream is open or it
   * ends first, `TETHER_TIMEOUT` after `requestTimeoutMs`, or a refusal with the server's code. A rejection without a
   * listener is no uncaught error.
   */
  latency: () => Promise<number>
  /** Ends the stream and the session. Events that wait reject. */
  close: () => void
}

/** Globals of a page. A worker has some of them, Node has none. */
interface PageGlobals {
  document?: { hidden: boolean }
  addEventListener?: (type: string, listener: (event: PageEvent) => void, options: { signal: AbortSignal }) => void
}

interface PageEvent {
  type?: string
  persisted?: boolean
}

/**
 * Opens a session at a `stateful` URL and keeps it. A lost stream is opened again and resumes where it stopped.
 *
 * @example
 * const live = connect<typeof contract>('/live')
 * live.on('sample', ({ series, v }) => draw(series, v))
 * await live.emit('range.set', { range: '1h' })
 * @see docs/client.md
 * @throws `RangeError` for a time or a limit that is no number or is too small
 */
export function connect<Contract extends AnyContract = AnyContract> (url: string | URL, options: ConnectOptions<Contract> = {}): Connection<Contract> {
  const settings = resolveNumbers(options, defaults) as Settings<Contract>
  const { hiddenMs, requestTimeoutMs, resume = {} } = settings
  let { session, seq }: Partial<ResumePoint> = resume
  const carrier = (settings.link ?? sseLink)(url + '', settings)
  const page = globalThis as PageGlobals
  const life = new AbortController()
  let state: ConnectionState = 'idle'
  let hello: Hello | undefined
  let endStream = () => {}
  /** Why the client ends the stream. */
  let why: StateDetail = {}
  /** Milliseconds of the server's last `retry:`; they count after a goodbye. */
  let askedMs = 0
  let floorMs = 0
  let attempt = 0
  /** Timer of the next try; while there is a stream, of its silence. */
  let timer: ReturnType<typeof setTimeout>
  let silentAt = Infinity
  let hideTimer: ReturnType<typeof setTimeout>
  /** Pending while an iteration has a full buffer. */
  let taken: Promise<void> | undefined
  /** Whether the rest of the stream is ignored, even text that has arrived. */
  let isOver: boolean
  /** Time and id of the last ping. */
  let pingedAt: number
  /** Takes its answer. */
  let pong: ((answer: ErrorFields) => void) | undefined
  let pinging: Promise<number> | undefined

  const listeners = createListeners(settings.onError)
  const [on, call] = listeners

  const failPing = () => pong?.({ code: 'TETHER_NO_STREAM' })

  const become = (next: ConnectionState, detail: StateDetail = {}) => {
    state = next
    if (!hello) failPing()
    call(stateChange, next, detail)
  }

  const lose = (reason: string, cause?: unknown) => {
    why = { reason, cause }
    endStream()
  }

  const post = (body: string, keepalive: boolean, claim: Claim = { session, seq }): Promise<Answer> => carrier.send(claim, body, keepalive)
    // Other requests of the page may have used up the browser's 64 KiB for keepalive. The page may live long enough without it.
    .catch(() => keepalive ? post(body, false, claim) : { status: 0 })

  const isClosed = () => state === 'closed'

  const [subscribe, sendTopics] = createSubscriptions(listeners, isClosed)

  const [emit, begin, pump, flush, cutShort, closeQueue, request, hear, forget] = createEventQueue(resume, settings, () => hello, post, lose, sendTopics)

  on('tether.reply', hear)

  const leave = () => {
    if (session) post('', true)
  }

  const finish = (detail: StateDetail) => {
    isOver = true
    hello = undefined
    life.abort()
    endStream()
    clearTimeout(timer)
    closeQueue()
    become('closed', detail)
  }

  const close = () => {
    if (isClosed()) return
    leave()
    finish({ reason: 'closed' })
  }

  const control = (frame: Pick<ControlFrame, 'type'> & Hello & Goodbye & { id?: number }) => {
    const { type, reason, seq: next } = frame
    if (type === 'goodbye') {
      isOver = true
      floorMs = askedMs
      if (frame.reconnect) lose(reason)
      else finish({ reason })
    }
    if (type === 'heartbeat' && frame.durable! >= 0) forget(frame.durable!)
    if (type === 'heartbeat' && seq !== next) {
      // Higher than any number sent, so that the server answers with the verdict `gap`, and thus with a snapshot.
      seq = 9e14
      isOver = true
      call(gapFound, next)
      lose('gap')
    }
    if (type === 'gap' || type === 'hello') seq = next
    if (type === 'hello') {
      hello = frame
      session = frame.session
      become('open', frame)
      // A listener may have closed the connection.
      if (state === 'open') begin(frame.verdict)
    }
    if (type === 'pong' && frame.id === pingedAt) pong!({ data: performance.now() - pingedAt })
    if (type === 'gap' || frame.verdict === 'gap') call(gapFound, next)
  }

  const start = async () => {
    const stream = new AbortController()
    const { signal } = stream
    let given = Promise.resolve()
    isOver = false
    why = {}
    askedMs = floorMs = 0
    const startedAt = Date.now()
    const watch = () => {
      clearTimeout(timer)
      const ms = Math.min(mostMs, 1000 + (hello ? hello.heartbeatMs * 1.5 || mostMs : requestTimeoutMs))
      timer = setTimeout(lose, ms, 'silent')
      silentAt = Date.now() + ms
    }
    const feed = createParser((name, data) => {
      if (isOver) return
      let value: any = data
      name ||= hello?.unnamed!
      try {
        if (!hello?.text?.includes(name.split('?')[0]!)) value = JSON.parse(data)
      } catch { /* the update is text */ }
      if (name === 'tether') return control(value)
      seq!++
      call(name, value)
      call(anyUpdate, { name, data: value })
    }, (ms) => { askedMs = ms })
    // Before the call of listeners, which may close the connection.
    watch()
    const answer = await new Promise<Answer>((resolve) => {
      // In Node, the reader of an aborted fetch may wait for ever.
      endStream = () => {
        stream.abort()
        resolve({ status: 0 })
      }
      become('connecting')
      carrier.open({ session, seq }, (text) => {
        if (signal.aborted) return given
        return given = given.then(async () => {
          if (!isOver && feed(text) > settings.maxUpdateLength) {
            isOver = true
            lose('too-long')
          }
          if (signal.aborted) return taken
          clearTimeout(timer)
          silentAt = Infinity
          await taken
          if (!signal.aborted) watch()
        })
      }, signal).then(resolve, (cause) => resolve({ status: 0, cause }))
    })
    // Frees the rest of an answer that was no stream.
    endStream()
    if (isClosed()) return
    clearTimeout(timer)
    // The next stream starts after the updates that came. Their consumer may first await an event, so sending goes on.
    timer = setInterval(pump, 1000)
    await given.catch(() => {})
    if (isClosed()) return
    clearTimeout(timer)
    if (hello && Date.now() - startedAt > settings.retryMaxMs) attempt = 0
    hello = undefined
    if (answer.status === 204 || isFinal(answer)) return finish(answer)
    const waitMs = backOff(attempt++, settings.retryMs, settings.retryMaxMs, answer.retryAfterMs || floorMs)
    const isHidden = why.reason === 'hidden'
    if (!(isHidden && page.document?.hidden)) timer = setTimeout(start, waitMs)
    become('waiting', { ...answer, ...why, ...(cutShort() && settings.setup && !isHidden && { reason: 'setup' }), retryMs: waitMs })
  }

  const open = () => {
    if (state === 'waiting') start()
    if (state !== 'idle') return
    state = 'connecting'
    for (const type of ['online', 'visibilitychange', 'pageshow', 'pagehide']) page.addEventListener?.(type, look, life)
    // In a later turn, so that the caller can add listeners first.
    timer = setTimeout(start)
    // A tab may be hidden from the start.
    look({})
  }

  const look = ({ type, persisted }: PageEvent) => {
    const isGoing = page.document?.hidden || type === 'pagehide'
    clearTimeout(hideTimer)
    flush(isGoing)
    if (isGoing) {
      if (hiddenMs) {
        hideTimer = setTimeout(() => {
          // A hidden tab without a stream opens none.
          clearTimeout(timer)
          lose('hidden')
        }, hiddenMs)
      }
      if (settings.leaveOnHide && !persisted && type === 'pagehide') leave()
    } else {
      if (Date.now() > silentAt) lose('silent')
      open()
    }
  }

  const latency = () => pinging ??= ask({ timeoutMs: requestTimeoutMs }, (finish, end) => {
    pingedAt = performance.now()
    pong = finish
    if (hello) post(JSON.stringify({ event: 'tether.ping', data: { id: pingedAt } }), false).then((answer) => answer.status > 202 && end(new ClientError(answer)))
    else setTimeout(failPing)
    return () => { if (pong === finish) pinging = undefined }
  })

  settings.signal?.addEventListener('abort', close, life)
  if (settings.autoConnect ?? true) open()
  if (settings.signal?.aborted) close()

  return {
    get session () { return session },
    get state () { return state },
    get transport () { return hello && carrier.transport },
    open,
    latency,
    ...createListening(on, isClosed, (promise) => {
      const before = taken
      taken = promise.then(() => before)
    }),
    emit,
    request,
    subscribe: subscribe as never,
    close
  }
}
