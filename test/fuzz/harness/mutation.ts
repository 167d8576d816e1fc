import { gzipSync } from 'node:zlib'
import type { Random } from '../../chaos/harness/random.ts'
import { bytesOf, type WireRequest } from './wire-request.ts'

/** Ids that requests may name. */
export interface KnownIds {
  /** Sessions with a stream. */
  readonly open: readonly string[]
  /** Others that were told of: closed, detached, prepared, claimed. */
  readonly other: readonly string[]
}

const jsonType = 'application/json'
const formType = 'application/x-www-form-urlencoded'

const validData: Record<string, () => unknown> = {
  ping: () => ({}),
  say: () => ({ text: 'hello', to: ['a', 'b'] }),
  shape: () => ({ kind: { type: 'path', points: [[1, 2], [3, 4]] }, tags: { one: 1 }, at: '2026-07-31T12:00:00Z' }),
  count: () => ({ to: 5, on: true }),
  fail: () => ({}),
  end: () => ({})
}
const eventNames = Object.keys(validData)

const oddNames = ['', 'tether.close', 'nope', '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'x'.repeat(65), 'open', 'message', 'sa y', 'ÿ', '%00', '..', 'say/../ping', 'say?x=1', '%', '%zz', 'a%2Fb']
const oddValues = ['', ' ', '0', '-1', '*', '*/*', 'null', 'undefined', 'new', 'NaN', 'a,b', 'a;b=c', '"', '\'', '<script>', '../../etc', '%00', '\u00ff\u00fe', 'x'.repeat(300), 'x'.repeat(5_000), '\t', 'true', '1e309', '[object Object]']
const accepts = ['text/event-stream', '*/*', 'text/*', 'application/json', 'text/event-stream;q=0', 'text/html, text/event-stream;q=0.1', 'text/event-stream;q=abc', ';', ',,,', 'text/', '/', 'text/event-stream; charset=utf-8', ', '.repeat(400)]
const origins = ['null', 'http://127.0.0.1', 'https://evil.example', 'https://trusted.example', 'HTTPS://TRUSTED.EXAMPLE', 'http://', 'x', 'http://[::1]:99999', 'http://a b', 'http://127.0.0.1:80:80']
const sites = ['same-origin', 'none', 'same-site', 'cross-site', 'Same-Origin', '', 'x']
const contentTypes = [jsonType, formType, 'text/plain', 'application/json; charset=utf-8', 'application/json; charset=utf-16', 'application/json;', 'application/jsonx', 'APPLICATION/JSON', 'multipart/form-data; boundary=x', 'multipart/form-data', 'application/x-www-form-urlencoded; charset=latin1', '', ' ', '/', 'text/event-stream', 'application/vnd.api+json', 'application/json, text/html', 'application/json; a="', '__proto__']
const methods = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'PROPFIND', 'QUERY', 'get']
const otherHeaders: ReadonlyArray<[string, readonly string[]]> = [
  ['Expect', ['100-continue', 'x']], ['Connection', ['close', 'keep-alive', 'upgrade', 'x']], ['Upgrade', ['websocket', 'h2c']],
  ['Content-Encoding', ['gzip', 'br', 'x']], ['Cookie', ['a=b', '=;=;', 'x'.repeat(2_000)]], ['Range', ['bytes=0-', 'x']],
  ['If-None-Match', ['*', '"x"']], ['X-HTTP-Method-Override', ['DELETE']], ['X-Forwarded-For', ['1.2.3.4', 'x']], ['X-Forwarded-Host', ['evil.example']],
  ['X-User', ['ann', 'eve', '']], ['Accept-Encoding', ['gzip', 'identity;q=0']], ['Cache-Control', ['no-cache']], ['Trailer', ['x']], ['TE', ['trailers']], ['Accept-Version', ['1.0.0', 'x']],
  ['Request-Id', ['x', '']], ['Host', ['', 'a b', 'evil.example:x']], ['Last-Event-ID', ['0', 'x.1', '', 'x'.repeat(24)]], ['X-Tether-Session', ['new', 'x'.repeat(24), '']]
]

