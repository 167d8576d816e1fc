import fastifyStatic from '@fastify/static'
import { svelte, vitePreprocess } from '@sveltejs/vite-plugin-svelte'
import { Type } from '@sinclair/typebox'
import react from '@vitejs/plugin-react'
import vue from '@vitejs/plugin-vue'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { conflate, defineContract, topic } from '../../plugin/index.ts'
import { startServer } from '../e2e/harness/server.ts'
import { patienceMs, until } from '../e2e/harness/until.ts'
import { launchBrowser } from './harness/browser.ts'
import { buildPages, copyPages, servePages, type Framework } from './harness/framework.ts'

// StrictMode, and checks of hydration, are in development builds only.
process.env.NODE_ENV = 'development'

const Cpu = Type.Object({ core: Type.Integer(), load: Type.Number() })

const contract = defineContract({
  events: { 'range.set': Type.Object({ range: Type.String() }) },
  updates: {
    cpu: conflate(Cpu, ({ core }) => String(core)),
    notice: Type.Object({ text: Type.String() })
  },
  topics: {
    host: topic({
      params: Type.Object({ id: Type.String() }),
      updates: { cpu: conflate(Cpu, ({ core }) => String(core)), alert: Type.String() }
    })
  }
})

const frameworks: ReadonlyArray<Framework & { server: string, edited: string, widget: string }> = [
  { name: 'react', plugins: () => react(), documented: ['live.ts', 'app.tsx', 'host.tsx'], server: 'server.jsx', edited: 'app.tsx', widget: 'host.tsx' },
  { name: 'react', version: '19', plugins: () => react(), documented: ['live.ts', 'app.tsx', 'host.tsx'], server: 'server.jsx', edited: 'app.tsx', widget: 'host.tsx' },
  { name: 'vue', plugins: () => vue(), documented: ['live.ts', 'App.vue', 'Cores.vue', 'Panel.vue', 'Host.vue'], server: 'server.js', edited: 'App.vue', widget: 'Host.vue' },
  { name: 'svelte', plugins: () => svelte({ configFile: false, preprocess: vitePreprocess() }), documented: ['live.ts', 'App.svelte', 'Cores.svelte', 'Panel.svelte', 'Host.svelte'], server: 'server.js', edited: 'App.svelte', widget: 'Host.svelte' }
]

const browser = await launchBrowser(t)

type Topic = ReturnType<Awaited<ReturnType<typeof start>>['live']['topic']>

/** The server of the guides' application: each new session gets a notice at once. */
async function start (t: Test, page?: { html: string, dist: string }) {
  const ranges: string[] = []
  const verdicts: string[] = []
  const closed: string[] = []
  let streams = 0
  let live!: ReturnType<typeof mount>
  const mount = (app: Parameters<Parameters<typeof startServer>[1]['setup']>[0]) => app.tether.stateful('/live', {
    contract,
    on: { 'range.set': (_session, { range }) => { ranges.push(range) } },
    onConnect: (session, { verdict }) => {
      verdicts.push(verdict)
      if (verdict !== 'resumed') session.send('notice', { text: 'welcome' })
    },
    onClose: (_session, reason) => { closed.push(reason) },
    topics: { host: { authorize: (_session, { id }) => id !== 'no' } }
  })
  const server = await startServer(t, {
    fastify: { forceCloseConnections: true },
    setup: async (app) => {
      app.addHook('onRequest', async ({ method, url }) => { if (method === 'GET' && url.startsWith('/live')) streams++ })
      if (page) {
        app.get('/', (_request, reply) => { reply.type('text/html').send(page.html) })
        await app.register(fastifyStatic, { root: join(page.dist, 'assets'), prefix: '/assets/' })
      }
      live = mount(app)
    }
  })
  return { server, live, ranges, verdicts, closed, streams: () => streams }
}

async function openPage (t: Test, url: string): Promise<{ page: Page, complaints: string[], asked: string[] }> {
  const context = await browser.newContext()
  t.teardown(() => context.close())
  context.setDefaultTimeout(patienceMs)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (entry) => { if (entry.type() === 'error' || entry.type() === 'warning') complaints.push(entry.text()) })
  page.on('pageerror', (error) => complaints.push(String(error)))
  const asked: string[] = []
  page.on('request', (request) => {
    for (const { event, data } of [JSON.parse(request.postData() ?? '[]')].flat()) if (/^tether\.(un)?subscribe$/.test(event)) asked.push(`${event.slice(7)} ${data.params.id}`)
  })
  await page.goto(url)
  return { page, complaints, asked }
}

