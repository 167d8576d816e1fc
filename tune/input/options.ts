import { isIPv4 } from 'node:net'
import { totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { parseBytes, parseDuration } from '../quantity.ts'
import { UsageError } from './usage-error.ts'

/** A latency that must hold: a share of the events, from 0 to 1, within a time. */
export interface Objective {
  /** As it was given, `p99=250ms`. */
  readonly name: string
  readonly share: number
  readonly limitMs: number
}

export const readerKinds = ['fast', 'slow', 'frozen', 'churning'] as const
export type ReaderKind = typeof readerKinds[number]
/** Shares of the readers; their sum is 1. */
export type ReaderMix = Readonly<Record<ReaderKind, number>>

export const transports = ['sse', 'websocket', 'http2'] as const
export type TransportName = typeof transports[number]

/** What to measure, and within which bounds. */
export interface TuneOptions {
  readonly url: URL
  readonly events: string
  readonly headers: Readonly<Record<string, string>>
  /** Streams opened a second. */
  readonly connectRate: number
  readonly readers: ReaderMix
  readonly transport: TransportName
  readonly objectives: readonly Objective[]
  /** Events a client and second. */
  readonly rate: number
  /** Most clients; whether the person gave it decides what the exit code says. */
  readonly maxClients: number
  readonly hasMaxClients: boolean
  readonly minutes: number
  readonly quick: boolean
  /** Most resident bytes of the server. */
  readonly maxMemoryBytes: number
  readonly json: string | null
  /** Folder of the report; null for none. */
  readonly out: string | null
  readonly compare: string | null
}

interface Row {
  readonly value?: string
  readonly many?: true
  readonly help: string
}

const rows = {
  url: { value: 'URL', help: 'the stream\'s URL, http://127.0.0.1:3000/live for example; needed' },
  events: { value: 'FILE', help: 'lines of JSON with event, data and weight; or an OpenAPI document, as a file or a path that the server serves; needed' },
  headers: { value: 'HEADERS', many: true, help: 'headers of every request: "name: value", or a JSON object; may be repeated' },
  cookie: { value: 'COOKIE', help: 'cookies of every request: "name=value; other=value"' },
  'connect-rate': { value: 'N', help: 'streams opened a second (500)' },
  readers: { value: 'SHARES', help: 'shares of the readers: fast=0.8,slow=0.1,frozen=0.05,churning=0.05 (fast=1)' },
  transport: { value: 'NAME', help: 'sse, websocket or http2 (sse)' },
  slo: { value: 'OBJECTIVE', many: true, help: 'latency that must hold, p99=250ms for example; may be repeated (p99=250ms)' },
  rate: { value: 'N', help: 'events a client and second (1)' },
  'max-clients': { value: 'N', help: 'never more clients than this (2000)' },
  minutes: { value: 'N', help: 'longest time of the run (10; with --quick 1.5)' },
  'max-memory': { value: 'SIZE', help: 'stop when the server is larger, 512MB for example (three quarters of the machine\'s memory)' },
  json: { value: 'FILE', help: 'write all figures to this file' },
  out: { value: 'FOLDER', help: 'write the report, the figures and the distributions into this folder (tether-tune, or none with --json)' },
  compare: { value: 'FILE', help: 'compare with the figures of an earlier run; a regression gives exit code 1' },
  'i-own-this': { value: 'HOST', help: 'the URL\'s host, where it is not this machine' },
  quick: { help: 'fewer and shorter steps, about a minute' },
  help: { help: 'this text' }
} satisfies Record<string, Row>

/** The text of `--help`. */
export function helpText (): string {
  const heads = Object.entries<Row>(rows).map(([name, { value }]) => `--${name}${value === undefined ? '' : ` ${value}`}`)
  const width = Math.max(...heads.map(({ length }) => length))
  const lines = Object.values<Row>(rows).map(({ help }, index) => `  ${heads[index]!.padEnd(width)}  ${help}`)
  return `fastify-tether tune --url URL --events FILE [options]\n\n${lines.join('\n')}\n\n` +
    'Exit code: 0 the objectives hold, 1 they do not, 2 the run cannot tell.\nWith --max-clients they must hold for that many clients, without it at any load.\n'
}

/**
 * Reads the words behind `tune`. Null for `--help`.
 *
 * @throws UsageError, which names the option and what it takes
 */
export function readOptions (words: readonly string[]): TuneOptions | null {
  const given = parse(words)
  if (given.flag('help')) return null
  const url = readUrl(given.need('url'), given.text('i-own-this'))
  const quick = given.flag('quick')
  const maxClients = given.text('max-clients')
  const json = given.text('json')
  const options: TuneOptions = {
    url,
    events: given.need('events'),
    headers: readHeaders(given.all('headers'), given.text('cookie')),
    connectRate: positive('connect-rate', given.text('connect-rate'), 500),
    readers: readReaders(given.text('readers')),
    transport: readTransport(given.text('transport')),
    objectives: readObjectives(given.all('slo')),
    rate: positive('rate', given.text('rate'), 1),
    maxClients: whole('max-clients', maxClients, 2_000),
    hasMaxClients: maxClients !== null,
    minutes: positive('minutes', given.text('minutes'), quick ? 1.5 : 10),
    quick,
    maxMemoryBytes: bytes('max-memory', given.text('max-memory'), totalmem() * 0.75),
    json,
    out: given.text('out') ?? (json === null ? 'tether-tune' : null),
    compare: given.text('compare')
  }
  if (options.minutes > 24 * 60) throw new UsageError(`--minutes must be at most 1,440; got ${options.minutes}`)
  if (options.maxClients > 100_000) throw new UsageError(`--max-clients must be at most 100,000; got ${options.maxClients}`)
  return options
}

function parse (words: readonly string[]) {
  let values: Record<string, string | boolean | string[] | undefined>
  try {
    values = parseArgs({
      args: [...words],
      allowPositionals: false,
      options: Object.fromEntries(Object.entries<Row>(rows).map(([name, { value, many }]) =>
        [name, { type: value === undefined ? 'boolean' as const : 'string' as const, multiple: many === true }]))
    }).values as typeof values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  const text = (name: keyof typeof rows): string | null => values[name] === undefined ? null : String(values[name])
  return {
    text,
    flag: (name: keyof typeof rows) => values[name] === true,
    all: (name: keyof typeof rows) => (values[name] ?? []) as string[],
    need: (name: keyof typeof rows): string => {
      const value = text(name)
      if (value === null || value === '') throw new UsageError(`--${name} is needed: ${rows[name].help}`)
      return value
    }
  }
}

function readUrl (text: string, owned: string | null): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) throw new UsageError(`--url must be a URL such as http://127.0.0.1:3000/live; got ${JSON.stringify(text)}`)
  if (url.username !== '' || url.password !== '') throw new UsageError('--url must have no user and password; give them by --headers')
  if (owned !== null && owned !== url.hostname && owned !== url.host) throw new UsageError(`--i-own-this must be the host of --url, ${url.hostname}; got ${JSON.stringify(owned)}`)
  if (owned === null && !isLoopback(url.hostname)) throw new UsageError(`--url is not on this machine. Load harms others: if ${url.hostname} is yours, add --i-own-this ${url.hostname}`)
  url.hash = ''
  return url
}

