import { createRequire } from 'node:module'
import { traceLength } from '../cluster/trace.ts'
import type { DeliveryMessage, TraceLink } from '../metrics/watch.ts'

/** The members that are used of a `Tracer` of `@opentelemetry/api`. */
export interface OtelTracer {
  startActiveSpan: (name: string, options: { kind?: number, attributes?: Record<string, string | number> }, run: (span: any) => any) => any
}

/** The used part of `@opentelemetry/api`. */
interface Api {
  readonly ROOT_CONTEXT: unknown
  readonly context: { active: () => unknown, with: <Result>(context: unknown, run: () => Result) => Result }
  readonly propagation: { inject: (context: unknown, fields: Record<string, string>) => void, extract: (context: unknown, fields: unknown) => unknown }
}

/** `SpanKind.CONSUMER` */
const consumer = 4

const require = createRequire(import.meta.url)

/** The package is optional, and tracers come from it; null where it cannot be found, as in a bundle. */
function findApi (): Api | null {
  try {
    return require('@opentelemetry/api') as Api
  } catch {
    return null
  }
}

/** Writes and reads traces with the application's propagator; null without `@opentelemetry/api`. */
export function createTraceLink (tracer: OtelTracer): TraceLink | null {
  const api = findApi()
  if (api === null) return null
  const { context, propagation, ROOT_CONTEXT: root } = api

  function within<Result> (carried: string, run: () => Result): Result {
    return runOnce(run, (call) => context.with(propagation.extract(root, JSON.parse(carried)), call))
  }

  return {
    carry: () => {
      try {
        const fields: Record<string, string> = {}
        propagation.inject(context.active(), fields)
        const text = JSON.stringify(fields)
        return text.length > 2 && text.length <= traceLength ? text : undefined
      } catch {
        return undefined
      }
    },
    within,
    deliver: (carried, message, run) => {
      within(carried, () => {
        runOnce(run, (call) => tracer.startActiveSpan('tether broadcast', { kind: consumer, attributes: attributesOf(message) }, (span: { end: () => void }) => {
          try {
            call()
          } finally {
            span.end()
          }
        }))
      })
    }
  }
}

/** A tracer or a propagator that throws keeps nothing from running. */
function runOnce<Result> (run: () => Result, around: (call: () => Result) => unknown): Result {
  let outcome: { readonly result: Result } | { readonly thrown: unknown } | undefined
  try {
    around(() => {
      try {
        const result = run()
        outcome = { result }
        return result
      } catch (thrown) {
        outcome = { thrown }
        throw thrown
      }
    })
  } catch { /* That of `run` is thrown below. */ }
  const ended = outcome as { readonly result: Result } | { readonly thrown: unknown } | undefined
  if (ended === undefined) return run()
  if ('thrown' in ended) throw ended.thrown
  return ended.result
}

function attributesOf ({ url, event, node }: DeliveryMessage): Record<string, string> {
  return { ...url === null ? {} : { 'tether.url': url }, ...event === null ? {} : { 'tether.event': event }, 'tether.node': node }
}
