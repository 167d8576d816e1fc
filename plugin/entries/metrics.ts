import { defaults } from '../../schemas/defaults.ts'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import { optionGroups } from '../../schemas/options.ts'
import type { Tether } from '../app/api.ts'
import { observedOf } from '../app/observed.ts'
import { OptionValidator } from '../app/option-validator.ts'
import type { LabelLimits } from '../eyes/catalogue.ts'
import { exportToOtel, type OtelMeter } from '../eyes/otel.ts'
import { exportToPrometheus, type PrometheusRegister } from '../eyes/prometheus.ts'
import type { OtelTracer } from '../eyes/trace-link.ts'
import { traceCommands } from '../eyes/traces.ts'

export type { OtelMeter, OtelTracer, PrometheusRegister }

/** Limits on the labels of figures. */
export interface MetricsOptions extends OptionsOf<typeof optionTable.metrics> {}

/** Options of `prometheus(app, options)`. */
export interface PrometheusOptions extends MetricsOptions {
  /** A registry of prom-client, or anything of its shape; that of fastify-metrics is `app.metrics.client.register`. */
  register: PrometheusRegister
}

/** Any instance with the plugin, whatever its server and logger. */
interface App { readonly tether: Tether }

const validator = new OptionValidator(optionGroups.metrics)

function limitsOf (options: MetricsOptions): LabelLimits {
  validator.check(options)
  const { maxUrls, maxNames } = defaults.metrics
  return { maxUrls: options.maxUrls ?? maxUrls, maxNames: options.maxNames ?? maxNames }
}

/**
 * Adds the figures of all sessions and streams to a registry of prom-client. Most are read at each scrape; durations are
 * recorded from now on.
 *
 * @returns a function that takes them out of the registry again
 * @throws `FST_ERR_TETHER_ARGUMENT` if the plugin is not registered on the application, if `register` is no registry, and
 * if the registry has such figures already; `FST_ERR_TETHER_OPTION` for an option that is not allowed.
 * @see docs/operations.md
 */
export function prometheus (app: App, options: PrometheusOptions): () => void {
  const { register, ...rest } = options ?? {}
  const limits = limitsOf(rest)
  return exportToPrometheus(observedOf(app, 'prometheus'), register, limits)
}

/**
 * Adds the same figures to a meter of `@opentelemetry/api`, which observes them at each export; durations are recorded
 * from now on.
 *
 * @returns a function that stops this
 * @throws as `prometheus` does
 * @see docs/operations.md
 */
export function otel (app: App, meter: OtelMeter, options: MetricsOptions = {}): () => void {
  const limits = limitsOf(options)
  return exportToOtel(observedOf(app, 'otel'), meter, limits)
}

/**
 * Gives each handler, hook and function of `session.update()` a span, which is active while it runs. Its parent is the span
 * that was active where the command was caused, such as that of the POST.
 *
 * @returns a function that stops this
 * @throws `FST_ERR_TETHER_ARGUMENT` if the plugin is not registered on the application, or if `tracer` is no tracer
 * @see docs/operations.md
 */
export function traces (app: App, tracer: OtelTracer): () => void {
  return traceCommands(observedOf(app, 'traces'), tracer)
}
