import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { arch, cpus, hostname, platform, release, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import tether, { type ClusterOptions, type Session } from 'fastify-tether'
import { askNodes } from './ask-nodes.ts'
import { contract, type Stats } from './contract.ts'
import { HostMetrics } from './host-metrics.ts'
import { machineSources } from './machine-sources.ts'
import { feedNodes } from './node-feed.ts'
import { fillLine } from './padding.ts'
import { RateWindow } from './rate-window.ts'
import { feedSeries } from './series-feed.ts'

const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

const statsEveryMs = 500

// Long enough to see the page's reaction.
const cutForMs = 3000

/** A session's state. */
interface Tab {
  /** Whether the page has reported that it stopped reading. */
  isSlow: boolean
}

/** Makes the dashboard one of several nodes. */
export interface NodeOptions {
  cluster: ClusterOptions
  /** Called once somebody wants a new node in the place of this one. */
  replace: () => void
}

type TabSession = Session<Tab, typeof contract.updates>

/**
 * The dashboard as a Fastify instance that does not listen yet.
 *
 * @param several what it needs as one of several nodes; it is the only one without
 */
export async function buildDashboard (several?: NodeOptions): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: process.env.LOG_LEVEL ?? 'warn' },
    // A browser connects ahead of its requests: `close` would wait for such a connection until the browser ends it.
    forceCloseConnections: true
  })

  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'content-security-policy': contentSecurityPolicy,
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff'
    })
  })

  const publicFolder = join(import.meta.dirname, 'public')
  const uplotFolder = directoryOf(import.meta.resolve('uplot/package.json'))
  const { version } = JSON.parse(await readFile(join(uplotFolder, 'package.json'), 'utf8')) as { version: string }
  // With its version in the URL, a browser need not ask for it again.
  const uplotPrefix = `/uplot/${version}/`
  const page = (await readFile(join(publicFolder, 'index.html'), 'utf8')).replaceAll('/uplot/', uplotPrefix)
  for (const url of ['/', '/index.html']) {
    app.get(url, async (request, reply) => reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache').send(page))
  }
  // Browsers cache these files and check them by ETag.
  await app.register(fastifyStatic, { root: publicFolder, index: false, maxAge: 0 })
  await app.register(fastifyStatic, { root: directoryOf(import.meta.resolve('fastify-tether/client')), prefix: '/fastify-tether/client/', maxAge: 0, decorateReply: false })
  await app.register(fastifyStatic, { root: join(uplotFolder, 'dist'), prefix: uplotPrefix, maxAge: '365d', immutable: true, decorateReply: false })
  await app.register(tether, several === undefined ? {} : { cluster: several.cluster })
  const { cluster } = app.tether

  const updates = new RateWindow(1000)
  const metrics = new HostMetrics([
    ...machineSources(),
    {
      series: ['plugin'],
      everyMs: 100,
      read (at) {
        const { sessions, streams, framesWritten } = app.tether.stats()
        const [perSecond] = updates.perSecond(at, [framesWritten]) ?? []
        return perSecond === undefined ? {} : { plugin: [sessions, streams, perSecond] }
      }
    }
  ])

  const isOfSession = ({ url }: FastifyRequest) => url.startsWith('/live')

  /** Until when cut lines stay away, by `ref` of their sessions. */
  const away = new Map<string, number>()
  const keepAway = ({ ref, until }: { ref: string, until: number }) => {
    away.set(ref, until)
    setTimeout(() => away.delete(ref), until - Date.now()).unref()
  }
  cluster?.on('line.cut', keepAway)

  // A line that was cut stays away for a moment, for this tab's requests alone, at whatever node they arrive.
  app.addHook('onRequest', async (request) => {
    if (away.size === 0 || !isOfSession(request)) return
    const forMs = (away.get(await refOf(request) ?? '') ?? 0) - Date.now()
    if (forMs > 0) await sleep(forMs, undefined, { ref: false })
  })

  /** The connections of the sessions that this node has. */
  const lines = new WeakMap<TabSession, Socket>()

  const live = app.tether.stateful('/live', {
    contract,
    // Stats go out twice a second: a page that gets nothing for some seconds has lost its connection.
    upgrade: app.tether.sse.upgrade({ heartbeatMs: 5000 }),
    // Enough for all the padding on its way to a page that has stopped reading, if its connection is cut:
    // some ten megabytes, and more with a proxy between.
    replayFrames: 4096,
    replayBytes: 64 * 1024 * 1024,
    // In a cluster, a tab keeps its session when its node is killed.
    persist: 'command',
    initialState: (): Tab => ({ isSlow: false }),
    on: {
      'notice.send': (session, { text }, { live }) => {
        live.broadcast('notice', { text, from: shortened(session.id), t: Date.now() })
        return { tabs: live.group('tabs').size }
      },
      'slow.begin': (session) => {
        session.state.isSlow = true
        // Not awaited: it takes as long as the page reads nothing, and a handler holds up later commands.
        // Without a stream nothing blocks, and padding would displace the updates that wait for the page.
        fillLine((text) => session.send('padding', { text }), () => session.state.isSlow && session.connected)
      },
      'slow.end': (session) => {
        session.state.isSlow = false
        return statsOf(session)
      },
      'line.cut': (session) => {
        const cut = { ref: session.ref, until: Date.now() + cutForMs }
        keepAway(cut)
        cluster?.emit('line.cut', cut)
        lines.get(session)?.destroy()
      },
      'node.replace': (_session, { name }) => cluster?.emit('node.replace', name),
      'node.kill': (_session, { name }) => cluster?.emit('node.kill', name)
    },
    topics: {
      nodes: {
        authorize: () => cluster !== null,
        start: (_params, { publish, signal }) => feedNodes(cluster!, publish, signal)
      },
      series: {
        // Each node has a producer of its own, the default: some figures are those of its process. And a node that is killed stops
        // the charts of its own tabs alone.
        start: ({ name, perSecond }, { publish, signal }) => feedSeries(metrics, name, perSecond, publish, signal)
      }
    },
    onConnect: (session, { request, live }) => {
      const isNewHere = !lines.has(session)
      lines.set(session, request.raw.socket)
      session.send('host', { ...host(metrics), ...cluster !== null && { holder: cluster.node } })
      if (!isNewHere) return
      live.group('tabs').add(session)
      // What this tick has queued is no backlog.
      const timer = setInterval(() => setImmediate(() => session.send('stats', statsOf(session))), statsEveryMs)
      session.signal.addEventListener('abort', () => {
        session.state.isSlow = false
        clearInterval(timer)
      })
    }
  })

  const sessionOf = ({ headers }: FastifyRequest): TabSession | undefined => live.get(String(headers['x-tether-session']))

  const refOf = async (request: FastifyRequest) =>
    sessionOf(request)?.ref ?? (await live.find(String(request.headers['x-tether-session'])).catch(() => null))?.ref

  const figuresOf = (session: TabSession | undefined) => session && { ...statsOf(session), connected: session.connected }
  const askOthers = cluster && askNodes(cluster, 'figures', (ref) => figuresOf([...live.sessions].find((session) => session.ref === ref)))

  // A page that has stopped reading its stream asks here how it looks from the server.
  app.get('/figures', async (request, reply) => {
    const ref = askOthers === null || sessionOf(request) !== undefined ? undefined : await refOf(request)
    const figures = ref === undefined ? figuresOf(sessionOf(request)) : await askOthers?.(ref)
    return reply.code(figures === undefined ? 404 : 200).header('cache-control', 'no-store').send(figures ?? {})
  })

  cluster?.on('node.replace', (name) => { if (name === cluster.node) several?.replace() })
  cluster?.on('node.kill', (name) => { if (name === cluster.node) process.kill(process.pid, 'SIGKILL') })

  app.addHook('onReady', async () => metrics.start())
  app.addHook('onClose', async () => metrics.stop())
  return app
}

function host (metrics: HostMetrics) {
  const processors = cpus()
  return {
    name: hostname(),
    system: `${platform()} ${release()} ${arch()}`,
    processor: processors[0]?.model.trim() ?? '',
    cores: processors.length,
    memoryBytes: totalmem(),
    node: process.version,
    series: metrics.series
  }
}

function statsOf (session: TabSession): Stats {
  const { framesWritten, queuedFrames, conflated, queuedCommands, stalled, stalls, stalledMs } = session.stats
  return { frames: framesWritten, queued: queuedFrames, conflated, commands: queuedCommands, stalled, stalls, stalledMs }
}

function directoryOf (url: string): string {
  return dirname(fileURLToPath(url))
}

// A session's id is the key to it; others see only enough to tell tabs apart.
function shortened (id: string): string {
  return id.slice(0, 6)
}
