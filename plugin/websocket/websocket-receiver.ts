import { errorCodes, type FastifyRequest } from 'fastify'
import { defaults } from '../../schemas/defaults.ts'
import { SequenceError, ValidationError, type Fault } from '../../schemas/errors.ts'
import { logThrown, messageOf, read } from '../../schemas/thrown.ts'
import type { WebSocketPeer } from '../carriers/websocket-carrier.ts'
import { readEnvelopes, readOpening } from '../contract/envelope-reader.ts'
import type { Deadline } from '../delivery/deadline-queue.ts'
import { preparedClaim, readClaim } from '../protocol/claim.ts'
import { closeCodes } from '../protocol/close-code.ts'
import { answerFrame, goodbyeFrame, turnedAwayFrame } from '../protocol/control-frame.ts'
import { acceptEvents, acknowledge, checkOpen, leaveEvent, refusal, retryAfterSeconds, type Accepted } from '../sessions/acceptance.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import { nextArrival, openSession } from '../sessions/opening.ts'
import type { TetherSession } from '../sessions/session.ts'
import type { Stream } from '../streams/stream.ts'

/** Gives what the text of a body holds, as the parser of a POST does, and throws what that throws. */
export type ParseJson = (text: string) => unknown

export interface WebSocketReceiverParts {
  readonly endpoint: Endpoint
  readonly peer: WebSocketPeer
  readonly stream: Stream
  readonly request: FastifyRequest
  readonly parse: ParseJson
  readonly openTimeoutMs: number
}

/** Most bytes of one message: beyond `maxEventBytes` it is answered that it is too large, beyond this the socket is closed. */
export function maxMessageBytes (maxEventBytes: number): number {
  return 2 * maxEventBytes + defaults.fixed.openingBytes
}

/**
 * What comes up on one WebSocket: first which session it wants, then that
 * session's events, each message answered in its turn as a POST would be.
 */
export class WebSocketReceiver implements Deadline {
  dueAt = 0
  heapIndex = -1
  readonly #endpoint: Endpoint
  readonly #peer: WebSocketPeer
  readonly #stream: Stream
  readonly #parse: ParseJson
  /** The request that opened it, until the session has been told of it. */
  #request: FastifyRequest | null
  #session: TetherSession | null = null
  #isOpening = false
  /** What came before there was a session to take it. */
  #early: Buffer[] = []
  #earlyBytes = 0
  /** Bytes of answers that wait for a reader that takes no more. */
  #unreadBytes = 0
  #isPaused = false

