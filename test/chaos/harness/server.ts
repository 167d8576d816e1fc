// The servers of a chaos run, one for each protocol, in a process of their own: sessions under four sets of limits.
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import tether, { conflate, defineContract, text, type Session, type StatefulConfig, type TetherStats, type UpgradeOptions } from '../../../plugin/index.ts'
import { certificate } from '../../e2e/harness/certificate.ts'
import { streamKinds, type Notice, type Order, type ServerProtocol, type StreamKind } from './messages.ts'
import type { SentSoFar, Truth } from '../../../plugin/entries/contract-tests.ts'
import { Random } from './random.ts'

const numbers = Type.Record(Type.String(), Type.Integer())

const contract = defineContract({
  events: {
    join: Type.Object({}),
    ask: Type.Object({}),
    act: Type.Object({ k: Type.Integer() })
  },
  updates: {
    own: Type.Object({ n: Type.Integer(), all: Type.Integer(), padding: Type.String() }),
    line: text(),
    all: Type.Object({ n: Type.Integer(), padding: Type.String() }),
    value: conflate(Type.Object({ series: Type.String(), v: Type.Integer(), own: Type.Integer(), all: Type.Integer() }), ({ series }) => series),
    snapshot: Type.Object({ own: Type.Integer(), all: Type.Integer(), values: numbers })
  }
})

type Config = StatefulConfig<typeof contract.events, typeof contract.updates, State>
type Limits = Partial<Pick<Config, 'replayFrames' | 'replayBytes' | 'queueFrames' | 'queueBytes' | 'onOverflow'>>

interface State {
  /** Number of streams of the session, by kind. */
  streams: Record<StreamKind, number>
  joined: boolean
  own: number
  values: Record<string, number>
  ran: number
  isRunning: boolean
  faults: string[]
}

const plenty = { replayFrames: 1_000_000, replayBytes: 1_000_000_000, queueFrames: 1_000_000, queueBytes: 1_000_000_000 }

/** By path: the limits, the length of the longest updates, and the compression of event streams. */
const kinds: Record<string, { limits: Limits, longest: number, compression?: NonNullable<UpgradeOptions['compression']> }> = {
  /** No update may be lost. */
  '/ample': { limits: plenty, longest: 2_000 },
  /** A client that is away for long gets a gap. */
  '/tight': { limits: { replayFrames: 16, queueFrames: 24 }, longest: 500 },
  /** A client that does not read for long gets a gap within the stream. */
  '/lossy': { limits: { ...plenty, queueBytes: 262_144, onOverflow: 'dropOldest' }, longest: 100_000 },
  /** The same as `/ample`, with a compressor for each stream. */
  '/own': { limits: plenty, longest: 2_000, compression: { own: 'all', encodings: ['br', 'gzip'] } }
}

const complaints: string[] = []

function noStreams (): Record<StreamKind, number> {
  return Object.fromEntries(streamKinds.map((kind) => [kind, 0])) as Record<StreamKind, number>
}

function complain (what: string): void {
  if (complaints.length < 20) complaints.push(what)
}

process.on('unhandledRejection', (reason) => complain(`unhandled rejection: ${String((reason as Error)?.stack ?? reason)}`))
process.on('uncaughtException', (error) => complain(`uncaught: ${error.stack}`))

const { cert, key } = certificate()
const options: Record<ServerProtocol, object> = { 'http/1.1': {}, h2c: { http2: true }, h2: { http2: true, https: { cert, key } } }

const apps = await Promise.all(Object.entries(options).map(async ([protocol, own]) => {
  const app = Fastify({ logger: { level: 'error', stream: { write: (line: string) => complain(line.trim()) } }, ...own }) as FastifyInstance
  await app.register(tether)
  app.get('/page', (_request, reply) => reply.type('text/html').send('<!doctype html><title>chaos</title>'))
  return { protocol, app, urls: mount(app, protocol === 'http/1.1') }
}))
const urls = apps.flatMap(({ urls }) => urls)

