import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { defineContract, text } from '../../plugin/index.ts'
import { startOrders } from '../e2e/harness/orders.ts'
import { startServer, type Server } from '../e2e/harness/server.ts'
import { patienceMs, until } from '../e2e/harness/until.ts'
import { launchBrowser } from './harness/browser.ts'
import { serveClient } from './harness/client-page.ts'

const browser = await launchBrowser(t)

async function start (t: Test) {
  /** Streams that pages have asked for. */
  const asked: string[] = []
  const setup = async (app: FastifyInstance) => {
    app.addHook('onRequest', async ({ method, url }) => { if (method === 'GET' && url === '/live') asked.push(url) })
    await serveClient(app)
  }
  const orders = await startOrders(t, { upgrade: { retryMs: 10 }, setup })
  const context = await browser.newContext()
  context.setDefaultTimeout(patienceMs)
  t.teardown(() => context.close())
  /** Opens a page that connects by `call`; `ask` makes a request there, and `got` has the outcomes. */
  const open = async (call: string) => {
    const page = await context.newPage()
    await page.goto(`${orders.origin}/page`)
    await page.evaluate(`(async () => {
      window.got = []
      window.live = await ${call}
      window.ask = (article, options) => { live.request('order', { article }, options).then(({ order, note }) => got.push([article, note ?? order]), ({ code, name, data }) => got.push([article, code ?? name, data])) }
    })()`)
    await is(page, 'live.state === "open"')
    return page
  }
  return { orders, context, open, asked }
}

async function is (page: Page, condition: string): Promise<void> {
  await page.waitForFunction(condition, undefined, { timeout: patienceMs })
}

const shared = 'tether.connectShared("/live", { retryMs: 50, retryMaxMs: 200 })'

t.test('each tab gets the replies to its own requests, also from the next leader', async (t) => {
  const { orders, open, asked } = await start(t)
  const leader = await open(shared)
  const follower = await open(shared)
  await leader.evaluate('ask("one")')
  await is(leader, 'got.length === 1')
  await follower.evaluate('ask("two"); ask("sold out")')
  await is(follower, 'got.length === 2')
  t.same(await leader.evaluate('got'), [['one', 1]])
  t.same(await follower.evaluate('got'), [['two', 2], ['sold out', 'SOLD_OUT', { left: 0 }]])
  t.equal(orders.live.stats.sessions, 1)

  await follower.evaluate('ask("slow")')
  await until(() => orders.gates.length === 1, 'the handler')
  await follower.evaluate('live.emit("ping")')
  const session = await leader.evaluate('live.session')
  await leader.close()
  await until(() => asked.length === 2, "the next leader's stream")
  orders.gates[0]!('meanwhile')
  await is(follower, 'got.length === 3')
  t.same(await follower.evaluate('got[2]'), ['slow', 'meanwhile'])
  t.equal(await follower.evaluate('live.session'), session)

  await follower.evaluate('ask("slow", { timeoutMs: 50 })')
  await is(follower, 'got.length === 4')
  t.same(await follower.evaluate('got[3]'), ['slow', 'TETHER_TIMEOUT', null])
  await follower.evaluate('ask("slow")')
  await until(() => orders.gates.length === 2, 'the first of both')
  orders.gates[1]!('late')
  await until(() => orders.gates.length === 3, 'the handler')
  await [...orders.live.sessions][0]!.close('moved', { reconnect: true })
  await is(follower, 'got.length === 5')
  t.match(await follower.evaluate('got[4]'), ['slow', /TETHER_IN_DOUBT|TETHER_FAILED/])
  t.same(orders.taken, ['one', 'two', 'sold out', 'slow', 'ping', 'slow', 'slow'])
})

t.test('with the stored queue a request gives its reply, and one that was not sent outlives its page', async (t) => {
  const { orders, context, open } = await start(t)
  const stored = 'tether.connectStored("/live", { retryMs: 50, retryMaxMs: 200, onRestored: (event, outcome) => outcome.then(() => got.push(["restored", event.data.article])) })'
  const page = await open(stored)
  await page.evaluate('ask("one"); ask("sold out")')
  await is(page, 'got.length === 2')
  t.same(await page.evaluate('got'), [['one', 1], ['sold out', 'SOLD_OUT', { left: 0 }]])
  await context.setOffline(true)
  await page.evaluate('ask("later"); ask("never", { timeoutMs: 1 })')
  await is(page, 'got.length === 3')
  t.same(await page.evaluate('got[2]'), ['never', 'TETHER_TIMEOUT', null])
  await page.close()
  await context.setOffline(false)
  const next = await open(stored)
  await is(next, 'got.length > 0')
  t.same(await next.evaluate('got[0]'), ['restored', 'later'])
  await until(() => orders.taken.includes('later'), 'the handler')
  await next.evaluate('ask("last")')
  await is(next, 'got.some(([article]) => article === "last")')
  t.same(orders.taken.filter((article) => article !== 'never'), ['one', 'sold out', 'later', 'last'])
})

t.test('htmx swaps an unnamed update in', async (t) => {
  const contract = defineContract({ updates: { html: text({ unnamed: true }), row: text() } })
  const mount = (app: Server['app']) => app.tether.stateful('/live', { contract })
  let live!: ReturnType<typeof mount>
  const script = (file: string) => readFileSync(new URL(`../../node_modules/${file}`, import.meta.url), 'utf8')
  const server = await startServer(t, {
    setup: (app) => {
      app.get('/htmx.js', (_request, reply) => { reply.type('text/javascript').send(`${script('htmx.org/dist/htmx.min.js')}\n${script('htmx-ext-sse/sse.js')}`) })
      app.get('/', (_request, reply) => { reply.type('text/html').send('<!doctype html><link rel="icon" href="data:,"><script src="/htmx.js"></script><div hx-ext="sse" sse-connect="/live"><main sse-swap="message"></main></div>') })
      live = mount(app)
    }
  })
  const page = await browser.newPage()
  await page.goto(server.origin)
  await until(() => live.stats.connected === 1, 'the stream')
  live.broadcast('row', '<b>named</b>')
  live.broadcast('html', '<p>first</p>')
  live.broadcast('html', '<p>second</p>\n<i>line</i>')
  await page.waitForSelector('main i', { timeout: patienceMs })
  t.equal(await page.locator('main').innerHTML(), '<p>second</p>\n<i>line</i>')
  await page.close()
})