/** Waits until a part of the page has a text, each paragraph of it in turn. */
async function says (page: Page, selector: string, text: string): Promise<void> {
  await page.waitForFunction(`document.querySelector(${JSON.stringify(selector)})?.innerText.trim().replaceAll(/\\s+/g, ' ') === ${JSON.stringify(text)}`)
    .catch(async () => { throw new Error(`${selector} does not say ${text}: ${await page.content()}`) })
}

for (const framework of frameworks) {
  const title = [framework.name, framework.version].join(' ').trim()
  t.test(`${title}: the application of the guide, rendered on a server, built and in a browser`, async (t) => {
    const built = await buildPages(copyPages(t, framework), framework.server)
    t.match(built.html, 'Nothing to say')
    t.match(built.html, /idle/)
    t.match(built.html, /a(<!-- -->)?: wait/)
    const { server, live, ranges, verdicts, closed, streams } = await start(t, built)
    t.equal(streams(), 0, 'a server that renders opens nothing')
    const [a, b, busy] = ['a', 'b', 'busy'].map((id) => live.topic('host', { id })) as [Topic, Topic, Topic]
    for (const core of [0, 1]) a.publish('cpu', { core, load: core / 4 })
    b.publish('cpu', { core: 0, load: 1 })

    const { page, complaints, asked } = await openPage(t, server.origin)
    await says(page, '.state', 'open new')
    await says(page, '.notice', 'welcome')
    await says(page, '#probe', 'welcome 0 1 0')
    t.equal(streams(), 1, 'one stream for all providers and components')
    if (framework.name === 'react') t.match(await page.evaluate('reactVersion'), new RegExp(`^${framework.version ?? 18}\\.`))
    t.same(complaints, [], 'hydration fits')

    await t.test('an event', async () => {
      await page.click('button')
      await until(() => ranges.length === 1, 'the event')
    })

    await t.test('components that show one topic make one subscription', async (t) => {
      await says(page, '#hosts', 'a: 0 25 % a: 0 25 % no: TETHER_REFUSED')
      t.same([...asked].sort(), ['subscribe a', 'subscribe busy', 'subscribe no'])
      t.equal(live.stats.subscriptions, 2)
      a.publish('alert', 'hot')
      await says(page, '#hosts', 'a: 0 25 % hot a: 0 25 % hot no: TETHER_REFUSED')
    })

    await t.test('a component whose parameters change shows no value of before', async () => {
      await page.evaluate('showHosts(["a", "b"])')
      await says(page, '#hosts', 'a: 0 25 % hot b: 100 %')
      await until(() => a.size === 1 && b.size === 1, 'both subscriptions')
      await page.evaluate('showHosts(["b"])')
      await says(page, '#hosts', 'b: 100 %')
      await until(() => a.size === 0, 'the end of a subscription')
    })

    await t.test('a component that comes late to a topic has its retained values', async () => {
      await page.evaluate('showHosts(["b", "b"])')
      await says(page, '#hosts', 'b: 100 % b: 100 %')
    })

    await t.test('a subscription that is taken back', async () => {
      b.revoke([...live.sessions][0]!)
      await says(page, '#hosts', 'b: TETHER_REVOKED b: TETHER_REVOKED')
      await page.evaluate('showHosts([])')
      await says(page, '#hosts', '')
      await page.evaluate('showHosts(["b"])')
      await says(page, '#hosts', 'b: 100 %')
    })

    await t.test('a component that comes late has the newest value', async (t) => {
      t.match(await page.locator('#late').textContent(), /waits|nothing/)
      await page.evaluate('showLate()')
      await says(page, '#late', 'welcome')
    })

    await t.test('a value for each key', async () => {
      for (const core of [0, 1]) live.broadcast('cpu', { core, load: core / 4 })
      await says(page, 'li:nth-child(2)', '1: 25 %')
      await says(page, '#probe', 'welcome 2 1 0')
    })

    await t.test('1,000 updates a second, drawn at most once a frame', async (t) => {
      await page.evaluate('watched.watchFrames()')
      const drawn = await page.evaluate('watched.draws') as number
      const startedAt = performance.now()
      let sent = 0
      while (sent < 1_000) {
        for (const due = Math.min(1_000, performance.now() - startedAt); sent < due; sent++) {
          live.broadcast('notice', { text: String(sent) })
          live.broadcast('cpu', { core: sent % 8, load: 0 })
          busy.publish('alert', String(sent))
        }
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
      live.broadcast('notice', { text: 'end' })
      await says(page, '#probe', 'end 8 1002 1000')
      await says(page, '.notice', 'end')
      const { draws, frames, mostInFrame } = await page.evaluate('watched') as Record<'draws' | 'frames' | 'mostInFrame', number>
      t.equal(mostInFrame, 1, `${draws - drawn} times in ${frames} frames`)
      t.ok(draws - drawn > 3 && draws - drawn <= frames, `${draws - drawn} times in ${frames} frames`)
    })

    await t.test('a lost line', async (t) => {
      const session = await page.evaluate('live.session')
      server.app.server.closeAllConnections()
      await until(() => verdicts.length === 2, 'the next stream')
      await says(page, '.state', 'open resumed')
      t.equal(await page.evaluate('live.session'), session)
      t.equal(verdicts.at(-1), 'resumed')
      live.broadcast('notice', { text: 'back' })
      await says(page, '#probe', 'back 8 1003 1000')
    })

    await t.test('a new session has the subscriptions of the page', async () => {
      const [session] = live.sessions
      b.publish('cpu', { core: 0, load: 0.5 })
      await says(page, '#hosts', 'b: 50 %')
      session!.close('closed', { reconnect: true })
      await until(() => b.size === 1 && [...live.sessions][0] !== session, 'the new session')
      b.publish('cpu', { core: 1, load: 0.75 })
      await says(page, '#hosts', 'b: 50 75 %')
      await says(page, '.state', 'open expired')
      closed.length = 0
    })

    await t.test('a connection of a component ends with it', async (t) => {
      const before = streams()
      await page.evaluate('showOwn(true)')
      await says(page, '#own', 'welcome')
      t.equal(streams() - before, 1, 'one stream, also in StrictMode')
      t.equal(live.stats.sessions, 2)
      const session = await page.evaluate('own.session')
      t.not(session, await page.evaluate('live.session'))
      await page.evaluate('showOwn(false)')
      await until(() => closed.length === 1, 'the end of the session')
      t.same(closed, ['left'])
      t.equal(await page.evaluate('own?.state ?? "closed"'), 'closed')
    })
    t.same(complaints.filter((complaint) => !complaint.includes('net::')), [])
  })

  t.test(`${title}: an edit while one develops keeps the session`, async (t) => {
    const pages = copyPages(t, framework)
    const { server, live, streams } = await start(t)
    const { page } = await openPage(t, await servePages(t, pages, server.origin))
    await says(page, '.state', 'open new')
    await says(page, '.notice', 'welcome')
    const session = await page.evaluate('live.session')
    t.equal(streams(), 1)
    const file = join(pages.folder, framework.edited)
    writeFileSync(file, readFileSync(file, 'utf8').replace('One hour', 'An hour'))
    await says(page, 'button', 'An hour')
    live.broadcast('notice', { text: 'after the edit' })
    await says(page, '.notice', 'after the edit')
    t.equal(await page.evaluate('live.session'), session)
    await page.evaluate('showHosts(["a", "a"])')
    const topic = live.topic('host', { id: 'a' })
    topic.publish('alert', 'kept')
    await says(page, '#hosts', 'a: % kept a: % kept')
    const widget = join(pages.folder, framework.widget)
    writeFileSync(widget, readFileSync(widget, 'utf8').replaceAll(' % ', ' per cent '))
    await says(page, '#hosts', framework.name !== 'svelte' ? 'a: per cent kept a: per cent kept' : 'a: per cent a: per cent')
    t.equal(topic.size, 1)
    t.equal(streams(), 1, 'the stream has lasted')

    // The module of the connection itself: then the page has another one, and the old one has ended.
    const module = join(pages.folder, 'live.ts')
    writeFileSync(module, `${readFileSync(module, 'utf8')}\nexport const edited = true\n`)
    await until(() => streams() >= 2, 'the stream of the new connection')
    await says(page, '.notice', 'welcome')
    await until(() => live.stats.connected === 1, 'the end of the old connection')
  })
}
