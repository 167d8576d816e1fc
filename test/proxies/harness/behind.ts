import websocket from '@fastify/websocket'
import type { Test } from 'tap'
import type { Protocol } from '../../../plugin/carriers/carrier.ts'
import { contract, silent } from '../../e2e/harness/contract.ts'
import { connectTo, startLive, type LiveOptions, type LiveServer } from '../../e2e/harness/live.ts'
import { startReader } from '../../e2e/harness/reader.ts'
import { originOf, type Protocol as ClientProtocol } from '../../e2e/harness/server.ts'
import { until } from '../../e2e/harness/until.ts'
import { documented, replaced } from './documented.ts'
import { startProxy, type Proxy, type ProxyKind } from './proxy.ts'

/** An application and a proxy before it. */
export interface Behind {
  /** The application itself, past the proxy. */
  readonly direct: LiveServer
  /** The sessions of `/live-both`. */
  readonly both: Both
  /** The sessions of `/live-silent`. */
  readonly silentSessions: LiveServer['live']['sessions']
  /** What clients connect to first is its {@link ProxyKind.front}, where it has one. */
  readonly proxy: Proxy
  /** The application as those see it who come through the proxy. */
  through: (protocol: ClientProtocol) => LiveServer
}

/** Sessions that are carried by what gets through. */
export interface Both {
  readonly live: LiveServer['live']
  /** What carried each stream so far. */
  readonly protocols: Protocol[]
  readonly said: string[]
}

export interface BehindOptions extends LiveOptions {
  /** Parts of the documented configuration to replace, to show what they are for. */
  change?: Record<string, string>
  idleSeconds?: number
}

/** Starts an application with `/live`, `/live-both` also over WebSockets, `/live-silent` without heartbeats, `/asked` and `/live-echo`, and a proxy before it. */
export async function startBehind (t: Test, kind: ProxyKind, { change = {}, idleSeconds, ...options }: BehindOptions = {}): Promise<Behind> {
  let live!: LiveServer['live']
  let silentLive!: LiveServer['live']
  const protocols: Both['protocols'] = []
  const said: string[] = []
  const direct = await startLive(t, {
    fastify: kind.isTrusted === false ? {} : { trustProxy: 'loopback' },
    ...options,
    setup: async (app) => {
      await app.register(websocket)
      app.get('/asked', ({ protocol, host, ip }, reply) => reply.header('cache-control', 'no-store').send({ protocol, host, ip }))
      app.get('/live-echo', { websocket: true }, (socket) => { socket.on('message', (message) => { socket.send(String(message)) }) })
      silentLive = app.tether.stateful('/live-silent', { contract, on: silent, upgrade: app.tether.sse.upgrade({ heartbeatMs: 0 }) })
      live = app.tether.stateful('/live-both', {
        contract,
        mode: 'both',
        upgrade: app.tether.websocket.upgrade(options.upgrade?.heartbeatMs === undefined ? {} : { heartbeatMs: options.upgrade.heartbeatMs }),
        fallback: app.tether.sse.upgrade(options.upgrade),
        on: { ...silent, say: (_session, { text }) => { said.push(text) } },
        onConnect: (_session, { protocol }) => { protocols.push(protocol) }
      })
      await options.setup?.(app)
    }
  })
  const proxy = await startProxy(t, kind, replaced(documented(kind.language), change), { upstreamPort: direct.port, idleSeconds })
  const { front } = kind
  const { port } = front === undefined ? proxy : await startProxy(t, front, documented(front.language), { upstreamPort: proxy.port })
  return {
    direct,
    proxy,
    both: { live, protocols, said },
    silentSessions: silentLive.sessions,
    through: (protocol) => {
      const server = { ...direct, protocol, port, origin: originOf(protocol, port) }
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

const promptWithinMs = 200

/**
 * Whether the first event is there within 200 ms of the request, connecting included, and
 * an update within 200 ms of being sent: a proxy that holds back may still let through what
 * comes together with the headers. A busy machine gets some tries, and twice the time that it
 * takes without a proxy on top; a proxy that holds back fails all the same.
 */
export async function isPrompt ({ direct, through }: Behind, protocol: ClientProtocol, tries = 10): Promise<boolean> {
  for (let made = 0; made < tries; made++) {
    const allowedMs = promptWithinMs + 2 * await slowerMs(direct, 5_000)
    if (await slowerMs(through(protocol), allowedMs) < allowedMs) return true
  }
  return false
}

/** The time that the first event takes, or an update: whichever is longer. Infinity when either is not there within `limitMs`. */
async function slowerMs (server: LiveServer, limitMs: number): Promise<number> {
  const reader = startReader(server)
  try {
    const firstMs = await msUntil(() => reader.controls.length > 0, limitMs)
    if (firstMs === Infinity) return Infinity
    server.live.get(reader.session)?.send('row', '1')
    return Math.max(firstMs, await msUntil(() => reader.updates.length > 0, limitMs))
  } finally {
    reader.destroy()
  }
}
