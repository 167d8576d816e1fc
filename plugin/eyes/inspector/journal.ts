import type { CommandNote, StreamNote } from '../../../schemas/inspector.ts'
import type { CommandMessage, StreamOpenMessage } from '../../metrics/messages.ts'
import type { Observer } from '../../metrics/watch.ts'

/** Verdicts of one session that are kept. */
const keptStreams = 8

interface KeptCommand extends Omit<CommandNote, 'agoMs'> { readonly at: number }
interface KeptStream extends Omit<StreamNote, 'agoMs'> { readonly at: number }

/** What is known of one session, the oldest first. */
interface Notes {
  readonly commands: KeptCommand[]
  readonly streams: KeptStream[]
}

/** Remembers the latest commands and verdicts of sessions, while it observes. Bounded by sessions and by entries of each. */
export class Journal implements Observer {
  readonly #maxSessions: number
  readonly #maxCommands: number
  /** The sessions that were quiet for longest come first. */
  readonly #notes = new Map<string, Notes>()
  #count = 0

  constructor (maxSessions: number, maxCommands: number) {
    this.#maxSessions = maxSessions
    this.#maxCommands = maxCommands
  }

  get size (): number { return this.#notes.size }

  readonly commandEnded = ({ session, url, command, kind, waitedMs, ms = 0, outcome = 'ok' }: CommandMessage): void => {
    if (this.#maxCommands === 0) return
    const { commands } = this.#of(keyOf(url, session))
    if (commands.length >= this.#maxCommands) commands.shift()
    commands.push({ number: ++this.#count, name: command, kind, waitedMs, ms, outcome, at: performance.now() })
  }

  readonly streamOpened = ({ session, url, protocol, verdict }: StreamOpenMessage): void => {
    if (session === null || verdict === null) return
    const { streams } = this.#of(keyOf(url, session))
    if (streams.length >= keptStreams) streams.shift()
    streams.push({ transport: protocol, verdict, at: performance.now() })
  }

  readonly sessionClosed = ({ session, url }: { readonly session: string, readonly url: string }): void => {
    this.#notes.delete(keyOf(url, session))
  }

  #of (key: string): Notes {
    const notes = this.#notes.get(key) ?? { commands: [], streams: [] }
    this.#notes.delete(key)
    this.#notes.set(key, notes)
    if (this.#notes.size > this.#maxSessions) this.#notes.delete(this.#notes.keys().next().value!)
    return notes
  }

  /**
   * The notes of a session, the newest first. A session that is looked at is not forgotten.
   *
   * @param session the shortened id
   */
  read (url: string, session: string): { commands: CommandNote[], streams: StreamNote[] } {
    const key = keyOf(url, session)
    if (!this.#notes.has(key)) return { commands: [], streams: [] }
    const { commands, streams } = this.#of(key)
    const now = performance.now()
    return {
      commands: commands.map(({ at, ...note }) => ({ ...note, agoMs: now - at })).reverse(),
      streams: streams.map(({ at, ...note }) => ({ ...note, agoMs: now - at })).reverse()
    }
  }

  clear (): void {
    this.#notes.clear()
  }
}

/** Two sessions of one URL whose ids begin alike would share their notes; among 10,000, that is one case in a thousand. */
function keyOf (url: string, session: string): string {
  return `${session} ${url}`
}
