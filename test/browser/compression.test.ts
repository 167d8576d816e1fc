import t from 'tap'
import { rowsOfAnySize } from '../e2e/harness/any-size.ts'
import { startLink } from '../e2e/harness/link.ts'
import { startLive } from '../e2e/harness/live.ts'
import { until } from '../e2e/harness/until.ts'
import { launchBrowser } from './harness/browser.ts'
import type { UpgradeOptions } from '../../plugin/index.ts'

const browser = await launchBrowser(t)

const forms: Array<[name: string, compression: NonNullable<UpgradeOptions['compression']>, encoding: string]> = [
  ['shared gzip', true, 'gzip'],
  ['own gzip', { own: 'all' }, 'gzip'],
  // A browser accepts it over TLS and on the machine's own addresses.
  ['own brotli', { own: 'all', encodings: ['br', 'gzip'] }, 'br']
]

for (const [name, compression, encoding] of forms) {
  t.test(`${name}: Chromium's EventSource and fetch have each event as soon as it is sent`, async (t) => {
    const server = await startLive(t, {
      upgrade: { compression, retryMs: 20 },
      fastify: { forceCloseConnections: true },
      setup: (app) => { app.get('/', (_request, reply) => { reply.type('text/html').send('<!doctype html><title>page</title>') }) },
      live: { replayFrames: 1_000, queueBytes: 200_000_000, onConnect: (session, { live }) => { live.group('all').add(session) } }
    })
    const link = await startLink(t, server)
    const context = await browser.newContext()
    t.teardown(() => context.close())
    const page = await context.newPage()
    await page.goto(`http://127.0.0.1:${link.port}/`)
    const encodings: string[] = []
    page.on('response', (response) => {
      if (response.url().endsWith('/live')) encodings.push(response.headers()['content-encoding'] ?? 'none')
    })
    await page.evaluate(`
      window.rows = []
      window.text = ''
      const source = new EventSource('/live')
      source.addEventListener('row', ({ data }) => { rows.push(data) })
      void fetch('/live', { headers: { accept: 'text/event-stream', 'x-tether-session': 'new' } }).then(async ({ body }) => {
        const reader = body.pipeThrough(new TextDecoderStream()).getReader()
        for (;;) {
          const { value, done } = await reader.read()
          if (done) break
          window.text += value
        }
      }).catch(() => {})
    `)
    await until(() => server.live.group('all').size === 2, 'both sessions')
    const sent: string[] = []
    const say = (count: number) => {
      for (let index = 0; index < count; index++) {
        const text = `${sent.length} hëllo 世界 ${'word '.repeat(sent.length * 37 % 300)}`
        sent.push(text)
        server.live.group('all').broadcast('row', text)
      }
    }
    const arrived = (count: number) => page.waitForFunction(`rows.length === ${count}`)
    for (let burst = 0; burst < 8; burst++) {
      say(burst * 3 + 1)
      await arrived(sent.length)
      await page.waitForFunction(`text.includes(${JSON.stringify(`data: ${sent.at(-1)}\n\n`)})`)
    }
    t.same(await page.evaluate('rows'), sent)
    const text = await page.evaluate('text') as string
    t.same(text.split('\n').filter((line) => /^data: \d/.test(line)).map((line) => line.slice(6)), sent)
    t.same(encodings, [encoding, encoding])

    const seed = Math.floor(Math.random() * 2 ** 31)
    t.comment(`seed ${seed}`)
    for (const [index, row] of rowsOfAnySize(16, seed).entries()) {
      sent.push(row)
      // What is made for all, and what is made for each alone.
      if (index % 3 !== 0) server.live.group('all').broadcast('row', row)
      else await Promise.all([...server.live.group('all')].map((session) => session.send('row', row)))
    }
    await arrived(sent.length)
    await page.waitForFunction(`text.endsWith(${JSON.stringify('\n\n')}) && text.split('event: row').length - 1 === ${sent.length}`)
    const read = await page.evaluate('[rows, text.split("event: row\\ndata: ").slice(1).map((rest) => rest.slice(0, rest.indexOf("\\n")))]') as string[][]
    for (const got of read) t.equal(got.findIndex((row, index) => row !== sent[index]), -1, 'of any size up to a megabyte')
    t.same(read.map(({ length }) => length), [sent.length, sent.length])

    // The connection breaks; the browser comes back by itself, where it stopped.
    link.cut()
    say(20)
    await arrived(sent.length)
    t.same(await page.evaluate('rows'), sent)
    t.same(encodings.slice(2), [encoding], 'only the EventSource, as it was')
    const stats = server.app.tether.stats().compression
    t.ok(stats.bytesAfter < stats.bytesBefore, `${stats.bytesBefore} bytes became ${stats.bytesAfter}`)
    t.same(server.errors(), [])
  })
}
