import type { FastifyInstance } from 'fastify'
import { ModeError } from '../schemas/errors.ts'
import { logThrown } from './thrown.ts'
import { UpgradeRelay, wantsWebSocket } from './upgrade-relay.ts'

/**
 * Sees to it that the routes of an instance can take WebSockets: by the application's
 * own `@fastify/websocket`, where it has registered that, otherwise by one that only
 * these routes know of.
 */
export async function enableWebSockets (routes: FastifyInstance, mode: string, maxPayload: number): Promise<void> {
  // A hook of the application's may refuse an upgrade before `@fastify/websocket` has seen it; nothing reads from that connection any more.
  routes.addHook('onResponse', (request, _reply, done) => {
    if (wantsWebSocket(request.raw.headers) && request.ws !== true) request.raw.socket.destroySoon()
    done()
  })
  if (routes.hasDecorator('websocketServer')) return
  const relay = UpgradeRelay.of(routes)
  routes.addHook('onRoute', ({ url, wsHandler }) => {
    if (wsHandler !== undefined) relay.claim(url)
  })
  await routes.register(await load(mode), {
    options: { server: relay.source() as never, maxPayload },
    // Our streams end by themselves, with a goodbye.
    preClose: (done: () => void) => { done() },
    // What breaks the protocol has been closed with a code that says so.
    errorHandler: (error: Error, _socket: unknown, request: { log: FastifyInstance['log'] }) => { logThrown(request.log, 'info', error, 'a WebSocket failed') }
  })
}

/** Imported only where it is needed, since most applications do without. */
async function load (mode: string) {
  try {
    return (await import('@fastify/websocket')).default
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes('@fastify/websocket')) throw error
    throw new ModeError(mode, 'needs a package that is not installed: npm install @fastify/websocket')
  }
}

/** Whether a server speaks nothing but HTTP/2, which has no upgrade. */
export function isHttp2Only (instance: FastifyInstance): boolean {
  const { http2, https } = instance.initialConfig as { http2?: boolean, https?: boolean | { allowHTTP1?: boolean } }
  return http2 === true && !(typeof https === 'object' && https.allowHTTP1 === true)
}
