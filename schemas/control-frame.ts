import type { Answer } from './answer.ts'
import type { Goodbye } from './goodbye.ts'
import type { Hello } from './hello.ts'

/** Data of the event `tether`: the server's messages about the stream itself; see docs/protocol.md. */
export type ControlFrame =
  | { type: 'hello' } & Hello
  | { type: 'goodbye' } & Goodbye
  | { type: 'answer' } & Answer
  /** `seq`: number of the last update sent. */
  | { type: 'heartbeat', seq: number }
  /** The answer to a ping, with its id. */
  | { type: 'pong', id: string | number }
  /** `seq`: number of the last update dropped. */
  | { type: 'gap', seq: number }
