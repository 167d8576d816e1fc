// A process with one node of an application. It joins when it is asked to, so that processes can be started beforehand.
import { once } from 'node:events'
import { openSync, writeSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createHttp2Server, type Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { unpackRecord } from '../../../plugin/cluster/session-record.ts'
import type { EngineSource } from '../../../plugin/entries/contract-tests.ts'
import tether, { defineContract, text, type Session } from '../../../plugin/index.ts'
import { Random } from '../harness/random.ts'
import { engineAt, application } from './engines.ts'
import { leaseMs, urls, type DiaryLine, type Load, type NodeTruth, type Persist, type Ports, type Told } from './messages.ts'

const contract = defineContract({
  events: { act: Type.Object({ page: Type.Integer(), k: Type.Integer() }) },
  updates: {
    own: Type.Object({ n: Type.Integer() }),
    line: text(),
    all: Type.Object({ from: Type.String(), n: Type.Integer(), at: Type.Number(), padding: Type.String() }),
    snapshot: Type.Object({ own: Type.Integer() })
  }
})

interface State { own: number, last: number, isRunning: boolean }
type ChaosSession = Session<State, typeof contract.updates>

const [meeting, diaryPath, persist] = process.argv.slice(2) as [string, string, ...Persist[]]
const diary = openSync(diaryPath, 'a')
const complaints: string[] = []
const note = (line: DiaryLine) => { writeSync(diary, `${JSON.stringify(line)}\n`) }
const now = () => performance.timeOrigin + performance.now()

function complain (what: string): void {
  if (complaints.length < 20) complaints.push(what)
}

process.on('unhandledRejection', (reason) => complain(`unhandled rejection: ${String((reason as Error)?.stack ?? reason)}`))
process.on('uncaughtException', (error) => complain(`uncaught: ${error.stack}`))

/** What a node refuses with a 503 is logged like an error, and is none: the client comes again. */
function logged (line: string): void {
  const { res, err } = JSON.parse(line) as { res?: { statusCode: number }, err?: { statusCode?: number } }
  if (res?.statusCode !== 503 && err?.statusCode !== 503) complain(line.trim())
}

/** Beside the server of the application, with the same routes. */
let http2: Http2Server
const app = Fastify({
  logger: { level: 'error', stream: { write: logged } },
  forceCloseConnections: true,
  serverFactory: (handle) => {
    http2 = createHttp2Server(handle as never)
    return createServer(handle as RequestListener)
  }
})
const limits = {
  '/ample': { replayFrames: 1_000_000, replayBytes: 1_000_000_000, queueFrames: 1_000_000, queueBytes: 1_000_000_000, persist: 'move' },
  '/tight': { replayFrames: 16, queueFrames: 24, persist: 'detach' }
} as const

function mount (url: typeof urls[number]) {
  let sent = 0
  const live = app.tether.stateful<typeof contract.events, typeof contract.updates, State>(url, {
    contract,
    mode: 'both',
    upgrade: app.tether.websocket.upgrade({ retryMs: 10, heartbeatMs: 1_000 }),
    fallback: app.tether.sse.upgrade({ retryMs: 10, heartbeatMs: 1_000 }),
    reconnectMs: 600_000,
    replayAgeMs: 0,
    ...limits[url],
    ...persist === undefined ? {} : { persist },
    initialState: () => ({ own: 0, last: 0, isRunning: false }),
    on: {
      act: async (session, { page, k }) => {
        const { state } = session
        note({ is: 'ran', ref: session.ref, page, k })
        if (state.isRunning) note({ is: 'fault', what: `event ${k} of page ${page} ran while another did` })
        if (state.last > 0 && k !== state.last + 1) note({ is: 'fault', what: `event ${k} of page ${page} ran after ${state.last}` })
        state.last = k
        state.isRunning = true
        if (k % 7 === 0) await sleep(k % 3)
        sendOwn(session)
        state.isRunning = false
      }
    },
    onConnect: (session, { verdict, restored }) => {
      if (verdict === 'new' || verdict === 'expired') {
        note({ is: 'owns', ref: session.ref, at: now(), from: verdict })
        members.add(session)
      }
      // The first snapshot says from where on the page gets what the group gets.
      if (verdict !== 'resumed') session.send('snapshot', { own: session.state.own })
      if (restored !== null && session.state.isRunning) note({ is: 'fault', what: `a session was ${restored} while an event ran` })
    },
    onGap: (session) => { session.send('snapshot', { own: session.state.own }) },
    onRestore: (session, { from }) => { note({ is: 'owns', ref: session.ref, at: now(), from }) }
  })
  const members = live.group('members')

  function sendOwn (session: ChaosSession): void {
    const n = ++session.state.own
    if (n % 3 === 0) session.send('line', String(n))
    else session.send('own', { n })
  }

  return {
    live,
    broadcast: (padding: string) => {
      const data: Told = { from: app.tether.cluster!.node, n: ++sent, at: now(), padding }
      // Both go to every page, so their order shows.
      if (sent % 4 === 0) members.broadcast('all', data)
      else live.broadcast('all', data)
    },
    sendSome: (random: Random) => {
      const sessions = [...live.sessions]
      // A session that moves meanwhile refuses, and nothing has happened then.
      if (sessions.length > 0) random.pick(sessions).update(sendOwn).catch(() => {})
    }
  }
}

/** An engine that writes down which sessions this node takes, before their records say so. */
function telling (source: EngineSource): EngineSource {
  return {
    engineFor: (application) => {
      const engine = source.engineFor(application)
      const put = engine.put.bind(engine)
      const epochs = new Map<string, number>()
      engine.put = (key, value, ...rest) => {
        const record = unpackRecord(value)
        if (record?.status === 'live' && record.epoch !== epochs.get(key)) {
          epochs.set(key, record.epoch)
          note({ is: 'claims', ref: key, at: now() })
        }
        return put(key, value, ...rest)
      }
      return engine
    }
  }
}

let endpoints: Array<ReturnType<typeof mount>> = []
let timer: NodeJS.Timeout | undefined

async function start (): Promise<Ports> {
  await app.register(tether, { cluster: { engine: telling(await engineAt(JSON.parse(meeting))), name: application.name, logMs: application.logMs, leaseMs } })
  endpoints = urls.map(mount)
  await app.listen({ host: '127.0.0.1', port: 0 })
  await once(http2.listen(0, '127.0.0.1'), 'listening')
  let isIsolated = false
  setInterval(() => {
    const is = app.tether.cluster!.status === 'isolated'
    if (is && !isIsolated) note({ is: 'isolated' })
    isIsolated = is
  }, 20).unref()
  return { http1: (app.server.address() as AddressInfo).port, http2: (http2.address() as AddressInfo).port }
}

function load ({ seed, broadcastsPerSecond, sendsPerSecond, seconds: usual }: Load): void {
  const random = new Random(seed)
  const startedAt = performance.now()
  let [broadcasts, sends] = [0, 0]
  timer = setInterval(() => {
    const passed = (performance.now() - startedAt) / 1_000
    // A run that takes longer than it should goes on with less, and not without end.
    const seconds = Math.min(3 * usual, passed <= usual ? passed : usual + (passed - usual) / 5)
    for (; sends < seconds * sendsPerSecond; sends++) random.pick(endpoints).sendSome(random)
    while (broadcasts < seconds * broadcastsPerSecond) {
      const endpoint = random.pick(endpoints)
      for (let left = random.skewed(1, 12); left > 0; left--, broadcasts++) endpoint.broadcast('x'.repeat(random.skewed(0, 400)))
    }
  }, 5)
}

function truth (): NodeTruth {
  const sessions = endpoints.flatMap(({ live }) => [...live.sessions].map(({ ref, connected, stats, state: { own, last } }) => [ref, { own, last, connected, stats: JSON.stringify(stats) }]))
  const { status } = app.tether.cluster!
  return { sessions: Object.fromEntries(sessions), complaints, status: `${status} ${JSON.stringify(app.tether.cluster!.stats())}` }
}

async function run (call: string, argument: unknown): Promise<unknown> {
  switch (call) {
    case 'start': return await start()
    case 'load': return load(argument as Load)
    case 'stop':
      clearInterval(timer)
      await Promise.all(endpoints.map(({ live }) => live.synced()))
      return
    case 'truth': return truth()
    case 'nodes': return app.tether.cluster!.nodes().length
    case 'close':
      clearInterval(timer)
      await app.tether.drain({ retryMs: 0, spreadMs: 50 })
      http2.close()
      await app.close()
      for (const what of complaints) note({ is: 'fault', what })
  }
}

process.on('message', ({ id, call, argument }: { id: number, call: string, argument: unknown }) => {
  run(call, argument).then((result) => ({ id, result }), (error: Error) => ({ id, error: String(error.stack) })).then((answer) => {
    process.send?.(answer, () => { if (call === 'close') process.exit() })
  })
})
// A process whose parent is dead ends.
process.on('disconnect', () => { process.exit() })
