import type { AnyContract } from '../schemas/contract.ts'
import type { TopicOutcome } from '../schemas/topic-outcome.ts'
import type { Verdict } from '../schemas/verdict.ts'
import { ask } from './ask.ts'
import { ClientError, type ErrorFields } from './client-error.ts'
import { connect, type Connection, type ConnectionState, type StateDetail } from './connection.ts'
import { defaults } from './defaults.ts'
import type { Transport } from './link.ts'
import type { Emitter, Hold } from './emitter.ts'
import { createListeners } from './listeners.ts'
import { anyUpdate, createListening, gapFound, stateChange } from './listening.ts'
import { advance, markedLink, settle, type Mark } from './marked-link.ts'
import { resolveNumbers, type ConnectOptions, type InnerOptions, type ResumePoint, type Settings } from './options.ts'
import { quietPromise } from './quiet-promise.ts'
import { createRequests } from './requests.ts'
import { sharedDefaults } from './shared-defaults.ts'
import { sseLink } from './sse-link.ts'
import { createSubscriptions, type Subscription } from './subscriptions.ts'
import { topicName } from './topic-name.ts'
import { blankVerdict } from './blank-verdict.ts'

export { sharedDefaults } from './shared-defaults.ts'

/** Options of `connectShared`, beside those of `connect`. */
export interface SharedOptions<Contract extends AnyContract = AnyContract> extends Omit<ConnectOptions<Contract>, 'resume' | 'hiddenMs' | 'leaveOnHide'> {
  /** Tabs with the same name share one session. Default: the URL. */
  name?: string
  /** Milliseconds until another tab takes over from a leader without a sign of life. Default 5,000; 0: never. */
  leaderTimeoutMs?: number
}

/** An event on its way, of any tab. */
interface SharedEvent {
  /** Id of the tab, a space, and the number of the event in that tab, from 1. */
  id: string
  name: string
  data: unknown
}

/** Whether a tab uses a topic. */
interface TopicUse {
  tab: string
  data: { topic: string, params: Record<string, unknown> }
  isUsed: boolean
}

/** State from which a tab continues where the leader stopped. */
interface Progress {
  resume: ResumePoint | undefined
  /** Waiting events, in the order in which the leader sends them. */
  order: SharedEvent[]
  taken: Record<string, number>
}

type Message =
  /** A tab emitted an event. */
  | { type: 'emit', event: SharedEvent }
  /** The leader puts an event behind the waiting ones. */
  | { type: 'ordered', event: SharedEvent }
  /** The leader is about to send `count` waiting events after number `accepted`. */
  | { type: 'marked', session: string, accepted: number, count: number }
  /** The event with that id was accepted with that number, or refused. */
  | { type: 'settled', id: string, error: ErrorFields | undefined, number: unknown }
  | { type: 'update', session: string, seq: number, name: string, data: unknown }
  | { type: 'gap', seq: number }
  /** A tab begins to use a topic, or ends it. */
  | { type: 'topic' } & TopicUse
  /** The server refused a topic. */
  | { type: 'refused', outcome: TopicOutcome }
  /** `setup` has finished. */
  | { type: 'ready' }
  | { type: 'state', state: ConnectionState, detail: StateDetail, session: string | undefined, transport: Transport | undefined }
  /** A tab has opened, or leads no more. */
  | { type: 'joined', tab: string }
  /** The leader sends its state to that tab, or to all tabs when it starts to lead. Tabs then repeat their unsettled events. */
  | { type: 'leading', tab: string | undefined, state: ConnectionState, transport: Transport | undefined, progress: Progress }
  /** A tab has not heard of the leader for a while. */
  | { type: 'ping' }
  | { type: 'alive' }
  /** A tab wants to know the latency; the leader measures it. */
  | { type: 'measure', tab: string }
  | { type: 'measured', tab: string, error: ErrorFields | undefined }

/**
 * Connects as `connect` does, with one stream, and so one session and its state, for all tabs of this origin.
 *
 * One tab leads: it has the stream, and passes updates on. When it closes or freezes, another tab takes over and
 * resumes the session. A tab that joins later gets no earlier updates: its first `open` has the reason `'joined'`
 * and the verdict `gap`. Without Web Locks or BroadcastChannel, this is `connect`.
 */
