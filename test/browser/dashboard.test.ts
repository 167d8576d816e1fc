import { readFileSync } from 'node:fs'
import { cpus, hostname } from 'node:os'
import type { Page, Route } from 'playwright-core'
import t from 'tap'
import { startLink } from '../e2e/harness/link.ts'
import type { Server } from '../e2e/harness/server.ts'
import { until, within } from '../e2e/harness/until.ts'
import { launchBrowser } from './harness/browser.ts'
import { freePort } from '../harness/free-port.ts'
import { connectAhead, failDashboard, startExample } from './harness/example.ts'
import type { Message } from './harness/received.ts'
import { openTab, type Tab } from './harness/tab.ts'

const browser = await launchBrowser(t)
const port = await freePort()
let dashboard = await startExample(t, 'start', port)

// What a browser logs by itself when a server is gone.
const isNetworkError = (complaint: string) => /Failed to load resource: net::ERR_/.test(complaint)
const isSample = (series?: string) => ({ name }: Message) => name.startsWith(`sample@series?name=${series ?? ''}`)
/** The outcome of a tab's subscription to a series. */
const isTaken = (series: string, perSecond: number) => ({ name, data }: Message) => name === 'tether.topic' && data.ok && data.name === `series?name=${series}&perSecond=${perSecond}`
const isStats = ({ name }: Message) => name === 'stats'

/** Milliseconds of the server's clock between one sample of the processor and the next. */
const spacings = (messages: Message[]) => messages.filter(isSample('cpu&')).map(({ data }, index, samples) => data.t - samples[index - 1]?.data.t).slice(1)

/** Numbers of the updates that came down a session's streams, in the order in which they came. */
const numbers = (messages: Message[]) => messages.filter(({ name, id }) => name !== 'tether' && id !== '').map(({ id }) => Number(id.split('.').at(-1)))

/** Keeps the texts that the charts draw, such as the labels of their axes. */
const keepDrawnTexts = (page: Page) => page.addInitScript(`
  globalThis.drawn = new Set()
  const { fillText } = CanvasRenderingContext2D.prototype
  CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    drawn.add(text)
    return fillText.call(this, text, ...rest)
  }
`)
const draws = (tab: Tab, text: RegExp) => tab.when('(source) => [...drawn].some((text) => new RegExp(source).test(text))', text.source)

t.test('opens with figures of this machine, and they move', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  await tab.is('live')
  await tab.says('#host-name', new RegExp(`^${hostname()}$`))
  await tab.says('#host-detail', new RegExp(`${cpus().length} cores?, .*Node ${process.versions.node}`))
  await tab.says('#session-verdict', /^new session$/)
  await tab.says('#session-id', /^[\w-]{6}…$/)
  await tab.says('#session-missing', /^none$/)
  t.equal(await tab.page.locator('.core').count(), cpus().length)

  for (const strip of ['cpu', 'memory', 'network', 'loop']) {
    await tab.says(`[data-strip="${strip}"] .value`, /^[\d.,]+$/)
    await tab.page.locator(`[data-strip="${strip}"] canvas`).waitFor()
  }
  const changes = ['[data-tile="heap"] .value', '[data-strip="loop"] .note', '#frames-rate', '#session-frames']
  for (const selector of changes) {
    const before = await tab.text(selector)
    await tab.when('(selector, before) => document.querySelector(selector).textContent.trim() !== before', selector, before)
    t.pass(`${selector} changed`)
  }
  const canvas = '[data-strip="cpu"] canvas'
  const before = await tab.ask('(canvas) => document.querySelector(canvas).toDataURL()', canvas)
  await tab.when('(canvas, before) => document.querySelector(canvas).toDataURL() !== before', canvas, before)
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('the rate changes how many frames this tab gets, and no other', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  const other = await openTab(browser, dashboard.url)
  await tab.is('live')
  await other.is('live')
  const rate = tab.page.locator('#rate')
  const shows = (least: number, most: number) => tab.when(
    '(least, most) => { const rate = Number(document.getElementById("frames-rate").textContent); return rate >= least && rate <= most }', least, most
  )
  const takes = async (perSecond: number) => {
    const taken = await tab.message(`the server to take ${perSecond} a second`, isTaken('cpu', perSecond))
    // Samples of the pace before may still be on their way.
    return tab.messages.indexOf(taken)
  }

  await rate.press('Home')
  await tab.says('#rate-value', /^1$/)
  const slow = await takes(1)
  await until(() => spacings(tab.messages.slice(slow)).length >= 2, 'three slow samples')
  // A timer is late at times, never early; a reading may be as old as another tab's last.
  t.ok(spacings(tab.messages.slice(slow)).every((spacing) => spacing >= 900), 'a second between samples')
  await shows(1, 20)

  await rate.press('End')
  await tab.says('#rate-value', /^100$/)
  const fast = await takes(100)
  await until(() => spacings(tab.messages.slice(fast)).some((spacing) => spacing <= 15), 'samples 10 ms apart')
  await shows(40, 1000)

  // On the whole: where reading is dear, a sample may be some milliseconds older than the one before it was.
  const theirs = spacings(other.messages)
  t.ok(theirs.reduce((sum, spacing) => sum + spacing, 0) / theirs.length >= 90, 'the other tab keeps its own rate')
  t.equal(await other.text('#rate-value'), '10')
  t.same([...tab.complaints, ...other.complaints], [])
  await tab.context.close()
  await other.context.close()
})

