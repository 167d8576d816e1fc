import helmet from '@fastify/helmet'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { BrowserContextOptions } from 'playwright-core'
import t, { type Test } from 'tap'
import type { InspectorOptions } from '../../plugin/entries/inspector.ts'
import { fill } from '../e2e/harness/fill.ts'
import { startLive, type LiveOptions, type LiveServer } from '../e2e/harness/live.ts'
import { post } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { buildPage, inspect } from '../eyes/harness/inspected.ts'
import { effort } from '../harness/effort.ts'
import { launchBrowser } from './harness/browser.ts'
import { openTab, type Tab } from './harness/tab.ts'

buildPage()
const browser = await launchBrowser(t)

/** An application with the defaults of helmet, sessions and an inspector. */
function start (t: Test, options: Partial<InspectorOptions> = {}, live: LiveOptions = {}): Promise<LiveServer> {
  return startLive(t, {
    ...live,
    setup: async (app) => {
      await app.register(helmet)
      await inspect(app, { everyMs: 100, ...options })
    }
  })
}

/** Opens the page, and waits for its table. */
async function open (t: Test, server: LiveServer, options: BrowserContextOptions = {}): Promise<Tab> {
  const tab = await openTab(browser, `${server.origin}/inspector`, options)
  t.teardown(() => tab.context.close())
  await tab.says('#line', /^Live$/)
  await tab.page.locator('#rows tr').first().waitFor()
  return tab
}

const rowsOf = (tab: Tab): Promise<string[]> => tab.ask('() => [...document.querySelectorAll("#rows tr button")].map(({ textContent }) => textContent)')
const shortOf = ({ id }: { readonly id: string }) => `${id.slice(0, 6)}…`
const cell = (name: string) => `#rows tr:first-child td:nth-child(${['Session', 'URL', 'State', 'Transport', 'Queue', 'Stall', 'Commands', 'Age', 'Groups', 'Topics'].indexOf(name) + 1})`

t.test('shows what there is, and goes on', async (t) => {
  const server = await start(t, { allow: { close: true, slow: true } })
  const { live } = server
  const opened = [await server.connect(), await server.connect(), await server.connect()]
  const [first, second] = opened.map(({ session }) => session)
  live.group('some').add(second!)
  const tab = await open(t, server)
  await tab.says('[data-field="sessions"] .now', /^3$/)
  await tab.says('#count', /^3, read in [\d.]+ ms\.$/)
  for (const field of ['sessions', 'streams', 'updates', 'events', 'bufferedBytes', 'stalls']) {
    await tab.says(`[data-field="${field}"] .now`, /^[\d.,]+( B)?$/)
    const canvas = `[data-field="${field}"] canvas`
    await tab.when('(selector) => { const canvas = document.querySelector(selector); return new Set(new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size > 2 }', canvas)
  }

  await tab.page.getByRole('button', { name: 'Age' }).click()
  await tab.says(cell('Session'), new RegExp(`^${shortOf(first!)}$`))
  t.equal(await tab.page.locator('th[aria-sort]').getAttribute('aria-sort'), 'descending')
  await tab.page.getByRole('button', { name: 'Age' }).click()
  await tab.says(cell('Session'), new RegExp(`^${shortOf(opened[2]!.session)}$`))
  await tab.page.getByLabel('Group').fill('some')
  await tab.says('#place', /^1–1 of 1$/)
  t.strictSame(await rowsOf(tab), [shortOf(second!)])
  await tab.page.getByLabel('Group').fill('none of this name')
  await tab.page.getByText('No session fits the filter.').waitFor()
  await tab.page.getByRole('button', { name: 'Clear' }).click()
  await tab.says('#place', /^1–3 of 3$/)

  await tab.page.getByRole('button', { name: shortOf(second!) }).click()
  await tab.says('#detail-title', new RegExp(`^Session ${shortOf(second!)}$`))
  await tab.says('#facts', /Groupssome/)
  await post(server, second!.id, { event: 'say', data: { text: 'a' } })
  await tab.says('#commands tr:first-child', /^sayevent[\d.]+ (ms|s)[\d.]+ ms[\d.]+ msok$/)
  for (let count = 0; count < 3; count++) live.broadcast('note', { text: 'a' })
  await tab.says('#legend', /3 written, of at most 256 kept.*numbers 1 to 3/)
  opened[1]!.reader.destroy()
  await until(() => !second!.connected, 'the disconnect')
  second!.send('note', { text: 'waits' })
  await tab.says('#legend', /1 waiting/)
  const widths: number[] = await tab.ask('() => [...document.querySelectorAll("#zones span")].map((span) => span.getBoundingClientRect().width)')
  t.equal(widths[1], 0)
  await tab.when('() => { const [written, , waiting] = [...document.querySelectorAll("#zones span")].map((span) => span.getBoundingClientRect().width); return Math.abs(written / waiting - 3) < 0.1 }')
  t.match(await tab.page.locator('#zones').getAttribute('aria-label'), /^Outbox: 3 written.*1 waiting/)
  t.strictSame(tab.complaints, [], 'and breaks no policy')
})

