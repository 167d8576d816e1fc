import { createHash } from 'node:crypto'
import type { Offset } from './engine.ts'

/** How far a node has read the log. Plain data, that other nodes understand. */
export interface LogPosition {
  /** The entry that it read last. */
  readonly at: Offset
  /** The entry before that one, from which a reader can see whether the log still holds it; null for the beginning of the log. */
  readonly before: Offset | null
  /** Number of the last entry that it read of each node, by the node's {@link nodeMark}. Nodes that cannot have an entry in the log are left out. */
  readonly known: Readonly<Record<string, number>>
}

/** Where the log has a broadcast. */
export interface BroadcastPlace {
  /** The mark of the node that wrote the entry. */
  readonly node: string
  /** The entry's number among those of its node. */
  readonly counter: number
  /** The broadcast's index in the entry. */
  readonly index: number
}

/** A short name of a node: 48 bits, as 8 characters. A snapshot names many nodes, and their names are long. */
export function nodeMark (node: string): string {
  return createHash('sha256').update(node).digest('base64url').slice(0, 8)
}
