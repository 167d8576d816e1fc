import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startRedis, type RedisProcess } from '../../test/cluster/harness/redis-process.ts'
import { withChildren, type ChildProcess } from '../harness/process/child-process.ts'
import type { Engine, NodeCalls } from './node.ts'
import type { PagesCalls } from './pages.ts'

export interface Node {
  readonly process: ChildProcess<NodeCalls>
  readonly port: number
}

/** Nodes in processes of their own, a process of pages, and what joins the nodes. */
export interface Cluster {
  readonly nodes: readonly Node[]
  readonly pages: ChildProcess<PagesCalls>
  readonly redis: RedisProcess | null
}

const acquaintMs = 20_000
/** Several processes start beside each other. */
const startTimeoutMs = 120_000

/** Ends all of it with `use`. */
export async function withCluster<Result> (name: string, engine: Engine, count: number, use: (cluster: Cluster) => Promise<Result>): Promise<Result> {
  const ends: Array<() => unknown> = []
  const after = (end: () => unknown) => { ends.push(end) }
  try {
    const directory = mkdtempSync(join(tmpdir(), 'tether-bench-'))
    after(() => { rmSync(directory, { recursive: true, force: true }) })
    const redis = engine === 'redis' ? await startRedis({ after }, { isDurable: false }) : null
    return await withChildren(async (children) => {
      const nodes: Node[] = []
      for (let index = 0; index < count; index += 1) {
        const process = await children.start<NodeCalls>(new URL('node.ts', import.meta.url), { name: `${name}, node ${index + 1}`, startTimeoutMs })
        nodes.push({ process, port: await process.call('start', { engine, port: redis?.port ?? 0, directory }) })
      }
      const pages = await children.start<PagesCalls>(new URL('pages.ts', import.meta.url), { name: `${name}, pages`, startTimeoutMs })
      const by = performance.now() + acquaintMs
      for (const { process } of nodes) {
        while (await process.call('nodes', undefined) !== count) {
          if (performance.now() > by) throw new Error(`${name}: the nodes do not know each other in time`)
          await delay(20)
        }
      }
      return await use({ nodes, pages, redis })
    })
  } finally {
    for (const end of ends.reverse()) await end()
  }
}
