// Runs in a browser's page: opens one EventSource of the browser's own.
import { Tab, type EventSourceLike } from './tab.ts'

const page = globalThis as unknown as {
  EventSource: new (url: string) => EventSourceLike
  openTab: (url: string, seed: number) => void
  tab: Tab
}

page.openTab = (url, seed) => { page.tab = new Tab(new page.EventSource(url), url, seed) }
