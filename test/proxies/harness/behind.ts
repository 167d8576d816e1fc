import websocket from '@fastify/websocket'
import type { Test } from 'tap'
import { contract, silent } from '../../e2e/harness/contract.ts'
import { connectTo, startLive, type LiveOptions, type LiveServer } from '../../e2e/harness/live.ts'
import { startReader } from '../../e2e/harness/reader.ts'
import { originOf, type Protocol } from '../../e2e/harness/server.ts'
import { until } from '../../e2e/harness/until.ts'
import { documented, replaced } from './documented.ts'
import { startProxy, type Proxy, type ProxyKind } from './proxy.ts'

/** An application and a proxy before it. */
export interface Behind {
  /** The application itself, past the proxy. */
  readonly direct: LiveServer
  readonly proxy: Proxy
  /** The application as those see it who come through the proxy. */
  through: (protocol: Protocol) => LiveServer
}

export interface BehindOptions extends LiveOptions {
  /** Parts of the documented configuration to replace, to show what they are for. */
  change?: Record<string, string>
}

/** Starts an application with `/live`, `/live-silent` without heartbeats, `/asked` and `/live-echo`, and a proxy before it. */
export async function startBehind (t: Test, kind: ProxyKind, { change = {}, ...options }: BehindOptions = {}): Promise<Behind> {
  const direct = await startLive(t, {
    fastify: { trustProxy: 'loopback' },
    ...options,
    setup: async (app) => {
      await app.register(websocket)
      app.get('/asked', ({ protocol, host, ip }, reply) => reply.header('cache-control', 'no-store').send({ protocol, host, ip }))
      app.get('/live-echo', { websocket: true }, (socket) => { socket.on('message', (message) => { socket.send(String(message)) }) })
      app.tether.stateful('/live-silent', { contract, on: silent, upgrade: app.tether.sse.upgrade({ heartbeatMs: 0 }) })
      await options.setup?.(app)
    }
  })
  const proxy = await startProxy(t, kind, replaced(documented(kind.language), change), direct.port)
  return {
    direct,
    proxy,
    through: (protocol) => {
      const server = { ...direct, protocol, port: proxy.port, origin: originOf(protocol, proxy.port) }
      return { ...server, connect: (readerOptions) => connectTo(server, direct.live, readerOptions) }
    }
  }
}

/** Milliseconds until `condition` holds; Infinity when it does not within `limitMs`. */
export async function msUntil (condition: () => boolean, limitMs: number): Promise<number> {
  const startedAt = performance.now()
  let elapsedMs = 0
  let holds = false
  await until(() => {
    holds = condition()
    elapsedMs = performance.now() - startedAt
    return holds || elapsedMs > limitMs
  }, 'a condition or its limit', limitMs + 15_000)
  return holds ? elapsedMs : Infinity
}

/**
 * How soon the first event is there after the request, connecting included, or an
 * update after it was sent, whichever took longer: a proxy that holds back may still
 * let through what came together with the headers. The best of some tries, since the
 * machine may be busy.
 */
export async function promptMs (server: LiveServer, tries = 5, limitMs = 400): Promise<number> {
  let bestMs = Infinity
  for (let made = 0; made < tries; made++) {
    const reader = startReader(server)
    const firstMs = await msUntil(() => reader.controls.length > 0, limitMs)
    if (firstMs < Infinity) {
      server.live.get(reader.session)?.send('row', '1')
      const updateMs = await msUntil(() => reader.updates.length > 0, limitMs)
      bestMs = Math.min(bestMs, Math.max(firstMs, updateMs))
    }
    reader.destroy()
  }
  return bestMs
}
