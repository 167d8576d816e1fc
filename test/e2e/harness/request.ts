import { startReader, type Json } from './reader.ts'
import type { IncomingHttpHeaders } from 'node:http'
import { request as requestHttp1 } from 'node:http'
import { request as requestHttps } from 'node:https'
import { certificate } from './certificate.ts'
import { connectSession } from './http2-connection.ts'
import { isHttp2, isSecure, type Server } from './server.ts'
import { until } from './until.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON. Throws if it is not JSON. */
  readonly json: Json
}

export interface RequestOptions {
  method?: string
  headers?: Record<string, string>
  /** A string or bytes go out unchanged; any other value as JSON, with its content type. */
  body?: unknown
}

/** Makes one request on a new connection and reads the whole answer. */
export async function request (server: Server, path: string, options: RequestOptions = {}): Promise<Answer> {
  const { method = options.body === undefined ? 'GET' : 'POST' } = options
  const isRaw = options.body === undefined || typeof options.body === 'string' || Buffer.isBuffer(options.body)
  const body = isRaw ? options.body as string | Buffer | undefined : JSON.stringify(options.body)
  const headers: Record<string, string> = {
    ...isRaw ? {} : { 'content-type': 'application/json' },
    ...body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) },
    ...options.headers
  }
  const { status, headers: received, text } = isHttp2(server.protocol)
    ? await overHttp2(server, method, path, headers, body)
    : await overHttp1(server, method, path, headers, body)
  return { status, headers: received, text, get json () { return JSON.parse(text) as Json } }
}

/** Posts a body to a session: an envelope, an array of envelopes, or any other value. */
export function post (server: Server, session: string, body: unknown, path = '/live'): Promise<Answer> {
  return request(server, path, { method: 'POST', headers: { 'x-tether-session': session }, body })
}

/** Makes a GET and waits for the end of the body; for streams that end at once, and for refusals. */
export async function readWhole (server: Server, path = '/live', headers: Record<string, string | undefined> = {}, method = 'GET'): Promise<Answer> {
  const reader = startReader(server, path, { headers, method })
  await reader.opened
  await until(() => reader.closed || reader.ended, `the end of the answer to ${method} ${path}`)
  return { status: reader.status, headers: reader.headers, text: reader.text, get json () { return JSON.parse(reader.text) as Json } }
}

type WholeAnswer = Pick<Answer, 'status' | 'headers' | 'text'>

function overHttp1 (server: Server, method: string, path: string, headers: Record<string, string>, body: string | Buffer | undefined): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    const secure = isSecure(server.protocol)
    const target = { host: '127.0.0.1', port: server.port, method, path, headers, agent: false, ...secure ? { ca: certificate().cert } : {} }
    const outgoing = (secure ? requestHttps : requestHttp1)(target, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => { pieces.push(piece) })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(pieces).toString() }))
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function overHttp2 (server: Server, method: string, path: string, headers: Record<string, string>, body: string | Buffer | undefined): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    const session = connectSession(server)
    const stream = session.request({ ':method': method, ':path': path, ...headers })
    const pieces: Buffer[] = []
    let status = 0
    let received: IncomingHttpHeaders = {}
    stream.on('response', (head) => {
      status = head[':status'] ?? 0
      received = Object.fromEntries(Object.entries(head).filter(([name]) => !name.startsWith(':'))) as IncomingHttpHeaders
    })
    stream.on('data', (piece: Buffer) => { pieces.push(piece) })
    stream.on('error', reject)
    stream.on('close', () => {
      session.close()
      if (status === 0) reject(new Error('the stream was closed before the headers'))
      else resolve({ status, headers: received, text: Buffer.concat(pieces).toString() })
    })
    stream.end(body)
  })
}
