/** What a link tells. */
export interface LinkListener {
  /** The stream has begun, with its session. */
  onHello: (session: string) => void
  /** Bytes of the stream's body. */
  onText: (bytes: Buffer) => void
  /** The stream is over, for a reason other than `close`; called once. */
  onGone: (reason: string) => void
}

/** Status 0: there was no answer. */
export type Answered = (status: number) => void

/** One client: a stream down, and events up. */
export interface Link {
  /** Sends an event, as JSON that is an envelope. */
  send: (envelope: string, onAnswer: Answered) => void
  /** Stops and starts reading. */
  pause: () => void
  resume: () => void
  close: () => void
}

/** Opens a link; `session` is one to resume, or null for a new one. */
export type OpenLink = (listener: LinkListener, session: string | null) => Link

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
