import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startTopics, type TopicsConfig } from '../e2e/harness/topics.ts'
import { patienceMs, until } from '../e2e/harness/until.ts'
import { launchBrowser } from './harness/browser.ts'
import { serveClient } from './harness/client-page.ts'

const browser = await launchBrowser(t)

async function start (t: Test, config: TopicsConfig = {}) {
  const server = await startTopics(t, config, {}, serveClient)
  const context = await browser.newContext()
  context.setDefaultTimeout(patienceMs)
  t.teardown(() => context.close())
  const open = async (call: string) => {
    const page = await context.newPage()
    await page.goto(`${server.origin}/page`)
    await page.evaluate(`(async () => {
      window.seen = []
      window.live = await tether.${call}
      window.use = (id) => {
        const topic = live.subscribe('host', { id })
        topic.on('log', (line) => seen.push(id + ' ' + line))
        topic.on('cpu', ({ v }) => seen.push(id + ' ' + v))
        return topic
      }
    })()`)
    return page
  }
  return { ...server, open }
}

const is = (page: Page, condition: string) => page.waitForFunction(condition, undefined, { timeout: patienceMs })

const shared = 'connectShared("/live", { retryMs: 50, retryMaxMs: 200 })'

t.test('tabs that share a session count their subscriptions together', async (t) => {
  const { live, open } = await start(t, { topics: { host: { authorize: (_session, { id }) => id !== 'no' } } })
  const [a, b, c] = ['a', 'b', 'c'].map((id) => live.topic('host', { id })) as [ReturnType<typeof live.topic<'host'>>, ReturnType<typeof live.topic<'host'>>, ReturnType<typeof live.topic<'host'>>]
  a.publish('cpu', { core: 0, v: 1 })
  const leader = await open(shared)
  await leader.evaluate('(window.a = use("a")).ready')
  await leader.evaluate('(window.b = use("b")).ready')
  t.strictSame(await leader.evaluate('seen'), ['a 1'])
  const follower = await open(shared)
  await follower.evaluate('(window.a = use("a")).ready')
  await follower.evaluate('(window.c = use("c")).ready')
  t.strictSame(await follower.evaluate('seen'), ['a 1'], 'a tab that comes later gets the retained values, too')
  t.strictSame(await leader.evaluate('seen'), ['a 1'], 'the tab before it does not get them again')
  t.equal(await follower.evaluate('use("no").ready.catch(({ code }) => code)'), 'TETHER_REFUSED')
  t.equal(await follower.evaluate('use(5).ready.catch(({ code }) => code)'), 'FST_ERR_VALIDATION', 'a refusal of the event reaches its tab')
  t.equal(live.stats.subscriptions, 3)
  await leader.evaluate('a.close()')
  await follower.evaluate('live.emit("say", { text: "behind" })')
  a.publish('log', 'x')
  await is(follower, 'seen.includes("a x")')
  t.equal(a.size, 1, 'the follower still uses it')

  await leader.close()
  await until(() => b.size === 0, 'the end of what the leader alone used', patienceMs)
  a.publish('log', 'y')
  await is(follower, 'seen.includes("a y")')
  t.equal(c.size, 1)
  const [session] = [...live.sessions]
  session!.close('closed', { reconnect: true })
  await until(() => a.size === 1 && c.size === 1 && [...live.sessions][0] !== session, 'the new session', patienceMs)
  c.publish('log', 'z')
  await is(follower, 'seen.includes("c z")')
  await follower.evaluate('c.close()')
  await until(() => c.size === 0, 'the end', patienceMs)
})

t.test('with connectStored, a page that is reloaded has its topics and each event runs once', async (t) => {
  const said: string[] = []
  const { live, open } = await start(t, { on: { say: (_session, { text }) => { said.push(text) } } })
  const stored = 'connectStored("/live", { retryMs: 50, retryMaxMs: 200, onRestored: (event) => { (window.restored ??= []).push(event.name) } })'
  const page = await open(stored)
  await page.evaluate('use("a").ready')
  await page.evaluate('live.emit("say", { text: "1" })')
  await page.evaluate('use("b").ready')
  await page.evaluate('live.emit("say", { text: "2" })')
  t.equal(live.stats.subscriptions, 2)
  await page.close()
  const next = await open(stored)
  await next.evaluate('use("a").ready')
  await next.evaluate('live.emit("say", { text: "3" })')
  t.equal(await next.evaluate('window.restored'), undefined)
  await until(() => said.length === 3, 'all events', patienceMs)
  t.strictSame(said, ['1', '2', '3'])
  live.topic('host', { id: 'a' }).publish('log', 'x')
  await is(next, 'seen.includes("a x")')
})

t.test('an EventSource names its topics in the URL', async (t) => {
  const { live, open } = await start(t)
  live.topic('host', { id: 'a b' }).publish('cpu', { core: 0, v: 1 })
  const page = await open(shared)
  await page.evaluate(`(() => {
    const source = new EventSource('/live?' + new URLSearchParams([['topic', 'host?id=a%20b'], ['topic', 'all']]))
    for (const name of ['cpu@host?id=a%20b', 'log@host?id=a%20b', 'tick@all', 'tether.topic']) source.addEventListener(name, ({ type, data }) => seen.push(type + ' ' + (JSON.parse(data).name ?? '')))
  })()`)
  await is(page, 'seen.length === 3')
  live.topic('host', { id: 'a b' }).publish('log', 'x')
  live.topic('all').publish('tick', 1)
  await is(page, 'seen.length === 5')
  t.strictSame(await page.evaluate('seen'), ['cpu@host?id=a%20b ', 'tether.topic host?id=a%20b', 'tether.topic all', 'log@host?id=a%20b ', 'tick@all '])
})

t.test('the guide\'s form of htmx subscribes for an EventSource of the page', async (t) => {
  const guide = readFileSync(new URL('../../docs/topics.md', import.meta.url), 'utf8')
  const [, form] = /^```html\n(<form hx-post.*?)^```$/ms.exec(guide)!
  const library = (path: string) => readFileSync(new URL(import.meta.resolve(path)), 'utf8')
  const started = await startTopics(t, {}, {}, (app) => {
    app.get('/htmx.js', (_request, reply) => { reply.type('text/javascript').send(`${library('htmx.org/dist/htmx.min.js')}\n${library('htmx-ext-sse/dist/sse.min.js')}`) })
    app.get('/htmx', async (request, reply) => {
      const claim = (await started.live.prepare(request))!
      const { id } = started.live.get(claim)!
      return reply.type('text/html').send(`<!doctype html><title>htmx</title><link rel="icon" href="data:,"><script src="/htmx.js"></script>
        <body hx-ext="sse" sse-connect="/live?tether-session=${claim}">
        <p id="a" sse-swap="alert@host?id=a"></p><p id="b" sse-swap="alert@host?id=b"></p>
        ${form!.replace('value="…"', `value="${id}"`)}`)
    })
  })
  const [a, b] = ['a', 'b'].map((id) => started.live.topic('host', { id })) as [ReturnType<typeof started.live.topic<'host'>>, ReturnType<typeof started.live.topic<'host'>>]
  const page = await browser.newPage()
  t.teardown(() => page.close())
  await page.goto(`${started.origin}/htmx`)
  for (const [id, topic] of [['b', b], ['a', a]] as const) {
    await page.locator('select').selectOption(id)
    await until(() => topic.size === 1, `the subscription to ${id}`, patienceMs)
    topic.publish('alert', `<b>hot ${id}</b>`)
    await is(page, `document.querySelector('#${id} b')?.textContent === 'hot ${id}'`)
  }
})