const oddTokens = [
  'null', '-0', '1e400', '-1e-400', '123456789012345678901234567890', 'true', '""', '[]', '{}', '"\\ud800"', '"\\u0000"', '"\\u2028"', '"\u00e9"',
  '{"__proto__":{}}', '{"constructor":{"prototype":{}}}', '{"a":1,"a":2}', '"__proto__"', '"toString"', 'NaN', 'undefined', '\'x\'', '/*x*/', '01', '"\\x"', '"\n"', '[1,]', '\ufeff'
]

/** Changes of a request, and how often each is made; after these the server may keep the connection. */
const wildChanges = { name: 2, query: 1, value: 4, accept: 2, origin: 2, site: 2, casing: 1, bytes: 4, empty: 1, method: 1, drop: 2, twice: 1, type: 4, other: 4, large: 0.1, gzip: 0.5 }
const tameChanges: typeof wildChanges = { ...wildChanges, bytes: 0, empty: 0, method: 0, drop: 0, twice: 0, type: 0, other: 0, large: 0, gzip: 0 }

/** Makes requests: right ones, and what becomes of them. */
export class Mutator {
  readonly #random: Random
  readonly #port: number
  readonly #ids: KnownIds

  constructor (random: Random, port: number, ids: KnownIds) {
    this.#random = random
    this.#port = port
    this.#ids = ids
  }

  /**
   * A POST or anything else that is answered and done with; its framing is right.
   *
   * @param isWild whether its connection may be closed after the answer
   */
  answered (isWild = true): WireRequest {
    const random = this.#random
    const request = random.weighted({ envelope: 5, batch: 3, event: 4, form: 3, leave: 0.3, page: 0.3, head: 0.5 })
    return this.#mutated(this.#post(request, isWild), isWild)
  }

  /** A GET that may open a stream. */
  stream (): WireRequest {
    const random = this.#random
    const request = this.#request('GET', '/live')
    request.headers.push(['Accept', 'text/event-stream'])
    const id = this.#id()
    const number = random.pick([0, 1, 2, 5, 1_000, 'taken', '01', '-1', '', '1e3'])
    switch (random.weighted({ new: 3, exact: 3, counted: 3, header: 1, query: 1, prepared: 2, mixed: 1 })) {
      case 'exact': request.headers.push(['Last-Event-ID', `${id}.${number}`]); break
      case 'counted': request.headers.push(['X-Tether-Session', id], ['Last-Event-ID', `${id}.${number}`]); break
      case 'header': request.headers.push(['X-Tether-Session', random.pick(['new', id])]); break
      case 'query': request.target += `?last-event-id=${id}.${number}`; break
      case 'prepared': request.target += `?tether-session=${id}`; break
      case 'mixed': request.headers.push(['X-Tether-Session', id], ['Last-Event-ID', `${this.#id()}.${number}`])
    }
    return this.#mutated(request)
  }

  /** Bytes that began as a request and need be none any more. */
  broken (): Buffer {
    const random = this.#random
    const bytes = Buffer.from(bytesOf(random.chance(0.3) ? this.stream() : this.answered()))
    if (random.chance(0.3)) return bytes.subarray(0, random.integer(0, bytes.length))
    if (random.chance(0.2)) return Buffer.concat([bytes.subarray(0, random.integer(0, bytes.length)), bytes.subarray(random.integer(0, bytes.length))])
    for (let flips = random.skewed(1, 30); flips > 0; flips--) {
      // Heads are short beside some bodies, and more of what is wrong with them matters.
      const at = random.integer(0, random.chance(0.7) ? Math.min(bytes.length, 300) - 1 : bytes.length - 1)
      bytes[at] = random.pick([0, 9, 10, 13, 32, 34, 37, 44, 58, 123, 125, 127, 255, random.integer(0, 255), bytes[at]! ^ 32])
    }
    return bytes
  }

