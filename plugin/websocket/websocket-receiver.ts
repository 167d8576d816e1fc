import { errorCodes, type FastifyRequest } from 'fastify'
import { closeCodes } from '../../schemas/close-code.ts'
import { defaults } from '../../schemas/defaults.ts'
import { detailsOf } from '../../schemas/error-details.ts'
import { ValidationError, type Fault } from '../../schemas/errors.ts'
import { logThrown, messageOf, read } from '../../schemas/thrown.ts'
import type { WebSocketPeer } from '../carriers/websocket-carrier.ts'
import { readOpening } from '../contract/envelope-reader.ts'
import type { Deadline } from '../delivery/deadline-queue.ts'
import { preparedClaim, readClaim } from '../protocol/claim.ts'
import { answerFrame, goodbyeFrame, turnedAwayFrame } from '../protocol/control-frame.ts'
import { leaveEvent, refusal, refusedFor, type Acceptance, type Outcome } from '../sessions/acceptance.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import { nextArrival, openSession } from '../sessions/opening.ts'
import type { TetherSession } from '../sessions/session.ts'
import type { Stream } from '../streams/stream.ts'

/** Parses a body's text like the parser of a POST, with the same errors. */
export type ParseJson = (text: string) => unknown

export interface WebSocketReceiverParts {
  readonly endpoint: Endpoint
  readonly acceptance: Acceptance
  readonly peer: WebSocketPeer
  readonly stream: Stream
  readonly request: FastifyRequest
  readonly parse: ParseJson
  readonly openTimeoutMs: number
}

/** Most bytes of one message. A message beyond `maxEventBytes` gets an error; one beyond this limit closes the socket. */
export function maxMessageBytes (maxEventBytes: number): number {
  return 2 * maxEventBytes + defaults.fixed.openingBytes
}

/**
 * Receives the messages of one WebSocket. The first names a session; the others are events of
 * that session. Each gets the answer of a POST, in order.
 */
export class WebSocketReceiver implements Deadline {
  dueAt = 0
  heapIndex = -1
  readonly #endpoint: Endpoint
  readonly #acceptance: Acceptance
  readonly #peer: WebSocketPeer
  readonly #stream: Stream
  readonly #parse: ParseJson
  /** The request that opened the socket; null when the opening has taken it over. */
  #request: FastifyRequest | null
  #session: TetherSession | null = null
  #isOpening = false
  /** Messages that arrived before the session existed. */
  #early: Buffer[] = []
  #earlyBytes = 0
  /** Bytes of answers written while the socket is full. */
  #unreadBytes = 0
  #isPaused = false
  /** Settles with the last answer that waits for the engine's journal; null for none. */
  #answered: Promise<void> | null = null
  /** Number of answers that wait. */
  #waiting = 0

  constructor ({ endpoint, acceptance, peer, stream, request, parse, openTimeoutMs }: WebSocketReceiverParts) {
    this.#endpoint = endpoint
    this.#acceptance = acceptance
    this.#peer = peer
    this.#stream = stream
    this.#request = request
    this.#parse = parse
    peer.on('message', (message: Buffer, isBinary: boolean) => { this.#receive(message, isBinary) })
    peer.on('close', () => { endpoint.runtime.deadlines.remove(this) })
    endpoint.runtime.deadlines.set(this, endpoint.runtime.time.now() + openTimeoutMs)
  }

  /** No session was named in time. */
  due (): void {
    this.#closeWithReason('open-timeout', true, closeCodes.openTimeout)
  }

  /** The connection takes bytes again. */
  drained (): void {
    this.#unreadBytes = 0
    this.#resume()
  }

  #pause (): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#peer.pause()
  }

  #resume (): void {
    if (!this.#isPaused || this.#isBehind) return
    this.#isPaused = false
    this.#peer.resume()
  }

  /** Whether too many answers wait, for the client to read them or for the journal. */
  get #isBehind (): boolean {
    const { limits } = this.#endpoint.runtime
    return this.#unreadBytes >= limits.writeBytes || this.#waiting >= limits.earlyMessages
  }

