import { GrowingBlocks, type EventBlock } from './event-block.ts'
import type { EventAnswer, Rejection, Tab } from './transport-under-test.ts'

/** Data of a control frame, as JSON. */
export type Control = Record<string, unknown>

/** A tab, with its text parsed into blocks. */
export class TabView implements Tab {
  readonly #tab: Tab
  readonly #blocks = new GrowingBlocks()

  constructor (tab: Tab) {
    this.#tab = tab
  }

  get text (): string { return this.#tab.text }
  get ended (): boolean { return this.#tab.ended }
  get closed (): boolean { return this.#tab.closed }

  /** All complete blocks so far. */
  get blocks (): readonly EventBlock[] {
    return this.#blocks.of(this.text)
  }

  /** Blocks with data that are not control frames. */
  get updates (): readonly EventBlock[] {
    return this.blocks.filter(({ data, event }) => data !== undefined && event !== 'tether')
  }

  /** Data of the control frames, in order: hello, heartbeat, goodbye, gap. */
  get controls (): readonly Control[] {
    return this.blocks.filter(({ event }) => event === 'tether').map(({ data }) => JSON.parse(data ?? 'null') as Control)
  }

  pause (): void { this.#tab.pause() }
  resume (): void { this.#tab.resume() }
  destroy (): void { this.#tab.destroy() }
  emit (body: unknown): Promise<EventAnswer> { return this.#tab.emit(body) }
  leave (): Promise<EventAnswer> { return this.#tab.leave() }
  acknowledge (lastEventId: string): Promise<void> { return this.#tab.acknowledge(lastEventId) }
  rejection (): Promise<Rejection> { return this.#tab.rejection() }
}
