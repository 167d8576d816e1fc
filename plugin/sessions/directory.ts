/** Where a session is. */
export interface Located {
  readonly ref: string
  /** The node that has it; null while the engine has it. */
  readonly node: string | null
  /** Whether its stream is open. */
  readonly connected: boolean
}

/** Finds the sessions of one URL on the other nodes, and in the engine. */
export interface SessionDirectory {
  /** The name of this node. */
  readonly node: string
  /** Finds a session that is not on this node; null for none. Rejects with `FST_ERR_TETHER_UNAVAILABLE` if nobody can tell. */
  find: (ref: string) => Promise<Located | null>
  /** Closes a session that is not on this node. Gives false if there is none. Rejects as `find` does. */
  close: (ref: string, reason: string, reconnect: boolean) => Promise<boolean>
  /** The members of a group on the other nodes, at most `limit`. Rejects with `FST_ERR_TETHER_UNAVAILABLE` if a node does not answer. */
  members: (group: string, limit: number) => Promise<Located[]>
}
