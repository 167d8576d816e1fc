import type { ClusterOptions, ClusterStats, TetherOptions } from '../../../plugin/index.ts'

/** What joins the nodes: Redis by a client's library, another engine otherwise. */
export type Joined = 'ioredis' | 'iovalkey' | 'redis' | '@fastify/redis' | 'nats' | 'local'

/** What a node's process is started with. */
export interface NodeSettings {
  readonly engine: {
    readonly client: Joined
    readonly port: number
    readonly isCluster?: boolean
    readonly options: { readonly deadlineMs?: number, readonly logBytes?: number, readonly directory?: string }
  }
  readonly cluster: Omit<ClusterOptions, 'engine'>
  readonly tether?: Omit<TetherOptions, 'cluster'>
  /** Options of all endpoints: `/move`, `/detach` and `/never`, by their `persist`. */
  readonly live?: object
  readonly upgrade?: object
  /** How wrong the node's wall clock is. */
  readonly clockShiftMs?: number
}

/** What a test may ask of a node. */
export interface Calls {
  start: () => number
  status: () => string
  stats: () => ClusterStats
  nodes: () => string[]
  name: () => string
  sessions: (url: string) => string[]
  broadcast: (url: string, texts: readonly string[]) => void
  synced: (url: string) => void
  load: (url: string, prefix: string, everyMs: number) => void
  /** Gives how many there were. */
  stopLoad: () => number
  send: (url: string, session: string, text: string) => boolean
  /** Texts of the session's events; null if it is not there. */
  said: (url: string, session: string) => string[] | null
  hooks: () => string[]
  log: () => string[]
  close: () => void
}

export type Answers = { [Call in keyof Calls]: (...given: Parameters<Calls[Call]>) => ReturnType<Calls[Call]> | Promise<ReturnType<Calls[Call]>> }
