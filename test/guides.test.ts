import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import { connect } from '../client/index.ts'
import { webSocketLink } from '../client/websocket-link.ts'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import tether, { conflate, defineContract } from '../plugin/index.ts'
import { serveClient } from './browser/harness/client-page.ts'
import { launchBrowser } from './browser/harness/browser.ts'
import { documented, replaced } from './proxies/harness/documented.ts'
import { until, within } from './e2e/harness/until.ts'
import { freePort } from './harness/free-port.ts'

// What the guides show is run as it stands there, with other addresses.
const root = fileURLToPath(new URL('..', import.meta.url))
const sources: Record<string, string> = {
  'fastify-tether': 'plugin/index.ts',
  'fastify-tether/client': 'client/index.ts',
  'fastify-tether/client/websocket': 'client/websocket-link.ts',
  'fastify-tether/metrics': 'plugin/entries/metrics.ts',
  'fastify-tether/contract-tests': 'plugin/entries/contract-tests.ts'
}

/** Code of a guide, with the library as it is here. */
function fitted (code: string): string {
  return code.replace(/from '(fastify-tether[^']*)'/g, (_, name: string) => `from ${JSON.stringify(join(root, sources[name]!))}`)
}

function makeFolder (t: Test, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'tether-guide-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'test'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  for (const [name, code] of Object.entries(files)) writeFileSync(join(folder, name), fitted(code))
  return folder
}

/** Lines of a guide as a function of what they take for given. */
async function asFunction (t: Test, names: string, lines: string, result = ''): Promise<(...given: unknown[]) => Promise<unknown>> {
  const folder = makeFolder(t, { 'lines.js': `export default async function (${names}) {\n${lines}\nreturn ${result}\n}` })
  return (await import(join(folder, 'lines.js')) as { default: (...given: unknown[]) => Promise<unknown> }).default
}

interface Run { code: number | null, output: string }

