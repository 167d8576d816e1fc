import Fastify, { type FastifyBaseLogger } from 'fastify'
import t from 'tap'
import { logThrown, messageOf, presentable } from '../../../schemas/thrown.ts'

function revoked (): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const bomb = () => { throw new Error('boom') }
const circle = new Error('circle')
circle.cause = circle

/** What is thrown, and what can be said of it. */
const things: Array<[name: string, thrown: unknown, message: RegExp]> = [
  ['an error', new Error('plain'), /^plain$/],
  ['undefined', undefined, /^undefined$/],
  ['null', null, /^null$/],
  ['a symbol', Symbol('s'), /^Symbol\(s\)$/],
  ['a string', 'text', /^text$/],
  ['a bigint', 1n, /^1$/],
  ['a function', () => {}, /=>/],
  ['an object without a prototype', Object.create(null), /Object/],
  ['a message that throws', Object.defineProperty(new Error('x'), 'message', { get: bomb }), /./],
  ['a stack that throws', Object.defineProperty(new Error('x'), 'stack', { get: bomb }), /^x$/],
  ['a name that throws', Object.defineProperty(new Error('x'), 'name', { get: bomb }), /^x$/],
  ['a code that throws', Object.defineProperty(new Error('x'), 'code', { get: bomb, enumerable: true }), /^x$/],
  ['a detail that throws', Object.defineProperty(new Error('x'), 'detail', { get: bomb, enumerable: true }), /^x$/],
  ['a message that is none', Object.assign(new Error('x'), { message: { toString: bomb } }), /./],
  ['a cause that throws', Object.defineProperty(new Error('x'), 'cause', { get: bomb }), /^x$/],
  ['a cause that cannot be read', new Error('x', { cause: revoked() }), /^x$/],
  ['a cause that is itself', circle, /^circle$/],
  ['several, one of which cannot be read', new AggregateError([new Error('a'), revoked()], 'x'), /^x$/],
  ['toString and toJSON that throw', { toString: bomb, toJSON: bomb, [Symbol.toPrimitive]: bomb }, /./],
  ['a revoked proxy', revoked(), /./],
  ['a proxy that throws', new Proxy(new Error('x'), { get: bomb, getPrototypeOf: bomb, ownKeys: bomb, has: bomb, getOwnPropertyDescriptor: bomb }), /./]
]

function loggers (): Record<string, { log: FastifyBaseLogger, lines: string[] }> {
  const made = (serializers: Record<string, (error: any) => unknown>) => {
    const lines: string[] = []
    const { log } = Fastify({ logger: { serializers, stream: { write: (line: string) => { lines.push(line) } } } })
    return { log, lines }
  }
  return {
    'as Fastify has it': made({}),
    'with a serialiser that throws': made({ err: bomb }),
    'with a serialiser that takes only what is usual': made({ err: (error: Error) => error.stack!.toString() })
  }
}

t.test('whatever is thrown, and whatever a serialiser makes of it, gets one line', async (t) => {
  for (const [name, thrown] of things) {
    for (const [which, { log, lines }] of Object.entries(loggers())) {
      logThrown(log, 'error', thrown, 'it failed', { command: 'say' })
      t.equal(lines.length, 1, `${name}, ${which}`)
      const line = JSON.parse(lines[0] ?? '{}')
      t.match(line, { level: 50, command: 'say', msg: /^it failed/ }, `${name}, ${which}`)
    }
  }
})

t.test('what can be logged as it is, is', async (t) => {
  const { log, lines } = loggers()['as Fastify has it']!
  logThrown(log, 'info', Object.assign(new Error('plain'), { code: 'E', detail: 7 }), 'it failed')
  t.match(JSON.parse(lines[0]!), { level: 30, msg: 'it failed', err: { type: 'Error', message: 'plain', code: 'E', detail: 7, stack: /thrown\.test/ } })
})

t.test('what cannot be is logged by what can be read of it', async (t) => {
  const { log, lines } = loggers()['as Fastify has it']!
  const error = Object.assign(Object.defineProperty(new Error('readable'), 'cause', { get: bomb }), { code: 'E_CODE' })
  logThrown(log, 'error', error, 'it failed')
  t.match(JSON.parse(lines[0]!), { msg: 'it failed', err: { message: 'readable', code: 'E_CODE', stack: /thrown\.test/ } })
})

t.test('a logger that throws stops nothing', async (t) => {
  logThrown({ error: bomb }, 'error', new Error('x'), 'it failed')
  t.pass('nothing was thrown')
})

t.test('there is a message for everything', async (t) => {
  for (const [name, thrown, message] of things) t.match(messageOf(thrown), message, name)
})

t.test('what Fastify is to handle stays itself where it can be read, and can be read where not', async (t) => {
  const { log } = loggers()['as Fastify has it']!
  for (const [name, thrown] of things) {
    const given = presentable(thrown)
    log.error({ err: given })
    if (/plain|^circle$/.test(messageOf(thrown)) || thrown === null || typeof thrown !== 'object') t.equal(given, thrown, name)
    if (given !== thrown) t.ok(given instanceof Error, name)
  }
  t.not(presentable(revoked()), revoked())
})
