import { cpus, hostname } from 'node:os'
import type { Page } from 'playwright-core'
import t from 'tap'
import { startLink } from '../e2e/harness/link.ts'
import type { Server } from '../e2e/harness/server.ts'
import { until, within } from '../e2e/harness/until.ts'
import { launchBrowser } from './harness/browser.ts'
import { connectAhead, failDashboard, freePort, startExample } from './harness/example.ts'
import type { Message } from './harness/received.ts'
import { openTab } from './harness/tab.ts'

t.setTimeout(600_000)

const browser = await launchBrowser(t)
const port = await freePort()
let dashboard = await startExample(t, 'start', port)

// What a browser logs by itself when a server is gone.
const isNetworkError = (complaint: string) => /Failed to load resource: net::ERR_/.test(complaint)
const isSample = (series?: string) => ({ name, data }: Message) => name === 'sample' && (series === undefined || data.series === series)

/** Milliseconds of the server's clock between one sample of the processor and the next. */
const spacings = (messages: Message[]) => messages.filter(isSample('cpu')).map(({ data }, index, samples) => data.t - samples[index - 1]?.data.t).slice(1)

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
  const changes = ['[data-strip="cpu"] .value', '[data-strip="loop"] .note', '#frames-rate', '#session-frames']
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
    const taken = await tab.message(`the server to take ${perSecond} a second`, ({ name, data }) => name === 'settings' && data.perSecond === perSecond)
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
  const taken = await tab.message('the server to take it', ({ name, data }) => name === 'settings' && !data.series.includes('network'))
  const from = tab.messages.indexOf(taken)
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
  const taken = await tab.message('the server to pause', ({ name, data }) => name === 'settings' && data.paused)
  const from = tab.messages.indexOf(taken)
  const more = (count: number) => until(() => tab.messages.slice(from).filter(({ name }) => name === 'stats').length >= count, 'the stream to go on')
  // What came before is drawn with a frame that is still to come.
  await more(2)
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
  t.equal(await tab.text('#session-missing'), 'none')
  t.same(tab.complaints.filter((complaint) => !isNetworkError(complaint)), [])
  await tab.context.close()
})

t.test('settings and theme outlive a reload', async (t) => {
  const tab = await openTab(browser, dashboard.url, { colorScheme: 'light' })
  await tab.is('live')
  t.equal(await tab.page.locator('html').getAttribute('data-theme'), 'light')
  await tab.page.getByRole('button', { name: 'Dark theme' }).click()
  t.equal(await tab.page.locator('html').getAttribute('data-theme'), 'dark')
  await tab.page.locator('#rate').fill('25')
  await tab.page.getByRole('checkbox', { name: 'Heap' }).uncheck()
  await tab.message('both taken', ({ name, data }) => name === 'settings' && data.perSecond === 25 && !data.series.includes('heap'))
  const seen = tab.messages.length
  await tab.page.reload()
  await tab.message('both taken by the new session', ({ name, data }) => name === 'settings' && data.perSecond === 25 && !data.series.includes('heap'), seen)
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
    { status: 429, headers: { 'retry-after': '1' }, json: { statusCode: 429, code: 'FST_ERR_TETHER_BUSY', message: 'Too many commands wait' } },
    { status: 400, json: { statusCode: 400, code: 'FST_ERR_VALIDATION', message: 'Not valid', errors: [{ path: '/data/text', message: 'must be kinder' }] } }
  ]
  await tab.page.route('**/live', (route) => {
    const answer = answers.shift()
    return route.request().method() === 'POST' && answer !== undefined ? route.fulfill(answer) : route.fallback()
  })
  await tab.page.locator('#rate').fill('33')
  await tab.page.locator('.toast', { hasText: 'The session is busy. Trying again in 1 s.' }).waitFor()
  await tab.page.locator('.toast', { hasText: 'Not set: /data/text must be kinder' }).waitFor()

  await tab.says('#rate-value', /^10$/)

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
  t.same(tab.complaints, [])
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
  await tab.message('the rate taken', ({ name, data }) => name === 'settings' && data.perSecond === 40)
  const session = await tab.text('#session-id')

  await dashboard.end('SIGKILL')
  await tab.is('lost')
  await tab.says('#state-word', /^Lost$/)
  await tab.says('#state-detail', /^for [\d.]+ s$/)
  await tab.says('#announcer', /^Connection lost/)
  await tab.page.getByRole('checkbox', { name: 'Disk' }).uncheck()
  await tab.page.locator('#pending').waitFor()

  const seen = tab.messages.length
  dashboard = await startExample(whole, 'start', port)
  await tab.is('live')
  await tab.says('#session-verdict', /^expired, new session$/)
  await tab.says('#session-away', /^[\d.]+ s, back at/)
  await tab.says('#announcer', /^Connection regained after/)
  t.not(await tab.text('#session-id'), session)
  await tab.message('settings, those chosen meanwhile included, taken by the new session',
    ({ name, data }) => name === 'settings' && data.perSecond === 40 && !data.series.includes('disk'), seen)
  await tab.message('samples again', isSample('cpu'), seen)
  await tab.page.locator('#pending').waitFor({ state: 'hidden' })
  await tab.says('#rate-value', /^40$/)
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