t.test('series that are not picked disappear, from the page and from the line', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  await tab.is('live')
  await tab.message('a sample of the network', isSample('network'))
  await tab.page.getByRole('checkbox', { name: 'Network' }).uncheck()
  await tab.page.locator('[data-strip="network"]').waitFor({ state: 'hidden' })
  // What was on its way has come with the next figures.
  const seen = tab.messages.length
  await until(() => tab.messages.slice(seen).filter(isStats).length >= 2, 'a second')
  const from = tab.messages.length
  await until(() => tab.messages.slice(from).filter(isSample('cpu')).length >= 10, 'ten samples of the processor')
  t.notOk(tab.messages.slice(from).some(isSample('network')), 'and none of the network')

  await tab.page.getByRole('checkbox', { name: 'Network' }).check()
  await tab.page.locator('[data-strip="network"]').waitFor()
  await tab.message('samples of the network again', isSample('network'), tab.messages.length)

  for (const box of await tab.page.locator('#series input').all()) await box.uncheck()
  await tab.page.locator('#blank').waitFor()
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('cores are drawn or not', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  const core = tab.page.getByRole('button', { name: 'Core 0' })
  const before = await core.getAttribute('aria-pressed')
  await core.click()
  t.not(await core.getAttribute('aria-pressed'), before)
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('pause holds the figures, resume lets them go', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  await tab.is('live')
  await tab.message('a sample', isSample())
  await tab.page.getByRole('button', { name: 'Pause' }).click()
  await tab.is('paused')
  const seen = tab.messages.length
  // What was on its way has come with the next figures, and is drawn with a frame that is still to come.
  await until(() => tab.messages.slice(seen).filter(isStats).length >= 2, 'the stream to go on')
  const from = tab.messages.length
  const more = (count: number) => until(() => tab.messages.slice(from).filter(isStats).length >= count, 'the stream to go on')
  await tab.ask('() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))')
  const held = await tab.text('[data-strip="cpu"] .value')
  await more(6)
  t.notOk(tab.messages.slice(from).some(isSample()), 'without samples')
  t.equal(await tab.text('[data-strip="cpu"] .value'), held)
  await tab.page.getByRole('button', { name: 'Resume' }).click()
  await tab.is('live')
  await tab.message('samples again', isSample(), tab.messages.length)
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('a notice reaches every tab, as text', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  const other = await openTab(browser, dashboard.url)
  await tab.is('live')
  await other.is('live')
  const words = '<b>Deploying</b> & "waiting"'
  await tab.page.getByLabel('Text of the notice').fill(words)
  await tab.page.getByRole('button', { name: 'Send' }).click()
  for (const { page } of [tab, other]) {
    await page.locator('#notice-list li', { hasText: words }).waitFor()
    t.equal(await page.locator('#notice-list b').count(), 0)
  }
  await other.page.locator('.toast', { hasText: words }).waitFor()
  const sender = '#notice-list li p:first-child'
  t.match(await tab.text(sender), /this tab$/)
  t.match(await other.text(sender), new RegExp(`tab ${(await tab.text('#session-id')).slice(0, 6)}$`))
  t.same([...tab.complaints, ...other.complaints], [])
  await tab.context.close()
  await other.context.close()
})

t.test('a cut line is shown, and resumed without a hole', async (t) => {
  const link = await startLink(t, { port } as Server)
  const tab = await openTab(browser, `http://127.0.0.1:${link.port}`)
  await tab.is('live')
  await tab.message('a sample', isSample())
  const session = await tab.text('#session-id')
  const shown = tab.states.length
  link.cut()
  await tab.was('lost', shown)
  await tab.is('live')
  await tab.says('#session-verdict', /^resumed, nothing missed$/)
  await tab.says('#session-away', /^[\d.]+ s, back at/)
  t.equal(await tab.text('#session-id'), session)
  await tab.message('samples again', isSample(), tab.messages.length)
  await tab.says('#session-missing', /^none$/)
  t.same(tab.complaints.filter((complaint) => !isNetworkError(complaint)), [])
  await tab.context.close()
})

t.test('a tab that reads nothing blocks its own session, gets the newest, and misses nothing that must arrive', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  const other = await openTab(browser, dashboard.url)
  await tab.is('live')
  await other.is('live')
  await tab.message('a sample', isSample())
  const slow = tab.page.getByRole('button', { name: 'Slow this tab' })
  await slow.focus()
  await tab.page.keyboard.press('Space')
  await tab.is('slowed')
  t.equal(await slow.getAttribute('aria-pressed'), 'true')
  await tab.says('#state-detail', /^for [\d.]+ s$/)
  await tab.says('#trial-status', /The server is blocked, for [1-9][\d.]* s: \d+ updates wait, [1-9]\d* older ones were replaced/)
  await tab.says('#session-blocked', /^(once|\d+ times), [\d.]+ s$/)
  await tab.says('#session-conflated', /^[1-9]/)
  await tab.says('#trial-status', /The newest figure here is [1-9][\d.]* s old/)

  // The last minute of all series, at the beginning, may have filled its write buffer for a moment.
  const othersBlocked = await other.text('#session-blocked')
  // The server's own word, not the page's.
  const figures = (page: Page) => page.evaluate("fetch('/figures', { headers: { 'x-tether-session': figuresOf } }).then((answer) => answer.json())") as Promise<any>
  const session = tab.messages.find(({ data }) => data.type === 'hello')?.data.session
  await other.page.evaluate(`globalThis.figuresOf = ${JSON.stringify(session)}`)
  const before = await figures(other.page)
  t.ok(before.stalled && before.connected)
  await until(async () => await figures(other.page).then(({ conflated }) => conflated > before.conflated), 'more to be conflated')
  t.ok((await figures(other.page)).queued <= before.queued + 9 * 3, 'what waits grows by one reading of a series a second at most')

  // A handler of the blocked session waits; the other tab notices nothing.
  await tab.page.locator('#rate').fill('20')
  await tab.says('#session-commands', /^[1-9]\d*$/)
  await other.page.getByLabel('Text of the notice').fill('Each one arrives')
  await other.page.getByRole('button', { name: 'Send' }).click()
  await other.message('its own notice', ({ name }) => name === 'notice')
  await other.message('a sample', isSample('cpu'), other.messages.length)
  t.equal(await other.text('#session-blocked'), othersBlocked)
  t.equal(await tab.page.locator('#notice-list li').count(), 0)

  await slow.click()
  await tab.says('#trial-status', /^Caught up in [\d.]+ s with \d+ updates; [1-9][\d,]* older ones had been replaced by newer\. Missing: none\.$/)
  await tab.is('live')
  await tab.page.locator('#notice-list li', { hasText: 'Each one arrives' }).waitFor()
  await tab.message('the rate to be set now', isTaken('cpu', 20))
  await tab.says('#session-commands', /^0$/)
  t.match(await tab.text('#announcer'), /^Caught up/)
  t.equal(await tab.text('#session-missing'), 'none')
  const seen = numbers(tab.messages)
  t.same(seen, seen.map((_, index) => index + (seen[0] ?? 0)), 'no number is missing')
  t.same([...tab.complaints, ...other.complaints], [])
  await tab.context.close()
  await other.context.close()
})

t.test('a line that the server cuts comes back with what was missed, and a notice says at its form that it waits', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  await tab.is('live')
  await tab.message('a sample', isSample())
  const session = await tab.text('#session-id')
  const cutAt = tab.messages.length
  await tab.page.getByRole('button', { name: 'Cut the line' }).click()
  await tab.is('lost')
  await tab.says('#trial-status', /^Line away for [\d.]+ s\. The page (waits before the next try|is trying again)\./)
  await tab.page.getByLabel('Text of the notice').fill('Written offline')
  await tab.page.getByRole('button', { name: 'Send' }).click()
  await tab.says('#notice-status', /^Not sent yet: the line is away\. It will be sent as soon as the line is back\.$/)
  t.equal(await tab.page.locator('#pending').isVisible(), false, 'and not at the controls')

  await tab.is('live')
  await tab.says('#trial-status', /^Cut, and back after [\d.]+ s: resumed, nothing missed\. \d+ updates were replayed; the charts have no hole\.$/)
  await tab.says('#session-replayed', /^\d+ updates$/)
  await tab.says('#session-verdict', /^resumed, nothing missed$/)
  await tab.says('#notice-status', /^Sent at \d\d:\d\d:\d\d to \d+ tabs?\.$/)
  await tab.page.locator('#notice-list li', { hasText: 'Written offline' }).waitFor()
  t.equal(await tab.text('#session-id'), session)
  t.equal(await tab.text('#session-missing'), 'none')
  await tab.message('samples again', isSample('cpu'), tab.messages.length)
  const seen = numbers(tab.messages)
  t.same(seen, seen.map((_, index) => index + (seen[0] ?? 0)), 'no number is missing or comes twice')
  const times = tab.messages.slice(cutAt - 20).filter(({ name }) => /^(sample|kept)@series\?name=cpu&/.test(name)).map(({ data }) => data.t as number).sort((a, b) => a - b)
  t.ok(times.length > 3 && times.every((at, index) => index === 0 || at - (times[index - 1] ?? 0) < 2500), 'the chart has no hole')
  t.same(tab.complaints.filter((complaint) => !isNetworkError(complaint)), [])
  await tab.context.close()
})

