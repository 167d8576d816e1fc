import type { AnyContract } from '../schemas/contract.ts'
import type { Verdict } from '../schemas/verdict.ts'
import { ClientError, type ErrorFields } from './client-error.ts'
import { connect, type Connection, type ConnectionState, type StateDetail } from './connection.ts'
import { defaults } from './defaults.ts'
import { createListeners } from './listeners.ts'
import { anyUpdate, createListening, gapFound, stateChange } from './listening.ts'
import { advance, markedLink, settle, type Mark } from './marked-link.ts'
import { resolveNumbers, type ConnectOptions, type InnerOptions, type ResumePoint, type Settings } from './options.ts'
import { quietPromise } from './quiet-promise.ts'
import { sharedDefaults } from './shared-defaults.ts'
import { sseLink } from './sse-link.ts'
import { blankVerdict } from './blank-verdict.ts'

export { sharedDefaults } from './shared-defaults.ts'

/** Options of `connectShared`, beside those of `connect`. */
export interface SharedOptions<Contract extends AnyContract = AnyContract> extends Omit<ConnectOptions<Contract>, 'resume' | 'hiddenMs' | 'leaveOnHide'> {
  /** Tabs with the same name share one session. Default: the URL. */
  name?: string
  /** Milliseconds in which another tab takes over from a leading one that gives no sign of life. Default 5,000; 0: never. */
  leaderTimeoutMs?: number
}

/** An event on its way, whichever tab emitted it. */
interface SharedEvent {
  /** The tab's own, and the place among all that it emits, from 1. */
  id: string
  name: string
  data: unknown
}

/** What a tab must know to go on where the leader stopped. */
interface Progress {
  resume: ResumePoint | undefined
  /** Events that wait, in the order in which the leader sends them. */
  order: SharedEvent[]
  taken: Record<string, number>
}

type Message =
  /** A tab emitted an event. */
  | { type: 'emit', event: SharedEvent }
  /** The leader gives it its place. */
  | { type: 'ordered', event: SharedEvent }
  /** The leader is about to send the first `count` that wait, numbered after `accepted`. */
  | { type: 'marked', session: string, accepted: number, count: number }
  | { type: 'settled', id: string, error: ErrorFields | undefined }
  | { type: 'update', session: string, seq: number, name: string, data: unknown }
  | { type: 'gap', seq: number }
  /** `setup` has come to its end. */
  | { type: 'ready' }
  | { type: 'state', state: ConnectionState, detail: StateDetail, session: string | undefined }
  /** A tab came, or leads no more. */
  | { type: 'joined', tab: string }
  /** The leader tells that tab, or all when it has just become the leader, how things are. What it may not have heard of is told again. */
  | { type: 'leading', tab: string | undefined, state: ConnectionState, progress: Progress }
  /** A tab has not heard of the leader for a while. */
  | { type: 'ping' }
  | { type: 'alive' }

/**
 * Connects as `connect` does, with one stream, and so one session and its state, for all tabs of this origin.
 *
 * One tab leads: it has the stream, and hands on what comes. When it goes, or stands still, another takes over and
 * resumes the session. A tab that joins later hears nothing of what was before: its first `open` has the reason `'joined'`
 * and the verdict `gap`. Where there are no Web Locks or no BroadcastChannel, it is as `connect`.
 */
