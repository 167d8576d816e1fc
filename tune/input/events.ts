import { readFile } from 'node:fs/promises'
import { fetchText, type FetchOptions } from '../fetch.ts'
import type { TuneOptions } from './options.ts'
import { sampleOf } from './sample.ts'
import { UsageError } from './usage-error.ts'

/** One kind of event: its share of all events is its weight over the sum of the weights. */
export interface WeightedEvent {
  readonly event: string
  readonly data: unknown
  readonly weight: number
}

const timeoutMs = 30_000

/**
 * Reads the events from lines of JSON, or makes them from an OpenAPI document: a file, a URL or a path of the server.
 *
 * @throws UsageError, which names the file and the line
 */
export async function readEvents ({ events: source, url, headers, transport }: Pick<TuneOptions, 'events' | 'url' | 'headers' | 'transport'>): Promise<WeightedEvent[]> {
  const text = await readSource(source, url, { headers: { ...headers, accept: 'application/json' }, isHttp2: transport === 'http2', timeoutMs })
  const document = asObject(text)
  const events = document !== null && ('openapi' in document || 'swagger' in document) ? fromDocument(document, url, source) : fromLines(text, source)
  if (events.length === 0) throw new UsageError(`--events: ${source} has no event`)
  return events
}

async function readSource (source: string, url: URL, options: FetchOptions): Promise<string> {
  let reason: string
  try {
    return await readFile(source, 'utf8')
  } catch (error) {
    reason = (error as Error).message
  }
  if (!source.startsWith('/') && !/^https?:/.test(source)) throw new UsageError(`--events: ${source} cannot be read: ${reason}`)
  const from = new URL(source, url)
  if (from.origin !== url.origin) throw new UsageError(`--events: ${source} is not on the server of --url`)
  const { status, text } = await fetchText(from, options).catch((error: Error) => {
    throw new UsageError(`--events: ${from.href} cannot be fetched: ${error.message}`)
  })
  if (status !== 200) throw new UsageError(`--events: there is no such file, and the server answers ${status} to ${from.pathname}`)
  return text
}

function asObject (text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : null
  } catch {
    return null
  }
}

function fromLines (text: string, source: string): WeightedEvent[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return []
    const place = `--events: ${source}, line ${index + 1}`
    const value = asObject(line)
    if (value === null) throw new UsageError(`${place} is not a JSON object with event, data and weight`)
    const { event, data = {}, weight = 1, ...rest } = value
    if (typeof event !== 'string' || event === '') throw new UsageError(`${place} has no "event" that is a name`)
    if (typeof weight !== 'number' || !(weight > 0) || !Number.isFinite(weight)) throw new UsageError(`${place}: "weight" must be a positive number`)
    const [unknown] = Object.keys(rest)
    if (unknown !== undefined) throw new UsageError(`${place} has "${unknown}"; it may have event, data and weight`)
    return [{ event, data, weight }]
  })
}

/** The events that the document lists below the URL, each with the smallest data that its schema allows. */
function fromDocument (document: Record<string, unknown>, url: URL, source: string): WeightedEvent[] {
  const base = url.pathname.replace(/\/$/, '')
  const resolve = (reference: string): unknown => reference.replace(/^#\//, '').split('/').reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part.replaceAll('~1', '/').replaceAll('~0', '~')], document)
  const events = Object.entries((document.paths ?? {}) as Record<string, any>).flatMap(([path, { post }]) => {
    const name = path.startsWith(`${base}/`) ? path.slice(base.length + 1) : ''
    if (post === undefined || name === '' || name.includes('/') || name.startsWith('tether.') || name.includes('{')) return []
    // A request needs a number, which only a client that sends one event after the other can give.
    if (post.responses?.['200'] !== undefined && post.responses['422'] !== undefined) return []
    const schema = post.requestBody?.content?.['application/json']?.schema ?? post.parameters?.find((one: { in?: string }) => one.in === 'body')?.schema
    return [{ event: decodeURIComponent(name), data: sampleOf(schema ?? { type: 'object' }, resolve), weight: 1 }]
  })
  if (events.length === 0) throw new UsageError(`--events: the document of ${source} has no event below ${base}`)
  return events
}