function mount (app: FastifyInstance, hasWebSockets: boolean) {
  return Object.entries(kinds).map(([path, { limits, longest, compression = true }]) => {
    let all = 0
    const sentTo = ({ state }: Session<State>): SentSoFar => ({ own: state.own, all: state.joined ? all : 0, values: state.values })
    const live = app.tether.stateful<typeof contract.events, typeof contract.updates, State>(path, {
      contract,
      ...hasWebSockets ? { mode: 'both', upgrade: app.tether.websocket.upgrade({ retryMs: 20, heartbeatMs: 2_000 }) } : {},
      fallback: app.tether.sse.upgrade({ retryMs: 20, heartbeatMs: 2_000, compression }),
      reconnectMs: 600_000,
      replayAgeMs: 0,
      ...limits,
      initialState: () => ({ streams: noStreams(), joined: false, own: 0, values: {}, ran: 0, isRunning: false, faults: [] }),
      on: {
        join: (session) => {
          if (session.state.joined) session.state.faults.push('joined twice')
          session.state.joined = true
          joined.add(session)
          session.send('snapshot', sentTo(session))
        },
        ask: (session) => { session.send('snapshot', sentTo(session)) },
        act: async (session, { k }) => {
          const { state } = session
          if (state.isRunning) state.faults.push(`event ${k} ran while another did`)
          state.isRunning = true
          if (k !== state.ran + 1) state.faults.push(`event ${k} ran after ${state.ran}`)
          state.ran = k
          if (k % 7 === 0) await sleep(k % 3)
          sendOwn(session, '')
          state.isRunning = false
        }
      },
      onConnect: (session, { verdict, protocol }) => {
        const { connected, stats: { compression } } = session
        if (protocol === 'websocket') session.state.streams.websocket++
        // The encoding of a lost stream is unknown.
        else if (connected) session.state.streams[(compression?.encoding ?? 'identity') as StreamKind]++
        if (verdict === 'gap') session.send('snapshot', sentTo(session))
      }
    })
    const joined = live.group('joined')

    function sendOwn (session: Session<State, typeof contract.updates>, padding: string): void {
      const n = ++session.state.own
      if (n % 3 === 0) session.send('line', `${n}\n${all}\n${padding}`)
      else session.send('own', { n, all, padding })
    }

    return {
      joined,
      longest,
      sendOwn,
      sendValue: (session: Session<State, typeof contract.updates>, series: string) => {
        const { values, own } = session.state
        const v = values[series] = (values[series] ?? 0) + 1
        session.send('value', { series, v, own, all })
      },
      broadcast: (padding: string) => joined.broadcast('all', { n: ++all, padding }),
      streams: () => [...joined].map((session): [string, Record<StreamKind, number>] => [session.id, session.state.streams]),
      truth: () => [...joined].map((session): [string, Truth] => [session.id, { ...sentTo(session), ran: session.state.ran, faults: session.state.faults }])
    }
  })
}

let updates = 0
let isDone = true

/** Sends in bursts, spread over the given time. */
function send (wanted: number, withinMs: number, seed: number): void {
  const random = new Random(seed)
  const startedAt = performance.now()
  let sent = 0
  isDone = false
  const timer = setInterval(() => {
    const due = Math.min(wanted, wanted * (performance.now() - startedAt) / withinMs)
    while (sent < due) sent += burst(random, wanted - sent)
    if (sent < wanted) return
    clearInterval(timer)
    isDone = true
  }, 10)
}

/** Sends one burst. Returns the number of updates sent. */
function burst (random: Random, most: number): number {
  // Every session is equally likely.
  const url = random.pick(urls.flatMap((each) => new Array(each.joined.size).fill(each) as Array<typeof each>))
  if (url === undefined) return 0
  const { joined } = url
  const session = random.pick([...joined])
  if (session === undefined) return 0
  if (joined.size <= most && random.chance(0.08)) {
    // Updates of one turn are compressed together.
    const padding = paddingOf(random, Math.min(url.longest, 2_000))
    let sent = 0
    for (let left = random.skewed(1, 6); left > 0 && sent + joined.size <= most; left--) sent += url.broadcast(padding)
    updates += sent
    return sent
  }
  const length = Math.min(most, random.skewed(1, 30))
  updates += length
  for (let count = 0; count < length; count++) {
    if (random.chance(0.3)) url.sendValue(session, `series ${random.integer(1, 5)}`)
    else url.sendOwn(session, random.chance(0.3) ? paddingOf(random, url.longest) : '')
  }
  return length
}

function paddingOf (random: Random, longest: number): string {
  if (random.chance(0.3)) return random.pick(['\r\n', '\nid: 7', '\n\n', '\ndata: ']).repeat(random.integer(1, 20))
  return random.pick(['x', 'ä', '😀']).repeat(random.skewed(1, longest / 4))
}

function tell (notice: Notice): void {
  process.send!(notice)
}

process.on('message', (order: Order) => {
  if (order.type === 'send') return send(order.updates, order.withinMs, order.seed)
  if (order.type === 'stop') {
    Promise.all(apps.map(({ app }) => app.close())).then(() => process.disconnect())
    return
  }
  const stats = apps.map(({ app }) => app.tether.stats())
  const total = (figure: (of: TetherStats) => number) => stats.reduce((sum, of) => sum + figure(of), 0)
  tell({
    type: 'report',
    report: {
      sessions: Object.fromEntries(urls.flatMap(({ truth }) => truth())),
      streams: Object.fromEntries(urls.flatMap(({ streams }) => streams())),
      sharedBlocks: total(({ compression }) => compression.sharedBlocks),
      updates,
      isDone,
      complaints,
      conflated: total(({ conflated }) => conflated),
      dropped: total(({ dropped }) => dropped),
      overflowDisconnects: total(({ overflowDisconnects }) => overflowDisconnects),
      stalls: total(({ stalls }) => stalls)
    }
  })
})
process.on('disconnect', () => process.exit())

const ports = Object.fromEntries(await Promise.all(apps.map(async ({ protocol, app }) => {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return [protocol, (app.server.address() as AddressInfo).port]
}))) as Record<ServerProtocol, number>
tell({ type: 'listening', ports, cert })
