import type { RedisKeys } from './keys.ts'
import type { RedisLine } from './redis-line.ts'
import { textOf } from './replies.ts'
import { correctDueScript, dueScript, listDueScript } from './script.ts'

/** Most pages that one call reads: an index full of places that moved must not hold it for ever. */
const mostPages = 8

/**
 * Which records come due. A record and the index are in different slots, so no script writes both. The time in
 * the record counts; the index never names a later one, and is corrected when it is read.
 */
export class DueIndex {
  readonly #keys: RedisKeys

  constructor (keys: RedisKeys) {
    this.#keys = keys
  }

  /** Goes before the write of the record: a crash between the two leaves a place too many, never one too few. */
  async add (line: RedisLine, key: string, dueAt: number): Promise<void> {
    await dueScript.run(line, [this.#keys.due], [key, String(dueAt)])
  }

  async list (line: RedisLine, records: RedisLine, now: number, limit: number): Promise<string[]> {
    const found = new Map<string, number>()
    for (let page = 0; page < mostPages && found.size < limit; page++) {
      const wanted = limit - found.size
      const reply = await listDueScript.run(line, [this.#keys.due], [String(found.size), String(wanted), String(now)]) as unknown[]
      const places = Array.from({ length: reply.length / 2 }, (_, index) => ({ key: textOf(reply[index * 2]), place: textOf(reply[index * 2 + 1]) }))
      const corrected = await Promise.all(places.map(async ({ key, place }) => {
        const record = this.#keys.record(key)
        const time = await records.call(record, ['HGET', record, 'd'])
        if (time !== null && Number(textOf(time)) <= now) found.set(key, Number(textOf(time)))
        else await correctDueScript.run(line, [this.#keys.due], [key, place, time === null ? '' : textOf(time)])
      }))
      if (corrected.length < wanted) break
    }
    return [...found].sort(([, one], [, other]) => one - other).map(([key]) => key)
  }
}
