import { hostname } from 'node:os'
import t from 'tap'
import { startLink } from '../e2e/harness/link.ts'
import type { Server } from '../e2e/harness/server.ts'
import { until, within } from '../e2e/harness/until.ts'
import { launchBrowser } from './harness/browser.ts'
import { freePort } from '../harness/free-port.ts'
import { connectAhead, startExample } from './harness/example.ts'
import type { Message } from './harness/received.ts'
import { openTab, type Tab } from './harness/tab.ts'

const browser = await launchBrowser(t)
const port = await freePort()
let wall = await startExample(t, 'start:htmx', port)

// What the browser, and htmx's extension after it, log by themselves when a server is gone.
const isLineError = (complaint: string) => /Failed to load resource: net::ERR_|^error: (\[object )?Event\]?$/.test(complaint)

const fields = (tab: Tab) => tab.ask('() => Array.from(document.getElementsByName("tether-session"), ({ value }) => value)') as Promise<string[]>
const isHello = ({ name, data }: Message) => name === 'tether' && data.type === 'hello'
const isLoad = ({ name }: Message) => name === 'load'
const note = (tab: Tab, words: string) => tab.page.locator('#notes li', { hasText: words })

async function putUp (tab: Tab, words: string, name = '') {
  await tab.page.getByRole('textbox', { name: 'Name' }).fill(name)
  await tab.page.getByRole('textbox', { name: 'Note' }).fill(words)
  await tab.page.getByRole('button', { name: 'Put it up' }).click()
}

