import { subscribe } from 'node:diagnostics_channel'
import { metrics, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { BatchSpanProcessor, InMemorySpanExporter, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import type { FastifyInstance } from 'fastify'
import inspector from 'fastify-tether/inspector'
import { otel, prometheus, traces } from 'fastify-tether/metrics'
import { Registry } from 'prom-client'

const scrapeMs = 5_000
const channels = [
  'tether:session.open', 'tether:session.close', 'tether:stream.open', 'tether:stream.close',
  'tracing:tether:command:start', 'tracing:tether:command:end', 'tracing:tether:command:asyncEnd', 'tracing:tether:command:error'
]

/** Turns on all that can look at an application, as in production: a scrape and an export every five seconds, each command traced. */
export async function openEyes (app: FastifyInstance): Promise<void> {
  for (const channel of channels) subscribe(channel, () => {})
  const register = new Registry()
  prometheus(app, { register })
  metrics.setGlobalMeterProvider(new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE), exportIntervalMillis: scrapeMs })]
  }))
  otel(app, metrics.getMeter('benchmark'))
  const spans = new InMemorySpanExporter()
  new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(spans)] }).register({ contextManager: new AsyncLocalStorageContextManager().enable() })
  traces(app, trace.getTracer('benchmark'))
  await app.register(inspector, { authorize: () => true })
  setInterval(() => {
    spans.reset()
    register.metrics().catch(() => {})
  }, scrapeMs).unref()
}
