import { ArgumentError } from '../../schemas/errors.ts'
import { checkNames } from '../../schemas/suggestion.ts'

/** How a session closes. */
export interface CloseOptions {
  /** Whether the client may come back, for a new session. Default false. */
  readonly reconnect?: boolean
  /** When the client may come back, in milliseconds; undefined for its own choice. */
  readonly retryMs?: number | undefined
  /** 0 cuts the stream and stops the wait for the present handler, also if the session closes already. Default: the session's own limits. */
  readonly patienceMs?: 0
}

/** Throws `FST_ERR_TETHER_ARGUMENT` for what an application may not give to `close`. */
export function checkClose (reason: unknown, options: unknown): void {
  if (typeof reason !== 'string') throw new ArgumentError(`the reason of close() is a string, got ${reason === null ? 'null' : typeof reason}`)
  checkNames(options, ['reconnect'], 'close()')
}
