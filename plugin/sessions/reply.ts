import type { EventError } from '../../schemas/event-error.ts'
import { Frame } from '../protocol/frame.ts'

/** How a request ended. */
export interface Reply {
  /** 200: the handler's value; 422: an `EventError`; 500: any other error. */
  readonly status: 200 | 422 | 500
  /** JSON of the value; for an error, of an object with `code`, `message` and perhaps `data`. */
  readonly json: string
}

/** For a handler that threw, was too slow, or returned what its schema refuses. The client learns no more of it. */
export const failedReply: Reply = errorReply(500, 'TETHER_FAILED', 'The request failed')

/** In place of a reply that the server no longer has. */
export const lostReply: Reply = errorReply(500, 'TETHER_IN_DOUBT', 'The request has run; its reply is lost')

/** @throws if JSON cannot carry the error's data */
export function refusedReply ({ code, message, data }: EventError): Reply {
  return errorReply(422, code, message, data)
}

function errorReply (status: 422 | 500, code: string, message: string, data?: unknown): Reply {
  return { status, json: JSON.stringify({ code, message, data }) }
}

/** The update that carries a reply; see docs/protocol.md. @param seq number of the request */
export function replyFrame (seq: number, { status, json }: Reply): Frame {
  return new Frame(`event: tether.reply\ndata: {"seq":${seq},${status === 200 ? `"data":${json}}` : json.slice(1)}\n\n`)
}

/** Stands in for a reply that is no longer kept. */
export function lostReplyFrame (seq: number): Frame {
  return replyFrame(seq, lostReply)
}
