import { chromium, type BrowserContext, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startLive, type LiveOptions, type LiveServer } from '../e2e/harness/live.ts'
import { until } from '../e2e/harness/until.ts'
import { serveClient } from './harness/client-page.ts'

t.setTimeout(600_000)

// Far more than it takes, for machines that are busy with other tests.
const patienceMs = 60_000

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
})
t.teardown(() => browser.close())

/** What was said, and by which session. */
type Said = Array<[session: string, text: string]>

async function start (t: Test, options: LiveOptions = {}): Promise<{ server: LiveServer, context: BrowserContext, said: Said, open: () => Promise<Page> }> {
  const said: Said = []
  const server = await startLive(t, {
    ...options,
    setup: serveClient,
    live: { on: { say: (session, { text }) => { said.push([session.id, text]) } }, ...options.live }
  })
  const context = await browser.newContext()
  context.setDefaultTimeout(patienceMs)
  t.teardown(() => context.close())
  const open = async () => {
    const page = await context.newPage()
    await page.goto(`${server.origin}/page`)
    return page
  }
  return { server, context, said, open }
}

/** Connects on the page by `call`, and keeps what comes in `seen` and `states`. */
async function connect (page: Page, call = 'tether.connect("/live", { retryMs: 50, retryMaxMs: 200 })'): Promise<void> {
  await page.evaluate(`(async () => {
    window.seen = []
    window.states = []
    window.restored = []
    window.live = await ${call}
    live.on('note', ({ text }) => seen.push(text))
    live.onState((state, { verdict, reason }) => states.push([state, verdict ?? reason].join(' ').trim()))
    window.emitted = []
    window.say = (text) => { live.emit('say', { text }).then(() => emitted.push(text), (error) => emitted.push(error.code)) }
  })()`)
}

const is = (page: Page, condition: string) => page.waitForFunction(condition, undefined, { timeout: patienceMs })

t.test('works in a page, offline and online', async (t) => {
  const { server, context, said, open } = await start(t)
  const page = await open()
  await connect(page)
  await is(page, 'live.state === "open"')
  const session = await page.evaluate('live.session')
  server.live.broadcast('note', { text: 'one' })
  await is(page, 'seen.length === 1')
  await page.evaluate('say("online")')
  await is(page, 'emitted.length === 1')

  await context.setOffline(true)
  // Emulation leaves open connections alone: the server cuts this one, as a network would.
  server.app.server.closeAllConnections()
  await is(page, 'live.state === "waiting"')
  await page.evaluate('say("offline")')
  server.live.broadcast('note', { text: 'two' })
  await context.setOffline(false)
  await is(page, 'live.state === "open"')
  await is(page, 'emitted.length === 2')
  await is(page, 'seen.length === 2')
  t.strictSame(await page.evaluate('seen'), ['one', 'two'])
  t.strictSame(said, [[session, 'online'], [session, 'offline']])
  t.equal(await page.evaluate('live.session'), session)
})

t.test('works in a worker', async (t) => {
  const { server, said, open } = await start(t)
  const page = await open()
  await page.evaluate(`
    window.heard = []
    window.worker = new Worker('/worker.js')
    worker.onmessage = ({ data }) => heard.push(data)`)
  await is(page, 'heard.includes("open")')
  server.live.broadcast('note', { text: 'to the worker' })
  await is(page, 'heard.includes("to the worker")')
  await page.evaluate('worker.postMessage("from the worker")')
  await is(page, 'heard.includes("accepted")')
  t.equal(said[0]?.[1], 'from the worker')
})

t.test('what waits goes up while the page goes away, and the session ends when it is told to', async (t) => {
  const { server, said, open } = await start(t)
  const page = await open()
  await connect(page, 'tether.connect("/live", { leaveOnHide: true })')
  await is(page, 'live.state === "open"')
  await page.evaluate('addEventListener("pagehide", () => { say("goodbye") })')
  await page.goto('about:blank')
  await until(() => said.length === 1, 'the last event', patienceMs)
  t.equal(said[0]?.[1], 'goodbye')
  await until(() => [...server.live.sessions].length === 0, 'the end of the session, long before reconnectMs', patienceMs)
})

