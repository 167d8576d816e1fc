// Runs in a browser's page: opens one stream, with the browser's own EventSource or with the library's client.
import { webSocketLink } from '../../../client/websocket-link.ts'
import type { ChromiumKind } from './chaos-client.ts'
import { Tab, type EventSourceLike, type TabLike } from './tab.ts'
import { TetherTab } from './tether-tab.ts'

const page = globalThis as unknown as {
  EventSource: new (url: string) => EventSourceLike
  openTab: (url: string, seed: number, kind: ChromiumKind) => void
  tab: TabLike
}

page.openTab = (url, seed, kind) => { page.tab = openTab(url, seed, kind) }

function openTab (url: string, seed: number, kind: ChromiumKind): TabLike {
  switch (kind) {
    case 'chromium': return new Tab(new page.EventSource(url), url, seed)
    case 'tether-chromium': return new TetherTab(url)
    case 'tether-websocket-chromium': return new TetherTab(url, webSocketLink({ mode: 'websocket' }))
  }
}
