import type { FastifyInstance } from 'fastify'
import { ModeError, OptionError } from '../schemas/errors.ts'
import type { AnyStatefulConfig } from './stateful-config.ts'
import type { Upgrade } from './transport.ts'
import { isHttp2Only } from './websocket-registration.ts'
import { webSocketOptions, type ResolvedWebSocketOptions, type WebSocketUpgrade } from './websocket-upgrade.ts'

/** What carries the sessions of one URL. */
export interface Transports {
  readonly mode: 'sse' | 'websocket' | 'both'
  /** Null where there are only WebSockets. */
  readonly eventStream: Upgrade | null
  /** Null where there are none. */
  readonly webSocket: ResolvedWebSocketOptions | null
}

interface Fallbacks {
  readonly eventStream: () => Upgrade
  readonly webSocket: () => WebSocketUpgrade
}

/** Chooses as `mode` says. Throws an error that names the option which does not go with it. */
export function resolveTransports (instance: FastifyInstance, config: AnyStatefulConfig, fallbacks: Fallbacks): Transports {
  const { mode = 'sse', upgrade, fallback } = config
  if (mode === 'sse') {
    return { mode, eventStream: eventStream('upgrade', upgrade, mode) ?? eventStream('fallback', fallback, mode) ?? fallbacks.eventStream(), webSocket: null }
  }
  const webSocket = webSocketOptions(upgrade ?? fallbacks.webSocket())
  if (webSocket === null) throw new OptionError(misfit('upgrade', 'what app.tether.websocket.upgrade() returns', mode))
  if (mode === 'websocket') {
    if (fallback !== undefined) throw new OptionError(misfit('fallback', 'left out', mode))
    if (isHttp2Only(instance)) throw new ModeError(mode, 'cannot work on a server that speaks nothing but HTTP/2: set https.allowHTTP1, or use mode "both" or "sse"')
    return { mode, eventStream: null, webSocket }
  }
  if (isHttp2Only(instance)) instance.log.warn('mode "both" on a server that speaks nothing but HTTP/2: clients get server-sent events only, unless https.allowHTTP1 is set')
  return { mode, eventStream: eventStream('fallback', fallback, mode) ?? fallbacks.eventStream(), webSocket }
}

function eventStream (option: string, upgrade: Upgrade | WebSocketUpgrade | undefined, mode: string): Upgrade | undefined {
  if (webSocketOptions(upgrade) !== null) throw new OptionError(misfit(option, 'what app.tether.sse.upgrade() returns', mode))
  return upgrade as Upgrade | undefined
}

function misfit (option: string, allowed: string, mode: string): string {
  return `option "${option}" of app.tether.stateful() must be ${allowed} in mode "${mode}"`
}
