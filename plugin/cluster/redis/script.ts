import { createHash } from 'node:crypto'
import type { RedisLine } from './redis-line.ts'
import type { Argument } from './redis-server.ts'

/** A script that runs on the server. All its keys are in one slot. */
export class Script {
  readonly #source: string
  readonly #digest: string

  constructor (source: string) {
    this.#source = source
    this.#digest = createHash('sha1').update(source).digest('hex')
  }

  /** Runs it, and loads it where the server does not know it: after a restart, a failover, SCRIPT FLUSH. */
  run (line: RedisLine, keys: readonly [string, ...string[]], values: readonly Argument[], deadlineMs?: number): Promise<unknown> {
    return this.#run(keys, values, (command) => line.call(keys[0], command, deadlineMs))
  }

  /** Runs it as `run` does, in one write with others of this turn of the event loop. */
  join (line: RedisLine, keys: readonly [string, ...string[]], values: readonly Argument[]): Promise<unknown> {
    return this.#run(keys, values, (command) => line.join(keys[0], command))
  }

  async #run (keys: readonly string[], values: readonly Argument[], call: (command: readonly Argument[]) => Promise<unknown>): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...values]
    try {
      return await call(['EVALSHA', this.#digest, ...rest])
    } catch (error) {
      if (!isUnknownScript(error)) throw error
      return await call(['EVAL', this.#source, ...rest])
    }
  }
}

function isUnknownScript (error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Error && error.cause.message.startsWith('NOSCRIPT')
}

/** Adds entries to the log, all in one step: nothing comes between them, and a redirection takes all of them. */
export const appendScript = new Script(`
for i = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'e', ARGV[i])
end
return 1`)

/** Record, journal; the revision that it must have, the new one, value, time to live, due time. A refused write changes nothing. */
export const putScript = new Script(`
local revision = redis.call('HGET', KEYS[1], 'r') or ''
if revision ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'r', ARGV[2], 'v', ARGV[3])
if ARGV[5] == '' then redis.call('HDEL', KEYS[1], 'd') else redis.call('HSET', KEYS[1], 'd', ARGV[5]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('DEL', KEYS[2])
return 1`)

/** Record, journal; revision, entry, most entries. */
export const journalScript = new Script(`
if redis.call('HGET', KEYS[1], 'r') ~= ARGV[1] then return 0 end
if redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[3]) then return -1 end
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1]))
return 1`)

/**
 * Index of due times; record, due time. The index may name an earlier time than the record has, never a later
 * one. Every call changes the place in the index, so that a correction by another node notices.
 */
export const dueScript = new Script(`
local place = redis.call('ZSCORE', KEYS[1], ARGV[1])
local time = tonumber(ARGV[2])
if place and tonumber(place) <= time then time = tonumber(place) - 0.001 end
redis.call('ZADD', KEYS[1], string.format('%.3f', time), ARGV[1])
return 1`)

/** Index of due times; how many to skip, how many to list, the time: records and places, the earliest first. */
export const listDueScript = new Script(`
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[3], 'WITHSCORES', 'LIMIT', ARGV[1], ARGV[2])
return found`)

/** Index of due times; record, the place that was read, the right one or '' for none. Corrects a place that nobody changed since. */
export const correctDueScript = new Script(`
local place = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not place or tonumber(place) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '' then redis.call('ZREM', KEYS[1], ARGV[1]) else redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1]) end
return 1`)

/** Index of nodes, lease of a node; its name. A lease that was renewed meanwhile stays listed. */
export const dropNodeScript = new Script(`
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
return redis.call('SREM', KEYS[1], ARGV[1])`)

/** Messages to a node; most bytes. Beyond these, half of them stay, the newest. */
export const boundInboxScript = new Script(`
local used = redis.call('MEMORY', 'USAGE', KEYS[1]) or 0
local most = tonumber(ARGV[1])
if used <= most then return 0 end
return redis.call('XTRIM', KEYS[1], 'MAXLEN', math.floor(redis.call('XLEN', KEYS[1]) * most / used / 2))`)
