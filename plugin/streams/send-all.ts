import { ArgumentError } from '../../schemas/errors.ts'
import { checkNames } from '../../schemas/suggestion.ts'
import type { FrameFields } from '../protocol/frame.ts'

/** What `sendAll` takes: a list, a generator, a `Readable` of Node.js, a `ReadableStream`, or anything else to iterate. */
export type FrameSource<Item> = Iterable<Item | PromiseLike<Item>> | AsyncIterable<Item>

/** What one item becomes: fields of a frame, a string for its `data`, or nothing. */
export type MappedFrame = FrameFields | string | null | undefined

/** Options of `sendAll`. */
export interface SendAllOptions<Item> {
  /**
   * Makes the frame of an item; `index` counts from 0. It may return a promise. For null and undefined, nothing is sent. Default:
   * a string becomes `data` as it is, bytes become text (UTF-8, also across items), and anything else becomes `data` as JSON.
   */
  map?: (item: Item, index: number) => MappedFrame | PromiseLike<MappedFrame>
}

/** A stream that takes frames. */
interface Sink {
  send: (fields: FrameFields) => Promise<boolean>
  /** Aborts at the end of the stream. */
  readonly signal: AbortSignal
}

/** The stream ended before a promise settled. */
const gone = Symbol('gone')

/**
 * Sends each item of a source, and takes the next one when there is room.
 *
 * @returns a promise as `Transport.sendAll` has it
 */
export async function sendAll<Item> (sink: Sink, source: FrameSource<Item>, options: SendAllOptions<Item> = {}): Promise<boolean> {
  const map = mapOf(options)
  const items = new Items(source)
  const { signal } = sink
  let leave: (value: typeof gone) => void = () => {}
  const onEnd = () => { leave(gone) }
  // One listener for all items: a race for each of them would leave a reaction behind until the end of the stream.
  signal.addEventListener('abort', onEnd, { once: true })
  const orGone = <Value>(value: Value | PromiseLike<Value>) => new Promise<Awaited<Value> | typeof gone>((resolve, reject) => {
    leave = resolve
    if (signal.aborted) resolve(gone)
    Promise.resolve(value).then(resolve, reject)
  })
  const sendMapped = async (frame: MappedFrame): Promise<boolean> => {
    if (frame === null || frame === undefined) return !signal.aborted
    return sink.send(typeof frame === 'string' ? { data: frame } : frame)
  }
  try {
    for (let index = 0; !signal.aborted; index++) {
      const result = await orGone(items.next())
      if (result === gone) {
        items.abandon()
        return false
      }
      try {
        if (result.done === true) return await sendMapped(map.end())
        const item = await orGone(result.value)
        const frame = item === gone ? gone : await orGone(map.one(item, index))
        if (frame === gone || !await sendMapped(frame)) break
      } catch (error) {
        await items.close().catch(() => {})
        throw error
      }
    }
    await items.close()
    return false
  } finally {
    signal.removeEventListener('abort', onEnd)
  }
}

interface Mapper {
  one: (item: any, index: number) => MappedFrame | PromiseLike<MappedFrame>
  /** A last frame, after the last item. */
  end: () => MappedFrame
}

function mapOf (options: SendAllOptions<any>): Mapper {
  checkNames(options, ['map'], 'sendAll()')
  const { map } = options
  if (map !== undefined) {
    if (typeof map !== 'function') throw new ArgumentError(`the option "map" of sendAll() must be a function, got ${typeof map}`)
    return { one: map, end: () => null }
  }
  const decoder = new TextDecoder()
  return {
    one: (item: unknown) => item instanceof Uint8Array ? decoder.decode(item, { stream: true }) || null : { data: item },
    end: () => decoder.decode() || null
  }
}

/** A source that is read item by item, and closed when nobody wants the rest. */
class Items<Item> {
  readonly #source: FrameSource<Item>
  readonly #iterator: Iterator<Item | PromiseLike<Item>> | AsyncIterator<Item>

  constructor (source: FrameSource<Item>) {
    const given = source as Partial<Iterable<Item> & AsyncIterable<Item>> | null | undefined
    // A string is one value, though it can be iterated by its characters.
    const iterate = typeof source === 'string' ? undefined : given?.[Symbol.asyncIterator] ?? given?.[Symbol.iterator]
    if (typeof iterate !== 'function') throw new ArgumentError(`sendAll() takes what can be iterated, such as a list, a generator or a Readable; got ${source === null ? 'null' : typeof source}`)
    this.#source = source
    this.#iterator = (iterate as (this: unknown) => AsyncIterator<Item>).call(source)
  }

  next (): IteratorResult<Item | PromiseLike<Item>> | PromiseLike<IteratorResult<Item>> {
    return this.#iterator.next()
  }

  /** Closes a source that does not work at the moment; resolves when it is closed. */
  async close (): Promise<void> {
    await this.#iterator.return?.()
    this.#destroy()
  }

  /** Closes a source that works on its next item. A generator closes after that, whatever it takes; nobody can wait for it. */
  abandon (): void {
    this.#destroy()
    new Promise((resolve) => { resolve(this.#iterator.return?.()) }).catch(() => {})
  }

  /** A Readable has a way to stop its work at once. */
  #destroy (): void {
    const { destroy, pipe } = this.#source as { destroy?: unknown, pipe?: unknown }
    if (typeof destroy === 'function' && typeof pipe === 'function') destroy.call(this.#source)
  }
}

/** Closes a source that no stream will take. */
export async function refuseAll<Item> (source: FrameSource<Item>, options: SendAllOptions<Item> = {}): Promise<boolean> {
  mapOf(options)
  await new Items(source).close()
  return false
}