function isLoopback (hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
}

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const ownHeaders = ['host', 'content-length', 'transfer-encoding', 'connection', 'accept', 'x-tether-session', 'last-event-id', 'content-type', 'upgrade']

function readHeaders (texts: readonly string[], cookie: string | null): Record<string, string> {
  const headers: Record<string, string> = {}
  const add = (name: string, value: unknown): void => {
    const lower = name.toLowerCase()
    if (!headerName.test(name) || typeof value !== 'string' || /[\r\n\0]/.test(value)) throw new UsageError(`--headers: ${JSON.stringify(name)} is not a header with a text as its value`)
    if (ownHeaders.includes(lower)) throw new UsageError(`--headers: the command sets ${lower} itself`)
    headers[lower] = value.trim()
  }
  for (const text of texts) {
    if (text.trimStart().startsWith('{')) {
      let object: unknown
      try {
        object = JSON.parse(text)
      } catch {
        throw new UsageError(`--headers must be "name: value" or a JSON object; got ${JSON.stringify(text)}`)
      }
      for (const [name, value] of Object.entries(object as object)) add(name, value)
      continue
    }
    const colon = text.indexOf(':')
    if (colon < 1) throw new UsageError(`--headers must be "name: value" or a JSON object; got ${JSON.stringify(text)}`)
    add(text.slice(0, colon).trim(), text.slice(colon + 1))
  }
  if (cookie !== null) {
    if (!/^[^=;\s]+=[^;\r\n]*(;\s*[^=;\s]+=[^;\r\n]*)*;?$/.test(cookie)) throw new UsageError(`--cookie must be "name=value" or several, separated by semicolons; got ${JSON.stringify(cookie)}`)
    add('cookie', cookie)
  }
  return headers
}

