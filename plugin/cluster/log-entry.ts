import { nameFault } from '../../schemas/name.ts'
import { Frame } from '../protocol/frame.ts'
import { carriesUpdates } from './channels.ts'
import { jsonArrayOf } from './json-text.ts'
import { isTrace } from './trace.ts'

/** One broadcast on its way through the log. */
export interface Broadcast {
  /** The full URL pattern of the endpoint whose sessions get it, or a channel of `channels`. */
  readonly url: string
  /** The group that gets it, null for all sessions; on a channel who it is for, or its name. */
  readonly group: string | null
  /** The ref of the session that does not get it; null for none. */
  readonly except: string | null
  /** An update; JSON on a channel that carries no updates. */
  readonly frame: Frame
  /** The epoch of the topic's producer; absent for what no producer of the cluster publishes. */
  readonly epoch?: number | undefined
  /** The trace in which it was called; absent for none. */
  readonly trace?: string | undefined
}

/** What an entry says of itself, whatever it carries. */
export interface EntryHead {
  /** The node that made it. */
  readonly node: string
  /** Its number among the entries of this node, from 1. A number that is missing was lost, or dropped by its own node. */
  readonly counter: number
}

/** An entry, as it was read. */
export interface ReadEntry extends EntryHead {
  /** Null for an entry of a later format. */
  readonly urls: readonly unknown[] | null
  readonly items: readonly unknown[]
  /** Whether the node makes no more entries. */
  readonly isLast: boolean
}

// An entry is JSON: [format, node, counter, urls, items, isLast]. An item is [index in urls, group, except, key, text, epoch, trace], the last two only if it has them.
// Later versions add behind the end, which earlier ones ignore. What earlier ones must not ignore gets another format.
const format = 1

const nodeName = /^[A-Za-z0-9_-]{1,64}$/
const refShape = /^[A-Za-z0-9_-]{22}$/
/** Longest name of an update, its parameters included. */
const nameLength = 512
const nameCharacters = /^[A-Za-z0-9._~!*'()%@?&=-]+$/
const eventField = 'event: '
const dataField = 'data: '

/** Writes an entry. */
export function packEntry ({ node, counter }: EntryHead, broadcasts: readonly Broadcast[], isLast = false): Buffer {
  const urls: string[] = []
  const items = broadcasts.map(({ url, group, except, frame, epoch, trace }) => {
    let index = urls.indexOf(url)
    if (index === -1) index = urls.push(url) - 1
    const item = [index, group, except, frame.key, frame.text]
    if (epoch !== undefined || trace !== undefined) item.push(epoch ?? null)
    if (trace !== undefined) item.push(trace)
    return item
  })
  return Buffer.from(JSON.stringify([format, node, counter, urls, items, isLast]))
}

/** Reads an entry, but not its items: see {@link readBroadcast}. Gives null for what is no entry. */
export function unpackEntry (bytes: Buffer): ReadEntry | null {
  const value = jsonArrayOf(bytes.toString())
  if (value === null) return null
  const [given, node, counter, urls, items, isLast] = value
  if (!Number.isSafeInteger(given) || typeof node !== 'string' || !nodeName.test(node) || !Number.isSafeInteger(counter) || (counter as number) < 1) return null
  const isReadable = given === format && Array.isArray(urls) && Array.isArray(items)
  return { node, counter: counter as number, urls: isReadable ? urls : null, items: isReadable ? items : [], isLast: isLast === true }
}

/** Where an item goes; null for an item without a place. */
export function urlOf (entry: ReadEntry, item: unknown): string | null {
  const url = Array.isArray(item) ? entry.urls?.[item[0] as number] : null
  return typeof url === 'string' ? url : null
}

/**
 * Reads an item. Text that goes to streams goes there as it is, so that it must be one update and nothing else. It need not be
 * in this node's contract: during a deploy, others may know updates that this node does not.
 *
 * @returns null for an item that is not allowed
 */
export function readBroadcast (url: string, item: unknown): Broadcast | null {
  const [, group, except, key, text, epoch, trace] = item as unknown[]
  const isUpdate = carriesUpdates(url)
  if (group !== null && (typeof group !== 'string' || (group === '' && url.startsWith('/')))) return null
  if (except !== null && (typeof except !== 'string' || !refShape.test(except))) return null
  if (typeof text !== 'string' || (key !== null && typeof key !== 'string')) return null
  const traced = isTrace(trace) ? { trace } : null
  if (!isUpdate) return key === null ? { url, group, except, frame: new Frame(text), ...traced } : null
  const name = updateNameOf(text)
  // Keys of two updates must not meet.
  if (name === null || (key !== null && !key.startsWith(`${name}\n`))) return null
  const broadcast = { url, group, except, frame: new Frame(text, key), ...traced }
  return Number.isSafeInteger(epoch) ? { ...broadcast, epoch: epoch as number } : broadcast
}

/** The name of the update that a text is, empty for one that is written without it; null for any other text. */
function updateNameOf (text: string): string | null {
  if (!text.endsWith('\n\n') || text.includes('\r')) return null
  const isNamed = text.startsWith(eventField)
  let lineEnd = isNamed ? text.indexOf('\n') : -1
  const name = isNamed ? text.slice(eventField.length, lineEnd) : ''
  if (isNamed && !isUpdateName(name)) return null
  const last = text.length - 2
  if (lineEnd >= last) return null
  while (lineEnd < last) {
    if (!text.startsWith(dataField, lineEnd + 1)) return null
    lineEnd = text.indexOf('\n', lineEnd + 1)
  }
  return name
}

function isUpdateName (name: string): boolean {
  return name.length <= nameLength && nameCharacters.test(name) && nameFault(name.split('@', 1)[0]!) === null
}
