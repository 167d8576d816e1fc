import type { Answer } from '../../schemas/answer.ts'
import type { ControlFrame } from '../../schemas/control-frame.ts'
import { defaults } from '../../schemas/defaults.ts'
import type { Goodbye } from '../../schemas/goodbye.ts'
import type { Hello } from '../../schemas/hello.ts'

/** Control frames are not updates and have no number of their own; see docs/protocol.md. */
function controlFrame (data: ControlFrame, id?: string): string {
  const idLine = id === undefined ? '' : `id: ${id}\n`
  return `${idLine}event: tether\ndata: ${JSON.stringify(data)}\n\n`
}

export function helloFrame (hello: Hello): string {
  return controlFrame({ type: 'hello', ...hello }, `${hello.session}.${hello.seq}`)
}

export function heartbeatFrame (seq: number): string {
  return controlFrame({ type: 'heartbeat', seq })
}

/** @param id the id of the ping */
export function pongFrame (id: string | number): string {
  return controlFrame({ type: 'pong', id })
}

export const heartbeatComment = ':\n\n'

/** @param seq number of the last update dropped */
export function gapFrame (idPrefix: string | null, seq: number): string {
  return controlFrame({ type: 'gap', seq }, idPrefix === null ? undefined : `${idPrefix}${seq}`)
}

/** The goodbye for a client without a place now. A random part of the retry time keeps clients from reconnecting all at once. */
export function turnedAwayFrame (reason: 'session-limit' | 'draining', goodbye = true): string {
  const { busyRetryMs, busyRetrySpreadMs } = defaults.fixed
  return partingFrame(reason, busyRetryMs + Math.floor(Math.random() * busyRetrySpreadMs), goodbye)
}

/** Ends a stream whose client may reconnect; without `goodbye`, by a plain `retry:` line, which every SSE client knows. */
export function partingFrame (reason: string, retryMs: number, goodbye: boolean): string {
  return goodbye ? goodbyeFrame({ reason, reconnect: true }, { retryMs }) : `retry: ${retryMs}\n\n`
}

/** @param line `retryMs`: time until the client may reconnect; `id`: the `Last-Event-ID` that a browser then sends */
export function goodbyeFrame (goodbye: Goodbye, line: { retryMs?: number | undefined, id?: string } = {}): string {
  const retryLine = line.retryMs === undefined ? '' : `retry: ${line.retryMs}\n`
  return retryLine + controlFrame({ type: 'goodbye', ...goodbye }, line.id)
}

export function answerFrame (answer: Answer): string {
  return controlFrame({ type: 'answer', ...answer })
}
