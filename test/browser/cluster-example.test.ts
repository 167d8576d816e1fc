import { readFileSync } from 'node:fs'
import t from 'tap'
import { until, within } from '../e2e/harness/until.ts'
import { freePort } from '../harness/free-port.ts'
import { launchBrowser } from './harness/browser.ts'
import { startExample } from './harness/example.ts'
import type { Message } from './harness/received.ts'
import { openTab, type Tab } from './harness/tab.ts'

const browser = await launchBrowser(t)
const example = await startExample(t, 'start:cluster', await freePort())

// What a browser logs by itself when a node is gone.
const isNetworkError = (complaint: string) => /Failed to load resource: (net::ERR_|the server responded with a status of 50[23] )/.test(complaint)
const isSample = ({ name }: Message) => name.startsWith('sample@series?name=cpu&')
const nodesOf = (tab: Tab): Promise<string[]> => tab.ask('() => [...document.querySelectorAll("#node-list label")].map(({ dataset }) => dataset.node)')
const holderOf = (tab: Tab): Promise<string> => tab.ask('() => document.querySelector("#node-list [data-holder]")?.dataset.node')
const noticesOf = (tab: Tab): Promise<string[]> => tab.ask('() => [...document.querySelectorAll("#notice-list li p:last-child")].map(({ textContent }) => textContent)')
const hasNotice = (tab: Tab, text: string) => tab.says('#notice-list li:first-child p:last-child', new RegExp(`^${text}$`))
/** The process of a node, by its name. */
const processOf = (node: string): number => Number(/-(\d+)-[\w-]{12}$/.exec(node)![1])

async function sendNotice (tab: Tab, text: string): Promise<void> {
  await tab.page.getByLabel('Text of the notice').fill(text)
  await tab.page.getByRole('button', { name: 'Send' }).click()
}

/** Waits until the page is live at a node that has its session. */
const isHeldByAnother = (tab: Tab, before: string) => tab.when(
  '(before) => document.documentElement.dataset.state === "live" && ![before, undefined].includes(document.querySelector("#node-list [data-holder]")?.dataset.node)', before
)
const hasThreeNodes = (tab: Tab, without: string) => tab.when(
  '(without) => { const nodes = [...document.querySelectorAll("#node-list label")].map(({ dataset }) => dataset.node); return nodes.length === 3 && !nodes.includes(without) }', without
)

const isAlive = (pid: number): boolean => {
  try {
    // A process that has ended stays a zombie until its parent has asked for it.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

const started = new Set<string>()
const tabs = await Promise.all([openTab(browser, example.url), openTab(browser, example.url)])
const [tab, other] = tabs

t.test('three nodes show one dashboard, and notices reach the tabs of all', async (t) => {
  for (const { is } of tabs) await is('live')
  for (const each of tabs) await hasThreeNodes(each, '')
  for (const node of await nodesOf(tab)) started.add(node)
  t.ok(started.has(await holderOf(tab)), 'one of them has the session')
  t.strictSame(await nodesOf(other), await nodesOf(tab))
  await sendNotice(tab, 'first')
  for (const each of tabs) await hasNotice(each, 'first')
  await tab.says('#notice-status', /to 2 tabs\.$/)
  t.same(tab.complaints, [])
})

t.test('a node that is replaced hands its session over: nothing is lost', async (t) => {
  const before = await holderOf(tab)
  const seen = tab.messages.length
  const session = await tab.text('#session-id')
  await tab.page.getByRole('button', { name: 'Replace a node' }).click()
  await sendNotice(tab, 'while it is replaced')
  await isHeldByAnother(tab, before)
  await hasThreeNodes(tab, before)
  await until(() => !isAlive(processOf(before)), 'the end of its process')
  for (const node of await nodesOf(tab)) started.add(node)
  await tab.says('#session-verdict', /^resumed, nothing missed$/)
  await tab.says('#session-missing', /^none$/)
  await tab.says('#nodes-status', /was replaced/)
  t.equal(await tab.text('#session-id'), session)
  await tab.message('samples after it', isSample, tab.messages.length)
  for (const each of tabs) await hasNotice(each, 'while it is replaced')
  const numbers = tab.messages.slice(seen).flatMap(({ name, id }) => name === 'tether' || id === '' ? [] : [Number(id.split('.').at(-1))])
  t.strictSame(numbers, numbers.map((_, index) => numbers[0]! + index), 'every update once, in order')
  t.same(tab.complaints.filter((complaint) => !isNetworkError(complaint)), [])
})

t.test('a node that is killed is started again, and its tab goes on with its session within a lease', async (t) => {
  const before = await holderOf(tab)
  const shown = tab.states.length
  const session = await tab.text('#session-id')
  await tab.page.getByRole('button', { name: 'Kill a node' }).click()
  await tab.was('lost', shown)
  t.notOk(isAlive(processOf(before)))
  await isHeldByAnother(tab, before)
  await tab.says('#session-verdict', /^resumed with a gap$/)
  t.equal(await tab.text('#session-id'), session)
  await tab.message('samples after it', isSample, tab.messages.length)
  await hasThreeNodes(tab, before)
  for (const node of await nodesOf(tab)) started.add(node)
  await sendNotice(tab, 'after the kill')
  for (const each of tabs) {
    await each.is('live')
    await hasNotice(each, 'after the kill')
    t.strictSame((await noticesOf(each)), ['after the kill', 'while it is replaced', 'first'], 'each notice once')
  }
  t.same(tabs.flatMap(({ complaints }) => complaints).filter((complaint) => !isNetworkError(complaint)), [])
})

t.test('Ctrl+C ends all processes', async (t) => {
  t.equal(started.size, 5, 'three, and two that came later')
  for (const { context } of tabs) await context.close()
  // The output ends when the last process that has it is gone.
  await within(example.end('SIGINT'), 'their end')
  t.strictSame([...started].map(processOf).filter(isAlive), [])
})
