import { EventSource } from 'eventsource'
import { EventSource as LaunchDarklyEventSource } from 'launchdarkly-eventsource'
import { WebSocket } from 'ws'
import { webSocketLink } from '../../../client/websocket-link.ts'
import type { ChaosClient, ChromiumKind, ClientKind } from './chaos-client.ts'
import { Http2Fetch } from './http2-fetch.ts'
import { Tab, type TabLike } from './tab.ts'
import { TetherTab } from './tether-tab.ts'

type NodeKind = Exclude<ClientKind, ChromiumKind>

/**
 * A client in this process.
 *
 * @param cert certificate of a server that speaks TLS
 */
export function openNodeClient (kind: NodeKind, url: string, seed: number, cert: string): ChaosClient {
  const over = kind === 'tether-h2' ? new Http2Fetch(cert, { 'accept-encoding': 'gzip' }) : kind === 'tether-h2c' ? new Http2Fetch(undefined, {}) : null
  const tab = openTab(kind, url, seed, over)
  return {
    kind,
    take: async () => tab.take(),
    act: async (count) => tab.act(count),
    uplink: async () => ({ unacknowledged: tab.unacknowledged, stats: tab.uplinkStats }),
    close: async () => {
      tab.close()
      over?.close()
    }
  }
}

function openTab (kind: NodeKind, url: string, seed: number, over: Http2Fetch | null): TabLike {
  switch (kind) {
    case 'eventsource': return new Tab(new EventSource(url), url, seed)
    case 'launchdarkly': return new Tab(new LaunchDarklyEventSource(url), url, seed)
    case 'tether': return new TetherTab(url)
    case 'tether-websocket': return new TetherTab(url, webSocketLink({ mode: 'websocket', WebSocket }))
    case 'tether-h2c':
    case 'tether-h2': return new TetherTab(url, undefined, over!.fetch)
    case 'tether-both': return new TetherTab(url, webSocketLink({ mode: 'both', WebSocket }))
  }
}
