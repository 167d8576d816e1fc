import { arch, cpus, hostname, platform, release, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import Fastify, { type FastifyInstance } from 'fastify'
import tether from 'fastify-tether'
import { contract } from './contract.ts'
import { HostMetrics } from './host-metrics.ts'
import { linuxSources } from './linux-sources.ts'
import { portableSources } from './portable-sources.ts'
import { processSources } from './process-sources.ts'
import { RateWindow } from './rate-window.ts'
import { Tab } from './tab.ts'

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

/** The dashboard as a Fastify instance that does not listen yet. */
export async function buildDashboard (): Promise<FastifyInstance> {
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

  await app.register(fastifyStatic, {
    root: join(import.meta.dirname, 'public'),
    cacheControl: false
  })
  // Both are modules that a browser takes as they are.
  await app.register(fastifyStatic, { root: directoryOf(import.meta.resolve('uplot/dist/uPlot.esm.js')), prefix: '/uplot/', decorateReply: false })
  await app.register(fastifyStatic, { root: directoryOf(import.meta.resolve('fastify-tether/client')), prefix: '/fastify-tether/client/', decorateReply: false })
  await app.register(tether)

  const updates = new RateWindow(1000)
  const metrics = new HostMetrics([
    ...(platform() === 'linux' ? linuxSources() : portableSources()),
    ...processSources(),
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

  app.tether.stateful('/live', {
    contract,
    // Stats go out twice a second: a page that hears nothing for some seconds has lost its line.
    upgrade: app.tether.sse.upgrade({ writeBuffer: 16, heartbeatMs: 5000 }),
    initialState: () => new Tab(metrics),
    on: {
      'rate.set': (session, { perSecond }) => {
        session.state.change({ perSecond })
        session.send('settings', session.state.settings)
      },
      'series.set': (session, { series }) => {
        session.state.change({ series })
        session.send('settings', session.state.settings)
      },
      pause: (session) => {
        session.state.change({ paused: true })
        session.send('settings', session.state.settings)
      },
      resume: (session) => {
        session.state.change({ paused: false })
        session.send('settings', session.state.settings)
      },
      'notice.send': (session, { text }, { live }) => {
        live.broadcast('notice', { text, from: shortened(session.id), t: Date.now() })
      }
    },
    onConnect: (session) => {
      session.send('host', host(metrics))
      session.send('settings', session.state.settings)
      for (const series of session.state.settings.series) {
        const readings = metrics.since(series, session.state.leftAt)
        if (readings.length === 0) continue
        session.send('history', { series, t: readings.map(({ t }) => t), v: readings.map(({ v }) => v) })
      }
      session.state.start({
        sample: (series, { t, v }) => session.send('sample', { series, t, v }),
        stats: () => {
          const { framesWritten, queuedFrames, conflated, stalls, stalledMs } = session.stats
          session.send('stats', { frames: framesWritten, queued: queuedFrames, conflated, stalls, stalledMs })
        }
      })
    },
    onDisconnect: (session) => session.state.stop(),
    onClose: (session) => session.state.stop()
  })

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

function directoryOf (url: string): string {
  return dirname(fileURLToPath(url))
}

// A session's id is the key to it; others see only enough to tell tabs apart.
function shortened (id: string): string {
  return id.slice(0, 6)
}
