import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Browser, Page } from 'playwright-core'
import { startBrowser } from '../../browser/harness/browser.ts'
import type { ChaosClient, ChromiumKind } from './chaos-client.ts'
import type { Observation } from '../../../plugin/entries/contract-tests.ts'
import type { UplinkStats } from './uplink.ts'

const timeoutMs = 60_000

/** One Chromium. Each page is a client. */
export class ChromiumClients {
  readonly #browser: Browser
  readonly #script: string

  private constructor (browser: Browser, script: string) {
    this.#browser = browser
    this.#script = script
  }

  static async start (): Promise<ChromiumClients> {
    const [bundle, browser] = await Promise.all([
      build({ entryPoints: [fileURLToPath(new URL('page.ts', import.meta.url))], bundle: true, write: false, format: 'iife', target: 'es2022' }),
      // All pages share one process. Otherwise each client would have its own.
      startBrowser('--process-per-site', '--disable-dev-shm-usage')
    ])
    return new ChromiumClients(browser, bundle.outputFiles[0]!.text)
  }

  /** Opens a page of the URL's own origin, and the stream in it. */
  async open (kind: ChromiumKind, url: string, seed: number): Promise<ChaosClient> {
    const page = await this.#browser.newPage()
    page.setDefaultTimeout(timeoutMs)
    await page.goto(new URL('/page', url).href)
    await page.addScriptTag({ content: this.#script })
    await page.evaluate(`openTab(${JSON.stringify(url)}, ${seed}, ${JSON.stringify(kind)})`)
    return new ChromiumClient(kind, page)
  }

  async close (): Promise<void> {
    await this.#browser.close()
  }
}

class ChromiumClient implements ChaosClient {
  readonly kind: ChromiumKind
  readonly #page: Page

  constructor (kind: ChromiumKind, page: Page) {
    this.kind = kind
    this.#page = page
  }

  take (): Promise<Observation[]> { return this.#page.evaluate('tab.take()') }
  async act (count: number): Promise<void> { await this.#page.evaluate(`tab.act(${count})`) }

  uplink (): Promise<{ unacknowledged: number, stats: UplinkStats }> {
    return this.#page.evaluate('({ unacknowledged: tab.unacknowledged, stats: tab.uplinkStats })')
  }

  async close (): Promise<void> {
    await this.#page.close()
  }
}
