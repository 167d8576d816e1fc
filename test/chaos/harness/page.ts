// Runs in a browser's page: opens one stream, with the browser's own EventSource or with the library's client.
import { Tab, type EventSourceLike, type TabLike } from './tab.ts'
import { TetherTab } from './tether-tab.ts'

const page = globalThis as unknown as {
  EventSource: new (url: string) => EventSourceLike
  openTab: (url: string, seed: number, isOwn: boolean) => void
  tab: TabLike
}

page.openTab = (url, seed, isOwn) => { page.tab = isOwn ? new TetherTab(url) : new Tab(new page.EventSource(url), url, seed) }
