import type { Test } from 'tap'
import type { ClusterOptions } from '../../../plugin/index.ts'
import { memory, type MemoryOptions } from '../../../plugin/entries/memory.ts'
import type { MemoryHub } from '../../../plugin/cluster/memory/memory-hub.ts'
import { startLive, type LiveOptions, type LiveServer } from '../../e2e/harness/live.ts'
import type { Reader } from '../../e2e/harness/reader.ts'
import { until } from '../../e2e/harness/until.ts'

export interface Node extends LiveServer {
  readonly cluster: NonNullable<LiveServer['app']['tether']['cluster']>
}

export interface NodeOptions extends LiveOptions {
  cluster?: Omit<ClusterOptions, 'engine'>
}

/** Starts a node of an application whose nodes share a hub. */
export async function startNode (t: Test, engine: ClusterOptions['engine'], { cluster, ...options }: NodeOptions = {}): Promise<Node> {
  const server = await startLive(t, { ...options, tether: { ...options.tether, cluster: { engine, ...cluster } } })
  return { ...server, cluster: server.app.tether.cluster! }
}

/** A hub in memory, and nodes on it that know each other. */
export async function startNodes (t: Test, count: number, options: NodeOptions = {}, hubOptions: MemoryOptions = {}): Promise<{ hub: MemoryHub, nodes: Node[] }> {
  const hub = memory({ deadlineMs: 300, ...hubOptions })
  const nodes: Node[] = []
  for (let index = 0; index < count; index++) nodes.push(await startNode(t, hub, options))
  for (const { cluster } of nodes) await until(() => cluster.nodes().length === count && cluster.status === 'ready', 'all nodes know each other')
  return { hub, nodes }
}

/** What a reader got, in order: texts of `note`, and the losses that it was told. */
export function seen (reader: Reader): string[] {
  const texts: string[] = []
  for (const { event, data } of reader.blocks) {
    if (event === 'note') texts.push((JSON.parse(data!) as { text: string }).text)
    else if (event === 'tether') {
      const control = JSON.parse(data!) as { type: string, verdict?: string }
      if (control.type === 'gap' || control.verdict === 'gap') texts.push('GAP')
    }
  }
  return texts
}

/** Numbers each label, so that every broadcast of a test has a text of its own. */
export function labels (prefix: string, count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}:${from + index}`)
}