t.test('a line that is lost while nothing is read comes back with all that was on its way', async (t) => {
  const link = await startLink(t, { port } as Server)
  const tab = await openTab(browser, `http://127.0.0.1:${link.port}`)
  await tab.is('live')
  await tab.message('a sample', isSample())
  await tab.page.getByRole('button', { name: 'Slow this tab' }).click()
  await tab.says('#trial-status', /The server is blocked/)
  link.cut()
  await tab.says('#trial-status', /The stream has ended at the server/)
  await tab.page.getByRole('button', { name: 'Slow this tab' }).click()
  await tab.says('#trial-status', /^The stream was lost while nothing was read, and is back: resumed, nothing missed\. [\d,]+ updates were replayed\.$/)
  await tab.is('live')
  t.equal(await tab.text('#session-missing'), 'none')
  await tab.message('samples again', isSample('cpu'), tab.messages.length)
  t.same(tab.complaints.filter((complaint) => !isNetworkError(complaint)), [])
  await tab.context.close()
})

t.test('the page names the product, and says what its words, units and holes are', async (t) => {
  const tab = await openTab(browser, dashboard.url, {}, keepDrawnTexts)
  await tab.is('live')
  await tab.message('a sample', isSample('network'))
  t.equal(await tab.text('h1'), 'fastify-tether')
  t.match(await tab.page.title(), /fastify-tether$/)
  t.same(await tab.ask('() => [...document.querySelectorAll(".session dt, .strip h2, .tile h2, .chips label, .trials button")].filter(({ title, parentElement }) => title === "" && !parentElement.closest(".words")).map(({ textContent }) => textContent)'), [], 'all are explained')
  await tab.page.getByText('What the words mean').click()
  for (const word of ['Verdict', 'Conflated', 'Blocked', 'Replayed', 'Connection', 'Samples a second, or pace']) {
    t.match(await tab.page.locator('#word-list div', { has: tab.page.getByText(word, { exact: true }) }).locator('dd').textContent(), /\w{3}/, word)
  }
  for (const label of [/^\d+ %$/, /^[\d,]+ \/s$/, /^[\d.]+ [kMG]?B\/s$/, /^[\d.]+ [KMG]iB$/, /^[\d.]+ ms$/]) await draws(tab, label)
  t.same(await tab.ask('() => [...drawn].filter((text) => /^[\\d.,]+( [kMG]?B)?$/.test(text) && !/^0 B$/.test(text))'), [], 'no figure on an axis is without its unit')

  // What is drawn is also said.
  await tab.when('() => /^Network traffic.*Received: now [\\d.,]+ [kMG]?B\\/s, least .*, most /.test(document.querySelector("[data-strip=network] .plot").getAttribute("aria-label"))')
  await tab.when('() => /^Processor load.* Now \\d+ %, least \\d+ %, most \\d+ %/.test(document.querySelector("[data-strip=cpu] .plot").getAttribute("aria-label"))')
  t.equal(await tab.page.locator('.recorder [aria-live], .recorder [role=status]').count(), 0, 'and moving figures are not said by themselves')

  for (const name of ['Network', 'Cores']) await tab.page.getByRole('checkbox', { name }).uncheck()
  const off = tab.messages.length
  await until(() => tab.messages.slice(off).filter(isStats).length >= 3, 'a second and more')
  for (const name of ['Network', 'Cores']) await tab.page.getByRole('checkbox', { name }).check()
  await draws(tab, /^off [\d.]+ s$/)
  await draws(tab, /^cores off [\d.]+ s$/)
  await tab.when('() => /Network switched off for/.test(document.querySelector("[data-strip=network] .plot").getAttribute("aria-label"))')

  await tab.page.getByRole('button', { name: 'Pause' }).click()
  await tab.is('paused')
  await draws(tab, /^paused [1-9][\d.]* s$/)
  t.notOk(await tab.ask('() => [...drawn].some((text) => /\\b0\\.0 s/.test(text))'), 'nothing lasts 0.0 s')
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('controls are seen in the few colours of a contrast theme', async (t) => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const tab = await openTab(browser, dashboard.url, { forcedColors: 'active', colorScheme })
    await tab.is('live')
    await tab.page.locator('.core').first().waitFor()
    const look = async (selector: string) => {
      await tab.ask('() => document.activeElement.blur()')
      await tab.page.mouse.move(2, 2)
      return (await tab.page.locator(selector).screenshot()).toString('base64')
    }
    const rate = tab.page.locator('#rate')
    await rate.fill('1')
    const low = await look('#rate')
    await rate.fill('100')
    t.not(await look('#rate'), low, 'where the slider is')
    // The colour of the pixel in its middle, or beside the text that is there.
    const colourOf = async (selector: string, share: number) => tab.ask(`async (png, share) => {
      const image = new Image()
      image.src = 'data:image/png;base64,' + png
      await image.decode()
      const context = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height }).getContext('2d')
      context.drawImage(image, 0, 0)
      return String(context.getImageData(image.width * share, image.height * share, 1, 1).data)
    }`, await look(selector), share)
    for (const [what, selector, share, change] of [
      ['which series is picked', '#series label:nth-child(3) input', 0.5, () => tab.page.getByRole('checkbox', { name: 'Memory' }).click()],
      ['which core is drawn', '.core:first-child', 0.25, () => tab.page.getByRole('button', { name: 'Core 0' }).click()],
      ['that the tab is slowed', '#slow', 0.25, () => tab.page.locator('#slow').click()]
    ] as const) {
      const before = await colourOf(selector, share)
      await change()
      t.not(await colourOf(selector, share), before, what)
    }
    await tab.when('() => { const canvas = document.querySelector("[data-strip=line] canvas"); return new Set(new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size > 2 }')
    t.same(tab.complaints, [])
    await tab.context.close()
  }
})

