import { ArgumentError } from '../../schemas/errors.ts'
import type { CommandMessage } from '../metrics/messages.ts'
import { createTraceLink, type OtelTracer } from './trace-link.ts'
import type { Watch } from '../metrics/watch.ts'
import type { Subject } from './subject.ts'

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
  const unlink = linkTraces(runtime.watch, tracer)
  const unwatch = runtime.watch.add({
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
  return () => {
    unlink()
    unwatch()
  }
}

/** Takes traces along to other nodes, if `@opentelemetry/api` is there. The latest tracer counts. */
function linkTraces (watch: Watch, tracer: OtelTracer): () => void {
  const link = createTraceLink(tracer)
  if (link === null) return () => {}
  const before = watch.traceLink
  watch.traceLink = link
  return () => { if (watch.traceLink === link) watch.traceLink = before }
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
