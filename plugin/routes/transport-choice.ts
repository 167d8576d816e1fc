import type { FastifyInstance } from 'fastify'
import { ModeError, OptionError } from '../../schemas/errors.ts'
import { eventStreamOptions, type ResolvedUpgradeOptions, type Upgrade } from '../streams/transport.ts'
import { isHttp2Only } from '../websocket/websocket-registration.ts'
import { webSocketOptions, type ResolvedWebSocketOptions, type WebSocketUpgrade } from '../websocket/websocket-upgrade.ts'
import type { AnyStatefulConfig } from './stateful-config.ts'

/** What carries the sessions of one URL. */
export interface Transports {
  readonly mode: 'sse' | 'websocket' | 'both'
  /** Null where there are only WebSockets. */
  readonly eventStream: ResolvedUpgradeOptions | null
  /** Null where there are none. */
  readonly webSocket: ResolvedWebSocketOptions | null
}

interface Fallbacks {
  readonly eventStream: () => Upgrade
  readonly webSocket: () => WebSocketUpgrade
}

export const eventStreamMaker = 'app.tether.sse.upgrade'
export const webSocketMaker = 'app.tether.websocket.upgrade'
type Maker = typeof eventStreamMaker | typeof webSocketMaker

const makers = new WeakMap<object, Maker>()

/** Gives the function of `app.tether` that makes upgrades, which is known by its name where it is given uncalled. */
export function createMaker<Options, Made> (name: Maker, make: (options?: Options) => Made): (options?: Options) => Made {
  const maker = (options?: Options, ...others: unknown[]): Made => {
    if (others.length > 0) throw new OptionError(`${name}() takes an object of options and nothing else: call it once, and what it returns for each request`)
    return make(options)
  }
  makers.set(maker, name)
  return maker
}

/** Chooses as `mode` says. Throws an error that names the option which does not go with it. */
export function resolveTransports (instance: FastifyInstance, config: AnyStatefulConfig, fallbacks: Fallbacks): Transports {
  const { mode = 'sse', upgrade, fallback } = config
  const eventStream = mode === 'sse' ? optionsOf('upgrade', upgrade, mode, eventStreamMaker, eventStreamOptions) : null
  const secondStream = mode === 'websocket' ? null : optionsOf('fallback', fallback, mode, eventStreamMaker, eventStreamOptions)
  const webSocket = mode === 'sse' ? null : optionsOf('upgrade', upgrade, mode, webSocketMaker, webSocketOptions) ?? webSocketOptions(fallbacks.webSocket())
  if (mode === 'websocket') {
    if (fallback !== undefined) throw new OptionError(misfit('fallback', 'left out', mode))
    if (isHttp2Only(instance)) throw new ModeError(mode, 'cannot work on a server that speaks nothing but HTTP/2: set https.allowHTTP1, or use mode "both" or "sse"')
    return { mode, eventStream: null, webSocket }
  }
  if (mode === 'both' && isHttp2Only(instance)) instance.log.warn('mode "both" on a server that speaks nothing but HTTP/2: clients get server-sent events only, unless https.allowHTTP1 is set')
  // Its clients know the protocol, also where one of them has no session yet.
  return { mode, eventStream: Object.freeze({ ...eventStream ?? secondStream ?? eventStreamOptions(fallbacks.eventStream())!, goodbye: true }), webSocket }
}

/** What an option's transport goes by; null where the option is left out. */
function optionsOf<Options> (option: string, upgrade: unknown, mode: string, maker: Maker, read: (upgrade: unknown) => Options | null): Options | null {
  if (upgrade === undefined) return null
  const options = read(upgrade)
  if (options !== null) return options
  const name = makers.get(upgrade as object)
  const got = name === undefined
    ? webSocketOptions(upgrade) !== null || eventStreamOptions(upgrade) !== null ? '' : `; got another function. Call ${maker}(), and give what it returns`
    : `; got ${name} itself: call it, ${maker}()`
  throw new OptionError(misfit(option, `what ${maker}() returns`, mode) + got)
}

function misfit (option: string, allowed: string, mode: string): string {
  return `option "${option}" of app.tether.stateful() must be ${allowed} in mode "${mode}"`
}