t.test('a hidden tab closes its stream, and resumes when it is shown', async (t) => {
  const { server, open } = await start(t)
  const page = await open()
  await connect(page, 'tether.connect("/live", { hiddenMs: 100 })')
  await is(page, 'live.state === "open"')
  const session = server.live.get(await page.evaluate('live.session') as string)!
  const show = (hidden: boolean) => page.evaluate(`
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${hidden} })
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))`)
  await show(true)
  await is(page, 'states.at(-1) === "waiting hidden"')
  await until(() => !session.connected, 'the end of the stream', patienceMs)
  session.send('note', { text: 'unseen' })
  await show(false)
  await is(page, 'seen.length === 1')
  t.ok((await page.evaluate('states') as string[]).includes('open resumed'))
})

t.test('events kept in IndexedDB survive a reload, and run once', async (t) => {
  const { server, said, open } = await start(t)
  const page = await open()
  const stored = 'tether.connectStored("/live", { retryMs: 50, retryMaxMs: 200, onRestored: (event, outcome) => { outcome.then(() => restored.push(event.data.text), (error) => restored.push(error.code)) } })'
  await connect(page, stored)
  await is(page, 'live.state === "open"')
  const session = await page.evaluate('live.session')

  // Accepted, but its answer never comes: the page cannot know.
  let hold = true
  await page.route('**/live', async (route) => {
    if (route.request().method() !== 'POST' || !hold) return route.continue()
    await route.fetch()
  })
  await page.evaluate('say("perhaps")')
  await until(() => said.length === 1, 'the event', patienceMs)
  await page.evaluate('say("behind it")')
  await is(page, 'new Promise((resolve) => { const open = indexedDB.open("fastify-tether"); open.onsuccess = () => { const all = open.result.transaction("events").objectStore("events").getAll(); all.onsuccess = () => { open.result.close(); resolve(all.result.length === 2) } } })')
  hold = false
  await page.reload()
  await connect(page, stored)
  await is(page, 'restored.length === 2')
  t.strictSame(await page.evaluate('restored'), ['perhaps', 'behind it'])
  t.equal(await page.evaluate('live.session'), session)
  t.strictSame(said, [[session, 'perhaps'], [session, 'behind it']])

  // After a crash, and with a session that is gone: what was perhaps sent is not sent again.
  hold = true
  await page.evaluate('say("in doubt")')
  await until(() => said.length === 3, 'the third', patienceMs)
  await page.evaluate('say("not sent")')
  await is(page, 'new Promise((resolve) => { const open = indexedDB.open("fastify-tether"); open.onsuccess = () => { const all = open.result.transaction("events").objectStore("events").getAll(); all.onsuccess = () => { open.result.close(); resolve(all.result.length === 2) } } })')
  const crashed = page.waitForEvent('crash')
  const devtools = await page.context().newCDPSession(page)
  devtools.send('Page.crash').catch(() => {})
  await crashed
  await server.live.get(session as string)!.close('restarted', { reconnect: true })
  const next = await open()
  await connect(next, stored)
  await is(next, 'restored.length === 2')
  t.strictSame(await next.evaluate('restored'), ['TETHER_IN_DOUBT', 'not sent'])
  t.strictSame(said.map(([, text]) => text), ['perhaps', 'behind it', 'in doubt', 'not sent'])
})

t.test('tabs share one session, and one takes over when the leader goes', async (t) => {
  const { server, said, open } = await start(t)
  const shared = 'tether.connectShared("/live", { retryMs: 50, retryMaxMs: 200 })'
  const leader = await open()
  await connect(leader, shared)
  await is(leader, 'live.state === "open"')
  const follower = await open()
  await connect(follower, shared)
  await is(follower, 'states.includes("open gap")')
  const session = await leader.evaluate('live.session') as string
  t.equal(await follower.evaluate('live.session'), session)
  t.equal([...server.live.sessions].length, 1)
  const live = server.live.get(session)!

  for (let number = 0; number < 10; number++) live.send('note', { text: String(number) })
  await follower.evaluate('say("from the follower")')
  await leader.evaluate('say("from the leader")')
  await is(follower, 'emitted.length === 1 && seen.length === 10')
  await is(leader, 'emitted.length === 1 && seen.length === 10')

  await leader.close()
  for (let number = 10; number < 20; number++) live.send('note', { text: String(number) })
  await follower.evaluate('say("after the leader")')
  await is(follower, 'emitted.length === 2 && seen.length === 20')
  t.strictSame(await follower.evaluate('seen'), Array.from({ length: 20 }, (_, number) => String(number)))
  t.equal(await follower.evaluate('live.session'), session)
  t.strictSame(said.map(([id]) => id), [session, session, session])
  t.equal(said.at(-1)?.[1], 'after the leader')
  t.equal([...server.live.sessions].length, 1)
})
