// A process with one node of an application, for the tests of what fails. It has a clock of its own, which may be wrong.
import { realpathSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import tether, { type EngineSource, type Handler } from '../../../plugin/index.ts'
import { contract, type LiveEvents, type LiveUpdates } from '../../../plugin/entries/contract-tests/live.ts'
import type { Answers, Calls, NodeSettings } from './weather-messages.ts'

const settings = JSON.parse(process.argv[2]!) as NodeSettings
const { clockShiftMs = 0 } = settings
const wallNow = Date.now
Date.now = () => wallNow() + clockShiftMs

interface State { said: string[] }

const app = Fastify({ forceCloseConnections: true, logger: { level: 'warn', stream: { write: (line: string) => { log.push(line) } } } })
const log: string[] = []
const hooks: string[] = []
const handlers: Record<string, Handler<State, LiveUpdates>> = {}
let load: { stop: () => void, done: Promise<number> } | null = null

async function engineOf ({ client, port, options }: NodeSettings['engine']): Promise<EngineSource> {
  if (client === 'nats') {
    const [{ connect }, { nats }] = await Promise.all([import('@nats-io/transport-node'), import('../../../plugin/entries/nats.ts')])
    return nats(() => connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 100 }), options)
  }
  if (client === 'local') {
    const { local } = await import('../../../plugin/entries/local.ts')
    return local({ ...options, directory: realpathSync(options.directory!) })
  }
  const { redis } = await import('../../../plugin/entries/redis.ts')
  const { deadlineMs, logBytes } = options
  const limits = { ...deadlineMs === undefined ? {} : { deadlineMs }, ...logBytes === undefined ? {} : { logBytes } }
  if (client === 'redis') {
    const { createClient, createCluster } = await import('redis')
    const url = `redis://127.0.0.1:${port}`
    return redis(settings.engine.isCluster === true ? createCluster({ rootNodes: [{ url }] }) : createClient({ url }), limits)
  }
  if (client === '@fastify/redis') {
    const { default: fastifyRedis } = await import('@fastify/redis')
    await app.register(fastifyRedis, { host: '127.0.0.1', port })
    await app.after()
    return redis(app.redis, limits)
  }
  const { Redis, Cluster } = client === 'iovalkey' ? await import('iovalkey') as unknown as typeof import('ioredis') : await import('ioredis')
  return redis(settings.engine.isCluster === true ? new Cluster([{ host: '127.0.0.1', port }]) : new Redis({ host: '127.0.0.1', port }), limits)
}

async function start (): Promise<number> {
  await app.register(tether, { ...settings.tether, cluster: { ...settings.cluster, engine: await engineOf(settings.engine) } })
  for (const persist of ['move', 'detach', 'never'] as const) {
    const url = `/${persist}`
    const note = (hook: string, ref: string) => { hooks.push(`${hook} ${ref}`) }
    const live = handlers[url] = app.tether.stateful<LiveEvents, LiveUpdates, State>(url, {
      contract,
      persist,
      fallback: app.tether.sse.upgrade({ retryMs: 20, ...settings.upgrade }),
      ...settings.live,
      initialState: () => ({ said: [] }),
      on: {
        ping: () => {},
        count: () => {},
        say: (session: { state: State }, { text }: { text: string }) => { session.state.said.push(text) }
      },
      onConnect: (session: { ref: string, send: (name: 'note', data: { text: string }) => unknown }, { verdict }: { verdict: string }) => {
        note(`onConnect ${verdict}`, session.ref)
      },
      onGap: (session: { ref: string, send: (name: 'note', data: { text: string }) => unknown }) => {
        note('onGap', session.ref)
        session.send('note', { text: 'snapshot' })
      },
      onClose: ({ ref }: { ref: string }) => { note('onClose', ref) }
    } as never) as Handler<State, LiveUpdates>
    live.group('some')
  }
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

function startLoad (url: string, prefix: string, everyMs: number): void {
  let count = 0
  const timer = setInterval(() => { handlers[url]!.broadcast('note', { text: `${prefix}:${count++}` }) }, everyMs)
  let settle!: (count: number) => void
  const done = new Promise<number>((resolve) => { settle = resolve })
  load = {
    done,
    stop () {
      clearInterval(timer)
      settle(count)
    }
  }
}

const sessionOf = (url: string, id: string) => handlers[url]!.get(id)

const answers: Answers = {
  start,
  status: () => app.tether.cluster!.status,
  stats: () => app.tether.cluster!.stats(),
  nodes: () => app.tether.cluster!.nodes().map(({ name }) => name),
  name: () => app.tether.cluster!.node,
  sessions: (url) => [...handlers[url]!.sessions].map(({ id }) => id),
  broadcast: (url, texts) => { for (const text of texts) handlers[url]!.broadcast('note', { text }) },
  synced: (url) => handlers[url]!.synced(),
  load: (url, prefix, everyMs) => { startLoad(url, prefix, everyMs) },
  stopLoad: () => {
    load!.stop()
    return load!.done
  },
  send: async (url, id, text) => {
    const session = sessionOf(url, id)
    return session !== undefined && await session.send('note', { text })
  },
  said: (url, id) => sessionOf(url, id)?.state.said ?? null,
  hooks: () => hooks,
  log: () => log,
  close: async () => {
    await app.tether.drain({ retryMs: 0, spreadMs: 50 })
    await app.close()
  }
}

process.on('message', ({ id, call, given }: { id: number, call: keyof Calls, given: never[] }) => {
  new Promise((resolve) => { resolve((answers[call] as (...args: never[]) => unknown)(...given)) }).then((result) => ({ id, result }), (error: Error) => ({ id, error: String(error.stack) })).then((answer) => {
    process.send?.(answer, () => { if (call === 'close') process.exit() })
  })
})
process.on('unhandledRejection', (reason) => { log.push(`unhandled rejection: ${String((reason as Error)?.stack ?? reason)}`) })
// A process whose parent is dead ends.
process.on('disconnect', () => { process.exit() })
