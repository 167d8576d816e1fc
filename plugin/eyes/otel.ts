import { ArgumentError } from '../../schemas/errors.ts'
import { distributions, figuresOf, View, type LabelLimits } from './catalogue.ts'
import { Samples } from './samples.ts'
import type { Subject } from './subject.ts'

type Attributes = Record<string, string>
interface InstrumentOptions { description?: string, unit?: string, advice?: { explicitBucketBoundaries?: number[] } }

/** The members that are used of a `Meter` of `@opentelemetry/api`, 1.9 or later. */
export interface OtelMeter {
  createHistogram: (name: string, options?: InstrumentOptions) => { record: (value: number, attributes?: Attributes) => void }
  createObservableGauge: (name: string, options?: InstrumentOptions) => any
  createObservableCounter: (name: string, options?: InstrumentOptions) => any
  createObservableUpDownCounter: (name: string, options?: InstrumentOptions) => any
  addBatchObservableCallback: (callback: (result: any) => void, observables: any[]) => void
  removeBatchObservableCallback: (callback: (result: any) => void, observables: any[]) => void
}

const makers = { sum: 'createObservableUpDownCounter', gauge: 'createObservableGauge', counter: 'createObservableCounter' } as const

/**
 * Adds the figures of a plugin to a meter.
 *
 * @returns the function that takes them out again
 * @throws `FST_ERR_TETHER_ARGUMENT` for what is no meter
 */
export function exportToOtel (subject: Subject, meter: OtelMeter, limits: LabelLimits): () => void {
  for (const method of [...Object.values(makers), 'createHistogram', 'addBatchObservableCallback'] as const) {
    if (typeof (meter as Partial<OtelMeter> | null | undefined)?.[method] !== 'function') throw new ArgumentError('otel() takes a meter of @opentelemetry/api, such as metrics.getMeter("app") returns')
  }
  const view = new View(subject, limits)
  const pulled = figuresOf(subject).map((figure) => {
    const { name, unit, help, kind } = figure
    return { figure, instrument: meter[makers[kind]](name, { unit, description: help }) as object }
  })
  const instruments = pulled.map(({ instrument }) => instrument)
  const observe = (result: { observe: (instrument: object, value: number, attributes?: Attributes) => void }) => {
    for (const { figure, instrument } of pulled) {
      const samples = new Samples()
      figure.read(view, samples)
      for (const { labels, value } of samples) result.observe(instrument, value, { ...labels })
    }
  }
  meter.addBatchObservableCallback(observe, instruments)
  const histograms = new Map(Object.values(distributions).map(({ name, unit, help, buckets }) => [
    name as string, meter.createHistogram(name, { unit, description: help, advice: { explicitBucketBoundaries: [...buckets] } })
  ]))
  const stop = subject.runtime.watch.add(view.observer(({ name }, seconds, labels) => { histograms.get(name)!.record(seconds, labels) }))
  return () => {
    stop()
    meter.removeBatchObservableCallback(observe, instruments)
  }
}
