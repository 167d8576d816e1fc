import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { EventSource } from 'eventsource'
import t, { type Test } from 'tap'
import { connect, type Connection } from '../../client/index.ts'
import type { contract as assistant } from '../../examples/assistant.ts'
import type { contract as chat } from '../../examples/chat.ts'
import type { contract as jobProgress } from '../../examples/job-progress.ts'
import type { contract as presence } from '../../examples/presence.ts'
import type { contract as table } from '../../examples/table.ts'
import type { AnyContract } from '../../plugin/index.ts'
import { launchBrowser } from '../browser/harness/browser.ts'
import { startExample } from '../browser/harness/example.ts'
import { freePort } from '../harness/free-port.ts'
import { startLink } from '../e2e/harness/link.ts'
import { openTab, type Tab } from '../browser/harness/tab.ts'
import { until, within } from '../e2e/harness/until.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const browser = await launchBrowser(t)

interface Running {
  url: string
  /** Another browser window on the example's page, or on another address of it. */
  open: (url?: string) => Promise<Tab>
  /** The library's client, in Node.js. */
  join: <Contract extends AnyContract>() => Promise<Connection<Contract>>
}

/** Starts an example by the command in its first line, and ends what was opened of it. */
function runs (file: string, test: (t: Test, example: Running) => Promise<void>): void {
  t.test(`examples/${file}`, async (t) => {
    const lines = readFileSync(`${root}/examples/${file}`, 'utf8').trimEnd().split('\n')
    t.ok(lines.length >= 25 && lines.length <= 40, `${lines.length} lines are 25 to 40`)
    t.match(lines[0], `npm run example examples/${file}`, 'says how to start it')
    const example = await startExample(t, 'example', await freePort(), `examples/${file}`)
    const tabs: Tab[] = []
    await test(t, {
      url: example.url,
      open: async (url = example.url) => {
        const tab = await openTab(browser, url)
        tabs.push(tab)
        return tab
      },
      join: async () => {
        const live = connect(`${example.url}/live`)
        t.teardown(() => live.close())
        await until(() => live.state === 'open', 'the client to be open')
        return live as Connection<any>
      }
    })
    for (const { complaints, context } of tabs) {
      t.strictSame(complaints, [], 'the browser has nothing to complain of')
      await context.close()
    }
  })
}

const shown = (tab: Tab) => tab.page.locator('li').allTextContents()

runs('chat.ts', async (t, { open, join }) => {
  const tab = await open()
  const live = await join<typeof chat>()
  const heard: string[] = []
  live.on('said', ({ from, text }) => heard.push(`${from}: ${text}`))
  await tab.page.getByRole('textbox', { name: 'Message' }).fill('<b>hello</b>')
  await tab.page.getByRole('button', { name: 'Say' }).click()
  await until(() => heard.length === 1, 'what the page said')
  await live.emit('say', { text: 'hello yourself' })
  await until(() => heard.length === 2, 'what the client said')
  await tab.page.locator('li').nth(1).waitFor()
  t.strictSame(heard, ['Guest 1: <b>hello</b>', 'Guest 2: hello yourself'])
  t.strictSame(await shown(tab), heard, 'the page shows the same, as text')
  t.equal(await tab.page.getByRole('textbox', { name: 'Message' }).inputValue(), '', 'the field is ready for more')
  await t.rejects(live.emit('say', { text: '' }), { code: 'FST_ERR_VALIDATION' }, 'nothing to say is refused')
})

runs('assistant.ts', async (t, { url, open }) => {
  const line = await startLink(t, { port: Number(new URL(url).port) })
  const address = `http://127.0.0.1:${line.port}`
  let isDown = false
  const live = connect<typeof assistant>(`${address}/live`, {
    retryMs: 20,
    retryMaxMs: 100,
    fetch: (path, init) => isDown ? Promise.reject(new TypeError('no line')) : fetch(path, init)
  })
  t.teardown(() => live.close())
  const verdicts: unknown[] = []
  live.onState((state, { verdict }) => { if (state === 'open') verdicts.push(verdict) })
  let heard = ''
  let tokens = 0
  let how = ''
  live.on('answer', (text) => {
    heard = text
    tokens = 0
    how = ''
  })
  live.on('token', (text) => {
    heard += text
    tokens++
  })
  live.on('ended', (text) => { how = text })
  const whole = (question: string) => `You asked: ${question} ${'A model would think about that. '.repeat(10)}`
  const askedAt = performance.now()
  await live.emit('ask', { question: 'why?' })
  await until(() => tokens > 3, 'some words')
  isDown = true
  line.cut()
  // By then a model that nobody stopped has said everything.
  await until(() => performance.now() - askedAt > 5_000, 'the time that the answer takes')
  t.ok(heard.length < whole('why?').length, `not all of it came before: ${heard}`)
  const backAt = performance.now()
  isDown = false
  await until(() => how !== '', 'the end of the answer')
  t.ok(performance.now() - backAt < 3_500, 'which did not wait for the line')
  t.strictSame(verdicts, ['new', 'resumed'])
  t.equal(heard, whole('why?'), 'each word once, in order, though the line was cut')
  t.equal(how, 'done')

  await live.emit('ask', { question: 'and then?' })
  await until(() => heard.startsWith('You asked: and then? A'), 'some words of another answer')
  await live.emit('stop')
  await until(() => how !== '', 'its end')
  t.equal(how, 'stopped')
  t.ok(heard.length < whole('and then?').length, heard)
  const stopped = heard
  await live.emit('ask', { question: 'one more' })
  await live.emit('ask', { question: 'no, this' })
  await until(() => heard.startsWith('You asked: no, this A'), 'the newest answer alone')
  t.notMatch(heard, stopped)
  await t.rejects(live.emit('ask', { question: '' }), { code: 'FST_ERR_VALIDATION' })
  live.close()

  const tab = await open(address)
  await tab.page.getByRole('textbox', { name: 'Question' }).fill('<b>why?</b>')
  await tab.page.getByRole('button', { name: 'Ask' }).click()
  await tab.when('() => document.querySelector("p").textContent.startsWith("You asked: <b>why?</b> A")')
  const before = await tab.text('p')
  line.cut()
  await tab.when('(before) => document.querySelector("p").textContent.length > before.length + 40', before)
  await tab.page.getByRole('button', { name: 'Stop' }).click()
  await tab.says('output', /^stopped$/)
  const words = await tab.text('p')
  t.ok(whole('<b>why?</b>').startsWith(words), words)
  // The browser itself complains of a line that is cut.
  t.ok(tab.complaints.every((complaint) => /Failed to load resource: net::ERR_/.test(complaint)), tab.complaints.join())
  tab.complaints.length = 0
})

