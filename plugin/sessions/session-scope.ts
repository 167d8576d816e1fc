import type { UpdateDefinitions } from '../../schemas/contract.ts'
import type { Command } from '../commands/command-channel.ts'
import type { CompiledContract } from '../contract/compiled-contract.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { AnySessionConfig, HandlerContext, SessionOptions } from './config.ts'

/** What a session knows of the endpoint that it belongs to, and tells it. */
export interface SessionScope<Session> {
  readonly contract: CompiledContract
  readonly limits: Readonly<Required<SessionOptions>>
  /** How long a prepared session waits for its page. */
  readonly pendingMs: number
  readonly hooks: AnySessionConfig
  readonly context: HandlerContext<unknown, UpdateDefinitions>
  readonly runtime: Runtime
  /** What an event of the contract is to do. */
  commandOf: (session: Session, event: string, data: unknown) => Command
  /** Logs what a handler or hook threw, and calls `onError`. Never throws. */
  report: (session: Session, error: unknown, command: string) => void
  /** A prepared session is not to be claimed any more: it has a stream, or its time is over. */
  unpooled: (session: Session) => void
  /** It has a stream. */
  attached: (session: Session) => void
  /** It lost its stream, and is kept. */
  detached: (session: Session) => void
  /** It posted an event, or was resumed. */
  proved: (session: Session) => void
  /** It accepts nothing more, and gets nothing that is sent to many. */
  closing: (session: Session) => void
  /** It is gone. */
  closed: (session: Session) => void
}
