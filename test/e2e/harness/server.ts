import type { AddressInfo, Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import tether, { type TetherOptions } from '../../../plugin/index.ts'
import { certificate } from './certificate.ts'

/** HTTP/1.1 and HTTP/2, each in clear text and over TLS. */
export type Protocol = 'http/1.1' | 'https' | 'h2c' | 'h2'

/** The protocols that tests use. TLS makes no difference to HTTP/1.1 here. */
export const protocols: readonly Protocol[] = ['http/1.1', 'h2c', 'h2']

export function isHttp2 (protocol: Protocol): boolean {
  return protocol === 'h2c' || protocol === 'h2'
}

export function isSecure (protocol: Protocol): boolean {
  return protocol === 'https' || protocol === 'h2'
}

export function originOf (protocol: Protocol, port: number): string {
  return `${isSecure(protocol) ? 'https' : 'http'}://127.0.0.1:${port}`
}

/** One line of the application's log; `level` is pino's number, 50 for error. */
export interface LogRecord {
  level: number
  msg: string
  err?: { code?: string, message: string, stack: string }
  [key: string]: unknown
}

export interface Server {
  readonly app: FastifyInstance
  readonly protocol: Protocol
  readonly port: number
  /** `http://127.0.0.1:<port>`, or the same with https. */
  readonly origin: string
  /** All log lines so far. */
  readonly log: LogRecord[]
  /** The log lines at level error or above. */
  errors: () => LogRecord[]
  /** All open readers. One that does not read would delay the end of the server. */
  readonly readers: Set<{ destroy: () => void }>
}

export interface ServerOptions {
  /** Default `'http/1.1'`. */
  protocol?: Protocol
  /** Options of Fastify itself, in addition to those for the protocol. */
  fastify?: FastifyServerOptions
  /** Options of the plugin. */
  tether?: TetherOptions
  /** Registers routes and plugins, after the registration of this plugin. */
  setup: (app: FastifyInstance) => unknown
}

/** Starts an application on a free port of the loopback. It closes when the test ends. */
export async function startServer (t: Pick<Test, 'teardown'>, options: ServerOptions): Promise<Server> {
  const protocol = options.protocol ?? 'http/1.1'
  const log: LogRecord[] = []
  const stream = { write: (line: string) => { log.push(JSON.parse(line) as LogRecord) } }
  const app = Fastify({
    ...isHttp2(protocol) ? { http2: true } : {},
    ...isSecure(protocol) ? { https: certificate() } : {},
    logger: { level: 'trace', stream },
    ...options.fastify
  } as FastifyServerOptions) as FastifyInstance
  const readers = new Set<{ destroy: () => void }>()
  const sockets = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  t.teardown(() => {
    for (const reader of readers) reader.destroy()
    // A `fetch` that was aborted while it connected leaves a socket. Node treats it as busy, and would wait.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    return app.close()
  })
  await app.register(tether, options.tether ?? {})
  await options.setup(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return {
    app,
    protocol,
    port,
    origin: originOf(protocol, port),
    log,
    errors: () => log.filter((record) => record.level >= 50),
    readers
  }
}
