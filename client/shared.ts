import type { AnyContract } from '../schemas/contract.ts'
import { ClientError, type ErrorFields } from './client-error.ts'
import { connect, type Connection, type ConnectionState, type StateDetail } from './connection.ts'
import { defaults } from './defaults.ts'
import type { Verdict } from './hello.ts'
import { createListeners } from './listeners.ts'
import { anyUpdate, createListening, gapFound, stateChange } from './listening.ts'
import { resolveNumbers, type ConnectOptions, type InnerOptions, type ResumePoint, type Settings } from './options.ts'
import { sseLink } from './sse-link.ts'

/** Options of `connectShared`, beside those of `connect`. */
export interface SharedOptions<Contract extends AnyContract = AnyContract> extends Omit<ConnectOptions<Contract>, 'resume' | 'hiddenMs' | 'leaveOnHide'> {
  /** Tabs with the same name share one session. Default: the URL. */
  name?: string
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
  /** A tab came; the leader tells it how things are. */
  | { type: 'joined', tab: string }
  | { type: 'welcome', tab: string, state: ConnectionState, progress: Progress }
  /** A tab has become the leader: events that it may not have heard of are told again. */
  | { type: 'leading' }

/**
 * Connects as `connect` does, with one stream, and so one session and its state, for all tabs of this origin.
 *
 * One tab leads: it has the stream, and hands on what comes. When it goes, another takes over and resumes the
 * session. A tab that joins later hears nothing of what was before: its first `open` has the reason `'joined'`
 * and the verdict `gap`. Where there are no Web Locks or no BroadcastChannel, it is as `connect`.
 */
export function connectShared<Contract extends AnyContract = AnyContract> (url: string | URL, given: SharedOptions<Contract> = {}): Connection<Contract> {
  const options = resolveNumbers(given, defaults) as SharedOptions<Contract> & Pick<Settings, 'maxQueued'>
  if (globalThis.navigator?.locks === undefined || globalThis.BroadcastChannel === undefined) return connect<Contract>(url, options)
  const lockName = `fastify-tether shared ${options.name ?? String(url)}`
  const { maxQueued, onError = (error) => setTimeout(() => { throw error }), signal } = options
  const tab = crypto.randomUUID()
  const channel = new BroadcastChannel(lockName)
  const [on, call] = createListeners(onError)
  const life = new AbortController()
  let state: ConnectionState = 'connecting'
  let session: string | undefined
  /** Number of the last update received; undefined before this tab has heard of any session. */
  let seq: number | undefined
  let accepted = 0
  let doubtful = 0
  /** While `setup` has not come to its end in the session: what it is told. */
  let setupDue: Verdict | undefined
  let order: SharedEvent[] = []
  /** By tab, how many of its events a leader has taken in: all are taken once and in its order, however often it tells of them. */
  const taken: Record<string, number> = {}
  /** What this tab emitted and has not been settled. */
  const own = new Map<string, { event: SharedEvent, resolve: () => void, reject: (error: Error) => void }>()
  let leading: Connection | undefined
  let release = () => {}
  let counter = 0

  const tell = (message: Message) => {
    if (!life.signal.aborted) channel.postMessage(message)
  }

  const become = (next: ConnectionState, detail: StateDetail, of: string | undefined) => {
    state = next
    if (next === 'open' && of !== undefined) {
      // A new leader may have resumed from a little earlier than this tab.
      seq = of === session && detail.verdict === 'resumed' ? Math.max(seq ?? 0, detail.seq!) : detail.seq!
      if (of !== session) accepted = doubtful = 0
      session = of
      if (options.setup && /new|expired/.test(detail.verdict!)) setupDue = detail.verdict
    }
    call(stateChange, next, detail)
  }

  const update = (of: string, number: number, name: string, data: unknown) => {
    // Told twice, when a new leader resumed from a little earlier.
    if (of !== session || seq === undefined || number <= seq) return
    seq = number
    call(name, data)
    call(anyUpdate, { name, data })
  }

  const settle = (id: string, error: ErrorFields | undefined) => {
    const index = order.findIndex((event) => event.id === id)
    if (index >= 0) {
      order.splice(index, 1)
      if (index < doubtful) {
        doubtful--
        accepted++
      }
    }
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
    const finish = (error?: ErrorFields) => {
      // A leader that leaves has not settled what its successor will send.
      if (life.signal.aborted) return
      tell({ type: 'settled', id, error })
      settle(id, error)
    }
    leading!.emit(name as never, data as never).then(() => finish(), ({ code, message, status, errors }: ClientError) => finish({ code: code!, message, status: status!, errors: errors! }))
  }

  const lead = () => {
    const resume = session === undefined ? undefined : { session, seq, accepted, doubtful, setupDue }
    const connectOptions: ConnectOptions<Contract> & InnerOptions = {
      ...options,
      onReady: () => {
        setupDue = undefined
        tell({ type: 'ready' })
      },
      ...(resume !== undefined && { resume }),
      link: (path, linkOptions) => {
        const { open, send } = (options.link ?? sseLink)(path, linkOptions)
        return {
          open,
          send: async (claim, body, keepalive) => {
            // What `setup` emits is not of those that others know.
            if (body !== '' && setupDue !== undefined) return send(claim, body, keepalive)
            if (body !== '') {
              // What was settled just now is told first: it is not of those that are marked.
              await null
              const envelopes = [JSON.parse(body)].flat() as Array<{ seq: number }>
              const message: Message = { type: 'marked', session: claim.session!, accepted: envelopes[0]!.seq - 1, count: envelopes.length }
              tell(message)
              marked(message.accepted, message.count)
            } else if ((await navigator.locks.query()).pending?.some(({ name }) => name === lockName)) {
              // The session goes on in another tab.
              return { status: 202 }
            }
            return send(claim, body, keepalive)
          }
        }
      }
    }
    const connection: Connection = connect(url, connectOptions) as Connection<any>
    leading = connection
    let count = seq ?? 0
    connection.onState((next, detail) => {
      if (life.signal.aborted) return
      if (next === 'open') count = detail.seq!
      const told = { ...detail, cause: undefined }
      tell({ type: 'state', state: next, detail: told, session: connection.session })
      become(next, detail, connection.session)
      if (next === 'closed') close()
    })
    connection.onGap((next) => {
      count = next
      tell({ type: 'gap', seq: next })
      gap(next)
    })
    connection.on(anyUpdate as never, (({ name, data }: { name: string, data: unknown }) => {
      count++
      tell({ type: 'update', session: connection.session!, seq: count, name, data })
      update(connection.session!, count, name, data)
    }) as never)
    for (const event of order) forward(event)
    tell({ type: 'leading' })
    for (const { event } of own.values()) take(event)
  }

  const marked = (first: number, count: number) => {
    const ahead = first - accepted
    // Behind others that are on their way.
    if (ahead >= 0 && ahead <= doubtful) doubtful = Math.max(doubtful, ahead + count)
    else {
      accepted = first
      doubtful = count
    }
  }

  const gap = (next: number) => {
    seq = next
    call(gapFound, next)
  }

  channel.onmessage = ({ data: message }: MessageEvent<Message>) => {
    switch (message.type) {
      case 'emit':
        if (leading !== undefined) take(message.event)
        else {
          const [from, number] = placeOf(message.event)
          // Nobody may have heard it who leads: the next leader is to begin with it.
          taken[from] ??= number - 1
        }
        break
      case 'ordered':
        if (order.every(({ id }) => id !== message.event.id)) put(message.event)
        break
      case 'marked':
        if (message.session === session) marked(message.accepted, message.count)
        break
      case 'settled':
        settle(message.id, message.error)
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
      case 'joined':
        if (leading !== undefined) tell({ type: 'welcome', tab: message.tab, state, progress: { order, taken, resume: session === undefined ? undefined : { session, seq, accepted, doubtful, setupDue } } })
        break
      case 'welcome': {
        if (message.tab !== tab) break
        const { order: waiting, resume } = message.progress
        Object.assign(taken, message.progress.taken)
        order = [...waiting, ...order.filter(({ id }) => waiting.every((event) => event.id !== id))]
        if (seq !== undefined || resume === undefined) break
        become(message.state, { verdict: 'gap', reason: 'joined', seq: resume.seq! }, resume.session)
        session = resume.session
        seq = resume.seq
        accepted = resume.accepted ?? 0
        doubtful = resume.doubtful ?? 0
        setupDue = resume.setupDue
        break
      }
      case 'leading':
        for (const { event } of own.values()) tell({ type: 'emit', event })
    }
  }

  const close = () => {
    if (life.signal.aborted) return
    life.abort()
    channel.close()
    if (state !== 'closed') {
      state = 'closed'
      call(stateChange, 'closed', { reason: 'closed' })
    }
    leading?.close()
    release()
    for (const [id, { reject }] of own) {
      reject(new ClientError({ code: order.some((event) => event.id === id) ? 'TETHER_IN_DOUBT' : 'TETHER_CLOSED' }))
    }
    own.clear()
  }

  tell({ type: 'joined', tab })
  navigator.locks.request(lockName, { signal: life.signal }, () => {
    if (life.signal.aborted) return
    lead()
    return new Promise<void>((resolve) => { release = resolve })
  }).catch(() => {})
  signal?.addEventListener('abort', close, { signal: life.signal })
  if (signal?.aborted === true) close()

  return {
    get session () { return session },
    get state () { return state },
    ...createListening(on, () => life.signal.aborted, () => {}),
    emit: (name: string, data: unknown = {}): Promise<void> => {
      const promise = new Promise<void>((resolve, reject) => {
        if (life.signal.aborted) throw new ClientError({ code: 'TETHER_CLOSED' })
        if (own.size >= maxQueued) throw new ClientError({ code: 'TETHER_QUEUE_FULL' })
        const copy = JSON.parse(JSON.stringify(data)) as unknown
        const event = { id: `${tab} ${++counter}`, name, data: copy }
        own.set(event.id, { event, resolve, reject })
        if (leading !== undefined) take(event)
        else tell({ type: 'emit', event })
      })
      promise.catch(() => {})
      return promise
    },
    close
  } as Connection<Contract>
}

function placeOf ({ id }: SharedEvent): [tab: string, number: number] {
  const [tab, number] = id.split(' ') as [string, string]
  return [tab, Number(number)]
}
