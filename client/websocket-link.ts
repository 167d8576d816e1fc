import type { Answer as WireAnswer } from '../schemas/answer.ts'
import type { CloseCode } from '../schemas/close-code.ts'
import type { Answer } from './answer.ts'
import type { Claim, Link, Transport } from './link.ts'
import { resolveNumbers, type LinkFactory } from './options.ts'
import { sseLink } from './sse-link.ts'

/** The part of the class WebSocket that the link uses. */
export interface WebSocketLike {
  send (message: string): void
  close (): void
  onopen: ((event: any) => void) | null
  onmessage: ((event: any) => void) | null
  onerror: ((event: any) => void) | null
  onclose: ((event: any) => void) | null
}

export interface WebSocketLinkOptions {
  /**
   * `'both'` falls back to server-sent events where no WebSocket gets through. `'websocket'`
   * never falls back. Default `'both'`.
   */
  mode?: 'websocket' | 'both'
  /** Replaces the platform's class WebSocket. Node.js has none before version 22. */
  WebSocket?: new (url: string) => WebSocketLike
  /** Longest wait, in milliseconds, for a WebSocket to open and bring its first message from the library's server. Default 4,000. */
  openTimeoutMs?: number
  /** Remembers for a day that no WebSocket got through, such as `sessionStorage`. Default: the connection's lifetime only. */
  storage?: { getItem (key: string): string | null, setItem (key: string, value: string): void }
}

/** A WebSocket that breaks sooner than this was cut by a proxy. */
const shortLifeMs = 60_000
/** After this many such breaks in a row, no WebSocket is tried again. */
const mostShortLives = 2

/**
 * Most characters that wait for a slow iteration. A WebSocket cannot be paused, so it is closed beyond. An event
 * stream that is not read leaves about as much in the buffers of its connection.
 */
const mostWaiting = 8 << 20

/** Failures in a row that are forgiven after a WebSocket got through: the server or a proxy may be restarting slowly. */
const forgiven = 2

/** A day, since networks and proxies change. */
const rememberMs = 86_400_000

/** Start of the first message from the library's server. */
const opening = /^(retry: \d+|(id: .*\n)?event: tether)\n/