  #receive (message: Buffer, isBinary: boolean): void {
    // The session may have another stream by now, or be over. Then no answer is possible.
    if (this.#stream.gone || this.#stream.closing) return
    if (isBinary) return this.#closeFaulty('not-text', false, closeCodes.unsupported)
    const { maxEventBytes } = this.#endpoint.limits
    if (message.length > maxMessageBytes(maxEventBytes)) return this.#closeFaulty('too-large', false, closeCodes.tooLarge)
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
    if (this.#early.length === this.#endpoint.runtime.limits.earlyMessages || this.#earlyBytes > maxMessageBytes(this.#endpoint.limits.maxEventBytes)) {
      this.#closeFaulty('too-many', false, closeCodes.policy)
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
        gone: () => { this.#closeWithReason('closed', false, closeCodes.gone) },
        turnAway: (reason) => { this.#close(turnedAwayFrame(reason), closeCodes.tryLater) }
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

  /** Tells a client the reason for no session, by an answer and by the close code. */
  #refuse (error: unknown, request: FastifyRequest): void {
    const outcome = refusedFor(error)
    const isMalformed = error instanceof ValidationError || /^FST_ERR_CTP_/.test(read(error, 'code') ?? '')
    if (!isMalformed) logThrown(request.log, outcome.status < 500 ? 'info' : 'error', error, messageOf(error))
    this.#stream.control(answerOf(outcome))
    if (isMalformed) this.#closeFaulty('bad-opening', false, closeCodes.badOpening)
    else if (outcome.status < 500) this.#closeWithReason('refused', false, closeCodes.policy)
    else this.#closeWithReason('failed', true, closeCodes.failed)
  }

  #answerTo (session: TetherSession, message: Buffer): void {
    const outcome = this.#take(session, message)
    if (outcome === null) return
    if (this.#answered === null && !(outcome instanceof Promise)) return this.#write(outcome)
    // Answers keep the order of the messages.
    const before = this.#answered
    this.#waiting++
    if (this.#isBehind) this.#pause()
    this.#answered = this.#writeBehind(before, outcome)
  }

  async #writeBehind (before: Promise<void> | null, outcome: Outcome | Promise<Outcome>): Promise<void> {
    const settled = await outcome
    await before
    if (--this.#waiting === 0) this.#answered = null
    if (!this.#stream.gone && !this.#stream.closing) this.#write(settled)
    this.#resume()
  }

  #write (outcome: Outcome): void {
    const answer = answerOf(outcome)
    this.#stream.control(answer)
    if (!this.#stream.writable) this.#unread(answer.length)
  }

  /** The outcome of a message; null for an acknowledgement, which gets no answer. */
  #take (session: TetherSession, message: Buffer): Outcome | Promise<Outcome> | null {
    let body: unknown
    try {
      body = this.#bodyOf(message)
    } catch (error) {
      return refusedFor(error)
    }
    if (isAcknowledgement(body)) {
      this.#acceptance.acknowledge(session, body.lastEventId)
      return null
    }
    return this.#acceptance.receive(session, {
      event: isLeaving(body) ? leaveEvent : null, body, isForm: false, bytes: message.length, sender: null, lastEventId: undefined
    })
  }

  /** Reads a message like Fastify reads the body of a POST, with the same errors. */
  #bodyOf (message: Buffer): unknown {
    if (message.length > this.#endpoint.limits.maxEventBytes) throw new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE()
    return this.#parse(message.toString())
  }

  /** A client that sends and does not read must not fill the heap with answers. */
  #unread (bytes: number): void {
    this.#unreadBytes += bytes
    if (this.#isBehind) this.#pause()
  }

  /** Closes for what the client sent. Strangers decide how often, so it is counted, and logged at a level that is off by default. */
  #closeFaulty (reason: string, reconnect: boolean, code: number): void {
    this.#endpoint.runtime.socketFaults++
    try {
      this.#endpoint.log.debug({ reason }, 'a WebSocket is closed for what its client sent')
    } catch { /* An application's own logger threw. */ }
    this.#closeWithReason(reason, reconnect, code)
  }

  #closeWithReason (reason: string, reconnect: boolean, code: number): void {
    this.#close(goodbyeFrame({ reason, reconnect }), code)
  }

  #close (goodbye: string, code: number): void {
    this.#stream.close(goodbye, this.#endpoint.runtime.limits.shutdownMs, 'closed', code)
  }
}

/** An outcome as text, with the fields of the answer to a POST. */
function answerOf (outcome: Outcome): string {
  if (outcome.isAccepted) return answerFrame({ status: outcome.status, seq: outcome.seq, known: outcome.known || undefined, durable: outcome.durable })
  const { status, error, retryAfter } = outcome
  return answerFrame({ status, code: read(error, 'code'), message: messageOf(error), ...detailsOf(error), retryAfter })
}

function isAcknowledgement (body: unknown): body is { lastEventId: string } {
  return typeof body === 'object' && body !== null && typeof (body as { lastEventId?: unknown }).lastEventId === 'string' && Object.keys(body).length === 1
}

function isLeaving (body: unknown): boolean {
  return typeof body === 'object' && body !== null && (body as { event?: unknown }).event === leaveEvent
}