  constructor ({ endpoint, peer, stream, request, parse, openTimeoutMs }: WebSocketReceiverParts) {
    this.#endpoint = endpoint
    this.#peer = peer
    this.#stream = stream
    this.#request = request
    this.#parse = parse
    peer.on('message', (message: Buffer, isBinary: boolean) => { this.#take(message, isBinary) })
    peer.on('close', () => { endpoint.runtime.deadlines.remove(this) })
    endpoint.runtime.deadlines.set(this, performance.now() + openTimeoutMs)
  }

  /** No session was named in time. */
  due (): void {
    this.#end('open-timeout', true, closeCodes.openTimeout)
  }

  /** The connection takes bytes again. */
  drained (): void {
    this.#unreadBytes = 0
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#peer.resume()
  }

  #take (message: Buffer, isBinary: boolean): void {
    // Another stream may have the session by now, or it is over: nobody would answer for what comes.
    if (this.#stream.gone || this.#stream.closing) return
    if (isBinary) return this.#end('not-text', false, closeCodes.unsupported)
    const { maxEventBytes } = this.#endpoint.limits
    if (message.length > maxMessageBytes(maxEventBytes)) return this.#end('too-large', false, closeCodes.tooLarge)
    if (this.#session !== null) {
      this.#answerTo(this.#session, message)
    } else if (this.#isOpening) {
      this.#keep(message)
    } else {
      this.#isOpening = true
      this.#endpoint.runtime.deadlines.remove(this)
      this.#open(message.toString())
    }
  }

  #keep (message: Buffer): void {
    this.#earlyBytes += message.length
    if (this.#early.length === defaults.fixed.earlyMessages || this.#earlyBytes > maxMessageBytes(this.#endpoint.limits.maxEventBytes)) {
      this.#end('too-many', false, closeCodes.policy)
    } else this.#early.push(message)
  }

  async #open (text: string): Promise<void> {
    const request = this.#request!
    this.#request = null
    try {
      const faults: Fault[] = []
      const opening = readOpening(this.#parse(text), faults)
      if (opening === null) throw refusal(faults)
      const claim = readClaim(opening.session, opening.lastEventId, preparedClaim(request))
      this.#session = await openSession(this.#endpoint, claim, request, {
        open: () => this.#stream,
        gone: () => { this.#end('closed', false, closeCodes.gone) },
        turnAway: (reason) => { this.#finish(turnedAwayFrame(reason), closeCodes.tryLater) }
      }, nextArrival())
    } catch (error) {
      this.#refuse(error, request)
      return
    }
    const early = this.#early
    this.#early = []
    for (const message of early) {
      if (this.#session !== null && !this.#stream.gone && !this.#stream.closing) this.#answerTo(this.#session, message)
    }
  }

  /** There is no session: the client is told why, as an answer and by how the socket is closed. */
  #refuse (error: unknown, request: FastifyRequest): void {
    const isMalformed = error instanceof ValidationError || /^FST_ERR_CTP_/.test(read(error, 'code') ?? '')
    const status = statusOf(error)
    if (!isMalformed) logThrown(request.log, status < 500 ? 'info' : 'error', error, messageOf(error))
    this.#stream.control(describe(error))
    if (isMalformed) this.#end('bad-opening', false, closeCodes.badOpening)
    else if (status < 500) this.#end('refused', false, closeCodes.policy)
    else this.#end('failed', true, closeCodes.failed)
  }

  #answerTo (session: TetherSession, message: Buffer): void {
    let answer: string
    try {
      if (message.length > this.#endpoint.limits.maxEventBytes) throw new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE()
      const body = this.#parse(message.toString())
      if (isAcknowledgement(body)) {
        acknowledge(session, body.lastEventId)
        return
      }
      checkOpen(session)
      let accepted: Accepted = { seq: session.acceptedSeq, known: 0 }
      if (isLeaving(body)) session.leave()
      else {
        const faults: Fault[] = []
        const events = readEnvelopes(body, this.#endpoint.contract, this.#endpoint.limits.maxBatch, faults)
        if (faults.length > 0) throw refusal(faults)
        accepted = acceptEvents(session, events, message.length)
      }
      answer = answerFrame({ status: 202, seq: accepted.seq, known: accepted.known || undefined })
    } catch (error) {
      answer = describe(error)
    }
    this.#stream.control(answer)
    if (!this.#stream.writable) this.#unread(answer.length)
  }

  /** A client that sends and does not read must not fill the heap with answers. */
  #unread (bytes: number): void {
    this.#unreadBytes += bytes
    if (this.#isPaused || this.#unreadBytes < defaults.fixed.writeBytes) return
    this.#isPaused = true
    this.#peer.pause()
  }

  #end (reason: string, reconnect: boolean, code: number): void {
    this.#finish(goodbyeFrame({ reason, reconnect }), code)
  }

  #finish (goodbye: string, code: number): void {
    this.#stream.close(goodbye, defaults.fixed.shutdownMs, 'closed', code)
  }
}

function statusOf (error: unknown): number {
  const status = (error as { statusCode?: unknown } | null)?.statusCode
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500
}

/** An error as the answer to a POST would tell of it. */
function describe (error: unknown): string {
  return answerFrame({
    status: statusOf(error),
    code: read(error, 'code'),
    message: messageOf(error),
    errors: error instanceof ValidationError ? error.errors : undefined,
    expected: error instanceof SequenceError ? error.expected : undefined,
    retryAfter: retryAfterSeconds(error)
  })
}

function isAcknowledgement (body: unknown): body is { lastEventId: string } {
  return typeof body === 'object' && body !== null && typeof (body as { lastEventId?: unknown }).lastEventId === 'string' && Object.keys(body).length === 1
}

function isLeaving (body: unknown): boolean {
  return typeof body === 'object' && body !== null && (body as { event?: unknown }).event === leaveEvent
}
