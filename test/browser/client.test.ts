import type { BrowserContext, Dialog, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startLink } from '../e2e/harness/link.ts'
import { startLive, type LiveOptions, type LiveServer } from '../e2e/harness/live.ts'
import { startServer } from '../e2e/harness/server.ts'
import { patienceMs, until } from '../e2e/harness/until.ts'
import { mountRecipe, setupRecipe } from '../client/recipe.ts'
import { launchBrowser, launchPlainContext } from './harness/browser.ts'
import { serveClient } from './harness/client-page.ts'

const browser = await launchBrowser(t)

/** What was said, and by which session. */
type Said = Array<[session: string, text: string]>

async function start (t: Test, options: LiveOptions = {}, own?: BrowserContext): Promise<{ server: LiveServer, context: BrowserContext, said: Said, open: () => Promise<Page> }> {
  const said: Said = []
  const server = await startLive(t, {
    ...options,
    setup: async (app) => {
      await serveClient(app)
      await options.setup?.(app)
    },
    live: { on: { say: (session, { text }) => { said.push([session.id, text]) } }, ...options.live }
  })
  const context = own ?? await browser.newContext()
  context.setDefaultTimeout(patienceMs)
  if (own === undefined) t.teardown(() => context.close())
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

async function is (page: Page, condition: string): Promise<void> {
  const met = await page.waitForFunction(condition, undefined, { timeout: patienceMs })
  // Playwright takes a promise for a condition that is met, whatever it resolves with.
  if (!await met.jsonValue()) throw new Error(`no condition to wait for, but a promise or the like: ${condition}`)
}

/** The same for a page that is hidden, which draws nothing, or stands still. */
async function becomes (page: Page, condition: string): Promise<void> {
  const startedAt = performance.now()
  while (await page.evaluate(condition) !== true) {
    if (performance.now() - startedAt > patienceMs) throw new Error(`waited in vain for ${condition}: ${String(await page.evaluate('JSON.stringify([live.state, states, seen, emitted])'))}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Waits until so many events are in IndexedDB. */
const keeps = (page: Page, many: number) => becomes(page, `new Promise((resolve) => {
  const opening = indexedDB.open("fastify-tether")
  opening.onsuccess = () => {
    const database = opening.result
    const done = (rows) => {
      database.close()
      resolve(rows?.length === ${many})
    }
    if (!database.objectStoreNames.contains("events")) return done()
    const asking = database.transaction("events").objectStore("events").getAll()
    asking.onsuccess = () => done(asking.result)
  }
})`)

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

t.test('a POST that Chromium sends again by itself runs once', async (t) => {
  let posts = 0
  const { server, context, said } = await start(t, {
    setup: (app) => { app.addHook('preHandler', async ({ method }) => { if (method === 'POST') posts++ }) }
  })
  const network = await startLink(t, server)
  const page = await context.newPage()
  await page.goto(`http://127.0.0.1:${network.port}/page`)
  await connect(page)
  await is(page, 'live.state === "open"')
  const session = await page.evaluate('live.session')
  // It does so on a connection that has served before, which may have been closed meanwhile.
  await page.evaluate('live.emit("say", { text: "one" })')
  network.loseAnswer()
  await page.evaluate('Promise.all(["two", "three"].map((text) => live.emit("say", { text })))')
  t.equal(posts, 3, 'the server has seen one of the client\'s two POSTs twice')
  await page.evaluate('live.emit("say", { text: "four" })')
  await until(() => said.length >= 4, 'the last', patienceMs)
  t.strictSame(said, ['one', 'two', 'three', 'four'].map((text) => [session, text]))
  t.equal(posts, 4)
  t.strictSame(await page.evaluate('states'), ['connecting', 'open new'], 'on one stream')
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

t.test('a tab that is hidden from its start closes its stream as well, and resumes when it is shown', async (t) => {
  const { server, open } = await start(t)
  const page = await open()
  // As in a tab that was opened in the background, by a script that came late: nothing tells of a change.
  await page.evaluate('Object.defineProperty(document, "hidden", { configurable: true, get: () => true })')
  await connect(page, 'tether.connect("/live", { hiddenMs: 3_000 })')
  await is(page, 'states.includes("open new")')
  const session = server.live.get(await page.evaluate('live.session') as string)!
  await is(page, 'states.at(-1) === "waiting hidden"')
  await until(() => !session.connected, 'the end of the stream', patienceMs)
  session.send('note', { text: 'unseen' })
  await page.evaluate(`
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => false })
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))`)
  await is(page, 'seen.length === 1')
  t.strictSame(await page.evaluate('states'), ['connecting', 'open new', 'waiting hidden', 'connecting', 'open resumed'])
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
  await keeps(page, 2)
  await page.reload()
  hold = false
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
  await keeps(page, 2)
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

t.test('what only JSON can copy is kept in IndexedDB as well', async (t) => {
  const { said, open } = await start(t)
  const page = await open()
  const stored = 'tether.connectStored("/live", { retryMs: 50, retryMaxMs: 200, onRestored: (event, outcome) => { outcome.then(() => restored.push(event.data.text), (error) => restored.push(error.code)) } })'
  await connect(page, stored)
  await is(page, 'live.state === "open"')
  const events = await gate(page)
  events.hold = true
  await page.evaluate(`
    live.emit('say', new Proxy({ text: 'one' }, {}))
    live.emit('say', { text: 'two', method () {} })
    live.emit('say', { toJSON: () => ({ text: 'three' }) })
    const cyclic = { text: 'none' }
    cyclic.itself = cyclic
    live.emit('say', cyclic).catch((error) => emitted.push(error.name))
    live.emit('ping')
    say('four')`)
  await is(page, 'emitted.length === 1')
  t.strictSame(await page.evaluate('emitted'), ['TypeError'])
  await keeps(page, 5)
  await page.reload()
  events.hold = false
  await connect(page, stored)
  await is(page, 'restored.length === 5')
  t.strictSame((await page.evaluate('restored') as unknown[]).filter((text) => text !== undefined), ['one', 'two', 'three', 'four'])
  await page.evaluate('say("five")')
  await is(page, 'emitted.length === 1')
  t.strictSame(said.map(([, text]) => text), ['one', 'two', 'three', 'four', 'five'], 'and the numbers stay right')
})

t.test('a database that the browser closes is opened again', async (t) => {
  const { said, open } = await start(t)
  const page = await open()
  await page.evaluate(`
    window.databases = []
    const { open } = IDBFactory.prototype
    IDBFactory.prototype.open = function (...names) {
      const request = open.apply(this, names)
      request.addEventListener('success', () => databases.push(request.result))
      return request
    }`)
  const stored = 'tether.connectStored("/live", { retryMs: 50, retryMaxMs: 200, onRestored: (event, outcome) => { outcome.then(() => restored.push(event.data.text), (error) => restored.push(error.code)) } })'
  await connect(page, stored)
  await is(page, 'live.state === "open"')
  await page.evaluate('say("one")')
  await is(page, 'emitted.length === 1')
  await page.evaluate('databases.pop().close()')
  await page.evaluate('say("two"); say("three")')
  await is(page, 'emitted.length === 3')
  t.strictSame(await page.evaluate('emitted'), ['one', 'two', 'three'])
  t.strictSame(await page.evaluate('states.filter((state) => state.startsWith("waiting"))'), [])
  await keeps(page, 0)
  const events = await gate(page)
  events.hold = true
  await page.evaluate('say("four")')
  await keeps(page, 1)
  await page.reload()
  events.hold = false
  await connect(page, stored)
  await is(page, 'restored.length === 1')
  await page.evaluate('say("five")')
  await is(page, 'emitted.length === 1')
  t.strictSame(said.map(([, text]) => text), ['one', 'two', 'three', 'four', 'five'], 'and the numbers stay right')
})

const storedCall = 'tether.connectStored("/live", { retryMs: 50, retryMaxMs: 200, onRestored: (event, outcome) => { outcome.then(() => restored.push(event.data.text), (error) => restored.push(error.code)) } })'

/** Lets events through or not; what is held never leaves. Opened before its page is gone, it may let through what that page still sends. */
async function gate (page: Page): Promise<{ hold: boolean }> {
  const gate = { hold: false }
  await page.route('**/live', (route) => route.request().method() === 'POST' && gate.hold ? undefined : route.continue())
  return gate
}

t.test('a database that is deleted, as when site data are cleared, is made anew with all that waits', async (t) => {
  for (const [what, clear] of Object.entries({
    'by another page': async (page: Page) => {
      const other = await page.context().newPage()
      await other.goto(page.url())
      t.equal(await other.evaluate('new Promise((resolve) => { const asked = indexedDB.deleteDatabase("fastify-tether"); asked.onsuccess = () => resolve("deleted"); asked.onblocked = () => resolve("blocked") })'), 'deleted')
      await other.close()
    },
    'by the browser': async (page: Page) => {
      const devtools = await page.context().newCDPSession(page)
      await devtools.send('Storage.clearDataForOrigin', { origin: new URL(page.url()).origin, storageTypes: 'indexeddb' })
    }
  })) {
    const { said, open } = await start(t)
    const page = await open()
    const events = await gate(page)
    await connect(page, storedCall)
    await is(page, 'live.state === "open"')
    await page.evaluate('say("one")')
    await is(page, 'emitted.length === 1')
    events.hold = true
    await page.evaluate('say("two")')
    await keeps(page, 1)
    await clear(page)
    await page.evaluate('say("three")')
    await keeps(page, 2)
    await page.reload()
    events.hold = false
    await connect(page, storedCall)
    await is(page, 'restored.length === 2')
    await page.evaluate('say("four")')
    await is(page, 'emitted.length === 1')
    t.strictSame(await page.evaluate('restored'), ['two', 'three'], what)
    t.strictSame(said.map(([, text]) => text), ['one', 'two', 'three', 'four'], what)
    await keeps(page, 0)
  }
})

t.test('a database without its stores gets them', async (t) => {
  const { said, open } = await start(t)
  const page = await open()
  await page.evaluate('new Promise((resolve) => { const asked = indexedDB.open("fastify-tether"); asked.onsuccess = () => { asked.result.close(); resolve() } })')
  const events = await gate(page)
  events.hold = true
  await connect(page, storedCall)
  await page.evaluate('say("one")')
  await keeps(page, 1)
  await page.reload()
  events.hold = false
  await connect(page, storedCall)
  await is(page, 'restored.length === 1')
  t.strictSame(said.map(([, text]) => text), ['one'])
})

t.test('an IndexedDB that does not work holds up nothing', async (t) => {
  // Somebody else keeps it open, and somebody waits for its deletion: whoever wants to open it waits for both.
  const block = `new Promise((resolve) => {
    const asked = indexedDB.open("fastify-tether")
    asked.onsuccess = () => {
      window.kept = asked.result
      indexedDB.deleteDatabase("fastify-tether").onblocked = resolve
    }
  })`
  const faults = {
    'cannot be opened for now': block,
    throws: 'Object.defineProperty(window, "indexedDB", { get () { throw new DOMException("no", "SecurityError") } }); undefined',
    'is not there': 'Object.defineProperty(window, "indexedDB", { value: undefined }); undefined',
    'has no room': 'IDBObjectStore.prototype.put = () => { throw new DOMException("no", "QuotaExceededError") }; undefined',
    'refuses each transaction': 'IDBDatabase.prototype.transaction = () => { throw new DOMException("no", "UnknownError") }; undefined',
    'never ends a transaction': 'Object.defineProperty(IDBTransaction.prototype, "oncomplete", { set () {} }); undefined'
  }
  for (const when of ['before', 'after']) {
    // Each waits most of its time, for an answer that does not come.
    await Promise.all(Object.entries(faults).map(async ([what, fault]) => {
      const { said, open } = await start(t)
      const page = await open()
      await page.evaluate(`
        window.opened = 0
        const { open } = IDBFactory.prototype
        IDBFactory.prototype.open = function (...names) { opened++; return open.apply(this, names) }`)
      if (when === 'before') await page.evaluate(fault)
      await connect(page, storedCall)
      await is(page, 'live.state === "open"')
      if (when === 'after') await page.evaluate(fault)
      await page.evaluate('say("one")')
      await is(page, 'emitted.length === 1')
      await page.evaluate('say("two"); say("three")')
      await is(page, 'emitted.length === 3')
      t.strictSame(await page.evaluate('emitted'), ['one', 'two', 'three'], `${what}, ${when}`)
      t.strictSame(said.map(([, text]) => text), ['one', 'two', 'three'])
      t.strictSame(await page.evaluate('states'), ['connecting', 'open new'])
      const opened = await page.evaluate('opened') as number
      t.ok(opened <= 12, `${opened} times opened`)
      await page.close()
    }))
  }
})

t.test('what there was no room for is stored as soon as there is', async (t) => {
  const { said, open } = await start(t)
  const page = await open()
  const events = await gate(page)
  await connect(page, storedCall)
  await is(page, 'live.state === "open"')
  events.hold = true
  await page.evaluate(`
    window.isFull = true
    window.refused = 0
    const { transaction } = IDBDatabase.prototype
    IDBDatabase.prototype.transaction = function (...names) {
      const made = transaction.apply(this, names)
      made.addEventListener('abort', () => refused++)
      // As the browser does where the quota is used up: when all was asked for.
      if (isFull) queueMicrotask(() => made.abort())
      return made
    }
    for (let number = 0; number < 3; number++) say(String(number))`)
  await is(page, 'refused > 2')
  await page.evaluate('isFull = false')
  await page.evaluate('say("3")')
  await keeps(page, 4)
  await page.reload()
  events.hold = false
  await connect(page, storedCall)
  await is(page, 'restored.length === 4')
  t.strictSame(said.map(([, text]) => text), ['0', '1', '2', '3'])
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

/** A place for pages, and what lets one of them stand still; that gives what wakes it. */
const standStill: Record<string, [contextOf: (t: Test) => Promise<BrowserContext> | undefined, stop: (page: Page) => Promise<() => Promise<unknown>>]> = {
  'shows a dialog': [() => undefined, async (page) => {
    // Whoever listens has to answer it; until then the page stands still.
    const shown = new Promise<Dialog>((resolve) => page.once('dialog', resolve))
    await page.evaluate('setTimeout(() => { alert("still there?"); window.isBack = true }); undefined')
    const dialog = await shown
    return () => dialog.accept()
  }],
  'is frozen': [launchPlainContext, async (page) => {
    const devtools = await page.context().newCDPSession(page)
    await devtools.send('Page.setWebLifecycleState', { state: 'frozen' })
    return () => devtools.send('Page.setWebLifecycleState', { state: 'active' })
  }]
}

for (const [what, [contextOf, stop]] of Object.entries(standStill)) {
  t.test(`another tab takes over from a leader that ${what}, which follows when it wakes up`, async (t) => {
    let streams = 0
    const { server, said, open } = await start(t, { live: { onConnect: () => { streams++ } } }, await contextOf(t))
    const shared = 'tether.connectShared("/live", { retryMs: 50, retryMaxMs: 200, leaderTimeoutMs: 1_500 })'
    const leader = await open()
    await connect(leader, shared)
    await becomes(leader, 'live.state === "open"')
    const followers = [await open(), await open()]
    for (const page of followers) {
      await connect(page, shared)
      await becomes(page, 'states.includes("open gap")')
    }
    const [first, second] = followers as [Page, Page]
    const session = server.live.get(await leader.evaluate('live.session') as string)!
    let sent = 0
    const expected = () => Array.from({ length: sent }, (_, number) => String(number))
    const note = (many: number) => { for (let number = 0; number < many; number++) session.send('note', { text: String(sent++) }) }
    note(10)
    for (const page of [leader, first, second]) await becomes(page, 'seen.length === 10')

    const wake = await stop(leader)
    const stoppedAt = performance.now()
    note(10)
    await first.evaluate('say("first")')
    await second.evaluate('say("second")')
    for (const page of followers) await becomes(page, 'seen.length === 20 && emitted.length === 1 && live.state === "open"')
    t.ok(performance.now() - stoppedAt < 15_000, 'in a bounded time')
    for (const page of followers) {
      t.strictSame(await page.evaluate('seen'), expected())
      const states = await page.evaluate('states') as string[]
      // On a busy machine, the wait may begin a second time.
      const changes = states.filter((state, index) => state !== states[index - 1])
      t.strictSame(changes.slice(changes.indexOf('waiting silent')), ['waiting silent', 'connecting', 'open resumed'])
    }
    t.strictSame(said.map(([, text]) => text).sort(), ['first', 'second'])
    t.equal(streams, 2)
    note(10)
    for (const page of followers) await becomes(page, 'seen.length === 30')

    await wake()
    await becomes(leader, 'seen.length === 30')
    await leader.evaluate('say("leader")')
    note(10)
    for (const page of [leader, first, second]) await becomes(page, 'seen.length === 40')
    await becomes(leader, 'emitted.length === 1')
    for (const page of [leader, first, second]) {
      t.strictSame(await page.evaluate('seen'), expected(), 'each update once, in order')
      t.equal(await page.evaluate('live.state'), 'open')
      t.equal(await page.evaluate('live.session'), session.id)
      t.notOk((await page.evaluate('states') as string[]).includes('closed'))
    }
    t.strictSame(said.map(([id]) => id), [session.id, session.id, session.id])
    t.strictSame(said.map(([, text]) => text).sort(), ['first', 'leader', 'second'], 'each event once')
    t.equal(streams, 2, 'it opened no stream again')

    // It can lead again.
    await first.close()
    await second.close()
    note(10)
    await leader.evaluate('say("alone")')
    await becomes(leader, 'seen.length === 50 && emitted.length === 2')
    t.strictSame(await leader.evaluate('seen'), expected())
    t.equal(streams > 2 && [...server.live.sessions].length, 1)
  })

  t.test(`events are sent once, whatever a leader had begun with when it ${what}`, async (t) => {
    const { server, said, open } = await start(t, {}, await contextOf(t))
    const shared = 'tether.connectShared("/live", { retryMs: 50, retryMaxMs: 200, leaderTimeoutMs: 1_500, requestTimeoutMs: 60_000 })'
    const leader = await open()
    await connect(leader, shared)
    await becomes(leader, 'live.state === "open"')
    const follower = await open()
    await connect(follower, shared)
    await becomes(follower, 'states.includes("open gap")')
    // It runs, and its answer comes when another leads.
    let answer = () => {}
    const later = new Promise<void>((resolve) => { answer = resolve })
    await leader.route('**/live', async (route) => {
      if (route.request().method() !== 'POST') return route.continue()
      const response = await route.fetch()
      await later
      await route.fulfill({ response }).catch(() => {})
    })
    await leader.evaluate('say("1")')
    await until(() => said.length === 1, 'the first', patienceMs)
    await follower.evaluate('say("2")')
    await leader.evaluate('say("3")')
    const wake = await stop(leader)
    await follower.evaluate('say("4"); say("5")')
    await becomes(follower, 'emitted.length === 3 && live.state === "open"')
    await follower.evaluate('say("6")')
    answer()
    await wake()
    await leader.evaluate('say("7")')
    await follower.evaluate('say("8")')
    await becomes(leader, 'emitted.length === 3')
    await becomes(follower, 'emitted.length === 5')
    t.strictSame(said.map(([, text]) => text).sort(), ['1', '2', '3', '4', '5', '6', '7', '8'], 'each ran once')
    t.strictSame(await leader.evaluate('emitted'), ['1', '3', '7'])
    t.strictSame(await follower.evaluate('emitted'), ['2', '4', '5', '6', '8'])
    t.equal([...server.live.sessions].length, 1)
  })
}

t.test('more than goes into one request goes up while the page goes away, as far as a browser lets it', async (t) => {
  const { server, said, open } = await start(t)
  for (const [what, many, bytes, least] of [['many events', 100, 10, 100], ['many bytes', 24, 2_700, 21]] as const) {
    const before = said.length
    const page = await open()
    await connect(page, `tether.connect("/live", { fetch: (url, init) => {
      if (init.method === "POST") localStorage.setItem("kept " + localStorage.length, JSON.stringify([init.keepalive, init.body.length]))
      return fetch(url, init)
    } })`)
    await is(page, 'live.state === "open"')
    await page.evaluate(`addEventListener("pagehide", () => { for (let number = 0; number < ${many}; number++) say(String(number).padEnd(${bytes})) }, { capture: true })`)
    await page.goto('about:blank')
    await until(() => said.length - before >= least, `${what}: ${least} of them`, patienceMs).catch(() => {})
    const texts = said.slice(before).map(([, text]) => text.trim())
    t.ok(texts.length >= least, `${what}: ${texts.length} of ${many}`)
    t.strictSame(texts, Array.from(texts, (_, number) => String(number)), 'in order, once')
    await page.goto(`${server.origin}/page`)
    const posts = await page.evaluate('Object.entries(localStorage).filter(([key]) => key.startsWith("kept")).map(([, value]) => JSON.parse(value))') as Array<[boolean, number]>
    const keptBytes = posts.reduce((sum, [keepalive, bytes]) => sum + (keepalive ? bytes : 0), 0)
    t.ok(keptBytes > least * bytes && keptBytes <= 60_000, `${what}: ${keptBytes} bytes outlive the page, in ${JSON.stringify(posts)}`)
    await page.evaluate('localStorage.clear()')
    await page.close()
  }
})

t.test('a tab that loses its stream after it was hidden opens no other', async (t) => {
  const { server, open } = await start(t)
  const page = await open()
  await connect(page, 'tether.connect("/live", { hiddenMs: 300, retryMs: 2000, retryMaxMs: 2000 })')
  await is(page, 'live.state === "open"')
  await page.evaluate('Math.random = () => 0.5')
  const session = server.live.get(await page.evaluate('live.session') as string)!
  await page.evaluate(`
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))`)
  server.app.server.closeAllConnections()
  await is(page, 'live.state === "waiting"')
  await until(() => !session.connected, 'the end of the stream', patienceMs)
  const waitingSince = performance.now()
  await until(() => performance.now() - waitingSince > 1_500, 'the time of the next try', patienceMs)
  t.equal(session.connected, false)
  t.equal(await page.evaluate('live.state'), 'waiting')
})

t.test('a queue in IndexedDB is not that of another whose name begins the same', async (t) => {
  const { said, open } = await start(t)
  const page = await open()
  const stored = (name: string) => `tether.connectStored("/live", { name: ${JSON.stringify(name)}, onRestored: ({ data }) => restored.push(data.text) })`
  await page.route('**/live', (route) => route.abort())
  await connect(page, stored('ann lee'))
  await page.evaluate('say("by ann lee")')
  await keeps(page, 1)
  await page.reload()
  await page.unroute('**/live')
  await connect(page, stored('ann'))
  await is(page, 'live.state === "open"')
  t.strictSame(await page.evaluate('restored'), [])
  await page.evaluate('say("by ann")')
  await is(page, 'emitted.length === 1')
  t.strictSame(said.map(([, text]) => text), ['by ann'])
  await page.reload()
  await connect(page, stored('ann lee'))
  await until(() => said.length === 2, 'the event of the other', patienceMs)
  t.equal(said[1]?.[1], 'by ann lee')
})

t.test('what a page noted in the moment in which another takes its queue over counts', async (t) => {
  const { server, said, open } = await start(t)
  const page = await open()
  await connect(page, 'tether.connectStored("/live")')
  await is(page, 'live.state === "open"')
  await page.route('**/live', (route) => route.request().method() === 'POST' ? route.abort() : route.continue())
  await page.evaluate('say("sent by a page that is gone")')
  await keeps(page, 1)
  // A page that gets another session gives up what the one before may have got.
  await page.route('**/live', (route) => route.abort())
  await server.live.get(await page.evaluate('live.session') as string)!.close('restarted', { reconnect: true })
  await page.reload()
  await page.unroute('**/live')
  // The page before had marked it as sent just after its queue was looked up, and just before its lock was free.
  await page.evaluate(`(async () => {
    const database = await new Promise((resolve) => { const open = indexedDB.open("fastify-tether"); open.onsuccess = () => resolve(open.result) })
    const put = (mark) => new Promise((resolve) => {
      const transaction = database.transaction("slots", "readwrite")
      const slots = transaction.objectStore("slots")
      slots.getAll().onsuccess = ({ target }) => { for (const slot of target.result) slots.put({ ...slot, ...mark }) }
      transaction.oncomplete = resolve
    })
    await put({ session: undefined, accepted: 0, doubtful: 0 })
    const request = navigator.locks.request.bind(navigator.locks)
    navigator.locks.request = async (...args) => {
      await put({ session: "x".repeat(24), accepted: 0, doubtful: 1 })
      return request(...args)
    }
  })()`)
  await connect(page, 'tether.connectStored("/live", { onRestored: (event, outcome) => { outcome.then(() => restored.push("sent"), (error) => restored.push(error.code)) } })')
  await is(page, 'restored.length === 1')
  t.strictSame(await page.evaluate('restored'), ['TETHER_IN_DOUBT'])
  t.strictSame(said, [])
})

t.test('what a tab emits around a change of the leader keeps its order', async (t) => {
  const { said, open } = await start(t)
  const page = await open()
  // Two connections, as of two tabs, while nobody leads yet: the first will.
  await page.evaluate(`
    window.lead = undefined
    void navigator.locks.request('fastify-tether shared /live', () => new Promise((resolve) => { lead = resolve }))
    window.next = tether.connectShared('/live')
    window.other = tether.connectShared('/live')
    window.heard = new BroadcastChannel('fastify-tether shared /live')
    window.count = 0
    heard.onmessage = ({ data }) => { if (data.type === 'emit') count++ }
    other.emit('say', { text: 'one' })
    undefined`)
  await is(page, 'count === 1 && lead !== undefined')
  await page.evaluate(`
    const { postMessage } = BroadcastChannel.prototype
    BroadcastChannel.prototype.postMessage = function (message) {
      postMessage.call(this, message)
      if (message.type !== 'leading') return
      // Before the other tab hears of its new leader.
      BroadcastChannel.prototype.postMessage = postMessage
      other.emit('say', { text: 'two' })
    }
    lead()`)
  await until(() => said.length === 2, 'both', patienceMs)
  t.strictSame(said.map(([, text]) => text), ['one', 'two'])
})

t.test('a leader that is closed leaves the session to the next', async (t) => {
  const { server, open } = await start(t)
  const page = await open()
  const follower = await open()
  await connect(page, 'tether.connectShared("/live", { retryMs: 50, retryMaxMs: 200 })')
  await is(page, 'live.state === "open"')
  await connect(follower, 'tether.connectShared("/live", { retryMs: 50, retryMaxMs: 200 })')
  await is(follower, 'states.includes("open gap")')
  const session = server.live.get(await page.evaluate('live.session') as string)!
  await page.evaluate('live.close()')
  const closedAt = performance.now()
  await until(() => performance.now() - closedAt > 2_500 && session.connected, 'the grace to be over', patienceMs)
  t.equal(server.live.get(session.id), session)
  t.equal(await follower.evaluate('live.session'), session.id)
  t.strictSame([...server.live.sessions].length, 1)
})

t.test('what a tab emitted just before it is closed is in doubt, since the leader may have it', async (t) => {
  const { said, open } = await start(t)
  const shared = 'tether.connectShared("/live", { retryMs: 50, retryMaxMs: 200 })'
  const [leader, follower] = [await open(), await open()]
  await connect(leader, shared)
  await is(leader, 'live.state === "open"')
  await connect(follower, shared)
  await is(follower, 'live.state === "open"')
  await follower.evaluate('say("last"); live.close()')
  await is(follower, 'emitted.length === 1')
  await until(() => said.length === 1, 'the event to run')
  t.strictSame(await follower.evaluate('emitted'), ['TETHER_IN_DOUBT'])
})

t.test('what an older session may have run is not sent to the next when the tab is hidden', async (t) => {
  const { server, said, open } = await start(t)
  const page = await open()
  await connect(page, 'tether.connect("/live", { retryMs: 50, retryMaxMs: 200, requestTimeoutMs: 5000 })')
  await is(page, 'live.state === "open"')
  await page.route('**/live', async (route) => {
    if (route.request().method() !== 'POST') return route.continue()
    // It runs, and its answer never comes.
    await route.fetch()
  }, { times: 1 })
  await page.evaluate('say("once")')
  await until(() => said.length === 1, 'the event', patienceMs)
  await server.live.get(await page.evaluate('live.session') as string)!.close('restarted', { reconnect: true })
  await is(page, 'states.includes("open expired")')
  t.strictSame(await page.evaluate('emitted'), [], 'its answer is still waited for')
  await page.evaluate(`
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))`)
  await is(page, 'emitted.length === 1')
  t.strictSame(await page.evaluate('emitted'), ['TETHER_IN_DOUBT'])
  t.equal(said.length, 1)
})

t.test('a second batch whose answer was lost with its page runs once', async (t) => {
  for (const way of ['connectStored', 'connectShared'] as const) {
    const { server, said, open } = await start(t, { live: { maxBatch: 8 } })
    const call = `tether.${way}("/live", { retryMs: 50, retryMaxMs: 200 })`
    const page = await open()
    await connect(page, call)
    await is(page, 'live.state === "open"')
    const session = await page.evaluate('live.session')
    let next = page
    if (way === 'connectShared') {
      next = await open()
      await connect(next, call)
      await is(next, 'states.includes("open gap")')
    }
    let posts = 0
    await page.route('**/live', async (route) => {
      if (route.request().method() !== 'POST' || posts++ === 0) return route.continue()
      await route.fetch()
    })
    await page.evaluate('for (let number = 0; number < 16; number++) say(String(number))')
    await until(() => said.length === 16, `${way}: both batches`, patienceMs)
    await is(page, 'emitted.length === 8')
    const crashed = page.waitForEvent('crash')
    const devtools = await page.context().newCDPSession(page)
    devtools.send('Page.crash').catch(() => {})
    await crashed
    if (way === 'connectStored') {
      next = await open()
      await connect(next, call)
    }
    await is(next, `live.state === "open" && live.session === ${JSON.stringify(session)}`)
    await until(() => server.live.get(session as string)?.connected, 'the next page', patienceMs)
    await next.evaluate('say("last")')
    await is(next, 'emitted.at(-1) === "last"')
    t.strictSame(said.map(([, text]) => text), [...Array.from({ length: 16 }, (_, number) => String(number)), 'last'], way)
  }
})

t.test('a tab that hears late of a new leader emits nothing twice', async (t) => {
  const { said, open } = await start(t)
  const page = await open()
  await page.evaluate(`
    window.lead = undefined
    void navigator.locks.request('fastify-tether shared /live', () => new Promise((resolve) => { lead = resolve }))
    window.next = tether.connectShared('/live')
    // The other tab is busy: what it hears waits.
    window.late = []
    window.isBusy = true
    const { set } = Object.getOwnPropertyDescriptor(BroadcastChannel.prototype, 'onmessage')
    const Channel = BroadcastChannel
    window.BroadcastChannel = class extends Channel {
      set onmessage (listener) { set.call(this, (event) => { if (isBusy) late.push(() => listener(event)); else listener(event) }) }
    }
    window.other = tether.connectShared('/live')
    window.BroadcastChannel = Channel
    window.settled = 0
    window.heard = new Channel('fastify-tether shared /live')
    heard.onmessage = ({ data }) => { if (data.type === 'settled') settled++ }
    next.onState((state) => { if (state === 'open') other.emit('say', { text: 'one' }) })
    undefined`)
  await is(page, 'lead !== undefined')
  await page.evaluate('lead()')
  await is(page, 'settled === 1')
  await page.evaluate(`
    isBusy = false
    for (const hear of late.splice(0)) hear()
    next.emit('say', { text: 'last' })`)
  await until(() => said.some(([, text]) => text === 'last'), 'the last', patienceMs)
  t.strictSame(said.map(([, text]) => text), ['one', 'last'])
})

t.test('events that an earlier page left are sent, whether anybody is told or not', async (t) => {
  const { said, open } = await start(t)
  const page = await open()
  await page.route('**/live', (route) => route.abort())
  await connect(page, 'tether.connectStored("/live")')
  await page.evaluate('say("one"); say("two")')
  await keeps(page, 2)
  await page.reload()
  await page.unroute('**/live')
  await connect(page, 'tether.connectStored("/live")')
  await page.evaluate('say("three")')
  await is(page, 'emitted.length === 1')
  t.strictSame(said.map(([, text]) => text), ['one', 'two', 'three'])

  await page.route('**/live', (route) => route.abort())
  await page.evaluate('say("four"); say("five")')
  await keeps(page, 2)
  await page.reload()
  await page.unroute('**/live')
  await connect(page, 'tether.connectStored("/live", { onError: ({ message }) => restored.push(message), onRestored: ({ data }) => { throw new Error("told of " + data.text) } })')
  await keeps(page, 0)
  t.strictSame(said.map(([, text]) => text), ['one', 'two', 'three', 'four', 'five'])
  t.strictSame(await page.evaluate('restored'), ['told of four', 'told of five'])
})

t.test('what several closed tabs left goes to the next, but for what is too old', async (t) => {
  const { said, open } = await start(t)
  const stored = (options = '') => `tether.connectStored("/live", { ${options} onRestored: ({ data }, outcome) => { outcome.then(() => restored.push(data.text), ({ code }) => restored.push(data.text + ' ' + code)) } })`
  const pages = [await open(), await open(), await open()]
  for (const [index, page] of pages.entries()) {
    await page.route('**/live', (route) => route.abort())
    await connect(page, stored())
    await page.evaluate(`say("${index} first"); say("${index} second")`)
    await keeps(page, 2 * index + 2)
  }
  for (const page of pages) await page.close()
  const next = await open()
  await connect(next, stored())
  await is(next, 'restored.length === 6')
  const texts = said.map(([, text]) => text)
  t.strictSame([...texts].sort(), ['0 first', '0 second', '1 first', '1 second', '2 first', '2 second'])
  for (const index of [0, 1, 2]) t.ok(texts.indexOf(`${index} first`) < texts.indexOf(`${index} second`), 'each in its order')

  await next.route('**/live', (route) => route.abort())
  await next.evaluate('live.close()')
  await connect(next, stored())
  await next.evaluate('say("old")')
  await keeps(next, 1)
  await next.reload()
  await next.unroute('**/live')
  await connect(next, stored('maxAgeMs: 1,'))
  await is(next, 'restored.length === 1')
  t.strictSame(await next.evaluate('restored'), ['old TETHER_EXPIRED'])
  await keeps(next, 0)
  t.equal(said.length, 6)
})

/** Serves the guide's recipe for `setup`, run with another of the client's functions in place of `connect`. */
async function startRecipe (t: Test, call: string) {
  let mounted!: ReturnType<typeof mountRecipe>
  const server = await startServer(t, {
    setup: async (app) => {
      mounted = mountRecipe(app)
      await serveClient(app)
    }
  })
  const context = await browser.newContext()
  context.setDefaultTimeout(patienceMs)
  t.teardown(() => context.close())
  const script = setupRecipe().replace('connect("/live", {', `${call}("/live", { retryMs: 50, retryMaxMs: 200,`)
  t.ok(script.includes(call))
  const open = async (given?: Page) => {
    const page = given ?? await context.newPage()
    await page.goto(`${server.origin}/page`)
    await page.evaluate(`(async () => {
      window.shown = []
      const show = (text) => shown.push(text)
      ${script}
      window.live = live
    })()`)
    return page
  }
  return { ...mounted, open }
}

t.test('the recipe for setup, with connectStored: what the last page left waits for it', async (t) => {
  const { live, said, open } = await startRecipe(t, 'await tether.connectStored')
  const page = await open()
  await until(() => said.length === 1, 'the message', patienceMs)
  const first = await page.evaluate('live.session') as string
  // Noted, and never sent, since there is no stream any more.
  await page.route('**/live', (route) => route.abort())
  await live.get(first)!.close('restarted', { reconnect: true })
  await is(page, 'live.state === "waiting"')
  await page.evaluate('void live.emit("message.send", { text: "left" })')
  await keeps(page, 1)
  await page.unroute('**/live')
  const next = await open(page)
  await until(() => said.length === 3, 'both messages', patienceMs)
  t.strictSame(said, ['lobby: Hello', 'lobby: left', 'lobby: Hello'])
  t.strictSame(await next.evaluate('shown'), ['The session was gone; this is a new one.'])
  t.not(await next.evaluate('live.session'), first)
})

t.test('the recipe for setup, with connectShared: the leader runs it', async (t) => {
  const { live, said, open } = await startRecipe(t, 'tether.connectShared')
  const leader = await open()
  await until(() => said.length === 1, 'the message', patienceMs)
  const follower = await open()
  await until(() => said.length === 2, 'that of the other tab', patienceMs)
  const session = await leader.evaluate('live.session') as string
  await live.get(session)!.close('restarted', { reconnect: true })
  await follower.evaluate('void live.emit("message.send", { text: "again" })')
  await until(() => said.length === 3, 'the message in the next session', patienceMs)
  t.strictSame(said, ['lobby: Hello', 'lobby: Hello', 'lobby: again'])
  t.equal((await leader.evaluate('shown') as string[]).length, 1)
  t.strictSame(await follower.evaluate('shown'), [], 'not the follower')
})

t.test('a tab that takes over runs setup only where the one before had not finished', async (t) => {
  const { server, said, open } = await start(t)
  const shared = (ends: boolean) => `tether.connectShared("/live", {
    retryMs: 50, retryMaxMs: 200,
    setup: async (emit, { verdict }) => {
      await emit('say', { text: 'setup ' + verdict })
      ${ends ? '' : 'await new Promise(() => {})'}
    }
  })`
  const first = await open()
  await connect(first, shared(false))
  await until(() => said.length === 1, 'the event of setup', patienceMs)
  const second = await open()
  await connect(second, shared(true))
  await is(second, 'states.includes("open gap")')
  await second.evaluate('say("queued")')
  await first.close()
  await is(second, 'emitted.length === 1')
  t.strictSame(said.map(([, text]) => text), ['setup new', 'setup new', 'queued'], 'it runs again, before the queue')
  const third = await open()
  await connect(third, shared(true))
  await is(third, 'states.includes("open gap")')
  await second.close()
  await third.evaluate('say("after")')
  await is(third, 'emitted.length === 1')
  t.strictSame(said.map(([, text]) => text), ['setup new', 'setup new', 'queued', 'after'], 'and not once more')
  t.equal(new Set(said.map(([session]) => session)).size, 1)
  t.equal([...server.live.sessions].length, 1)
})

t.test('each tab of connectShared knows the transport, and measures through the leading one', async (t) => {
  const { server, open } = await start(t)
  const shared = (options = '') => `tether.connectShared("/live", { retryMs: 50, retryMaxMs: 200${options} })`
  const leader = await open()
  await connect(leader, shared())
  await is(leader, 'live.state === "open"')
  const follower = await open()
  await connect(follower, shared())
  await is(follower, 'live.state === "open"')
  for (const page of [leader, follower]) {
    t.equal(await page.evaluate('live.transport'), 'sse')
    const ms = await page.evaluate('live.latency()') as number
    t.ok(ms > 0 && ms < patienceMs, `${ms} ms`)
  }
  t.equal(await follower.evaluate('live.latency() === live.latency()'), true)

  const late = await open()
  await connect(late, shared(', autoConnect: false'))
  await late.evaluate('say("early")')
  t.same(await late.evaluate('[live.state, live.transport]'), ['idle', null])
  t.equal(await late.evaluate('live.latency().catch(({ code }) => code)'), 'TETHER_NO_STREAM')
  t.equal([...server.live.sessions].length, 1)
  await late.evaluate('live.open()')
  await is(late, 'live.state === "open" && emitted[0] === "early"')

  await leader.close()
  await is(follower, 'live.state === "open" && live.transport === "sse"')
  await follower.evaluate('live.close()')
  t.equal(await follower.evaluate('live.latency().catch(({ code }) => code)'), 'TETHER_NO_STREAM')
})
