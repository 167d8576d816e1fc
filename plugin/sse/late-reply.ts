import { isNativeError } from 'node:util/types'
import type { FastifyBaseLogger, FastifyReply } from 'fastify'
import { defaults } from '../../schemas/defaults.ts'
import { logThrown } from '../../schemas/thrown.ts'
import type { Stream } from '../streams/stream.ts'

const opened = Symbol('fastify-tether.stream')

type LateReply = FastifyReply & { [opened]?: Stream }

/**
 * Handles a late result of a handler or hook, after its stream has begun. Fastify sends such a
 * result, and would treat the stream's response as one without an answer.
 *
 * A thrown value or a returned error ends the stream; any other value is ignored.
 */
export function guardReply (reply: FastifyReply, stream: Stream): void {
  const late = reply as LateReply
  late[opened] = stream
  // All streams share one function, to save memory.
  late.send = sendLate
  late.log = new Proxy(late.log, lateLog)
}

function sendLate (this: LateReply, payload?: unknown): LateReply {
  const isThrown = takeMark(this)
  if (!isThrown && !isError(payload)) return this
  const stream = this[opened]!
  logThrown(this.log, 'error', payload, stream.gone ? failedAfter : 'a handler failed after its event stream had begun, which ends with it')
  stream.close('', stream.stallTimeoutMs || defaults.upgrade.stallTimeoutMs, 'failed')
  return this
}

const failedAfter = 'a handler failed after its event stream had ended'

/** After the stream's end, Fastify does not call `send`, but logs that `reply.sent` was set. No code has set it, so another message replaces that one. */
const lateLog: ProxyHandler<FastifyBaseLogger> = {
  get (log, name) {
    const member: unknown = Reflect.get(log, name, log)
    if (typeof member !== 'function') return member
    if (name !== 'error') return member.bind(log) as unknown
    return (fields: unknown, message: unknown, ...more: unknown[]) => {
      if (message === 'Promise errored, but reply.sent = true was set') logThrown(log, 'error', (fields as { err: unknown }).err, failedAfter)
      else member.call(log, fields, message, ...more)
    }
  }
}

/** Whether Fastify's mark says that the payload was thrown. A thrown value need not be an error. */
function takeMark (reply: FastifyReply): boolean {
  const marks = reply as unknown as Record<symbol, unknown>
  const mark = Object.getOwnPropertySymbols(reply).find(({ description }) => description === 'fastify.reply.isError')
  if (mark === undefined || marks[mark] !== true) return false
  marks[mark] = false
  return true
}

function isError (payload: unknown): boolean {
  try {
    return isNativeError(payload) || payload instanceof Error
  } catch {
    return false
  }
}
