import { randomBytes } from 'node:crypto'
import type { Engine } from '../../../plugin/cluster/engine.ts'
import { redis, type RedisClient, type RedisOptions } from '../../../plugin/entries/redis.ts'
import { until } from '../../e2e/harness/until.ts'
import type { Scope } from './relay.ts'

/** A node, and all that its engine reported. */
export interface OpenNode {
  readonly name: string
  readonly engine: Engine
  /** Every report of an entry, those that came again too. */
  readonly entries: string[]
  readonly messages: string[]
  readonly states: string[]
  /** Whether the engine is up now. */
  isUp: () => boolean
}

export interface NodeSettings extends RedisOptions {
  readonly application?: string
  readonly logMs?: number
}

/** Makes a node and opens its engine, which is closed with the test. */
export async function beginNode (scope: Scope, client: RedisClient, { application = 'shop', logMs = 60_000, ...options }: NodeSettings = {}): Promise<OpenNode> {
  const name = `n-${randomBytes(6).toString('hex')}`
  const engine = redis(client, { deadlineMs: 2_000, ...options }).engineFor({ name: application, logMs })
  const [entries, messages, states]: [string[], string[], string[]] = [[], [], []]
  scope.after(() => engine.close())
  await engine.open(name, {
    entry: (_at, bytes) => { entries.push(bytes.toString()) },
    message: (_from, bytes) => { messages.push(bytes.toString()) },
    up: () => { states.push('up') },
    down: () => { states.push('down') },
    forgot: () => { states.push('forgot') }
  })
  return { name, engine, entries, messages, states, isUp: () => states.at(-1) === 'up' }
}

/** The same, and waits until it is up. */
export async function openNode (scope: Scope, client: RedisClient, settings?: NodeSettings): Promise<OpenNode> {
  const node = await beginNode(scope, client, settings)
  await until(node.isUp, 'up')
  return node
}
