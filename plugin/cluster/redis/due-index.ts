import { defaults } from '../../../schemas/defaults.ts'
import type { RedisKeys } from './keys.ts'
import type { RedisLine } from './redis-line.ts'
import { textOf } from './replies.ts'
import { correctDueScript, dueScript, listDueScript } from './script.ts'

/** Most pages that one call reads: an index full of places that moved must not hold it for ever. */
const mostPages = 8

const { redisDuePlaces } = defaults.fixed

/** What the index and the record had after a write of this node, the last of both. */
interface Placed {
  readonly place: number
  readonly dueAt: number
}

/**
 * Which records come due. A record and the index are in different slots, so no script writes both. The time in
 * the record counts; the index never names a later one, and is corrected when it is read.
 */
export class DueIndex {
  readonly #keys: RedisKeys
  /** Those written last are at the end. */
  readonly #placed = new Map<string, Placed>()

  readonly #mostPlaced: number

  /** @param mostPlaced records that it remembers; the one written longest ago is forgotten first */
  constructor (keys: RedisKeys, mostPlaced: number = redisDuePlaces) {
    this.#keys = keys
    this.#mostPlaced = mostPlaced
  }

  /**
   * Whether the index may stay as it is: it has an earlier time, though not by more than `slackMs`. Another node corrects a place only to a
   * time that the record has had, so the times in the record must not go back.
   */
  covers (key: string, dueAt: number, slackMs: number): boolean {
    const placed = this.#placed.get(key)
    return placed !== undefined && placed.dueAt <= dueAt && dueAt - placed.place <= slackMs
  }

  /** Goes before the write of the record: a crash between the two leaves a place too many, never one too few. */
  async add (line: RedisLine, key: string, dueAt: number): Promise<void> {
    this.#placed.delete(key)
    await dueScript.join(line, [this.#keys.due], [key, String(dueAt)])
    this.#keep(key, { place: dueAt, dueAt })
  }

  /** The record has been written with a due time that `covers` allowed, or that was added. */
  written (key: string, dueAt: number): void {
    const placed = this.#placed.get(key)
    if (placed !== undefined) this.#keep(key, { place: placed.place, dueAt })
  }

  /** Nobody knows what the record has now. */
  forget (key: string): void {
    this.#placed.delete(key)
  }

  /** Nobody knows what the index has now. */
  clear (): void {
    this.#placed.clear()
  }

  #keep (key: string, placed: Placed): void {
    this.#placed.delete(key)
    this.#placed.set(key, placed)
    if (this.#placed.size > this.#mostPlaced) this.#placed.delete(this.#placed.keys().next().value!)
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