t.test('has no faults that axe finds', async (t) => {
  const axe = readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
  for (const [name, options] of [
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['phone', { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }],
    ['contrast theme', { forcedColors: 'active' }]
  ] as const) {
    const tab = await openTab(browser, dashboard.url, options)
    await tab.is('live')
    await tab.page.getByLabel('Text of the notice').fill(`Seen in ${name}`)
    await tab.page.getByRole('button', { name: 'Send' }).click()
    await tab.page.locator('#notice-list li').waitFor()
    await tab.page.getByText('What the words mean').click()
    await tab.page.evaluate(axe)
    const faults = await tab.page.evaluate("axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(({ target }) => String(target))].join(' ')))")
    t.same(faults, [], name)
    t.same(tab.complaints, [])
    await tab.context.close()
  }
})

t.test('what does not change is fetched once', async (t) => {
  const get = (path: string, headers = {}) => fetch(`${dashboard.url}${path}`, { headers })
  const page = await (await get('/')).text()
  for (const file of ['uPlot.iife.min.js', 'uPlot.min.css']) {
    const [url = ''] = new RegExp(`/uplot/[\\d.]+/${file}`).exec(page) ?? []
    const answer = await get(url)
    t.equal(answer.status, 200, url)
    t.match(answer.headers.get('cache-control'), /max-age=31536000, immutable/)
    t.ok((await answer.text()).length < 60_000, 'minified')
  }
  for (const path of ['/app.js', '/style.css', '/fastify-tether/client/index.js']) {
    const answer = await get(path)
    await answer.text()
    t.match(answer.headers.get('cache-control'), /max-age=0|no-cache/)
    t.equal((await get(path, { 'if-none-match': answer.headers.get('etag'), 'cache-control': 'max-age=0' })).status, 304, path)
  }
})