/** Runs Node with a program of a guide; it is gone when the test ends. */
function run (t: Test, folder: string, args: string[], env: Record<string, string> = {}): { output: () => string, ended: Promise<Run> } {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...inherited } = process.env
  const child = spawn(process.execPath, ['--import', 'tsx', ...args], { cwd: folder, env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  const ended = new Promise<Run>((resolve) => child.once('close', (code) => resolve({ code, output })))
  t.teardown(() => { child.kill('SIGKILL') })
  return { output: () => output, ended }
}

/** Asks until the answer is the one that is waited for. */
async function asked (url: string, status: number | null, program: { output: () => string }, headers: Record<string, string> = {}): Promise<void> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const answer = await fetch(url, { headers }).catch(() => null)
    await answer?.body?.cancel()
    if (answer !== null && (status === null || answer.status === status)) return
    if (performance.now() > deadline) throw new Error(`waited in vain for ${url}: ${program.output()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function takesConnections (port: number, program: { output: () => string }): Promise<void> {
  return asked(`http://127.0.0.1:${port}/`, null, program)
}

t.test('docs/testing.md: the test of a handler passes, and fails where the handler is wrong', async (t) => {
  const app = documented('js app.js', 'testing')
  const tests = documented('js app.test.js', 'testing')
  const right = makeFolder(t, { 'app.js': app, 'app.test.js': tests })
  const passed = await run(t, right, ['--test', '--test-reporter=tap', 'app.test.js']).ended
  t.equal(passed.code, 0, passed.output)
  t.match(passed.output, /# pass 2\n/)
  const wrong = makeFolder(t, { 'app.js': replaced(app, { 'text.toUpperCase()': 'text' }), 'app.test.js': tests })
  const failed = await run(t, wrong, ['--test', '--test-reporter=tap', 'app.test.js']).ended
  t.match(failed.output, /# fail 1\n/)
})

t.test('docs/testing.md: the contract holds for a client of one\'s own, and finds what is wrong with one', async (t) => {
  const tests = documented('js contract.test.js', 'testing')
  const tried = (code: string, ...only: string[]) => run(t, makeFolder(t, { 'contract.test.js': code }), ['--test', '--test-reporter=tap', ...only, 'contract.test.js']).ended
  const passed = await tried(tests)
  t.equal(passed.code, 0, passed.output)
  t.match(passed.output, /# pass \d\d\n# fail 0\n/)
  // It does not say what it has.
  const forgetful = replaced(tests, { '...lastEventId && { \'last-event-id\': lastEventId }': '' })
  const failed = await tried(forgetful, '--test-name-pattern', 'comes back gets|frame by frame')
  t.equal(failed.code, 1)
  t.match(failed.output, /not ok \d+ - node:http: a tab that comes back gets what it missed/)
  t.match(failed.output, /^ok \d+ - node:http: the same text comes, frame by frame/m)
})

t.test('docs/access.md: a page of another origin, with both permissions and with one', async (t) => {
  const browser = await launchBrowser(t)
  const site = Fastify({ forceCloseConnections: true })
  await serveClient(site)
  t.teardown(() => site.close())
  const origin = (await site.listen({ host: '127.0.0.1', port: 0 })).replace('127.0.0.1', 'localhost')
  const program = replaced(documented('js cross-origin', 'access'), { 'https://app.example.com': origin })
  for (const [what, change, state] of [
    ['both', {}, 'open'],
    ['no CORS', { 'origin: pages,': 'origin: false,' }, 'waiting'],
    ['no trust', { '{ trustedOrigins: pages }': '{}' }, 'closed']
  ] as const) {
    const port = await freePort()
    const folder = makeFolder(t, { 'server.js': replaced(program, { 'port: 3000': `port: ${port}, host: '127.0.0.1'`, ...change }) })
    await takesConnections(port, run(t, folder, ['server.js']))
    const page = await browser.newPage()
    await page.goto(`${origin}/page`)
    const lines = replaced(documented('js cross-origin page', 'access'), { 'https://api.example.com': `http://127.0.0.1:${port}`, 'const live = connect(': 'window.live = tether.connect(' })
    await page.evaluate(lines)
    // A page that was too slow to connect tries again.
    await t.resolves(page.waitForFunction(`live.state === "${state}"`), what)
    if (state === 'open') {
      t.equal(await page.evaluate('(async () => { const said = live.once("said"); await live.emit("say", { text: "hello" }); return (await said).text })()'), 'hello')
    }
    await page.close()
  }
})

t.test('docs/access.md: Chromium sends Sec-Fetch-Site to localhost, not to another name over plain http', async (t) => {
  const { startBrowser } = await import('./browser/harness/browser.ts')
  const browser = await startBrowser('--host-resolver-rules=MAP lan.example 127.0.0.1')
  t.teardown(() => browser.close())
  const site = Fastify({ forceCloseConnections: true })
  const seen = new Map<string, unknown>()
  site.get('/', ({ host, headers }, reply) => {
    seen.set(host, headers['sec-fetch-site'])
    reply.type('text/html').send('<link rel="icon" href="data:,">')
  })
  t.teardown(() => site.close())
  const { port } = new URL(await site.listen({ host: '127.0.0.1', port: 0 }))
  const page = await browser.newPage()
  for (const name of ['localhost', 'lan.example']) await page.goto(`http://${name}:${port}/`)
  t.same([...seen], [[`localhost:${port}`, 'none'], [`lan.example:${port}`, undefined]])
})

t.test('docs/access.md: a ticket opens a WebSocket, is good for nothing else, and is in no log', async (t) => {
  const port = await freePort()
  const code = replaced(documented('js tokens', 'access'), { 'port: 3000': `port: ${port}, host: '127.0.0.1'`, "'1m'": "'4s'" })
  const logins = 'app.get(\'/login\', async () => ({ token: app.jwt.sign({ sub: \'ada\' }) }))\nawait app.listen('
  const folder = makeFolder(t, { 'server.js': replaced(code, { 'await app.listen(': logins }) })
  const program = run(t, folder, ['server.js'], { JWT_SECRET: 'one secret of a test', TICKET_SECRET: 'another secret of a test' })
  await takesConnections(port, program)
  const base = `http://127.0.0.1:${port}`
  const { token } = await (await fetch(`${base}/login`)).json() as { token: string }
  const page = await asFunction(t, 'token, connect, webSocketLink, fetch', documented('js tokens page', 'access'), '{ live, ticket }')
  const { live, ticket } = await page(token,
    (path: string, options: object) => connect(`${base}${path}`, { retryMs: 20, retryMaxMs: 50, ...options }),
    () => webSocketLink({ WebSocket: WebSocket as never, openTimeoutMs: 10_000 }),
    (path: string, options: RequestInit) => fetch(`${base}${path}`, options)) as { live: ReturnType<typeof connect>, ticket: string }
  t.teardown(() => live.close())
  const you = live.once('you') as Promise<unknown>
  await live.emit('whoami', {})
  t.same(await within(you, 'the answer'), { id: 'ada' })
  await until(() => program.output().includes('ticket='), 'the request in the log')
  t.notOk(program.output().includes(ticket), 'no log line has the ticket')
  t.match(program.output(), '/live?ticket=…')
  for (const [what, path, headers, status] of [
    ['a ticket is no login', '/ticket', { authorization: `Bearer ${ticket}` }, 401],
    ['no ticket, no header', '/live', {}, 401],
    ['a forged one', '/live?ticket=x.y.z', {}, 401]
  ] as const) {
    const answer = await fetch(`${base}${path}`, { method: path === '/ticket' ? 'POST' : 'GET', headers: { accept: 'text/event-stream', ...headers } })
    t.equal(answer.status, status, what)
    await answer.body?.cancel()
  }
  await asked(`${base}/live?ticket=${ticket}`, 401, program, { accept: 'text/event-stream' })
  // What becomes of a client that has an old ticket: the next stream is an event stream, with the header.
  const late = connect(`${base}/live?ticket=${ticket}`, { link: webSocketLink({ WebSocket: WebSocket as never }), headers: { Authorization: `Bearer ${token}` }, retryMs: 20, retryMaxMs: 50 })
  t.teardown(() => late.close())
  const again = late.once('you') as Promise<unknown>
  await late.emit('whoami', {})
  t.same(await within(again, 'the answer'), { id: 'ada' })
})

/** An application whose routes a guide shows. */
async function started (t: Test, add: (app: FastifyInstance) => unknown): Promise<string> {
  const app = Fastify({ forceCloseConnections: true })
  await app.register(tether)
  await add(app)
  t.teardown(() => app.close())
  return app.listen({ host: '127.0.0.1', port: 0 })
}

t.test('docs/access.md: who is kicked stays out', async (t) => {
  let kick!: (id: string) => Promise<void>
  const base = await started(t, (app) => app.register(async (routes) => {
    routes.decorateRequest('user', null)
    routes.addHook('onRequest', async (request) => { (request as unknown as { user: object }).user = { sub: 'ada' } })
    const live = routes.tether.stateful('/live', { contract: defineContract({}), initialState: () => ({ id: 'ada' }) })
    const lines = await asFunction(t, 'routes, live', documented('js kick', 'access'), 'kick')
    kick = await lines(routes, live) as typeof kick
  }))
  const live = connect(`${base}/live`, { retryMs: 20, retryMaxMs: 50 })
  t.teardown(() => live.close())
  await until(() => live.state === 'open', 'the stream')
  const closed = new Promise((resolve) => live.onState((state, detail) => { if (state === 'closed') resolve(detail) }))
  await kick('ada')
  t.match(await within(closed, 'the end'), { reason: 'kicked' })
  const again = connect(`${base}/live`, { retryMs: 20, retryMaxMs: 50 })
  t.teardown(() => again.close())
  await until(() => again.state === 'closed', 'the refusal')
})

t.test('docs/transports.md: a page is told which transport it has', async (t) => {
  const base = await started(t, async (app) => (await asFunction(t, 'app, defineContract, conflate, Type', documented('js which', 'transports')))(app, defineContract, conflate, Type))
  for (const [options, protocol] of [[{}, 'http/1.1'], [{ link: webSocketLink({ WebSocket: WebSocket as never, openTimeoutMs: 10_000 }) }, 'websocket']] as const) {
    const live = connect(`${base}/live`, options)
    t.teardown(() => live.close())
    t.same(await within(live.once('transport') as Promise<unknown>, 'the update'), { protocol })
  }
})

t.test('docs/chat.md: the route streams an answer, and stops when its client leaves', async (t) => {
  const told: unknown[] = []
  async function * model (question: string, signal: AbortSignal) {
    for (let n = 1; n <= (question === 'short' ? 3 : 1_000); n++) {
      if (signal.aborted) break
      yield `${question} ${n}`
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    told.push(signal.reason)
  }
  const base = await started(t, async (app) => (await asFunction(t, 'app, model', documented('js route', 'chat')))(app, model))
  const text = await (await fetch(`${base}/answer?question=short`)).text()
  t.match(text, /id: 1\ndata: {"token":"short 1"}\n\nid: 2\ndata: {"token":"short 2"}\n\nid: 3\ndata: {"token":"short 3"}\n\nevent: ended\ndata: done\n\n$/)
  const { body } = await fetch(`${base}/answer?question=long`)
  const reader = body!.getReader()
  await reader.read()
  await reader.cancel()
  await until(() => told.length === 2, 'the end of the model')
  t.same(told, [undefined, 'client'])
})

t.test('docs/observing.md: the figures as Prometheus reads them', async (t) => {
  const base = await started(t, async (app) => (await asFunction(t, 'app', documented('js metrics', 'observing')))(app))
  const text = await (await fetch(`${base}/metrics`)).text()
  t.match(text, /^(tether_\w+ \d+\n){7}$/)
})
