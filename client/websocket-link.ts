import type { Answer as WireAnswer } from '../schemas/answer.ts'
import type { CloseCode } from '../schemas/close-code.ts'
import type { Answer } from './answer.ts'
import type { Claim, Link } from './link.ts'
import { resolveNumbers, type LinkFactory } from './options.ts'
import { sseLink } from './sse-link.ts'

/** What is used of a WebSocket. */
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
   * `'both'` falls back to server-sent events where no WebSocket gets through; `'websocket'`
   * never does. Default `'both'`.
   */
  mode?: 'websocket' | 'both'
  /** The class, in place of the platform's own: Node.js has none before version 22. */
  WebSocket?: new (url: string) => WebSocketLike
  /** Milliseconds in which a WebSocket must open and bring its first message, one of the library's server. Default 4,000. */
  openTimeoutMs?: number
  /** Where to remember, for a day, that no WebSocket got through, such as `sessionStorage`. Default: only as long as the connection. */
  storage?: { getItem (key: string): string | null, setItem (key: string, value: string): void }
}

/** A WebSocket that breaks sooner after its opening was cut by what stands between. */
const shortLifeMs = 60_000
/** So many of those in a row, and it is not tried again. */
const mostShortLives = 2

/**
 * Characters that may wait for an iteration which takes none: no WebSocket can be told to bring no more, so it is
 * closed. About what the buffers of a connection hold, where the reader of an event stream takes nothing.
 */
const mostWaiting = 8 << 20

/** Where a WebSocket got through, so many in a row may fail: the server or a proxy may be starting anew, and be slow at it. */
const forgiven = 2

/** Networks change, and so do proxies. */
const rememberMs = 86_400_000

/** How the first message begins, if the server is one of ours. */
const opening = /^(retry: \d+|(id: .*\n)?event: tether)\n/

/** An event stream's lines begin with the name of their field, so nothing else can look like this. */
const answerLine = /^event: tether\ndata: (\{"type":"answer".*)$/gm

/** What the server's codes say, as statuses; others are the end of a stream. */
const statuses: Readonly<Partial<Record<CloseCode, number>>> = { 1003: 415, 1009: 413, 1011: 500, 1013: 503, 4400: 400, 4410: 204 }

interface Asked {
  resolve: (answer: Answer) => void
  reject: (error: Error) => void
}

/** Before a WebSocket has brought anything, it may be that none gets through. */
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
    /** Failures that are still forgiven. */
    let credit = 0
    /** While a WebSocket carries the session. */
    let socket: WebSocketLike | undefined
    /** What was sent on it and is not answered yet, oldest first. */
    const asked: Asked[] = []

    const openSocket = ({ session, seq }: Claim, onText: (text: string) => Promise<unknown>, signal: AbortSignal) => new Promise<Answer>((resolve, reject) => {
      let opened: WebSocketLike
      try {
        opened = new Socket!(new URL(url, (globalThis as { location?: { href: string } }).location?.href).href.replace(/^http/, 'ws'))
      } catch (cause) {
        // As where a policy forbids it: some browsers tell so here, others later.
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
        // A proxy's refusal cannot be told from the server's: fetch sees the status.
        if (throughAt === 0) return reject(new NotThroughError(`no WebSocket got through: ${code}`, { cause }))
        shortLives = code === 1006 && Date.now() - throughAt < shortLifeMs && !signal.aborted ? shortLives + 1 : 0
        if (code === 1006) reject(new Error('the WebSocket broke'))
        else resolve(refusal ?? { status: statuses[code as CloseCode] ?? 200 })
      }
      const abort = () => {
        opened.close()
        // Its own 'close' may take long, where nothing is answered.
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
            return finish(1006, 'no server of ours')
          }
          throughAt = Date.now()
          credit = forgiven
          clearTimeout(timer)
          socket = opened
        }
        for (const [, json] of text.matchAll(answerLine)) {
          const { type, retryAfter, ...fields } = JSON.parse(json!) as WireAnswer & { type: string }
          const answer: Answer = { ...fields, ...retryAfter! >= 0 && { retryAfterMs: retryAfter! * 1000 } }
          const first = asked.shift()
          // Nothing was asked, so it says why there is no session.
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
        // Only now it is known that the WebSocket was to blame, not the network.
        if (!isThrough) {
          isThrough = true
          if (shortLives >= mostShortLives || credit-- < 1) {
            isBarred = true
            remember(storage, key)
          }
        }
        return onText(text)
      }, signal)
    }

    return {
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
        // What is sent while a page goes away must outlive it.
        if (socket === undefined || keepalive || body === '') return fallback.send(claim, body, keepalive)
        const through = socket
        return new Promise<Answer>((resolve, reject) => {
          const timer = setTimeout(() => {
            // Later answers could not be told apart from this one.
            through.close()
            reject(new Error('the WebSocket gave no answer'))
          }, Math.min(2e9, options.requestTimeoutMs))
          const settle = <Value>(how: (value: Value) => void) => (value: Value) => {
            clearTimeout(timer)
            how(value)
          }
          asked.push({ resolve: settle(resolve), reject: settle(reject) })
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
  } catch { /* a full or forbidden storage only forgets */ }
}
