import { isNativeError } from 'node:util/types'
import type { FastifyBaseLogger, FastifyReply } from 'fastify'
import { defaults } from '../../schemas/defaults.ts'
import { logThrown } from '../../schemas/thrown.ts'
import type { Stream } from '../streams/stream.ts'

const opened = Symbol('fastify-tether.stream')

type LateReply = FastifyReply & { [opened]?: Stream }

/**
 * Sees to what comes to a reply whose stream has begun. Fastify sends what a handler or hook
 * returns or throws, and would take the stream's response for one that is still to be answered.
 *
 * What is thrown ends the stream; what is returned is nothing to be sent.
 */
export function guardReply (reply: FastifyReply, stream: Stream): void {
  const late = reply as LateReply
  late[opened] = stream
  // One function for all, since streams are many.
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

/** Once the stream has ended, Fastify does not ask the reply, and logs words of its own, which would be wrong here: nobody has set anything. */
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

/** Whether what is sent was thrown, as Fastify marks it: anything may be thrown, not only errors. */
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
