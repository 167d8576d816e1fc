import type { Engine, EngineAbilities, EngineApplication } from '../../cluster/engine.ts'
import type { Scope } from './transport-under-test.ts'

/**
 * What may happen to an engine, and a test can bring about:
 * `cut` breaks a node's connections and refuses new ones; `freeze` carries nothing more, without an end;
 * `empty` takes the engine's memory; `restart` ends the engine's process and starts another.
 */
export type EngineFault = 'cut' | 'freeze' | 'empty' | 'restart'

/** An engine, as the contract uses it. */
export interface EngineUnderTest {
  /** The prefix of each case's name. */
  readonly name: string
  /** The abilities that the engine must report. Cases of others are left out. */
  readonly can: EngineAbilities
  /** The faults that `start` can bring about. Cases of others are left out. */
  readonly faults: readonly EngineFault[]
  /** Milliseconds within which each call settles, as the nodes are made. */
  readonly deadlineMs: number
  /** The shortest lease and the shortest `ttlMs` that the engine keeps, in milliseconds. Default 200. */
  readonly shortestMs?: number
  /** The bounds of a node's calls that wait for an answer, as the nodes are made. `bytes` is at least 2,000,000. */
  readonly queue: { readonly count: number, readonly bytes: number }
  /** Starts what the nodes of one case need: a server, a folder, a relay. */
  readonly start: (scope: Scope) => Promise<StartedEngine>
}

export interface StartedEngine {
  /** Makes one more node. The case opens its engine, and closes it. */
  readonly node: (application: EngineApplication) => NodeUnderTest | Promise<NodeUnderTest>
  /** Takes the memory of the engine while nodes are connected. */
  readonly empty?: () => unknown
  /** Ends the engine's process as a crash does, and starts another with what is on its disk. */
  readonly restart?: () => unknown
}

export interface NodeUnderTest {
  readonly engine: Engine
  /** Breaks the node's connections. New ones fail until `mend`. */
  readonly cut?: () => unknown
  /** Carries nothing more in either direction, and ends no connection, until `mend`. */
  readonly freeze?: () => unknown
  /** Ends `cut` and `freeze`. A frozen connection may go on or break. */
  readonly mend?: () => unknown
}