t.test('settings and theme outlive a reload', async (t) => {
  const tab = await openTab(browser, dashboard.url, { colorScheme: 'light' })
  await tab.is('live')
  t.equal(await tab.page.locator('html').getAttribute('data-theme'), 'light')
  await tab.page.getByRole('button', { name: 'Dark theme' }).click()
  t.equal(await tab.page.locator('html').getAttribute('data-theme'), 'dark')
  await tab.page.locator('#rate').fill('25')
  await tab.page.getByRole('checkbox', { name: 'Heap' }).uncheck()
  await tab.message('the rate taken', isTaken('cpu', 25))
  const seen = tab.messages.length
  await tab.page.reload()
  await tab.message('both taken by the new session', isTaken('plugin', 25), seen)
  t.notOk(tab.messages.slice(seen).some(isTaken('heap', 25)))
  t.equal(await tab.page.locator('html').getAttribute('data-theme'), 'dark')
  await tab.says('#rate-value', /^25$/)
  t.notOk(await tab.page.getByRole('checkbox', { name: 'Heap' }).isChecked())
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('refusals are shown, and a busy session is asked again', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  await tab.is('live')
  const answers = [
    { status: 429, headers: { 'retry-after': '1' }, json: { statusCode: 429, code: 'FST_ERR_TETHER_BUSY', message: 'Too many commands wait' } }
  ] as Array<Parameters<Route['fulfill']>[0]>
  await tab.page.route('**/live', (route) => {
    const answer = answers.shift()
    return route.request().method() === 'POST' && answer !== undefined ? route.fulfill(answer) : route.fallback()
  })
  const heap = tab.page.getByRole('checkbox', { name: 'Heap' })
  const isAccepted = tab.page.waitForResponse((response) => response.request().method() === 'POST' && response.status() === 202)
  await heap.uncheck()
  await tab.page.locator('.toast', { hasText: 'The session is busy. Trying again in 1 s.' }).waitFor()
  await isAccepted
  answers.push({ status: 400, json: { statusCode: 400, code: 'FST_ERR_VALIDATION', message: 'Not valid', errors: [{ path: '/data/params', message: 'must be kinder' }] } })
  await heap.click()
  await tab.page.locator('.toast', { hasText: 'Not set: /data/params must be kinder' }).waitFor()
  t.notOk(await heap.isChecked(), 'what was refused is not shown as if it held')

  answers.push({ status: 400, json: { statusCode: 400, code: 'FST_ERR_VALIDATION', message: 'Not valid', errors: [{ path: '/data/text', message: 'must be kinder' }] } })
  await tab.page.getByLabel('Text of the notice').fill('Grr')
  await tab.page.getByRole('button', { name: 'Send' }).click()
  await tab.says('#notice-fault', /must be kinder/)
  t.equal(await tab.page.getByLabel('Text of the notice').inputValue(), 'Grr', 'what was typed is not lost')
  await tab.page.getByRole('button', { name: 'Send' }).click()
  await tab.page.locator('#notice-list li', { hasText: 'Grr' }).waitFor()
  t.equal(await tab.text('#notice-fault'), '')
  t.same(tab.complaints.filter((complaint) => !/status of (429|400)/.test(complaint)), [])
  await tab.context.close()
})

t.test('opens again by itself when a proxy has refused', async (t) => {
  let refused = 0
  const tab = await openTab(browser, dashboard.url, {}, (page: Page) => page.route('**/live', (route) => {
    if (refused++ === 0) return route.fulfill({ status: 502, body: 'a proxy has no server' })
    return route.fallback()
  }))
  await tab.is('live')
  t.ok(refused > 1)
  t.same(tab.complaints.filter((complaint) => !/status of 502/.test(complaint)), [])
  await tab.context.close()
})

t.test('a gap is told, at the hello and in the midst of the stream', async (t) => {
  const control = (seq: number, frame: object) => `id: someone.${seq}\nevent: tether\ndata: ${JSON.stringify({ ...frame, seq })}\n\n`
  const body = 'retry: 1000\n' +
    control(7, { type: 'hello', session: 'someone', verdict: 'gap', heartbeatMs: 20_000, maxBatch: 32, maxEventBytes: 65_536 }) +
    'id: someone.8\nevent: notice\ndata: {"text":"eight","from":"nobody","t":0}\n\n' +
    control(10, { type: 'gap' }) +
    'id: someone.11\nevent: stats\ndata: {"frames":4,"queued":0,"conflated":0,"stalls":0,"stalledMs":0}\n\n'
  let release = () => {}
  const isSeen = new Promise<void>((resolve) => { release = resolve })
  const tab = await openTab(browser, dashboard.url, {}, async (page) => {
    let isFirst = true
    await page.route('**/live', async (route) => {
      if (!isFirst) {
        await isSeen
        return route.fallback()
      }
      isFirst = false
      return route.fulfill({ contentType: 'text/event-stream', body })
    })
  })
  await tab.says('#session-verdict', /^resumed with a gap$/)
  await tab.says('#session-missing', /^9$/)
  release()
  // What the server does not know is a session that expired.
  await tab.says('#session-verdict', /^expired, new session$/)
  await tab.says('#session-missing', /^none$/)
  // The server does not know the session that the page has been told of.
  t.same(tab.complaints.filter((complaint) => !/status of 404/.test(complaint)), [])
  await tab.context.close()
})

t.test('the figures follow the pointer into the past', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  await tab.is('live')
  await tab.message('a sample', isSample('cpu'))
  await tab.page.locator('[data-strip="cpu"] .u-over').hover()
  await tab.page.waitForSelector('html.hovering')
  await tab.page.mouse.move(5, 5)
  await tab.page.waitForSelector('html:not(.hovering)')
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('fits a phone', async (t) => {
  const tab = await openTab(browser, dashboard.url, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 })
  await tab.is('live')
  await tab.message('a sample', isSample())
  await tab.says('[data-strip="cpu"] .value', /\d/)
  t.same(await tab.ask('() => [document.documentElement.scrollWidth, innerWidth]'), [360, 360])
  for (const name of ['Pause', 'Send']) t.ok(await tab.page.getByRole('button', { name }).isVisible())
  t.same(tab.complaints, [])
  await tab.context.close()
})

const whole = t

t.test('a server that is killed and started again is found again, settings and all', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  await tab.is('live')
  await tab.page.locator('#rate').fill('40')
  await tab.message('the rate taken', isTaken('cpu', 40))
  const session = await tab.text('#session-id')

  await dashboard.end('SIGKILL')
  await tab.is('lost')
  await tab.says('#state-word', /^Lost$/)
  await tab.says('#state-detail', /^for [\d.]+ s$/)
  await tab.says('#announcer', /^Connection lost/)
  await tab.page.getByRole('checkbox', { name: 'Disk' }).uncheck()
  await tab.page.locator('#rate').fill('50')
  await tab.page.locator('#pending').waitFor()

  const seen = tab.messages.length
  dashboard = await startExample(whole, 'start', port)
  await tab.is('live')
  await tab.says('#session-verdict', /^expired, new session$/)
  await tab.says('#session-away', /^[\d.]+ s, back at/)
  await tab.says('#announcer', /^Connection regained after/)
  t.not(await tab.text('#session-id'), session)
  await tab.message('settings, those chosen meanwhile included, taken by the new session', isTaken('cpu', 50), seen)
  t.notOk(tab.messages.slice(seen).some(isTaken('disk', 50)))
  await tab.message('samples again', isSample('cpu'), seen)
  await tab.page.locator('#pending').waitFor({ state: 'hidden' })
  await tab.says('#rate-value', /^50$/)
  t.same(tab.complaints.filter((complaint) => !isNetworkError(complaint)), [])
  await tab.context.close()
})

t.test('a port that is taken is told in one line', async (t) => {
  const second = await failDashboard(t, { PORT: String(port) })
  t.same(await second.ended, { code: 1, signal: null })
  t.match(second.output(), `Port ${port} on 127.0.0.1 is taken.`)
  t.notMatch(second.output(), /at .*\.ts:/)
})

t.test('a port that is none is told in one line', async (t) => {
  const second = await failDashboard(t, { PORT: 'eighty' })
  t.same(await second.ended, { code: 1, signal: null })
  t.match(second.output(), 'PORT must be a whole number from 0 to 65535, not "eighty".')
})

t.test('leaves in peace when it is told to', async (t) => {
  const tab = await openTab(browser, dashboard.url)
  await tab.is('live')
  await connectAhead(t, dashboard)
  await within(dashboard.end('SIGTERM'), 'its end')
  await tab.is('lost')
  await tab.message('a goodbye', ({ name, data }) => name === 'tether' && data.type === 'goodbye')
  t.notMatch(dashboard.output(), /"level":[56]0/)
  t.same(tab.complaints.filter((complaint) => !isNetworkError(complaint)), [])
  await tab.context.close()
})
