import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import type { Protocol } from '../../plugin/carriers/carrier.ts'
import { startLive, type LiveServer } from '../e2e/harness/live.ts'
import { patienceMs, until } from '../e2e/harness/until.ts'
import { startUpgradeProxy, type Conduct, type UpgradeProxy } from '../e2e/harness/upgrade-proxy.ts'
import { launchBrowser } from './harness/browser.ts'
import { serveClient } from './harness/client-page.ts'

const openTimeoutMs = 1_500

// Each waits most of its time.
t.jobs = 3

const browser = await launchBrowser(t)

interface Rig {
  server: LiveServer
  proxy: UpgradeProxy
  context: BrowserContext
  /** What carried each stream so far. */
  protocols: Protocol[]
  said: string[]
  /** Requests for `/live` that were no WebSocket. */
  requests: string[]
  open: () => Promise<Page>
}

async function serve (t: Test, protocols: Protocol[], said: string[]): Promise<LiveServer> {
  return startLive(t, {
    setup: serveClient,
    // A browser keeps a connection open in advance, and would hold up the end of the server.
    fastify: { forceCloseConnections: true },
    live: {
      mode: 'both',
      onConnect: (_session, { protocol }) => { protocols.push(protocol) },
      on: { say: (_session, { text }) => { said.push(text) } }
    }
  })
}

async function start (t: Test, conduct: Conduct): Promise<Rig> {
  const protocols: Protocol[] = []
  const said: string[] = []
  const requests: string[] = []
  const server = await serve(t, protocols, said)
  const proxy = await startUpgradeProxy(t, server, conduct)
  const context = await browser.newContext()
  context.setDefaultTimeout(patienceMs)
  t.teardown(() => context.close())
  context.on('request', (request) => {
    if (new URL(request.url()).pathname.startsWith('/live')) requests.push(request.method())
  })
  const open = async () => {
    const page = await context.newPage()
    await page.goto(`http://127.0.0.1:${proxy.port}/page`)
    return page
  }
  return { server, proxy, context, protocols, said, requests, open }
}

/** Connects on the page, and keeps what comes in `seen` and `states`. */
async function connect (page: Page, link = ''): Promise<void> {
  await page.evaluate(`
    window.seen = []
    window.states = []
    window.emitted = []
    window.live = tether.connect('/live', { retryMs: 50, retryMaxMs: 200, link: tether.webSocketLink({ openTimeoutMs: ${openTimeoutMs}, ${link} }) })
    live.on('note', ({ text }) => seen.push(text))
    live.onState((state, { verdict, reason }) => states.push([state, verdict ?? reason].join(' ').trim()))
    window.say = (text) => { live.emit('say', { text }).then(() => emitted.push(text), (error) => emitted.push(error.code)) }`)
}

const is = (page: Page, condition: string) => page.waitForFunction(condition, undefined, { timeout: patienceMs })

t.test('in a page: a WebSocket carries all, and resumes after a cut', async (t) => {
  const { server, proxy, protocols, said, requests, open } = await start(t, { pass: true })
  const page = await open()
  await connect(page)
  await is(page, 'live.state === "open"')
  const session = await page.evaluate('live.session') as string
  const expected: string[] = []
  const note = (text: string) => {
    expected.push(text)
    server.live.get(session)!.send('note', { text })
  }
  for (let number = 1; number <= 50; number++) note(`${number} 世界 ${'x'.repeat(number * 97)}`)
  await page.evaluate('for (let number = 1; number <= 20; number++) say(String(number))')
  await is(page, 'seen.length === 50 && emitted.length === 20')
  t.strictSame(await page.evaluate('seen'), expected)

  proxy.cut()
  await until(() => !server.live.get(session)!.connected, 'the disconnect')
  note('while it was away')
  await page.evaluate('say("21")')
  await is(page, 'states.includes("open resumed")')
  await is(page, 'seen.length === 51 && emitted.length === 21')
  t.strictSame(await page.evaluate('seen'), expected)
  t.strictSame(said, Array.from({ length: 21 }, (_, index) => String(index + 1)), 'each event ran once, in order')
  t.equal(await page.evaluate('live.session'), session)
  t.strictSame(protocols, ['websocket', 'websocket'])
  t.equal(proxy.upgrades, 2)
  t.strictSame(requests, [], 'no fetch beside it')
})

