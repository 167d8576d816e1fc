import { ArgumentError } from '../../schemas/errors.ts'
import { distributions, figuresOf, prometheusName, View, type LabelLimits } from './catalogue.ts'
import { Histogram } from './histogram.ts'
import { Samples } from './samples.ts'
import type { Subject } from './subject.ts'

/** A registry of prom-client, or anything of its shape. */
export interface PrometheusRegister {
  /** Takes a metric, and asks it by `get()` at each scrape. */
  registerMetric: (metric: any) => void
  getSingleMetric: (name: string) => unknown
  removeSingleMetric: (name: string) => void
}

/** One metric, in the shape that prom-client's registry reads. */
class Metric {
  name: string
  readonly help: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  /** How prom-client's own cluster mode joins the figures of several processes. */
  readonly aggregator: 'sum' | 'max'
  readonly #values: () => object[]
  readonly #reset: () => void

  constructor (name: string, help: string, type: Metric['type'], values: () => object[], { aggregator = 'sum', reset = () => {} }: { aggregator?: Metric['aggregator'], reset?: () => void } = {}) {
    this.name = name
    this.help = help
    this.type = type
    this.aggregator = aggregator
    this.#values = values
    this.#reset = reset
  }

  async get (): Promise<object> {
    const { name, help, type, aggregator } = this
    return { name, help, type, aggregator, values: this.#values() }
  }

  /** For `register.resetMetrics()`. What the plugin itself counts goes on. */
  reset (): void {
    this.#reset()
  }
}

/**
 * Adds the figures of a plugin to a registry.
 *
 * @returns the function that takes them out again
 * @throws `FST_ERR_TETHER_ARGUMENT` for what is no registry, or has such figures already
 */
export function exportToPrometheus (subject: Subject, register: PrometheusRegister, limits: LabelLimits): () => void {
  for (const method of ['registerMetric', 'getSingleMetric', 'removeSingleMetric'] as const) {
    if (typeof (register as Partial<PrometheusRegister> | null | undefined)?.[method] !== 'function') throw new ArgumentError('prometheus() needs "register", a registry of prom-client: its "register", or a "new Registry()"')
  }
  const view = new View(subject, limits)
  const metrics = figuresOf(subject).map((figure) => {
    const isCounter = figure.kind === 'counter'
    const values = () => {
      const samples = new Samples()
      figure.read(view, samples)
      return [...samples]
    }
    return new Metric(prometheusName(figure, isCounter), figure.help, isCounter ? 'counter' : 'gauge', values, { aggregator: figure.kind === 'gauge' ? 'max' : 'sum' })
  })
  const histograms = new Map<string, Histogram>()
  for (const distribution of Object.values(distributions)) {
    const name = prometheusName(distribution)
    const histogram = new Histogram(distribution.buckets)
    histograms.set(distribution.name, histogram)
    metrics.push(new Metric(name, distribution.help, 'histogram', () => [...histogram.samples(name)], { reset: () => { histogram.reset() } }))
  }
  // In the format of OpenMetrics, the registry of prom-client changes the names of its counters.
  const names = metrics.map(({ name }) => name)
  const taken = names.find((name) => register.getSingleMetric(name) !== undefined)
  if (taken !== undefined) throw new ArgumentError(`the registry has "${taken}" already: each application needs a registry of its own`)
  for (const metric of metrics) register.registerMetric(metric)
  const stop = subject.runtime.watch.add(view.observer(({ name }, seconds, labels) => { histograms.get(name)!.record(seconds, labels) }))
  return () => {
    stop()
    for (const name of names) register.removeSingleMetric(name)
  }
}