export function connectShared<Contract extends AnyContract = AnyContract> (url: string | URL, given: SharedOptions<Contract> = {}): Connection<Contract> {
  const options = resolveNumbers(given, { ...defaults, ...sharedDefaults }) as SharedOptions<Contract> & Pick<Settings, 'maxQueued'> & { leaderTimeoutMs: number }
  if (globalThis.navigator?.locks === undefined || globalThis.BroadcastChannel === undefined) return connect<Contract>(url, options)
  const lockName = `fastify-tether shared ${options.name ?? String(url)}`
  const { leaderTimeoutMs, maxQueued, signal } = options
  const tab = crypto.randomUUID()
  const channel = new BroadcastChannel(lockName)
  const [on, call] = createListeners(options.onError)
  const life = new AbortController()
  let state: ConnectionState = 'connecting'
  let session: string | undefined
  /** Number of the last update received; undefined before this tab has heard of any session. */
  let seq: number | undefined
  let mark: Mark = { accepted: 0, doubtful: 0 }
  /** While `setup` has not come to its end in the session: what it is told. */
  let setupDue: Verdict | undefined
  let order: SharedEvent[] = []
  /** By tab, how many of its events a leader has taken in: all are taken once and in its order, however often it tells of them. */
  const taken: Record<string, number> = {}
  /** What this tab emitted and has not been settled. */
  const own = new Map<string, { event: SharedEvent, resolve: () => void, reject: (error: Error) => void }>()
  let leading: Connection | undefined
  /** Of the leader that was heard last: later ones have higher ones. */
  let term = 0
  /** The page that leads, as the locks know it. */
  let clientId: string | undefined
  /** Times that the leader was listened for since it was heard. */
  let missed = 0
  const listenMs = Math.min(2e9, leaderTimeoutMs / 5)
  let isLeaving = false
  let hasOpened = false
  /** Gives back the lock, or the place in its queue. */
  let release = () => {}
  let counter = 0

  const tell = (message: Message) => {
    if (!life.signal.aborted) channel.postMessage({ ...message, term })
  }

  const become = (next: ConnectionState, detail: StateDetail, of: string | undefined) => {
    state = next
    if (next === 'open' && of !== undefined) {
      const isResumed = detail.verdict === 'resumed'
      // A new leader may have resumed from a little earlier than this tab, or later.
      if (!isResumed || of !== session || seq === undefined) seq = detail.seq!
      if (isResumed && !hasOpened) detail = joined(detail.seq!)
      if (of !== session) mark = { accepted: 0, doubtful: 0 }
      session = of
      hasOpened = true
      if (options.setup && blankVerdict.test(detail.verdict!)) setupDue = detail.verdict
    }
    call(stateChange, next, detail)
  }

  const update = (of: string, number: number, name: string, data: unknown) => {
    // Told twice, when a new leader resumed from a little earlier.
    if (of !== session || seq === undefined || number <= seq) return
    // Which a tab that stood still, or another, was not given.
    if (number > seq + 1) gap(number - 1)
    seq = number
    call(name, data)
    call(anyUpdate, { name, data })
  }

  const finish = (id: string, error: ErrorFields | undefined) => {
    settle(mark, order, id)
    const waiting = own.get(id)
    own.delete(id)
    if (error === undefined) waiting?.resolve()
    else waiting?.reject(new ClientError(error))
  }

  const put = (event: SharedEvent) => {
    const [from, number] = placeOf(event)
    taken[from] = number
    order.push(event)
  }

  /** The leader takes an event in, unless it has, or one before it is missing: then its tab tells of both again. */
  const take = (event: SharedEvent) => {
    const [from, number] = placeOf(event)
    if (number !== (taken[from] ?? number - 1) + 1) return
    put(event)
    tell({ type: 'ordered', event })
    forward(event)
  }

  const forward = ({ id, name, data }: SharedEvent) => {
    const connection = leading!
    const done = (error?: ErrorFields) => {
      // A leader that leaves has not settled what its successor will send.
      if (leading !== connection || connection.state === 'closed') return
      tell({ type: 'settled', id, error })
      finish(id, error)
    }
    connection.emit(name as never, data as never).then(() => done(), ({ code, message, status, errors }: ClientError) => done({ code, message, status, errors }))
  }

  const progress = (): Progress => ({ order, taken, resume: session === undefined ? undefined : { ...mark, session, seq, setupDue } })

  const tellLeading = (to?: string) => tell({ type: 'leading', tab: to, state: leading!.state, progress: progress() })

  const isOurs = ({ name }: LockInfo) => name === lockName

  const query = (): Promise<LockManagerSnapshot> => navigator.locks.query().catch(() => ({}))

  const getHolder = async () => (await query()).held?.find(isOurs)?.clientId

  const isDeposed = async () => await getHolder() !== clientId

  const lead = () => {
    term = Math.max(term + 1, Date.now())
    const { resume } = progress()
    /** A page that stood still leads no more, and is to do nothing before it knows. One that goes away cannot wait. */
    const guard = <Given extends unknown[], Result>(work: (...given: Given) => Promise<Result>) => async (...given: Given): Promise<Result> => {
      if (!isLeaving && !life.signal.aborted && await isDeposed()) {
        follow(connection)
        throw new Error('another tab leads')
      }
      return work(...given)
    }
    const connectOptions: ConnectOptions<Contract> & InnerOptions = {
      ...options,
      onReady: () => {
        setupDue = undefined
        tell({ type: 'ready' })
      },
      resume: resume!,
      link: markedLink((path, linkOptions) => {
        const { open, send } = (options.link ?? sseLink)(path, { ...linkOptions, fetch: guard(linkOptions.fetch ?? fetch) })
        return {
          open: guard(open),
          send: async (claim, body, keepalive) => {
            if (!body) {
              const { held = [], pending = [] } = await query()
              // The session goes on in another tab.
              if (pending.some(isOurs) || held.some((lock) => isOurs(lock) && lock.clientId !== clientId)) return { status: 202 }
            }
            return send(claim, body, keepalive)
          }
        }
      }, guard(async (of: string, accepted: number, count: number) => {
        // What `setup` emits is not of those that others know.
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
      tell({ type: 'state', state: next, detail: told, session: connection.session })
      become(next, detail, connection.session)
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
    for (const event of order) forward(event)
    tellLeading()
    for (const { event } of own.values()) take(event)
  }

  /** Leads no more, since another tab does. */
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
      // What the one before has told is heard first.
      if (steal) await new Promise((resolve) => setTimeout(resolve, listenMs))
      clientId = await getHolder()
      if (turn.signal.aborted) return
      lead()
      await new Promise((resolve) => { turn.signal.onabort = resolve })
    }).catch((error) => {
      if (turn.signal.aborted) return
      // Where nobody can have a lock, as in a frame without an origin.
      if (!isGranted) lead()
      else if (error.name === 'AbortError') follow(leading)
      else throw error
    })
  }

  const listen = () => {
    if (leading || ++missed < 2) return
    // A tab that knows the session goes first.
    if (missed < (session === undefined ? 7 : 4)) return tell({ type: 'ping' })
    missed = 0
    const message: Message = { type: 'state', state: 'waiting', detail: { reason: 'silent' }, session }
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

  channel.onmessage = ({ data: message }: MessageEvent<Message & { term: number }>) => {
    const { type } = message
    if (type === 'emit') {
      if (leading) return take(message.event)
      const [from, number] = placeOf(message.event)
      // Nobody may have heard it who leads: the next leader is to begin with it.
      taken[from] ??= number - 1
      return
    }
    if (type === 'joined' || type === 'ping') {
      if (!leading) return
      if (type === 'joined') tellLeading(message.tab)
      // A page that is frozen hears other tabs, but has no timers, and no stream either.
      else setTimeout(() => { if (leading) tell({ type: 'alive' }) })
      return
    }
    if (message.term > term) {
      term = message.term
      if (leading) follow(leading)
    }
    // Of a leader that is one no more, or of a tab that is about to be. The next update is that, whoever had it.
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
        finish(message.id, message.error)
        break
      case 'update':
        update(message.session, message.seq, message.name, message.data)
        break
      case 'gap':
        gap(message.seq)
        break
      case 'ready':
        setupDue = undefined
        break
      case 'state':
        become(message.state, message.detail, message.session)
        if (message.state === 'closed') close()
        break
      case 'leading': {
        if ((message.tab ?? tab) !== tab) break
        const { order: waiting, resume } = message.progress
        // Whoever knows nothing of this session cannot tell what became of what may have reached it.
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
          become(message.state, message.state === 'open' ? joined(seq!) : {}, session)
        }
        for (const { event } of own.values()) tell({ type: 'emit', event })
      }
    }
  }

  const close = () => {
    if (life.signal.aborted) return
    life.abort()
    channel.close()
    clearInterval(listening)
    if (state !== 'closed') {
      state = 'closed'
      call(stateChange, 'closed', { reason: 'closed' })
    }
    const connection = leading
    leading = undefined
    connection?.close()
    release()
    // Where there was a leader, it may have taken in what it has not told of yet.
    for (const { reject } of own.values()) reject(new ClientError({ code: term > 0 ? 'TETHER_IN_DOUBT' : 'TETHER_CLOSED' }))
    own.clear()
  }

  tell({ type: 'joined', tab })
  seek()
  const listening = listenMs > 0 ? setInterval(listen, listenMs) : undefined
  for (const type of ['pagehide', 'pageshow']) globalThis.addEventListener?.(type, () => { isLeaving = type === 'pagehide' }, { signal: life.signal })
  signal?.addEventListener('abort', close, { signal: life.signal })
  if (signal?.aborted === true) close()

  return {
    get session () { return session },
    get state () { return state },
    ...createListening(on, () => life.signal.aborted, () => {}),
    emit: (name: string, data: unknown = {}): Promise<void> => quietPromise((resolve, reject) => {
      if (life.signal.aborted) throw new ClientError({ code: 'TETHER_CLOSED' })
      if (own.size >= maxQueued) throw new ClientError({ code: 'TETHER_QUEUE_FULL' })
      const copy = JSON.parse(JSON.stringify(data)) as unknown
      const event = { id: `${tab} ${++counter}`, name, data: copy }
      own.set(event.id, { event, resolve, reject })
      if (leading) take(event)
      else tell({ type: 'emit', event })
    }),
    close
  } as Connection<Contract>
}

/** What goes with the first `open` of a tab that knows nothing of what was before. */
function joined (seq: number): StateDetail {
  return { verdict: 'gap', reason: 'joined', seq }
}

function placeOf ({ id }: SharedEvent): [tab: string, number: number] {
  const [tab, number] = id.split(' ') as [string, string]
  return [tab, Number(number)]
}
