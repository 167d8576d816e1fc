import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { UpgradeOptions, WebSocketUpgradeOptions } from '../../../plugin/index.ts'
import { mountLive, type LiveConfig, type LiveHandler, type LiveSession } from '../../../plugin/entries/contract-tests/live.ts'
import { openReader, type Reader, type ReaderOptions } from './reader.ts'
import { startServer, type Server, type ServerOptions } from './server.ts'
import { until } from './until.ts'

export type { LiveConfig, LiveSession }

export interface LiveOptions extends Omit<ServerOptions, 'setup'> {
  /** Configuration of `stateful('/live')`, beside the contract; handlers left out do nothing. */
  live?: LiveConfig
  upgrade?: UpgradeOptions
  /** Options of `websocket.upgrade`, in the other modes. */
  socket?: WebSocketUpgradeOptions
  /** Runs before `/live` is mounted. */
  setup?: (app: FastifyInstance) => unknown
}

export interface LiveServer extends Server {
  readonly live: LiveHandler
  /** Opens a stream and waits for its hello. Returns the reader and the server's session. */
  connect: (options?: ReaderOptions) => Promise<{ reader: Reader, session: LiveSession }>
}

/** Starts a server with sessions of the shared contract at `/live`. */
export async function startLive (t: Test, options: LiveOptions = {}): Promise<LiveServer> {
  let live!: LiveHandler
  const server = await startServer(t, {
    ...options,
    setup: async (app) => {
      await options.setup?.(app)
      const { mode = 'sse' } = options.live ?? {}
      live = mountLive(app, options.live ?? {}, {
        upgrade: mode === 'sse' ? app.tether.sse.upgrade(options.upgrade) : app.tether.websocket.upgrade(options.socket)
      })
    }
  })
  return { ...server, live, connect: (options) => connectTo(server, live, options) }
}

/** Opens a stream to a handler's URL, with any options, and waits for its hello. */
export async function connectTo (server: Server, live: LiveServer['live'], { frozen = false, ...options }: ReaderOptions = {}): ReturnType<LiveServer['connect']> {
  const reader = await openReader(server, '/live', options)
  await until(() => reader.controls.length > 0, 'the hello frame')
  if (frozen) reader.pause()
  const session = await until(() => live.get(reader.session), 'the session')
  return { reader, session }
}
