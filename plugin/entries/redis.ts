import { OptionValidator } from '../app/option-validator.ts'
import type { EngineSource } from '../cluster/engine.ts'
import { RedisEngine } from '../cluster/redis/redis-engine.ts'
import { serverOf } from '../cluster/redis/redis-server.ts'
import { defaults } from '../../schemas/defaults.ts'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import { optionGroups } from '../../schemas/options.ts'

export type { Engine, EngineAbilities, EngineApplication, EngineEvents, EngineRecord, EngineSource, LogEntry, Offset, PutOptions } from '../cluster/engine.ts'

/** A client of ioredis (5 or later), iovalkey or the package `redis` (4 or later), for one server, sentinels or a cluster. */
export interface RedisClient {
  readonly duplicate: (...settings: never[]) => unknown
  readonly on: (...listener: never[]) => unknown
}

export interface RedisOptions extends OptionsOf<typeof optionTable.redis> {}

const validator = new OptionValidator(optionGroups.redis)

/**
 * Makes the engine that joins nodes over Redis or Valkey, for the coming option `cluster` of `app.register(tether)`.
 * It connects when the node opens it, with connections of its own: the given client lends its settings, and
 * is neither used nor closed.
 *
 * @throws `FST_ERR_TETHER_OPTION` for anything but such a client, and for options that are not allowed
 * @see docs/cluster.md
 */
export function redis (client: RedisClient, options: RedisOptions = {}): EngineSource {
  const server = serverOf(client)
  validator.check(options)
  const { deadlineMs, logEntries, logBytes, maxCalls, maxCallBytes } = defaults.redis
  const limits = {
    deadlineMs: options.deadlineMs ?? deadlineMs,
    logEntries: options.logEntries ?? logEntries,
    logBytes: options.logBytes ?? logBytes,
    maxCalls: options.maxCalls ?? maxCalls,
    maxCallBytes: options.maxCallBytes ?? maxCallBytes
  }
  return { engineFor: (application) => new RedisEngine(server, application, limits) }
}
