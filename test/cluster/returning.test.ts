// A crowd of sessions comes back at once: after a drain of its node, and after its crash. 10,000 of them in `npm run test:long`.
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { until } from '../e2e/harness/until.ts'
import { effort } from '../harness/effort.ts'
import { startRedis } from './harness/redis-process.ts'
import { Site, type WeatherNode } from './harness/weather-site.ts'

const count = effort === 1 ? 400 : 10_000
const scope = { after: (end: () => unknown) => { t.teardown(end) } }

/** A page that keeps no more of its stream than it needs: there are very many. */
class LightPage {
  session = ''
  verdict = ''
  seq = 0
  goodbye = ''
  readonly texts: string[] = []
  #socket: Socket | null = null
  #buffer = ''
  #isOpen = false

  get isOpen (): boolean { return this.#isOpen }

  /** Asks a node for its session, again and again while it is refused or cut. */
  come (pick: () => WeatherNode): void {
    this.#isOpen = false
    this.#buffer = ''
    this.#socket?.destroy()
    const socket = this.#socket = connect(pick().port, '127.0.0.1')
    socket.on('error', () => {}).on('close', () => {
      if (this.#socket === socket && !this.#isOpen) setTimeout(() => { if (this.#socket === socket) this.come(pick) }, 100 + Math.random() * 400)
    })
    socket.setEncoding('utf8').on('data', (text) => { if (this.#socket === socket) this.#read(String(text)) })
    const claim = this.session === '' ? '' : `last-event-id: ${this.session}.${this.seq}\r\n`
    socket.write(`GET /move HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nconnection: close\r\n${claim}\r\n`)
  }

  leave (): void {
    const socket = this.#socket
    this.#socket = null
    socket?.destroy()
  }

  #read (text: string): void {
    this.#buffer += text
    for (let end = this.#buffer.indexOf('\n\n'); end !== -1; end = this.#buffer.indexOf('\n\n')) {
      this.#block(this.#buffer.slice(0, end))
      this.#buffer = this.#buffer.slice(end + 2)
    }
  }

  #block (block: string): void {
    const data = /^data: (.*)$/m.exec(block)?.[1]
    if (data === undefined) return
    const id = /^id: (.*)$/m.exec(block)?.[1]
    if (id !== undefined) this.seq = Number(id.slice(id.lastIndexOf('.') + 1))
    if (!/^event: tether$/m.test(block)) {
      this.texts.push((JSON.parse(data) as { text: string }).text)
      return
    }
    const control = JSON.parse(data) as { type: string, session: string, verdict: string, seq: number, reason: string }
    if (control.type === 'hello') {
      this.#isOpen = true
      this.session = control.session
      this.verdict = control.verdict
      this.seq = control.seq
    } else if (control.type === 'gap') this.texts.push('GAP')
    else if (control.type === 'goodbye') {
      this.goodbye = control.reason
      this.#isOpen = false
    }
  }
}

t.test(`${count} sessions come back at once, to two nodes`, async (t) => {
  const server = await startRedis(scope)
  // With ten thousand, a node on a busy machine stands still for seconds.
  const leaseMs = effort === 1 ? 3_000 : 10_000
  const site = await Site.of(scope, server.port, { engine: { deadlineMs: 5_000 }, cluster: { leaseMs }, tether: { maxSessions: 2 * count } })
  const [a, b, c] = await site.start(['ioredis', 'ioredis', 'redis']) as [WeatherNode, WeatherNode, WeatherNode]
  const pages = Array.from({ length: count }, () => new LightPage())
  t.teardown(() => { for (const page of pages) page.leave() })
  for (let at = 0; at < count; at += 500) {
    const some = pages.slice(at, at + 500)
    for (const page of some) page.come(() => a)
    await until(() => some.every(({ isOpen }) => isOpen), 'the streams')
  }
  await a.call('broadcast', '/move', ['before'])
  await until(() => pages.every(({ texts }) => texts.length === 1), 'the first update')

  const closed = a.call('close').catch(() => {})
  await until(() => pages.every(({ goodbye }) => goodbye === 'draining'), 'every page is told')
  await b.call('broadcast', '/move', ['between'])
  const drainedAt = performance.now()
  const either = () => Math.random() < 0.5 ? b : c
  for (const page of pages) page.come(either)
  await until(() => pages.every(({ isOpen }) => isOpen), 'all are back')
  t.comment(`${count} sessions were back after ${Math.round(performance.now() - drainedAt)} ms`)
  await closed
  t.strictSame(new Set(pages.map(({ verdict }) => verdict)), new Set(['resumed']))
  await c.call('broadcast', '/move', ['after'])
  await until(() => pages.every(({ texts }) => texts.at(-1) === 'after'), 'the update after it')
  t.equal(pages.filter(({ texts }) => texts.join() === 'before,between,after').length, count, 'none was lost or doubled')
  for (const node of [b, c]) await node.isIn('ready')

  const ofB = new Set(await b.call('sessions', '/move'))
  t.ok(ofB.size > count / 4 && ofB.size < count * 3 / 4, `${ofB.size} at one node`)
  await b.kill()
  const killedAt = performance.now()
  const lost = pages.filter(({ session }) => ofB.has(session))
  for (const page of lost) page.come(() => c)
  await until(() => lost.every(({ isOpen }) => isOpen), 'all have a session again')
  const tookMs = performance.now() - killedAt
  t.comment(`${lost.length} lost sessions had another after ${Math.round(tookMs)} ms`)
  t.strictSame(new Set(lost.map(({ verdict }) => verdict)), new Set(['expired']), 'a crash is told')
  await c.call('broadcast', '/move', ['end'])
  await until(() => pages.every(({ texts }) => texts.at(-1) === 'end'), 'the last update')
  t.notOk(pages.some(({ texts }) => texts.includes('GAP')))
  t.equal((await c.call('sessions', '/move')).length, count)
})
