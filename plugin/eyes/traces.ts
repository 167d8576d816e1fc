import { ArgumentError } from '../../schemas/errors.ts'
import type { CommandMessage } from '../metrics/messages.ts'
import type { Subject } from './subject.ts'

/** The members that are used of a `Tracer` of `@opentelemetry/api`. */
export interface OtelTracer {
  startActiveSpan: (name: string, options: { attributes?: Record<string, string | number> }, run: (span: any) => any) => any
}

interface Span {
  setStatus: (status: { code: number, message?: string }) => unknown
  setAttribute: (name: string, value: string | number) => unknown
  recordException: (exception: { name: string, message: string, code?: string, stack?: string }) => void
  end: () => void
}

/** `SpanStatusCode.ERROR` */
const failed = 2

/**
 * Gives each command a span. Its parent is the span that was active where the command was queued: that of the POST,
 * of the GET, or of the application's own code.
 *
 * @returns the function that ends this
 * @throws `FST_ERR_TETHER_ARGUMENT` for what is no tracer
 */
export function traceCommands ({ runtime }: Subject, tracer: OtelTracer): () => void {
  if (typeof (tracer as Partial<OtelTracer> | null | undefined)?.startActiveSpan !== 'function') throw new ArgumentError('traces() takes a tracer of @opentelemetry/api, such as trace.getTracer("app") returns')
  const spans = new WeakMap<CommandMessage, Span>()
  return runtime.watch.add({
    runCommand: (message, run) => tracer.startActiveSpan(`tether ${message.command}`, { attributes: attributesOf(message) }, (span: Span) => {
      spans.set(message, span)
      return run()
    }),
    commandEnded: (message) => {
      const span = spans.get(message)
      if (span === undefined) return
      if (message.error !== undefined) {
        span.recordException(message.error)
        span.setStatus({ code: failed, message: message.error.message })
      }
      span.setAttribute('tether.outcome', message.outcome ?? 'ok')
      span.end()
    }
  })
}

function attributesOf ({ session, url, command, kind, seq, waitedMs }: CommandMessage): Record<string, string | number> {
  return {
    'tether.session': session,
    'tether.url': url,
    'tether.command': command,
    'tether.kind': kind,
    ...seq === null ? {} : { 'tether.seq': seq },
    ...waitedMs === null ? {} : { 'tether.waited_ms': waitedMs }
  }
}
