/** What a link tells. */
export interface LinkListener {
  /** The stream has begun, with its session. */
  onHello: (session: string) => void
  /** Bytes of the stream's body. */
  onText: (bytes: Buffer) => void
  /** The stream is over, for a reason other than `close`; called once. */
  onGone: (reason: string) => void
}

/** Status 0: there was no answer. The code is that of a fault, empty where none is known. */
export type Answered = (status: number, code: string) => void

/** One client: a stream down, and events up. */
export interface Link {
  /** Sends an event, as JSON that is an envelope. */
  send: (envelope: string, onAnswer: Answered) => void
  /** Stops and starts reading. */
  pause: () => void
  resume: () => void
  /** Breaks the stream; the session waits for its client. */
  close: () => void
  /** Ends the session, as a page does that goes away. */
  leave: () => void
}

/** Opens a link; `session` is one to resume, or null for a new one. */
export type OpenLink = (listener: LinkListener, session: string | null) => Link

/** Event by which a page says that it goes away. */
export const leaveEvent = 'tether.close'
/** Bytes of an answer with a fault that may have its code. */
export const faultBytes = 2_048

/** The code in the answer to a request that failed; empty for none. */
export function codeIn (body: string): string {
  return /"code": *"(\w+)"/.exec(body)?.[1] ?? ''
}

/** Why the server refused a stream. */
export function refusalOf (status: number, body: string): string {
  const code = codeIn(body)
  return code === '' ? `status ${status}` : `status ${status}, ${code}`
}

const hello = /"type":"hello","session":"([\w-]+)"/

/** Finds the session in the first bytes of a stream. */
export function helloFinder (onHello: (session: string) => void): (bytes: Buffer) => void {
  let begin: string | null = ''
  return (bytes) => {
    if (begin === null) return
    begin += bytes.toString('latin1', 0, 4_096)
    const session = hello.exec(begin)?.[1]
    if (session === undefined) {
      begin = begin.slice(-8_192)
      return
    }
    begin = null
    onHello(session)
  }
}