export function connectShared<Contract extends AnyContract = AnyContract> (url: string | URL, given: SharedOptions<Contract> = {}): Connection<Contract> {
  const options = resolveNumbers(given, { ...defaults, ...sharedDefaults }) as SharedOptions<Contract> & Pick<Settings, 'maxQueued' | 'requestTimeoutMs'> & { leaderTimeoutMs: number }
  if (globalThis.navigator?.locks === undefined || globalThis.BroadcastChannel === undefined) return connect<Contract>(url, options)
  const lockName = `fastify-tether shared ${options.name ?? String(url)}`
  const { leaderTimeoutMs, maxQueued, requestTimeoutMs, signal } = options
  const tab = crypto.randomUUID()
  let channel: BroadcastChannel | undefined
  const listeners = createListeners(options.onError)
  const [on, call] = listeners
  const life = new AbortController()
  let state: ConnectionState = 'idle'
  /** What carries the leader's stream. */
  let transport: Transport | undefined
  /** Settles the ping of this tab, which waits for the leader. */
  let measured: ((error?: ErrorFields) => void) | undefined
  let pinging: Promise<number> | undefined
  let session: string | undefined
  /** Number of the last update received; undefined before this tab has heard of any session. */
  let seq: number | undefined
  let mark: Mark = { accepted: 0, doubtful: 0 }
  /** The verdict for `setup`, while `setup` has not finished in the session. */
  let setupDue: Verdict | undefined
  let order: SharedEvent[] = []
  /** By tab, the number of its last event that a leader took. Repeated messages thus count once, and in the tab's order. */
  const taken: Record<string, number> = {}
  /** Unsettled events of this tab. */
  const own = new Map<string, { event: SharedEvent, resolve: (number: any) => void, reject: (error: Error) => void, takeBack?: () => unknown }>()
  let leading: Connection | undefined
  /** Topics that this tab uses, by their names. */
  const used = new Map<string, TopicUse>()
  /** While this tab leads: the uses of all tabs, by the tab and the topic. */
  const held = new Map<string, Subscription>()
  /** Term of the last leader that was heard. Later leaders have higher terms. */
  let term = 0
  /** Client id of the leading page in the Web Locks API. */
  let clientId: string | undefined
  /** Checks since the leader was heard last. */
  let missed = 0
  const listenMs = Math.min(2e9, leaderTimeoutMs / 5)
  let isLeaving = false
  let listening: ReturnType<typeof setInterval> | undefined
  let hasOpened = false
  /** Releases the lock, or leaves its queue. */
  let release = () => {}
  let counter = 0

  const tell = (message: Message) => {
    if (!life.signal.aborted) channel?.postMessage({ ...message, term })
  }

  const become = (next: ConnectionState, detail: StateDetail, of: string | undefined, by?: Transport) => {
    state = next
    transport = by
    if (next === 'open' && of !== undefined) {
      const isResumed = detail.verdict === 'resumed'
      // A new leader may have resumed from an earlier or later update than this tab's last.
      if (!isResumed || of !== session || seq === undefined) seq = detail.seq!
      if (isResumed && !hasOpened) detail = joined(detail.seq!)
      if (of !== session) mark = { accepted: 0, doubtful: 0 }
      session = of
      hasOpened = true
      if (blankVerdict.test(detail.verdict!)) setupDue = detail.verdict
    }
    if (next !== 'open') measured?.({ code: 'TETHER_NO_STREAM' })
    call(stateChange, next, detail)
  }

  const update = (of: string, number: number, name: string, data: unknown) => {
    // A new leader that resumed from an earlier update repeats some.
    if (of !== session || seq === undefined || number <= seq) return
    // A frozen tab misses updates. A reply may be among them.
    if (number > seq + 1) {
      gap(number - 1)
      failRequests()
    }
    seq = number
    call(name, data)
    call(anyUpdate, { name, data })
  }

  const finish = (id: string, error: ErrorFields | undefined, number?: unknown) => {
    settle(mark, order, id)
    const waiting = own.get(id)
    own.delete(id)
    if (error === undefined) waiting?.resolve(number)
    else waiting?.reject(new ClientError(error))
  }

  const put = (event: SharedEvent) => {
    const [from, number] = placeOf(event)
    taken[from] = number
    order.push(event)
  }

  /** The leader takes an event once. If an earlier event of that tab is missing, the tab sends both again. */
  const take = (event: SharedEvent) => {
    const [from, number] = placeOf(event)
    if (number !== (taken[from] ?? number - 1) + 1) return
    put(event)
    tell({ type: 'ordered', event })
    forward(event)
  }

  const forward = ({ id, name, data }: SharedEvent) => {
    const connection = leading!
    const done = (error: ErrorFields | undefined, number?: unknown) => {
      // The successor of a leaving leader sends the event, and settles it.
      if (leading !== connection || connection.state === 'closed') return
      tell({ type: 'settled', id, error, number })
      finish(id, error, number)
    }
    const hold: Hold = (takeBack) => {
      const waiting = own.get(id)
      if (waiting) waiting.takeBack = takeBack
    }
    ;(connection.emit as Emitter)(name, data, hold).then((number) => done(undefined, number), ({ code, message, status, errors }: ClientError) => done({ code, message, status, errors }))
  }

  /** The leader subscribes for all tabs. Each tab gets the outcome as an update. */
  const hold = ({ tab: of, data, isUsed }: TopicUse) => {
    const connection = leading!
    const name = topicName(data.topic, data.params)
    const id = `${of} ${name}`
    const before = held.get(id)
    held.delete(id)
    if (isUsed) {
      const subscription = connection.subscribe(data.topic as never, data.params as never)
      held.set(id, subscription)
      subscription.ready.catch(({ code = 'TETHER_REFUSED', message }: ClientError) => {
        if (leading !== connection || connection.state === 'closed') return
        const outcome = { ...data, name, ok: false, code, message }
        tell({ type: 'refused', outcome })
        refuse(outcome)
      })
    }
    before?.close()
  }

  const refuse = (outcome: TopicOutcome) => call(anyUpdate, { name: 'tether.topic', data: outcome })

  const use = (change: TopicUse) => {
    if (leading) hold(change)
    else tell({ type: 'topic', ...change })
  }

  const useAll = (isUsed: boolean) => {
    for (const change of used.values()) use({ ...change, isUsed })
  }

  const progress = (): Progress => ({ order, taken, resume: session === undefined ? undefined : { ...mark, session, seq, setupDue } })

  const tellLeading = (to?: string) => tell({ type: 'leading', tab: to, state: leading!.state, transport: leading!.transport, progress: progress() })

  const isOurs = ({ name }: LockInfo) => name === lockName

  const query = (): Promise<LockManagerSnapshot> => navigator.locks.query().catch(() => ({}))

  const getHolder = async () => (await query()).held?.find(isOurs)?.clientId

  const isDeposed = async () => await getHolder() !== clientId

  const lead = () => {
    term = Math.max(term + 1, Date.now())
    const { resume } = progress()
    /** Checks first that this page still leads: it may have been frozen. A page that goes away cannot wait for that. */
    const guard = <Given extends unknown[], Result>(work: (...given: Given) => Promise<Result>) => async (...given: Given): Promise<Result> => {
      if (!isLeaving && !life.signal.aborted && await isDeposed()) {
        follow(connection)
        throw new Error('another tab leads')
      }
      return work(...given)
    }
    const connectOptions: ConnectOptions<Contract> & InnerOptions = {
      ...options,
      autoConnect: true,
      onReady: () => {
        setupDue = undefined
        tell({ type: 'ready' })
      },
      resume: resume!,
      emitTopic: emit,
      link: markedLink((path, linkOptions) => {
        const own = (options.link ?? sseLink)(path, { ...linkOptions, fetch: guard(linkOptions.fetch ?? fetch) })
        const { open, send } = own
        return {
          get transport () { return own.transport },
          open: guard(open),
          send: async (claim, body, keepalive) => {
            if (!body) {
              const { held = [], pending = [] } = await query()
              // Another tab continues the session.
              if (pending.some(isOurs) || held.some((lock) => isOurs(lock) && lock.clientId !== clientId)) return { status: 202 }
            }
            return send(claim, body, keepalive)
          }
        }
      }, guard(async (of: string, accepted: number, count: number) => {
        // Other tabs do not know the events of `setup`.
        if (setupDue) return
        tell({ type: 'marked', session: of, accepted, count })
        marked(of, accepted, count)
      }))
    }
    const connection: Connection = connect(url, connectOptions) as Connection<any>
    leading = connection
    let count = seq ?? 0
    connection.onState(async (next, detail) => {
      if (leading !== connection) return
      if (next === 'closed' && await isDeposed()) return follow(connection)
      if (leading !== connection) return
      if (next === 'open') count = detail.seq!
      const told = { ...detail, cause: undefined }
      tell({ type: 'state', state: next, detail: told, session: connection.session, transport: connection.transport })
      become(next, detail, connection.session, connection.transport)
      if (next === 'closed') close()
    })
    connection.onGap((next) => {
      if (leading !== connection) return
      count = next
      tell({ type: 'gap', seq: next })
      gap(next)
    })
    connection.on(anyUpdate as never, (({ name, data }: { name: string, data: unknown }) => {
      count++
      if (leading !== connection) return
      tell({ type: 'update', session: connection.session!, seq: count, name, data })
      update(connection.session!, count, name, data)
    }) as never)
    held.clear()
    for (const use of used.values()) hold(use)
    for (const event of order) forward(event)
    tellLeading()
    for (const { event } of own.values()) take(event)
  }

  /** Stops leading, since another tab leads. */
  const follow = (connection: Connection | undefined) => {
    if (leading !== connection) return
    leading = undefined
    connection?.close()
    seek()
    tell({ type: 'joined', tab })
  }

  const seek = (steal = false) => {
    release()
    const turn = new AbortController()
    release = () => turn.abort()
    let isGranted = false
    navigator.locks.request(lockName, steal ? { steal } : { signal: turn.signal }, async () => {
      isGranted = true
      // First the last messages of the previous leader arrive.
      if (steal) await new Promise((resolve) => setTimeout(resolve, listenMs))
      clientId = await getHolder()
      if (turn.signal.aborted) return
      lead()
      await new Promise((resolve) => { turn.signal.onabort = resolve })
    }).catch((error) => {
      if (turn.signal.aborted) return
      // No page can have a lock here, as in a frame without an origin.
      if (!isGranted) lead()
      else if (error.name === 'AbortError') follow(leading)
      else throw error
    })
  }

  const listen = () => {
    if (leading || ++missed < 2) return
    // A tab that knows the session takes over first.
    if (missed < (session === undefined ? 7 : 4)) return tell({ type: 'ping' })
    missed = 0
    const message: Message = { type: 'state', state: 'waiting', detail: { reason: 'silent' }, session, transport: undefined }
    tell(message)
    become(message.state, message.detail, session)
    seek(true)
  }

  const marked = (of: string, accepted: number, count: number) => {
    if (of === session) advance(mark, accepted, count)
  }

  const gap = (next: number) => {
    seq = next
    call(gapFound, next)
  }

  const hear = ({ data: message }: MessageEvent<Message & { term: number }>) => {
    const { type } = message
    if (type === 'emit') {
      if (leading) return take(message.event)
      const [from, number] = placeOf(message.event)
      // Perhaps no leader heard it. The next leader begins with it.
      taken[from] ??= number - 1
      return
    }
    if (type === 'topic') {
      if (leading) hold(message)
      return
    }
    if (type === 'measure') {
      const done = (error?: ErrorFields) => tell({ type: 'measured', tab: message.tab, error })
      leading?.latency().then(() => done(), ({ code, message: text, status, errors }: ClientError) => done({ code, message: text, status, errors }))
      return
    }
    if (type === 'joined' || type === 'ping') {
      if (!leading) return
      if (type === 'joined') tellLeading(message.tab)
      // A frozen page may get messages, but has no timers, and no stream either. So a timer answers.
      else setTimeout(() => { if (leading) tell({ type: 'alive' }) })
      return
    }
    if (message.term > term) {
      term = message.term
      if (leading) follow(leading)
    }
    // A former leader, or a tab that begins to lead. The next update counts, whoever sends it.
    if (message.term < term ? type !== 'update' || message.seq !== seq! + 1 : leading) return
    if (/alive|update|state/.test(type)) missed = 0
    switch (type) {
      case 'ordered':
        if (order.every(({ id }) => id !== message.event.id)) put(message.event)
        break
      case 'marked':
        marked(message.session, message.accepted, message.count)
        break
      case 'settled':
        finish(message.id, message.error, message.number)
        break
      case 'update':
        update(message.session, message.seq, message.name, message.data)
        break
      case 'gap':
        gap(message.seq)
        break
      case 'refused':
        refuse(message.outcome)
        break
      case 'ready':
        setupDue = undefined
        break
      case 'measured':
        if (message.tab === tab) measured?.(message.error)
        break
      case 'state':
        become(message.state, message.detail, message.session, message.transport)
        if (message.state === 'closed') close()
        break
      case 'leading': {
        if ((message.tab ?? tab) !== tab) break
        const { order: waiting, resume } = message.progress
        // A leader without this session cannot know what the session accepted of the events in doubt.
        if (resume?.session !== session) {
          for (const { id } of order.slice(0, mark.doubtful)) {
            if (waiting.every((event) => event.id !== id)) finish(id, { code: 'TETHER_IN_DOUBT' })
          }
        }
        Object.assign(taken, message.progress.taken)
        order = waiting
        mark = { accepted: 0, doubtful: 0, ...resume }
        setupDue = resume?.setupDue
        if (resume !== undefined && resume.session !== session) {
          session = resume.session
          seq = resume.seq
          hasOpened = false
          become(message.state, message.state === 'open' ? joined(seq!) : {}, session, message.transport)
        }
        for (const { event } of own.values()) tell({ type: 'emit', event })
        useAll(true)
      }
    }
  }

  const close = () => {
    if (life.signal.aborted) return
    if (!leading) useAll(false)
    life.abort()
    channel?.close()
    clearInterval(listening)
    if (state !== 'closed') become('closed', { reason: 'closed' }, session)
    const connection = leading
    leading = undefined
    connection?.close()
    release()
    // A leader may have taken events that it has not announced yet.
    for (const { reject } of own.values()) reject(new ClientError({ code: term > 0 ? 'TETHER_IN_DOUBT' : 'TETHER_CLOSED' }))
    own.clear()
  }

  const emit: Emitter = (name, data = {}, hold) => quietPromise((resolve, reject) => {
    if (life.signal.aborted) throw new ClientError({ code: 'TETHER_CLOSED' })
    if (own.size >= maxQueued) throw new ClientError({ code: 'TETHER_QUEUE_FULL' })
    const copy = JSON.parse(JSON.stringify(data)) as unknown
    const event = { id: `${tab} ${++counter}`, name, data: copy }
    own.set(event.id, { event, resolve, reject })
    // In another tab, nobody knows whether the leader has sent it.
    hold?.(() => own.get(event.id)?.takeBack?.())
    if (leading) take(event)
    // The events of a tab that has not joined wait for it.
    else if (state !== 'idle') tell({ type: 'emit', event })
  })
  const [request, failRequests] = createRequests(on, () => session, emit)

  const isClosed = () => life.signal.aborted

  const [subscribe] = createSubscriptions(listeners, isClosed, async (event, data) => {
    const change: TopicUse = { tab, data: data as TopicUse['data'], isUsed: event === 'tether.subscribe' }
    const name = topicName(change.data.topic, change.data.params)
    if (change.isUsed) used.set(name, change)
    else used.delete(name)
    use(change)
  })

  const open = () => {
    leading?.open()
    if (state !== 'idle') return
    state = 'connecting'
    channel = new BroadcastChannel(lockName)
    channel.onmessage = hear
    tell({ type: 'joined', tab })
    seek()
    listening = listenMs > 0 ? setInterval(listen, listenMs) : undefined
    for (const type of ['pagehide', 'pageshow']) {
      globalThis.addEventListener?.(type, () => {
        isLeaving = type === 'pagehide'
        useAll(!isLeaving)
      }, { signal: life.signal })
    }
  }

  /** The leader measures; the way to it and back counts too. */
  const latency = () => leading?.latency() ?? (pinging ??= ask({ timeoutMs: requestTimeoutMs }, (finish, end) => {
    const at = performance.now()
    measured = (error) => error ? end(new ClientError(error)) : finish({ data: performance.now() - at })
    if (state === 'open') tell({ type: 'measure', tab })
    else setTimeout(measured, 0, { code: 'TETHER_NO_STREAM' })
    return () => { measured = pinging = undefined }
  }))

  if (options.autoConnect ?? true) open()
  signal?.addEventListener('abort', close, { signal: life.signal })
  if (signal?.aborted === true) close()

  return {
    get session () { return session },
    get state () { return state },
    get transport () { return transport },
    open,
    latency,
    ...createListening(on, isClosed, () => {}),
    emit,
    request,
    subscribe: subscribe as never,
    close
  } as Connection<Contract>
}

/** Details of the first `open` in a tab that joined later. */
function joined (seq: number): StateDetail {
  return { verdict: 'gap', reason: 'joined', seq }
}

function placeOf ({ id }: SharedEvent): [tab: string, number: number] {
  const [tab, number] = id.split(' ') as [string, string]
  return [tab, Number(number)]
}
