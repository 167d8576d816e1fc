import websocket from '@fastify/websocket'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { defineContract, text } from '../../../plugin/index.ts'

const bomb = () => { throw new Error('boom') }

function thing (kind: string): unknown {
  const error = new Error('the fault')
  if (kind === 'null') return null
  if (kind === 'undefined') return undefined
  if (kind === 'symbol') return Symbol('thrown')
  if (kind === 'primitive') return { [Symbol.toPrimitive]: bomb, toString: bomb, toJSON: bomb, get message () { return bomb() } }
  if (kind === 'circle') return Object.assign(error, { cause: error })
  if (kind === 'revoked') {
    const { proxy, revoke } = Proxy.revocable(error, {})
    revoke()
    return proxy
  }
  return Object.defineProperty(error, kind, { get: bomb, enumerable: true })
}

const loggers: Record<string, object | false> = {
  none: false,
  fastify: { level: 'info', stream: process.stderr },
  serialiser: { level: 'info', stream: process.stderr, serializers: { err: bomb } },
  throwing: { level: 'info', stream: process.stderr, hooks: { logMethod (args: unknown[], method: (...given: unknown[]) => void) { return typeof args[0] === 'object' && args[0] !== null && 'err' in args[0] ? bomb() : method.apply(this, args) } } }
}

const Text = Type.Object({ text: Type.String() })
const contract = defineContract({
  events: { say: Text, fail: Text, failLater: Text, failInUpdate: Text, failInOnError: Text, failInSend: Text },
  updates: { said: text(), made: Type.Any() }
})

const app = Fastify({ logger: loggers[process.argv[2] ?? 'fastify']! } as object)
await app.register(websocket)
await app.register(tether)

let thrown: unknown
let same = 0
const raise = (kind: string): never => {
  thrown = thing(kind)
  throw thrown
}
const query = (request: { query: unknown }) => request.query as Record<string, string>
const config = {
  contract,
  initialState: async (request: { query: unknown }) => { if (query(request).state !== undefined) throw thing(query(request).state!) },
  bind: (request: { query: unknown }) => {
    if (query(request).bind !== undefined) throw thing(query(request).bind!)
    return null
  },
  on: {
    say: (session: any) => { session.send('said', '') },
    fail: (_session: any, { text }: { text: string }) => raise(text),
    failLater: async (_session: any, { text }: { text: string }) => {
      await null
      raise(text)
    },
    failInUpdate: (session: any, { text }: { text: string }) => { session.update(() => raise(text)) },
    failInOnError: (_session: any, { text }: { text: string }) => raise(text),
    failInSend: (session: any, { text }: { text: string }) => { session.send('made', { toJSON: () => { throw thing(text) } }) }
  },
  onError: async (_session: any, error: unknown, { command }: { command: string }) => {
    if (Object.is(error, thrown) && command !== 'failInSend') same++
    // `onError` is async, so this becomes a rejection without a handler.
    if (command === 'failInOnError') throw thing('revoked')
  }
}
app.tether.stateful('/live', config as never)
app.tether.stateful('/socket', { ...config, mode: 'websocket' } as never)
const upgrade = app.tether.sse.upgrade()
app.get('/plain', async (request, reply) => {
  await upgrade(request, reply)
  throw thing(query(request).kind!)
})
app.get('/reports', async () => ({ same }))
process.stdin.on('end', () => process.exit())
process.stdin.resume()
await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`port ${(app.server.address() as { port: number }).port}\n`)