t.test('what is done by hand', async (t) => {
  const server = await start(t, { allow: { close: true, slow: true } })
  const { session, reader } = await server.connect()
  const tab = await open(t, server)
  await tab.page.getByRole('button', { name: shortOf(session) }).click()
  await tab.page.getByLabel('Pace').selectOption('1000')
  await tab.page.getByRole('button', { name: 'Set the pace' }).click()
  await tab.says('#deed-said', /^It is slowed\.$/)
  await tab.says(cell('State'), /^connected, slowed$/)
  await tab.page.getByRole('button', { name: 'Close the session' }).click()
  await tab.page.getByRole('button', { name: 'No', exact: true }).click()
  t.ok(session.connected)
  await tab.page.getByRole('button', { name: 'Close the session' }).click()
  await tab.page.getByRole('button', { name: 'Yes, close' }).click()
  await until(() => reader.ended, 'the end')
  await tab.page.getByText('This session is gone.').waitFor()
  await tab.page.getByText('No session fits the filter.').waitFor()
  t.strictSame(tab.complaints, [])

  const other = await start(t)
  const { session: safe } = await other.connect()
  const looking = await open(t, other)
  await looking.page.getByRole('button', { name: shortOf(safe) }).click()
  await looking.page.locator('#found').waitFor()
  t.equal(await looking.page.getByRole('button', { name: /pace|Close the session/ }).count(), 0, 'nothing is offered that is not allowed')
})

