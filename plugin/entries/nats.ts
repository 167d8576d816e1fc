import { inspect } from 'node:util'
import { OptionError } from '../../schemas/errors.ts'
import { defaults } from '../../schemas/defaults.ts'
import { optionGroups } from '../../schemas/options.ts'
import { OptionValidator } from '../app/option-validator.ts'
import type { EngineSource } from '../cluster/engine.ts'
import type { NatsConnection } from '../cluster/nats/connection.ts'
import { NatsEngine, type NatsOptions } from '../cluster/nats/nats-engine.ts'

export type { NatsConnection, NatsHeaders, NatsMessage, NatsStatus, NatsSubscription } from '../cluster/nats/connection.ts'
export type { NatsOptions } from '../cluster/nats/nats-engine.ts'

const validator = new OptionValidator(optionGroups.nats)
/** What the engine calls on a connection. */
const used = ['publish', 'subscribe', 'status', 'flush', 'reconnect', 'isClosed', 'closed', 'close'] as const

/**
 * Makes the engine that joins nodes by NATS JetStream, of a server of version 2.9 or later, for the option `cluster` of
 * `app.register(tether)`. It connects when the node opens it.
 *
 * A function is called for a new connection at the start, and whenever the last one has closed for good; the
 * engine closes what it gives. A connection stays yours: it must reconnect by itself, without an end
 * (`maxReconnectAttempts: -1`), and outlive the application.
 *
 * @param connection a connection of `@nats-io/transport-node` or of `nats`, or a function that makes one
 * @returns what makes an engine for an application, by `engineFor`
 * @throws `FST_ERR_TETHER_OPTION` for something that is no connection, and for an option that is not allowed
 * @see docs/cluster.md
 * @example
 * nats(() => connect({ servers: 'nats:4222' })).engineFor({ name: 'shop', logMs: 60_000 })
 */
export function nats (connection: NatsConnection | (() => NatsConnection | Promise<NatsConnection>), options: NatsOptions = {}): EngineSource {
  validator.check(options)
  const limits = { ...defaults.nats, ...options }
  // A majority must be able to decide. JetStream would refuse the others at the start, where the engine counts as away.
  if (![1, 3, 5].includes(limits.replicas)) throw new OptionError(`option "replicas" of nats() must be 1, 3 or 5; default 1; got ${limits.replicas}`)
  const lacking = typeof connection === 'function' ? [] : used.filter((name) => typeof (connection as Partial<NatsConnection> | null | undefined)?.[name] !== 'function')
  if (lacking.length === used.length) {
    throw new OptionError(`the first argument of nats() must be a connection of @nats-io/transport-node or nats, or a function that makes one; got ${inspect(connection, { depth: 0 })}`)
  }
  if (lacking.length > 0) {
    throw new OptionError(`the connection given to nats() lacks ${lacking.join(', ')}: it needs @nats-io/transport-node 3 or later, or nats 2.28 or later`)
  }
  return { engineFor: (application) => new NatsEngine(connection, limits, application) }
}
