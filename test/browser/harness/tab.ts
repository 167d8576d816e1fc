import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { until } from '../../e2e/harness/until.ts'

// Far more than it takes, for machines that are busy with other tests.
const timeoutMs = 60_000
const pollMs = 20

/** One update or control frame, as the browser's EventSource got it. */
export interface Message {
  name: string
  id: string
  /** Read, if it is JSON. */
  data: any
}

/** A page of an example, and what came down its line. */
export interface Tab {
  readonly page: Page
  readonly context: BrowserContext
  /** Every message since the page was opened, oldest first. */
  readonly messages: Message[]
  /** Errors and warnings of the console, and exceptions that nobody caught. */
  readonly complaints: string[]
  /** The text of an element. */
  text: (selector: string) => Promise<string>
  /** Waits until the text of an element is so. */
  says: (selector: string, expected: RegExp) => Promise<void>
  /** Gives what a function, in source text, gives in the page. */
  ask: (source: string, ...args: unknown[]) => Promise<any>
  /** Waits until a function, in source text, gives something truthy in the page. */
  when: (source: string, ...args: unknown[]) => Promise<unknown>
  /** Waits until a message that came after the first `from` is so, and gives it. */
  message: (what: string, matches: (message: Message) => boolean, from?: number) => Promise<Message>
  /** Waits for the state that the page shows. */
  is: (state: 'connecting' | 'live' | 'paused' | 'lost') => Promise<void>
}

/** Opens an example in a context of its own: another browser window, so to say. */
export async function openTab (browser: Browser, url: string, options: BrowserContextOptions = {}, prepare?: (page: Page) => Promise<unknown>): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  context.setDefaultTimeout(timeoutMs)
  const page = await context.newPage()
  const messages: Message[] = []
  const complaints: string[] = []
  page.on('console', (entry) => {
    if (entry.type() === 'error' || entry.type() === 'warning') complaints.push(`${entry.type()}: ${entry.text()}`)
  })
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.stack ?? error.message}`))
  const devtools = await context.newCDPSession(page)
  devtools.on('Network.eventSourceMessageReceived', ({ eventName, eventId, data }) => {
    messages.push({ name: eventName, id: eventId, data: /^[{[]/.test(data) ? JSON.parse(data) : data })
  })
  await devtools.send('Network.enable')
  await prepare?.(page)
  await page.goto(url)
  const text = async (selector: string) => (await page.locator(selector).textContent() ?? '').trim()
  // Not waitForFunction, which evaluates text within the page: its policy forbids that.
  const when = async (source: string, ...args: unknown[]) => {
    const startedAt = performance.now()
    while (!await page.evaluate(called(source, args))) {
      if (performance.now() - startedAt > timeoutMs) throw new Error(`waited ${timeoutMs} ms in vain for ${called(source, args)}`)
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }
  return {
    page,
    context,
    messages,
    complaints,
    text,
    says: async (selector, expected) => {
      await when('(selector, source, flags) => new RegExp(source, flags).test((document.querySelector(selector)?.textContent ?? "").trim())', selector, expected.source, expected.flags)
        .catch(async (error) => { throw new Error(`${selector} says "${await text(selector)}", not ${expected}`, { cause: error }) })
    },
    ask: (source, ...args) => page.evaluate(called(source, args)),
    when,
    message: (what, matches, from = 0) => until(() => messages.slice(from).find(matches), what, timeoutMs),
    is: async (state) => {
      await page.waitForSelector(`html[data-state="${state}"]`)
    }
  }
}

// Playwright takes text for an expression: a function in it would not be called, and be true.
function called (source: string, args: unknown[]): string {
  return `(${source})(${args.map((argument) => JSON.stringify(argument)).join(', ')})`
}
