import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { conflate, defineContract, text, type Contract } from '../../../schemas/contract.ts'
import type { Tether } from '../../app/api.ts'
import type { StatefulConfig } from '../../routes/stateful-config.ts'
import type { Handler, Session } from '../../sessions/api.ts'
import type { Upgrade } from '../../streams/transport.ts'
import type { WebSocketUpgrade } from '../../websocket/websocket-upgrade.ts'

/** An event and an update of each kind. */
export const contract = defineContract({
  events: {
    ping: Type.Object({}),
    say: Type.Object({ text: Type.String() }),
    count: Type.Object({ to: Type.Integer() })
  },
  updates: {
    sample: conflate(Type.Object({ series: Type.String(), value: Type.Number() }), (sample) => sample.series),
    note: Type.Object({ text: Type.String() }),
    row: text()
  }
})

/** Handlers that do nothing, to be overridden. */
export const silent = { ping: () => {}, say: () => {}, count: () => {} }

export type LiveEvents = typeof contract extends Contract<infer Found, any> ? Found : never
export type LiveUpdates = typeof contract extends Contract<any, infer Found> ? Found : never
export type LiveSession = Session<unknown, LiveUpdates>
export type LiveHandler = Handler<unknown, LiveUpdates>

type Config = StatefulConfig<LiveEvents, LiveUpdates, unknown>

/** Configuration of sessions, beside the contract; handlers left out do nothing. */
export type LiveConfig = Partial<Omit<Config, 'on' | 'contract'>> & { on?: Partial<Config['on']> }

/** The options of `stateful` that choose the transport. */
export interface Carriage {
  readonly mode?: 'sse' | 'websocket' | 'both'
  readonly upgrade?: Upgrade | WebSocketUpgrade
  readonly fallback?: Upgrade
}

/** Mounts sessions of the contract at `/live`. */
export function mountLive (app: FastifyInstance, { on, ...config }: LiveConfig, carriage: Carriage): LiveHandler {
  const { tether } = app as FastifyInstance & { tether: Tether }
  // The types know which upgrade fits a mode only if the mode is a literal.
  return tether.stateful<LiveEvents, LiveUpdates, unknown>('/live', { contract, ...carriage, ...config, on: { ...silent, ...on } } as Config)
}
