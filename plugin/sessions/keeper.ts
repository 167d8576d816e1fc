import type { Freezer } from './session-scope.ts'
import type { TetherSession } from './session.ts'
import type { Outcome, Submission } from './submission.ts'

/** What became of a session that a request asked for, and that this node did not have. */
export type Whereabouts =
  /** It is here now. */
  | 'here'
  /** No node has it. */
  | 'absent'
  /** It was closed for good. */
  | 'ended'
  /** It has another owner than the request. */
  | 'foreign'
  /** This node has no room for it. */
  | 'full'
  /** Nobody can tell now, or it cannot come now. A later request may succeed. */
  | 'unavailable'

/** Keeps the sessions of one endpoint in the cluster: each has one node that owns it. */
export interface SessionKeeper extends Freezer<TetherSession> {
  /** Whether this node may serve sessions now. */
  readonly isServing: boolean
  /** Makes a new session known to the other nodes. Gives false if that does not succeed; then it must not be served. */
  announce: (session: TetherSession) => Promise<boolean>
  /** Brings a session to this node, from another one or from the engine, unless its client has left before. */
  fetch: (id: string, boundTo: string | null, hasLeft: () => boolean) => Promise<Whereabouts>
  /** Makes the claim of a prepared session known to the other nodes. Gives false if that does not succeed. */
  announceClaim: (session: TetherSession) => Promise<boolean>
  /** The id of the session that a claim is for, on whatever node; or why there is none. */
  claimed: (claim: string) => Promise<{ readonly id: string } | 'absent' | 'unavailable'>
  /** A claim was used, or its time is over. */
  claimEnded: (claim: string) => void
  /** Whether any node has a session, or the engine. */
  isKept: (id: string) => Promise<boolean>
  /** Gives a submission to the node of its session, and gives its outcome; or where the session is instead. */
  forward: (id: string, boundTo: string | null, submission: Submission) => Promise<Outcome | Whereabouts>
  /** A session has ended on this node. */
  ended: (session: TetherSession) => void
  /** A session lost its stream. Sooner or later it may go into the engine. */
  detached: (session: TetherSession) => void
}
