import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { patienceMs, until } from '../../e2e/harness/until.ts'
import { watchStreams, type Message } from './received.ts'

const pollMs = 20

type State = 'connecting' | 'live' | 'paused' | 'slowed' | 'lost'

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
  is: (state: State) => Promise<void>
  /** Every state that the page has shown, oldest first: also one that lasted too short to wait for. */
  readonly states: State[]
  /** Waits until the page has shown a state, after the first `from`. */
  was: (state: State, from: number) => Promise<unknown>
}

/** Opens an example in a context of its own: another browser window, so to say. */
export async function openTab (browser: Browser, url: string, options: BrowserContextOptions = {}, prepare?: (page: Page) => Promise<unknown>): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  context.setDefaultTimeout(patienceMs)
  const page = await context.newPage()
  const messages: Message[] = []
  const complaints: string[] = []
  page.on('console', (entry) => {
    if (entry.type() === 'error' || entry.type() === 'warning') complaints.push(`${entry.type()}: ${entry.text()}`)
  })
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.stack ?? error.message}`))
  const devtools = await context.newCDPSession(page)
  await watchStreams(devtools, (message) => messages.push(message))
  const states: State[] = []
  await page.exposeFunction('tellState', (state: State) => states.push(state))
  await page.addInitScript(`addEventListener('DOMContentLoaded', () => {
    const { documentElement } = document
    const tell = () => tellState(documentElement.dataset.state)
    new MutationObserver(tell).observe(documentElement, { attributeFilter: ['data-state'] })
    tell()
  })`)
  await prepare?.(page)
  await page.goto(url)
  const text = async (selector: string) => (await page.locator(selector).textContent() ?? '').trim()
  // Not waitForFunction, which evaluates text within the page: its policy forbids that.
  const when = async (source: string, ...args: unknown[]) => {
    const startedAt = performance.now()
    while (!await page.evaluate(called(source, args))) {
      if (performance.now() - startedAt > patienceMs) throw new Error(`waited ${patienceMs} ms in vain for ${called(source, args)}`)
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }
  return {
    page,
    context,
    messages,
    complaints,
    states,
    text,
    says: async (selector, expected) => {
      await when('(selector, source, flags) => new RegExp(source, flags).test((document.querySelector(selector)?.textContent ?? "").trim())', selector, expected.source, expected.flags)
        .catch(async (error) => { throw new Error(`${selector} says "${await text(selector)}", not ${expected}`, { cause: error }) })
    },
    ask: (source, ...args) => page.evaluate(called(source, args)),
    when,
    message: (what, matches, from = 0) => until(() => messages.slice(from).find(matches), what, patienceMs),
    is: async (state) => {
      await page.waitForSelector(`html[data-state="${state}"]`)
    },
    was: (state, from) => until(() => states.slice(from).includes(state), `the state ${state}`, patienceMs)
  }
}

// Playwright takes text for an expression: a function in it would not be called, and be true.
function called (source: string, args: unknown[]): string {
  return `(${source})(${args.map((argument) => JSON.stringify(argument)).join(', ')})`
}
