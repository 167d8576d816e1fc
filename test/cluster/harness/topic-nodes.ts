import type { Test } from 'tap'
import type { ClusterOptions } from '../../../plugin/index.ts'
import { counting } from '../../e2e/harness/claim.ts'
import { startTopics, type TopicReader, type TopicsConfig, type TopicServer } from '../../e2e/harness/topics.ts'
import { until } from '../../e2e/harness/until.ts'

/** Starts a node whose contract has topics. */
export async function startTopicNode (t: Pick<Test, 'teardown'>, engine: ClusterOptions['engine'], config: TopicsConfig = {}, cluster: Omit<ClusterOptions, 'engine'> = {}): Promise<TopicServer> {
  return await startTopics(t, config, { cluster: { engine, ...cluster } })
}

/** Waits until nodes know each other. */
export async function acquaint (...nodes: readonly TopicServer[]): Promise<void> {
  for (const { app } of nodes) await until(() => app.tether.cluster!.nodes().length === nodes.length && app.tether.cluster!.status === 'ready', 'all nodes know each other')
}

/** The updates of topics that a tab got, without the topic's name. */
export function updatesOf (tab: TopicReader): string[] {
  return tab.seen().filter(([name]) => name.includes('@')).map(([name, data]) => `${name.split('@')[0]} ${JSON.stringify(data)}`)
}

/** The verdict of a tab's stream. */
export function verdictOf (tab: TopicReader): unknown {
  return tab.reader.controls[0]!.verdict
}

/** A tab goes on at another node, where it has all updates that it got so far. */
export async function goTo (tab: TopicReader, node: TopicServer): Promise<TopicReader> {
  const { reader } = tab
  reader.destroy()
  let last = 0
  for (const { event, data } of reader.blocks) {
    const control = event === 'tether' ? JSON.parse(data!) as { type: string, seq?: number } : null
    if (control === null) last++
    else if (control.type === 'hello' || control.type === 'gap') last = control.seq!
  }
  return await node.open('/live', { headers: counting(reader.session, last) })
}
