import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import tether from 'fastify-tether'
import { HostMetrics } from '../dashboard/host-metrics.ts'
import { machineSources } from '../dashboard/machine-sources.ts'
import { feedSeries } from '../dashboard/series-feed.ts'
import { serve } from '../support/serve.ts'
import { contract } from './contract.ts'

await serve(async () => {
  const app = Fastify({ forceCloseConnections: true })
  await app.register(fastifyStatic, { root: join(import.meta.dirname, 'dist') })
  await app.register(tether)
  const metrics = new HostMetrics(machineSources())
  app.tether.stateful('/live', {
    contract,
    on: { 'notice.send': (_session, { text }, { live }) => ({ tabs: live.broadcast('notice', { text }) }) },
    topics: { series: { start: ({ name, perSecond }, { publish, signal }) => feedSeries(metrics, name, perSecond, publish, signal) } }
  })
  app.addHook('onReady', async () => metrics.start())
  app.addHook('onClose', async () => metrics.stop())
  return app
}, 'The React example', 'npm run start:react')