t.test('opens with the session that was made with the page, and the load moves', async (t) => {
  const tab = await openTab(browser, wall.url)
  const [session] = await fields(tab)
  const claim = /^\/live\?tether-session=([\w-]{24})$/.exec(await tab.page.locator('body').getAttribute('sse-connect') ?? '')?.[1]
  t.ok(claim, 'the address has a claim')
  t.not(claim, session, 'which is not the id in the forms')
  await tab.is('live')
  await tab.says('h1', new RegExp(`^The wall of ${hostname()}$`))
  const hello = await tab.message('the hello', isHello)
  t.match(hello.data, { verdict: 'new', session })
  t.same(await fields(tab), [session, session, session])
  const before = await tab.text('#read-at')
  await tab.when('(before) => document.getElementById("read-at").textContent !== before', before)
  await tab.page.waitForSelector('.chart polyline[points*=" "]')
  await tab.says('.value', /^\d+$/)
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('a note is swapped into every tab, as text, and once', async (t) => {
  const tab = await openTab(browser, wall.url)
  const other = await openTab(browser, wall.url)
  await tab.is('live')
  await other.is('live')
  const words = '<b>Deploying</b> & "waiting" <img src=x onerror=alert(1)>\nuntil four'
  await putUp(tab, words, "O'Brien </b>")
  for (const each of [tab, other]) {
    await note(each, 'Deploying').waitFor()
    t.equal(await note(each, 'Deploying').count(), 1)
    t.equal(await note(each, 'Deploying').locator('p').nth(1).textContent(), words)
    t.equal(await note(each, 'Deploying').locator('.by b').textContent(), "O'Brien </b>")
    t.equal(await each.page.locator('#notes img').count(), 0)
  }
  await tab.when('() => document.getElementById("text").value === ""')
  t.equal(await tab.page.getByRole('textbox', { name: 'Name' }).inputValue(), "O'Brien </b>")

  const late = await openTab(browser, wall.url)
  t.equal(await note(late, 'Deploying').locator('p').nth(1).textContent(), words, 'the page itself has it')
  await late.message('the whole wall', ({ name }) => name === 'wall')
  await putUp(other, 'One more')
  await note(late, 'One more').waitFor()
  t.same(await late.page.locator('#notes li .by b').allTextContents(), ['Somebody', "O'Brien </b>"])
  t.same([...tab.complaints, ...other.complaints, ...late.complaints], [])
  for (const { context } of [tab, other, late]) await context.close()
})

t.test('a note that is refused is not lost, and the form says why', async (t) => {
  const tab = await openTab(browser, wall.url)
  await tab.is('live')
  await putUp(tab, '   ')
  await tab.says('#note-form .fault', /^text must match pattern/)
  t.equal(await tab.page.getByRole('textbox', { name: 'Note' }).inputValue(), '   ')
  await putUp(tab, 'Seen now')
  await note(tab, 'Seen now').waitFor()
  await tab.says('#note-form .fault', /^$/)
  t.same(tab.complaints.filter((complaint) => !/status of 400|Status Error Code 400/.test(complaint)), [])
  await tab.context.close()
})

t.test('a plain form is answered, and the browser stays on the page', async (t) => {
  const tab = await openTab(browser, wall.url)
  const other = await openTab(browser, wall.url)
  await tab.is('live')
  await other.is('live')
  await tab.ask('() => { window.stayed = true }')
  const streams = tab.messages.filter(isHello).length
  await tab.page.getByRole('button', { name: 'Good' }).click()
  await other.page.getByRole('button', { name: 'Good' }).click()
  for (const each of [tab, other]) await each.says('#mood-good', /^2$/)
  await tab.page.getByRole('button', { name: 'Bad' }).click()
  for (const each of [tab, other]) {
    await each.says('#mood-bad', /^1$/)
    await each.says('#mood-good', /^1$/)
  }
  t.equal(await tab.ask('() => window.stayed'), true)
  t.equal(tab.page.url(), `${wall.url}/`)
  await tab.is('live')
  t.equal(tab.messages.filter(isHello).length, streams, 'on the same stream')
  t.same([...tab.complaints, ...other.complaints], [])

  await tab.page.close({ runBeforeUnload: true })
  await other.says('#mood-bad', /^0$/)
  await other.says('#open-tabs', /^1$/)
  await tab.context.close()
  await other.context.close()
})

t.test('the pace is one tab\'s own', async (t) => {
  const tab = await openTab(browser, wall.url)
  const other = await openTab(browser, wall.url)
  await tab.is('live')
  await other.is('live')
  const answered = tab.page.waitForResponse('**/live/pace.set')
  await tab.page.getByLabel('A picture every').selectOption('15 seconds')
  t.equal((await answered).status(), 204)
  await until(() => other.messages.some(isLoad), 'a picture of the load')
  const mine = tab.messages.filter(isLoad).length
  const theirs = other.messages.filter(isLoad).length
  await until(() => other.messages.filter(isLoad).length >= theirs + 4, 'four more pictures for the other tab')
  t.ok(tab.messages.filter(isLoad).length <= mine + 1, 'and at most one for this')
  t.same([...tab.complaints, ...other.complaints], [])
  await tab.context.close()
  await other.context.close()
})

t.test('old notes go when there are too many, in pages that are open as well', async (t) => {
  const tab = await openTab(browser, wall.url)
  await tab.is('live')
  const [session] = await fields(tab)
  for (let number = 1; number <= 32; number++) {
    const body = new URLSearchParams({ 'tether-session': session!, name: 'Counter', text: `Number ${number}.` })
    const answer = await fetch(`${wall.url}/live/note.add`, { method: 'POST', body })
    t.equal(answer.status, 204)
  }
  await note(tab, 'Number 32.').waitFor()
  const expected = Array.from({ length: 30 }, (_, index) => `Number ${32 - index}.`)
  t.same(await tab.page.locator('#notes li p:nth-child(2)').allTextContents(), expected)
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('a cut line is resumed, with what was put up meanwhile', async (t) => {
  const link = await startLink(t, { port } as Server)
  const tab = await openTab(browser, `http://127.0.0.1:${link.port}`)
  const other = await openTab(browser, wall.url)
  await tab.is('live')
  await other.is('live')
  const [session] = await fields(tab)
  const shown = tab.states.length
  link.cut()
  await tab.was('lost', shown)
  await putUp(other, 'While you were away')
  await tab.is('live')
  await tab.says('#state', /^Live, resumed$/)
  await note(tab, 'While you were away').waitFor()
  t.equal(await note(tab, 'While you were away').count(), 1)
  t.same(await fields(tab), [session, session, session])
  await putUp(tab, 'Back again')
  await note(other, 'Back again').waitFor()
  t.same([...tab.complaints, ...other.complaints].filter((complaint) => !isLineError(complaint)), [])
  await tab.context.close()
  await other.context.close()
})

t.test('where EventSource has given up, the extension opens another, and the page goes on', async (t) => {
  let isFirst = true
  const tab = await openTab(browser, wall.url, {}, (page) => page.route('**/live?*', (route) => {
    if (!isFirst) return route.fallback()
    isFirst = false
    return route.fulfill({ status: 502, body: 'a proxy has no server' })
  }))
  await tab.is('live')
  await putUp(tab, 'Through in the end')
  await note(tab, 'Through in the end').waitFor()
  t.equal(await note(tab, 'Through in the end').count(), 1)
  t.same(tab.complaints.filter((complaint) => !isLineError(complaint) && !/status of 502/.test(complaint)), [])
  await tab.context.close()
})

t.test('without a session made beforehand, the page learns its own from the stream', async (t) => {
  // The pool of prepared sessions has room for so many.
  const pages = await Promise.all(Array.from({ length: 128 }, async () => (await fetch(wall.url)).text()))
  t.ok(pages.some((page) => page.includes('sse-connect="/live?tether-session=')))
  const tab = await openTab(browser, wall.url)
  t.equal(await tab.page.locator('body').getAttribute('sse-connect'), '/live')
  await tab.is('live')
  const hello = await tab.message('the hello', isHello)
  const { session } = hello.data
  t.same(await fields(tab), [session, session, session])
  await putUp(tab, 'From nowhere')
  await note(tab, 'From nowhere').waitFor()
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('a note that is put up before such a page knows its session is sent as soon as it does', async (t) => {
  let open = () => {}
  const tab = await openTab(browser, wall.url, {}, (page) => page.route('**/live', async (route) => {
    await new Promise<void>((resolve) => { open = resolve })
    return route.fallback()
  }))
  t.same(await fields(tab), ['', '', ''], 'the pool is still full')
  t.ok(await tab.page.getByRole('button', { name: 'Good' }).isDisabled(), 'a plain form would lead to an error page')
  await putUp(tab, 'Early bird')
  await tab.says('#note-form .fault', /^Waits for the line/)
  await tab.page.getByRole('button', { name: 'Put it up' }).click()
  open()
  await tab.is('live')
  await note(tab, 'Early bird').waitFor()
  t.equal(await note(tab, 'Early bird').count(), 1)
  await tab.says('#note-form .fault', /^$/)
  t.ok(await tab.page.getByRole('button', { name: 'Good' }).isEnabled())
  t.same(tab.complaints, [])
  await tab.context.close()
})

const whole = t

t.test('a server that is killed and started again is found again, and the forms follow', async (t) => {
  const tab = await openTab(browser, wall.url)
  const other = await openTab(browser, wall.url)
  await tab.is('live')
  await other.is('live')
  await putUp(tab, 'Before')
  await note(tab, 'Before').waitFor()
  await tab.page.getByLabel('A picture every').selectOption('5 seconds')
  const old = await fields(tab)

  await wall.end('SIGKILL')
  await tab.is('lost')
  await tab.says('#state', /^The line is lost, trying again$/)
  t.ok(await tab.page.getByRole('button', { name: 'Good' }).isDisabled(), 'a plain form would lead to an error page now')
  await putUp(tab, 'Into the void')
  await tab.says('#note-form .fault', /^No answer came/)
  t.equal(await tab.page.getByRole('textbox', { name: 'Note' }).inputValue(), 'Into the void')

  const seen = tab.messages.length
  wall = await startExample(whole, 'start:htmx', port)
  await tab.is('live')
  await other.is('live')
  await tab.says('#state', /^Live, a new session$/)
  const hello = await tab.message('another hello', isHello, seen)
  t.equal(hello.data.verdict, 'expired')
  const { session } = hello.data
  t.same(await fields(tab), [session, session, session])
  t.not(session, old[0])

  await note(tab, 'Before').waitFor({ state: 'detached' })
  t.equal(await tab.page.getByLabel('A picture every').inputValue(), '1', 'what holds in the new session')
  await tab.page.getByRole('button', { name: 'Put it up' }).click()
  await note(other, 'Into the void').waitFor()
  await tab.says('#note-form .fault', /^$/)
  await tab.page.getByRole('button', { name: 'So-so' }).click()
  for (const each of [tab, other]) await each.says('#mood-so-so', /^1$/)
  t.equal(tab.page.url(), `${wall.url}/`)
  t.same([...tab.complaints, ...other.complaints].filter((complaint) => !isLineError(complaint) && !/^error: htmx:(sendError|afterRequest)/.test(complaint)), [])

  // Once more, from a session that is not the one in the page's address.
  await wall.end('SIGKILL')
  await tab.is('lost')
  wall = await startExample(whole, 'start:htmx', port)
  await tab.is('live')
  await putUp(tab, 'Twice')
  await note(tab, 'Twice').waitFor()
  await tab.context.close()
  await other.context.close()
})

t.test('without scripts the forms work as well, and a reload shows what is new', async (t) => {
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  await page.goto(wall.url)
  const [answer] = await Promise.all([
    page.waitForResponse('**/live/note.add'),
    page.getByRole('textbox', { name: 'Note' }).fill('By hand').then(() => page.getByRole('button', { name: 'Put it up' }).click())
  ])
  t.equal(answer.status(), 204)
  t.equal(await page.getByRole('textbox', { name: 'Note' }).inputValue(), 'By hand', 'the page stays')
  await page.reload()
  await page.locator('#notes li', { hasText: 'By hand' }).waitFor()
  await context.close()
})

t.test('fits a phone', async (t) => {
  const tab = await openTab(browser, wall.url, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 })
  await tab.is('live')
  t.same(await tab.ask('() => [document.documentElement.scrollWidth, innerWidth]'), [360, 360])
  for (const name of ['Put it up', 'Good', 'Bad']) t.ok(await tab.page.getByRole('button', { name }).isVisible())
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('leaves in peace when it is told to', async (t) => {
  const tab = await openTab(browser, wall.url)
  await tab.is('live')
  await connectAhead(t, wall)
  await within(wall.end('SIGTERM'), 'its end')
  await tab.is('lost')
  await tab.message('a goodbye', ({ name, data }) => name === 'tether' && data.type === 'goodbye')
  t.notMatch(wall.output(), /"level":[56]0/)
  await tab.context.close()
})
