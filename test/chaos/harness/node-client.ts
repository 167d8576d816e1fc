import { EventSource } from 'eventsource'
import { EventSource as LaunchDarklyEventSource } from 'launchdarkly-eventsource'
import type { ChaosClient } from './chaos-client.ts'
import { Tab } from './tab.ts'

/** A client in this process, with the EventSource of one package or another. */
export function openNodeClient (kind: 'eventsource' | 'launchdarkly', url: string, seed: number): ChaosClient {
  const source = kind === 'eventsource' ? new EventSource(url) : new LaunchDarklyEventSource(url)
  const tab = new Tab(source, url, seed)
  return {
    kind,
    take: async () => tab.take(),
    act: async (count) => tab.act(count),
    uplink: async () => ({ unacknowledged: tab.unacknowledged, stats: tab.uplinkStats }),
    close: async () => tab.close()
  }
}