function readReaders (text: string | null): ReaderMix {
  const mix = { fast: 0, slow: 0, frozen: 0, churning: 0 }
  const seen = new Set<string>()
  for (const part of (text ?? 'fast=1').split(',')) {
    const [kind = '', share = ''] = part.trim().split('=')
    const value = Number(share)
    if (!readerKinds.some((known) => known === kind) || share === '' || !(value >= 0) || !Number.isFinite(value) || seen.has(kind)) {
      throw new UsageError(`--readers must be shares of ${readerKinds.join(', ')}, such as fast=0.9,slow=0.1; got ${JSON.stringify(text)}`)
    }
    seen.add(kind)
    mix[kind as ReaderKind] = value
  }
  const sum = Object.values(mix).reduce((total, share) => total + share, 0)
  if (Math.abs(sum - 1) > 0.001) throw new UsageError(`--readers: the shares must add up to 1; ${JSON.stringify(text)} gives ${Number(sum.toPrecision(4))}`)
  if (mix.frozen === 1) throw new UsageError('--readers must name somebody who reads')
  return mix
}

function readTransport (text: string | null): TransportName {
  const name = text ?? 'sse'
  if (!transports.some((known) => known === name)) throw new UsageError(`--transport must be ${transports.join(', ')}; got ${JSON.stringify(text)}`)
  return name as TransportName
}

function readObjectives (texts: readonly string[]): Objective[] {
  const objectives = (texts.length === 0 ? ['p99=250ms'] : texts.flatMap((text) => text.split(','))).map((given) => {
    const text = given.trim()
    const [, percent = '', limit = ''] = /^p(\d+(?:\.\d+)?)=(.+)$/.exec(text) ?? []
    const share = Number(percent) / 100
    if (percent === '' || !(share > 0) || !(share < 1)) throw new UsageError(`--slo must be a percentile and a time, such as p99=250ms; got ${JSON.stringify(text)}`)
    return { name: text, share, limitMs: asUsage(() => parseDuration('slo', limit)) }
  })
  const names = objectives.map(({ share }) => share)
  if (new Set(names).size < names.length) throw new UsageError('--slo names a percentile twice')
  return objectives
}

function positive (name: string, text: string | null, fallback: number): number {
  if (text === null) return fallback
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value
  throw new UsageError(`--${name} must be a positive number; got ${JSON.stringify(text)}`)
}

function whole (name: string, text: string | null, fallback: number): number {
  const value = positive(name, text, fallback)
  if (Number.isSafeInteger(value)) return value
  throw new UsageError(`--${name} must be a whole number; got ${JSON.stringify(text)}`)
}

function bytes (name: string, text: string | null, fallback: number): number {
  return text === null ? fallback : asUsage(() => parseBytes(name, text))
}

function asUsage<Result> (read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