/** Lines of an event stream begin with the name of a field, so no data can match this. */
const answerLine = /^event: tether\ndata: (\{"type":"answer".*)$/gm

/** The server's close codes as statuses. Other codes are the end of a stream. */
const statuses: Readonly<Partial<Record<CloseCode, number>>> = { 1003: 415, 1009: 413, 1011: 500, 1013: 503, 4400: 400, 4410: 204 }

interface Asked {
  resolve: (answer: Answer) => void
  reject: (error: Error) => void
}

/** The WebSocket brought nothing, so perhaps none gets through. */
class NotThroughError extends Error {}

/**
 * Makes the link of `connect` over a WebSocket, tried first, with server-sent events to fall back to.
 *
 * @example
 * const live = connect<typeof contract>('/live', { link: webSocketLink() })
 * @see docs/client.md
 */
export function webSocketLink ({ mode = 'both', WebSocket: own, openTimeoutMs, storage }: WebSocketLinkOptions = {}): LinkFactory {
  const openMs = resolveNumbers({ openTimeoutMs }, { openTimeoutMs: 4_000 }).openTimeoutMs!
  return (url, options): Link => {
    const key = `fastify-tether ${url}`
    const fallback = sseLink(url, options)
    const Socket = own ?? (globalThis as { WebSocket?: new (url: string) => WebSocketLike }).WebSocket
    const mayFallBack = mode === 'both'
    let isBarred = mayFallBack && (Socket === undefined || recall(storage, key))
    let shortLives = 0
    /** Failures that are still to be forgiven. */
    let credit = 0
    /** The WebSocket that carries the session, while there is one. */
    let socket: WebSocketLike | undefined
    /** Number of the last update that the server knows to have arrived. */
    let told = 0
    /** What carried the latest stream. */
    let transport: Transport | undefined
    /** Requests sent on it without an answer yet, oldest first. */
    const asked: Asked[] = []

    const openSocket = ({ session, seq }: Claim, onText: (text: string) => Promise<unknown>, signal: AbortSignal) => new Promise<Answer>((resolve, reject) => {
      let opened: WebSocketLike
      try {
        opened = new Socket!(new URL(url, (globalThis as { location?: { href: string } }).location?.href).href.replace(/^http/, 'ws'))
      } catch (cause) {
        // A policy may forbid it. Some browsers throw here, others report it later.
        throw new NotThroughError('no WebSocket can be made', { cause })
      }
      let throughAt = 0
      let isOver = false
      let refusal: Answer | undefined
      let waiting = 0
      const finish = (code: number, cause?: unknown) => {
        if (isOver) return
        isOver = true
        clearTimeout(timer)
        signal.removeEventListener('abort', abort)
        if (socket === opened) socket = undefined
        for (const { reject } of asked.splice(0)) reject(new Error('the WebSocket was closed'))
        // A WebSocket hides whether a proxy or the server refused. The fallback's `fetch` sees the status.
        if (throughAt === 0) return reject(new NotThroughError(`no WebSocket got through: ${code}`, { cause }))
        shortLives = code === 1006 && Date.now() - throughAt < shortLifeMs && !signal.aborted ? shortLives + 1 : 0
        if (code === 1006) reject(new Error('the WebSocket broke'))
        else resolve(refusal ?? { status: statuses[code as CloseCode] ?? 200 })
      }
      const abort = () => {
        opened.close()
        // The socket's own event 'close' may take long where the server is silent.
        finish(1000)
      }
      const timer = setTimeout(() => {
        opened.close()
        finish(1006, 'timeout')
      }, openMs)
      opened.onopen = () => opened.send(JSON.stringify({ session: session ?? 'new', ...seq! >= 0 && { lastEventId: `${session}.${seq}` } }))
      opened.onerror = () => {}
      opened.onclose = ({ code }: { code: number }) => finish(code)
      opened.onmessage = ({ data }: { data: unknown }) => {
        if (isOver) return
        const text = String(data)
        if (throughAt === 0) {
          if (!opening.test(text)) {
            opened.close()
            return finish(1006, 'another server')
          }
          throughAt = Date.now()
          told = 0
          credit = forgiven
          clearTimeout(timer)
          socket = opened
          transport = 'websocket'
        }
        for (const [, json] of text.matchAll(answerLine)) {
          const { type, retryAfter, ...fields } = JSON.parse(json!) as WireAnswer & { type: string }
          const answer: Answer = { ...fields, ...retryAfter! >= 0 && { retryAfterMs: retryAfter! * 1000 } }
          const first = asked.shift()
          // No request waits, so the answer says why there is no session.
          if (first === undefined) refusal = answer
          else first.resolve(answer)
        }
        waiting += text.length
        onText(text).then(() => { waiting -= text.length }, (error) => {
          reject(error)
          abort()
        })
        if (waiting > mostWaiting + text.length) {
          opened.close()
          finish(1000)
        }
      }
      signal.addEventListener('abort', abort)
      if (signal.aborted) abort()
    })

    const openFallback = async (claim: Claim, onText: (text: string) => Promise<unknown>, signal: AbortSignal) => {
      let isThrough = false
      return fallback.open(claim, (text) => {
        // Only now the network is known to work, so the WebSocket was to blame.
        if (!isThrough) {
          isThrough = true
          transport = 'sse'
          if (shortLives >= mostShortLives || credit-- < 1) {
            isBarred = true
            remember(storage, key)
          }
        }
        return onText(text)
      }, signal)
    }

    return {
      get transport () { return transport },
      open: async (claim, onText, signal) => {
        if (mayFallBack && (isBarred || shortLives >= mostShortLives)) return openFallback(claim, onText, signal)
        try {
          return await openSocket(claim, onText, signal)
        } catch (error) {
          if (!mayFallBack || signal.aborted || !(error instanceof NotThroughError)) throw error
          return openFallback(claim, onText, signal)
        }
      },
      send: (claim, body, keepalive) => {
        // A request with keepalive must outlive the page, which a WebSocket does not.
        if (socket === undefined || keepalive || body === '') return fallback.send(claim, body, keepalive)
        const through = socket
        return new Promise<Answer>((resolve, reject) => {
          const timer = setTimeout(() => {
            // A late answer would be taken for the next request's.
            through.close()
            reject(new Error('the WebSocket gave no answer'))
          }, Math.min(2e9, options.requestTimeoutMs))
          const settle = <Value>(how: (value: Value) => void) => (value: Value) => {
            clearTimeout(timer)
            how(value)
          }
          asked.push({ resolve: settle(resolve), reject: settle(reject) })
          // A POST says so in a header. The server keeps replies until then.
          if (claim.seq! > told) through.send(JSON.stringify({ lastEventId: `${claim.session}.${told = claim.seq!}` }))
          through.send(body)
        })
      }
    }
  }
}

function recall (storage: WebSocketLinkOptions['storage'], key: string): boolean {
  try {
    return Number(storage?.getItem(key) ?? 0) > Date.now()
  } catch {
    return false
  }
}

function remember (storage: WebSocketLinkOptions['storage'], key: string): void {
  try {
    storage?.setItem(key, String(Date.now() + rememberMs))
  } catch { /* a full or forbidden storage just forgets */ }
}