t.test('in a page: the server is restarted, and another session begins over a WebSocket', async (t) => {
  const { server, proxy, protocols, said, open } = await start(t, { pass: true })
  const page = await open()
  await connect(page)
  await is(page, 'live.state === "open"')
  const before = await page.evaluate('live.session')
  const next = await serve(t, protocols, said)
  proxy.target = next.port
  await server.app.close()
  await is(page, 'states.includes("open expired")')
  t.ok((await page.evaluate('states') as string[]).includes('waiting shutdown'), 'it was told')
  t.not(await page.evaluate('live.session'), before)
  next.live.broadcast('note', { text: 'from the next' })
  await page.evaluate('say("to the next")')
  await is(page, 'seen.length === 1 && emitted.length === 1')
  t.strictSame([await page.evaluate('seen'), said], [['from the next'], ['to the next']])
  t.strictSame(protocols, ['websocket', 'websocket'])
})

t.test('in a worker', async (t) => {
  const { server, proxy, protocols, said, open } = await start(t, { pass: true })
  const page = await open()
  await page.evaluate(`
    window.heard = []
    window.worker = new Worker('/worker.js?websocket')
    worker.onmessage = ({ data }) => heard.push(data)`)
  await is(page, 'heard.includes("open")')
  const [session] = [...server.live.sessions]
  session!.send('note', { text: 'to the worker' })
  await page.evaluate('worker.postMessage("from the worker")')
  await is(page, 'heard.includes("to the worker") && heard.includes("accepted")')
  proxy.cut()
  await until(() => !session!.connected, 'the disconnect')
  session!.send('note', { text: 'while it was away' })
  await is(page, 'heard.includes("while it was away")')
  t.strictSame(said, ['from the worker'])
  t.strictSame(protocols, ['websocket', 'websocket'])
  t.equal([...server.live.sessions].length, 1)
})

t.test('where no WebSocket gets through, an event stream does, and that is remembered', async (t) => {
  for (const [what, conduct] of Object.entries({ refused: { status: 403 }, swallowed: { swallow: true }, 'never answered': { hang: true } } as Record<string, Conduct>)) {
    const { server, proxy, protocols, said, open } = await start(t, conduct)
    const page = await open()
    const startedAt = performance.now()
    await connect(page, 'storage: sessionStorage')
    await is(page, 'live.state === "open"')
    const tookMs = performance.now() - startedAt
    t.ok(tookMs < openTimeoutMs + 8_000, `${what}: open after ${tookMs.toFixed(0)} ms`)
    if (what !== 'refused') t.ok(tookMs >= openTimeoutMs, 'and not before the WebSocket had its time')
    server.live.broadcast('note', { text: 'one' })
    await page.evaluate('say("one")')
    await is(page, 'seen.length === 1 && emitted.length === 1')
    const session = server.live.get(await page.evaluate('live.session') as string)!
    proxy.cut()
    await until(() => !session.connected, 'the disconnect')
    session.send('note', { text: 'two' })
    await is(page, 'seen.length === 2 && states.includes("open resumed")')
    t.strictSame([await page.evaluate('seen'), said], [['one', 'two'], ['one']])

    await page.reload()
    await connect(page, 'storage: sessionStorage')
    await is(page, 'live.state === "open"')
    t.strictSame(protocols, ['http/1.1', 'http/1.1', 'http/1.1'], what)
    t.equal(proxy.upgrades, 1, 'it was tried once')
  }
})

t.test('a WebSocket that is cut again and again gives way to an event stream of the same session', async (t) => {
  const { server, proxy, protocols, said, open } = await start(t, { cutAfterBytes: 5_000 })
  const page = await open()
  await connect(page)
  await is(page, 'live.state === "open"')
  const session = server.live.get(await page.evaluate('live.session') as string)!
  const expected = Array.from({ length: 300 }, (_, index) => `${index} ${'x'.repeat(100)}`)
  for (const [index, text] of expected.entries()) {
    session.send('note', { text })
    if (index % 30 === 0) {
      await page.evaluate(`say("${index}")`)
      await is(page, `emitted.length === ${index / 30 + 1} && live.state === "open"`)
    }
  }
  await is(page, `seen.length >= ${expected.length}`)
  t.strictSame(await page.evaluate('seen'), expected, 'nothing lost, nothing twice')
  t.strictSame(said, Array.from({ length: 10 }, (_, index) => String(index * 30)))
  t.strictSame(protocols, ['websocket', 'websocket', 'http/1.1'])
  t.equal(await page.evaluate('live.session'), session.id)
  t.equal(proxy.upgrades, 2)
})
