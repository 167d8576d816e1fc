import { EventSource } from 'eventsource'
import { EventSource as LaunchDarklyEventSource } from 'launchdarkly-eventsource'
import { WebSocket } from 'ws'
import { webSocketLink } from '../../../client/websocket-link.ts'
import type { ChaosClient, ChromiumKind, ClientKind } from './chaos-client.ts'
import { Tab, type TabLike } from './tab.ts'
import { TetherTab } from './tether-tab.ts'

type NodeKind = Exclude<ClientKind, ChromiumKind>

/** A client in this process. */
export function openNodeClient (kind: NodeKind, url: string, seed: number): ChaosClient {
  const tab = openTab(kind, url, seed)
  return {
    kind,
    take: async () => tab.take(),
    act: async (count) => tab.act(count),
    uplink: async () => ({ unacknowledged: tab.unacknowledged, stats: tab.uplinkStats }),
    close: async () => tab.close()
  }
}

function openTab (kind: NodeKind, url: string, seed: number): TabLike {
  switch (kind) {
    case 'eventsource': return new Tab(new EventSource(url), url, seed)
    case 'launchdarkly': return new Tab(new LaunchDarklyEventSource(url), url, seed)
    case 'tether': return new TetherTab(url)
    case 'tether-websocket': return new TetherTab(url, webSocketLink({ mode: 'websocket', WebSocket }))
    case 'tether-both': return new TetherTab(url, webSocketLink({ mode: 'both', WebSocket }))
  }
}