t.test('the keyboard alone', async (t) => {
  const server = await start(t, { allow: { close: true, slow: true } })
  const opened = [await server.connect(), await server.connect(), await server.connect()]
  const tab = await open(t, server)
  const { keyboard } = tab.page
  const focused = () => tab.ask('() => { const { activeElement: at } = document; return (at.ariaLabel ?? at.labels?.[0]?.textContent ?? at.textContent).trim().replace(/\\s+/g, " ").slice(0, 40) }')
  const walk = async () => {
    await keyboard.press('Tab')
    return await focused() as string
  }
  t.equal(await walk(), 'Skip to the sessions')
  t.equal(await walk(), 'Pause')
  const way = []
  for (let step = 0; step < 24; step++) way.push(await walk())
  for (const name of ['URL', 'Session begins with', 'Group', 'Topic', 'Stalled only', 'Clear', 'Queue', 'Age', 'Groups']) t.ok(way.some((text) => text.startsWith(name)), `${name}: ${way.join(' | ')}`)
  for (const { session } of opened) t.ok(way.includes(shortOf(session)), shortOf(session))
  t.ok(await tab.ask('() => { const seen = (at) => { const { outlineStyle, outlineWidth } = getComputedStyle(at); return outlineStyle !== "none" && outlineWidth !== "0px" }; return seen(document.activeElement) || document.activeElement === document.body }'), 'the focus is seen')

  await tab.page.locator('.skip').focus()
  await keyboard.press('Enter')
  t.equal(await tab.ask('() => document.activeElement.id'), 'sessions')
  await tab.page.getByRole('button', { name: 'Age' }).focus()
  await keyboard.press('Enter')
  await tab.says(cell('Session'), new RegExp(`^${shortOf(opened[0]!.session)}$`))
  t.equal(await focused(), 'Age', 'a new order does not take the focus')
  await keyboard.press('Space')
  await tab.says(cell('Session'), new RegExp(`^${shortOf(opened[2]!.session)}$`))

  // A row keeps the focus while rows change their places around it.
  const row = tab.page.getByRole('button', { name: shortOf(opened[1]!.session) })
  await row.focus()
  await tab.ask('() => { for (const button of document.querySelectorAll("th button")) if (button.textContent === "Queue") button.click() }')
  opened[1]!.reader.destroy()
  await until(() => !opened[1]!.session.connected, 'the disconnect')
  opened[1]!.session.send('note', { text: 'waits' })
  await tab.says(cell('Session'), new RegExp(`^${shortOf(opened[1]!.session)}$`))
  t.equal(await focused(), shortOf(opened[1]!.session))

  await keyboard.press('Enter')
  await tab.page.locator('#found').waitFor()
  t.equal(await focused(), `Session ${shortOf(opened[1]!.session)}`)
  t.equal(await walk(), 'Close the details')
  t.match(await walk(), /^Pace/)
  t.equal(await walk(), 'Set the pace')
  t.equal(await walk(), 'Close the session')
  await keyboard.press('Enter')
  t.equal(await focused(), 'No', 'the answer that does nothing comes first')
  await keyboard.press('Enter')
  t.equal(await focused(), 'Close the session')
  await keyboard.press('Escape')
  t.equal(await focused(), shortOf(opened[1]!.session), 'back at the row')
  t.ok(await tab.page.locator('#detail').isHidden())

  await tab.page.getByRole('button', { name: 'Pause' }).focus()
  await keyboard.press('Space')
  t.equal(await tab.page.locator('#pause').getAttribute('aria-pressed'), 'true')
  await server.connect()
  await tab.message('a table with all', ({ name, data }) => name === 'table' && data.total === 4)
  t.equal((await rowsOf(tab)).length, 3, 'what is paused stands still')
  await keyboard.press('Space')
  await tab.when('() => document.querySelectorAll("#rows tr").length === 4')
  t.strictSame(tab.complaints, [])
})

const looks: ReadonlyArray<[string, BrowserContextOptions]> = [
  ['light', { colorScheme: 'light' }],
  ['dark', { colorScheme: 'dark' }],
  ['phone', { viewport: { width: 375, height: 740 }, isMobile: true, hasTouch: true }],
  ['forced colours', { forcedColors: 'active', colorScheme: 'light' }],
  ['forced colours, dark', { forcedColors: 'active', colorScheme: 'dark' }]
]

t.test('axe finds nothing, and the page does not scroll sideways', async (t) => {
  const axe = readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
  // The stalled session is looked at for as long as a slow machine takes.
  const server = await start(t, { allow: { close: true, slow: true } }, { upgrade: { stallTimeoutMs: 0 } })
  const { live } = server
  const frozen = await server.connect({ frozen: true })
  for (const name of ['a-long-name-of-a-group-without-any-blank-'.repeat(3), 'b', 'c', 'd']) live.group(name).add(frozen.session)
  await fill(frozen.session)
  for (let index = 0; index < 3; index++) await server.connect()
  await post(server, frozen.session.id, { event: 'say', data: { text: 'waits' } })
  for (const [name, options] of looks) {
    const tab = await open(t, server, options)
    await tab.page.evaluate(axe)
    const faults = () => tab.page.evaluate("axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(({ target }) => String(target))].join(' ')))")
    const overhang = () => tab.ask('() => document.documentElement.scrollWidth - document.documentElement.clientWidth')
    if (name === 'light') t.strictSame(await faults(), [], name)
    t.equal(await overhang(), 0, name)
    await tab.page.getByRole('button', { name: shortOf(frozen.session) }).click()
    await tab.page.locator('#found').waitFor()
    await tab.page.getByRole('button', { name: 'Close the session' }).click()
    t.strictSame(await faults(), [], `${name}, one session`)
    t.equal(await overhang(), 0, `${name}, one session`)
    await tab.page.getByRole('button', { name: 'No', exact: true }).click()
    await tab.page.getByLabel('Group').fill('none of this name')
    await tab.page.getByText('No session fits the filter.').waitFor()
    if (name === 'light') t.strictSame(await faults(), [], `${name}, nothing`)
    t.strictSame(tab.complaints, [], name)
    await tab.context.close()
  }
})