  #id (): string {
    const random = this.#random
    const known = random.chance(0.7) ? this.#ids.open : this.#ids.other
    return known.length === 0 || random.chance(0.05) ? random.pick(['x'.repeat(24), 'new', '', '__proto__', 'A'.repeat(23), 'constructor']) : random.pick(known)
  }

  #request (method: string, target: string): WireRequest {
    return { method, target, headers: [['Host', `127.0.0.1:${this.#port}`]], body: null, framing: 'length', chunkBytes: this.#random.skewed(1, 2_000) }
  }

  #post (kind: 'envelope' | 'batch' | 'event' | 'form' | 'leave' | 'page' | 'head', isWild: boolean): WireRequest {
    const random = this.#random
    if (kind === 'page') return this.#request('GET', '/page')
    if (kind === 'head') {
      const request = this.#request('HEAD', '/live')
      request.headers.push(['Accept', 'text/event-stream'], ['Last-Event-ID', `${this.#id()}.0`])
      return request
    }
    const name = this.#eventName()
    const path = kind === 'event' || kind === 'form' ? `/live/${name}` : kind === 'leave' ? '/live/tether.close' : '/live'
    const request = this.#request('POST', path)
    if (random.chance(0.25)) request.framing = 'chunked'
    if (kind === 'form') {
      request.headers.push(['Content-Type', formType])
      const fields = random.pick(['text=hello', 'to=5&on=true', 'text=a&text=b', 'tags[one]=1', '&&==&', '%', 'text=%ff', '__proto__=1', 'a=1&'.repeat(random.skewed(1, 2_000))])
      request.body = Buffer.from(`tether-session=${this.#id()}&${fields}`)
      return request
    }
    request.headers.push(['Content-Type', jsonType], ['X-Tether-Session', this.#id()])
    if (random.chance(0.2)) request.headers.push(['Last-Event-ID', `${this.#id()}.${random.integer(0, 5)}`])
    const body = kind === 'envelope'
      ? this.#envelope()
      : kind === 'batch' ? Array.from({ length: random.skewed(1, 40) }, () => this.#envelope()) : kind === 'leave' ? {} : this.#data(name)
    const json = this.#json(body)
    // After a body that is no JSON the connection is closed.
    request.body = Buffer.from(isWild || isJson(json) ? json : JSON.stringify(body))
    return request
  }

  #eventName (): string {
    // What ends a session is kept rare, or there would be none left to post to.
    return this.#random.chance(0.01) ? 'end' : this.#random.pick(eventNames.slice(0, -1))
  }

  #data (name: string): unknown {
    return validData[name]?.() ?? {}
  }

  #envelope (): unknown {
    const name = this.#eventName()
    const seq = this.#random.chance(0.3) ? { seq: this.#random.pick([1, 2, 3, 0, -1, 1.5, '1', Number.MAX_SAFE_INTEGER, 2 ** 60, null]) } : {}
    return { event: name, data: this.#data(name), ...seq }
  }

  /** Writes a body as JSON, some part of which may have been put in the place of another. */
  #json (body: unknown): string {
    const random = this.#random
    let json = JSON.stringify(body)
    for (let count = random.weighted({ none: 5, one: 4, two: 1 }) === 'none' ? 0 : random.integer(1, 2); count > 0; count--) {
      const places = [...json.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null|\{\}|\[|\]|\{|\}|,|:/g)]
      const place = random.pick(places)
      if (place === undefined) break
      const end = place.index + place[0].length
      json = json.slice(0, place.index) + random.pick([this.#oddJson(), place[0] + place[0], '', place[0]]) + json.slice(end)
    }
    return json
  }

  #oddJson (): string {
    const random = this.#random
    const depth = random.skewed(1, 6_000)
    switch (random.integer(0, 40)) {
      case 0: return '['.repeat(depth) + ']'.repeat(depth)
      case 1: return '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
      case 2: return '['.repeat(depth)
      case 3: return `"${'x'.repeat(random.skewed(1, 70_000))}"`
      case 4: return `[${'{"x":1},'.repeat(random.skewed(1, 3_000))}1]`
      case 5: return `{${Array.from({ length: random.skewed(1, 3_000) }, (_, index) => `"k${index}":${index}`).join()}}`
      default: return random.pick(oddTokens)
    }
  }

  #mutated (request: WireRequest, isWild = true): WireRequest {
    const random = this.#random
    const changes = random.weighted({ none: 4, one: 4, some: 2 })
    for (let count = changes === 'none' ? 0 : changes === 'one' ? 1 : random.integer(2, 5); count > 0; count--) this.#change(request, isWild)
    return request
  }

  #change (request: WireRequest, isWild: boolean): void {
    const random = this.#random
    const { headers } = request
    switch (random.weighted(isWild ? wildChanges : tameChanges)) {
      // With a body that nobody frames, or as a request that never ends, it would be no answered request.
      case 'method': if (request.method !== 'GET' || request.target.startsWith('/page')) request.method = random.pick(methods.slice(1)); break
      case 'name': if (request.method !== 'GET') request.target = `/live/${random.pick(oddNames)}`.replace(' ', '%20').replace('ÿ', '%FF'); break
      case 'query': request.target += `${request.target.includes('?') ? '&' : '?'}${random.pick(['a=b', 'tether-session=', 'last-event-id=x', '%', '__proto__=x', '=', '&&&', 'a[]=1', 'x'.repeat(1_000)])}`; break
      case 'value': if (headers.length > 1) headers[random.integer(isWild ? 1 : Math.min(2, headers.length - 1), headers.length - 1)]![1] = random.pick(oddValues); break
      case 'drop': headers.splice(random.integer(0, headers.length - 1), 1); break
      case 'twice': if (headers.length > 0) headers.push([...random.pick(headers)]); break
      case 'accept': this.#set(request, 'Accept', random.pick(accepts)); break
      case 'origin': this.#set(request, 'Origin', random.pick(origins)); break
      case 'site': this.#set(request, 'Sec-Fetch-Site', random.pick(sites)); break
      case 'type': this.#set(request, 'Content-Type', random.pick(contentTypes)); break
      case 'other': {
        const [name, values] = random.pick(otherHeaders)
        this.#set(request, name, random.pick(values))
        break
      }
      case 'bytes': if (request.body !== null) request.body = this.#changedBytes(request.body); break
      case 'empty': if (request.body !== null) request.body = random.chance(0.5) ? null : Buffer.alloc(0); break
      case 'large': if (request.body !== null) request.body = Buffer.alloc(random.integer(65_000, 70_000), random.pick(['[', ' ', 'a', '\0'])); break
      case 'gzip':
        if (request.body === null) break
        request.body = gzipSync(request.body)
        this.#set(request, 'Content-Encoding', 'gzip')
        break
      case 'casing': if (headers.length > 0) { const header = random.pick(headers); header[0] = random.chance(0.5) ? header[0].toUpperCase() : header[0].toLowerCase() }
    }
  }

  #set (request: WireRequest, name: string, value: string): void {
    request.headers = request.headers.filter(([other]) => other.toLowerCase() !== name.toLowerCase())
    request.headers.push([name, value])
  }

  #changedBytes (body: Buffer): Buffer {
    const random = this.#random
    const at = random.integer(0, body.length)
    switch (random.integer(0, 4)) {
      case 0: return body.subarray(0, at)
      case 1: return Buffer.concat([body.subarray(0, at), Buffer.from([random.integer(0, 255)]), body.subarray(at)])
      case 2: return Buffer.concat([body, random.pick([Buffer.from([0]), Buffer.from('}'), Buffer.from([0xff, 0xfe]), Buffer.from('{}')])])
      case 3: return Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), body])
      default: {
        const changed = Buffer.from(body)
        if (changed.length > 0) changed[random.integer(0, changed.length - 1)] = random.integer(0, 255)
        return changed
      }
    }
  }
}

function isJson (text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