runs('job-progress.ts', async (t, { open, join }) => {
  const live = await join<typeof jobProgress>()
  const steps: number[] = []
  live.on('progress', ({ done }) => steps.push(done))
  const finished = live.once('finished')
  await live.emit('start', { rows: 20 })
  t.strictSame(await within(finished, 'the end of the job'), {})
  t.equal(steps.at(-1), 20)
  t.ok(steps.length > 1, `${steps.length} steps were seen`)
  t.strictSame(steps, [...new Set(steps)].sort((a, b) => a - b), 'always forward')
  await t.rejects(live.emit('start', { rows: 0 }), { code: 'FST_ERR_VALIDATION' }, 'a job of nothing is refused')

  const tab = await open()
  await tab.page.getByRole('button').click()
  await tab.when('() => document.querySelector("progress").value > 0 && document.querySelector("progress").value < 1000')
  t.ok(await tab.page.getByRole('button').isDisabled(), 'one job at a time')
  await tab.says('output', /^All rows are in$/)
  t.ok(await tab.page.getByRole('button').isEnabled())
  t.equal(await tab.ask('() => document.querySelector("progress").value'), 1000)
})

runs('presence.ts', async (t, { open, join }) => {
  const tab = await open()
  await tab.page.getByText('Guest 1').waitFor()
  const live = await join<typeof presence>()
  await tab.page.getByText('Guest 2').waitFor()
  await live.emit('rename', { name: '<i>Ada</i>' })
  await tab.page.getByText('<i>Ada</i>').waitFor()
  let online: string[] = []
  live.on('online', (names) => { online = names })
  await tab.page.getByRole('textbox', { name: 'Your name' }).fill('Grace')
  await tab.page.getByRole('textbox', { name: 'Your name' }).press('Enter')
  await until(() => online.includes('Grace'), 'the name that the page took')
  t.strictSame(online, ['Grace', '<i>Ada</i>'])
  live.close()
  await tab.when('() => document.querySelectorAll("li").length === 1')
  t.strictSame(await shown(tab), ['Grace'], 'who left is gone')
})

runs('plain-stream.ts', async (t, { url, open }) => {
  const tab = await open()
  await tab.page.getByText(/is the id\. $/).waitFor()
  const words = (await tab.page.locator('p').textContent())!.trim().split(' ')
  t.match(words.join(' '), /^Server-sent events are lines of text .* is the id\.$/)

  const source = new EventSource(`${url}/answer`)
  t.teardown(() => source.close())
  const events: MessageEvent[] = []
  const ended = new Promise((resolve) => source.addEventListener('end', resolve))
  source.addEventListener('message', (event) => events.push(event))
  await within(ended, 'the end of the answer')
  source.close()
  t.strictSame(events.map(({ data }) => data), words, 'each word once, in order')
  t.strictSame(events.map(({ lastEventId }) => lastEventId), words.map((_word, index) => String(index + 1)))

  const rest = await fetch(`${url}/answer`, { headers: { 'Last-Event-ID': String(words.length - 2) } })
  t.strictSame([...(await rest.text()).matchAll(/^data: ?(.*)$/gm)].map(([, data]) => data), [...words.slice(-2), 'done'], 'who comes back gets what is missing')
})

runs('table.ts', async (t, { open, join }) => {
  const live = await join<typeof table>()
  const changes = new Map<string, number[]>()
  live.on('row', (row) => changes.set(row.host, [...changes.get(row.host) ?? [], row.changes]))
  await until(() => changes.size === 8 && [...changes.values()].every((seen) => seen.length > 3), 'more than three states of each row')
  for (const [host, seen] of changes) {
    t.strictSame(seen, [...new Set(seen)].sort((a, b) => a - b), `${host}: always forward`)
  }
  const received = () => [...changes.values()].reduce((sum, { length }) => sum + length, 0)
  const made = () => [...changes.values()].reduce((sum, states) => sum + states.at(-1)! - states[0]!, 0)
  await until(() => received() < made() / 2, 'fewer updates than half of the changes, since only the newest of each row waits')

  const tab = await open()
  await tab.when('() => document.querySelectorAll("tbody tr").length === 8')
  t.strictSame((await tab.page.locator('tbody tr td:first-child').allTextContents()).sort(), [...changes.keys()].sort())
  const before = await tab.page.locator('#elm td').nth(2).textContent()
  await tab.when('(before) => Number(document.querySelector("#elm").cells[2].textContent) > Number(before)', before)
})

t.test('no example is without a test', async (t) => {
  const files = readdirSync(`${root}/examples`).filter((file) => file.endsWith('.ts'))
  t.strictSame(files, ['assistant.ts', 'chat.ts', 'job-progress.ts', 'plain-stream.ts', 'presence.ts', 'table.ts'])
})