/** Opens streams one after the other, a few at a time; for a process of its own, since each end of a connection needs a descriptor. */
const reading = `
  const { connect } = require('node:net')
  const [port, count] = process.argv.slice(1).map(Number)
  let begun = 0
  const next = () => {
    if (begun++ >= count) return
    const socket = connect(port, '127.0.0.1', () => socket.write('GET /live HTTP/1.1\\r\\nHost: a\\r\\nAccept: text/event-stream\\r\\n\\r\\n')).on('error', () => {})
    socket.once('data', () => { socket.resume(); next() })
  }
  for (let atOnce = 0; atOnce < 32; atOnce++) next()
`

async function openStreams (t: Test, { port, live }: LiveServer, count: number): Promise<void> {
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = spawn(process.execPath, ['-e', reading, String(port), String(count)], { env, stdio: ['ignore', 'inherit', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  await until(() => live.stats.connected === count, `${count} streams`, 120_000)
}

t.test('10,000 sessions are no strain', async (t) => {
  const all = 10_000
  const streams = 1_000 * effort
  const server = await start(t, { everyMs: 1_000 }, { tether: { maxSessions: all, maxPending: all, pendingMs: 300_000, maxSessionsPerOwner: 0 } })
  const { live, app } = server
  await openStreams(t, server, streams)
  for (let count = streams; count < all; count++) await live.prepare({ headers: {}, raw: {}, ip: '127.0.0.1' } as never)
  t.equal(app.tether.stats().sessions, all)
  let index = 0
  for (const session of live.sessions) live.group(`group ${index++ % 100}`).add(session)
  const last = [...live.sessions].at(-1)!
  for (let count = 0; count < 5; count++) last.send('note', { text: 'waits' })

  const tab = await open(t, server)
  await tab.says('#count', /^10,000, read in /)
  await tab.says('#place', /^1–50 of 10,000$/)
  t.equal((await rowsOf(tab)).length, 50)
  t.equal((await rowsOf(tab))[0], shortOf(last), 'the longest queue of all')
  for (const [sort, first] of [['Groups', /^group 0$/], ['Groups', /^group 99$/], ['Transport', /^http\/1\.1$/]] as const) {
    await tab.page.getByRole('button', { name: sort }).click()
    await tab.says(cell(sort), first)
  }
  await tab.page.getByRole('button', { name: 'Next' }).click()
  await tab.says('#place', /^51–100 of 10,000$/)
  await tab.page.getByLabel('Group').fill('group 7')
  await tab.says('#count', /^100 of 10,000, /)
  live.broadcast('note', { text: 'to all' })
  await tab.message('three more tables', ({ name, data }) => name === 'table' && data.matching === 100, tab.messages.length + 4)
  const tables = tab.messages.filter(({ name }) => name === 'table')
  const times = tables.map(({ data }) => data.tookMs as number).sort((left, right) => left - right)
  t.comment(`a table of 10,000 sessions took ${times.map((ms) => ms.toFixed(1)).join(', ')} ms`)
  // Those that took longest waited for other work of the machine.
  t.ok(times[0]! < 50, 'some milliseconds, on any machine')
  for (const { data } of tables) t.ok(JSON.stringify(data).length < 32_768, `${JSON.stringify(data).length} bytes`)
  t.ok(await tab.ask('() => document.querySelectorAll("*").length') < 2_000, 'the page has the rows that it shows')
  t.strictSame(tab.complaints, [])
})
