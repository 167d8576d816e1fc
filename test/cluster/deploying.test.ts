import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { connect, type Connection } from '../../client/index.ts'
import { nats } from '../../plugin/entries/nats.ts'
import { redis } from '../../plugin/entries/redis.ts'
import { engineContract } from '../../plugin/entries/contract-tests.ts'
import { until, within } from '../e2e/harness/until.ts'
import { effort } from '../harness/effort.ts'
import { freePort } from '../harness/free-port.ts'
import { documented, replaced } from '../proxies/harness/documented.ts'
import { NatsServer } from './harness/nats.ts'
import { newer } from './harness/nats-under-test.ts'
import { clientKinds } from './harness/redis-clients.ts'
import { startRedis } from './harness/redis-process.ts'

t.setTimeout(120_000)

/** Stops and starts of whole processes take most of a minute. */
const isShort = effort === 1 && 'in the long run'

// The program, settings and units of docs/deploying.md, as they stand there.
const root = fileURLToPath(new URL('../..', import.meta.url))
const program = documented('js server')
const pm2 = documented('js pm2')
const service = documented('ini service')
const kubernetes = documented('yaml kubernetes')

const number = (text: string, pattern: RegExp) => Number(pattern.exec(text)![1]!.replaceAll('_', ''))
const stopMs = number(program, /timeoutMs: ([\d_]+)/) + 4_000
const killTimeoutMs = number(pm2, /kill_timeout: ([\d_]+)/)

const contract = `
import { defineContract } from 'fastify-tether'
import { Type } from '@sinclair/typebox'
export const contract = defineContract({
  events: { say: Type.Object({ text: Type.String() }) },
  updates: { said: Type.Object({ text: Type.String(), count: Type.Integer() }) }
})`

/** What PM2 does in its cluster mode: processes that share a port; a new one, then \`SIGINT\` to the old one. */
const supervisor = `
import cluster from 'node:cluster'
cluster.setupPrimary({ exec: 'server.js' })
const start = () => new Promise((resolve, reject) => {
  const worker = cluster.fork()
  worker.on('message', (message) => { if (message === 'ready') resolve(worker) })
  worker.on('exit', (code) => { reject(new Error('a process ended by ' + code)) })
})
let workers = await Promise.all([start(), start()])
process.send('started')
process.on('message', async () => {
  for (const old of workers) {
    const fresh = await start()
    workers = workers.map((worker) => worker === old ? fresh : worker)
    let isKilled = false
    const timer = setTimeout(() => { isKilled = true; old.process.kill('SIGKILL') }, ${killTimeoutMs})
    const exited = new Promise((resolve) => { old.once('exit', resolve) })
    old.process.kill('SIGINT')
    const code = await exited
    clearTimeout(timer)
    if (isKilled || code !== 0) process.send('an old process was killed, or ended by ' + code)
  }
  process.send('reloaded')
})`

function makeFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'tether-deploying-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const fitted = (code: string) => code
    .replace('\'fastify-tether\'', JSON.stringify(join(root, 'plugin/index.ts')))
    .replace(/'fastify-tether\/(local|redis)'/g, (_, name: string) => JSON.stringify(join(root, `plugin/entries/${name}.ts`)))
  for (const [name, code] of Object.entries({ 'server.js': program, 'contract.js': contract, 'supervisor.js': supervisor })) writeFileSync(join(folder, name), fitted(code))
  mkdirSync(join(folder, 'run'), { mode: 0o700 })
  return folder
}

/** Environment without what the test runner adds, and with tsx for the library's sources. */
function environment (folder: string, port: number): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env
  return { ...inherited, NODE_OPTIONS: `--import ${JSON.stringify(import.meta.resolve('tsx'))}`, PORT: String(port), RUNTIME_DIRECTORY: join(folder, 'run'), REDIS_URL: '' }
}

/** A page that says numbers all the time, and what it got. */
function startPage (t: Test, port: number) {
  const live: Connection<any> = connect(`http://127.0.0.1:${port}/live`, { retryMs: 50, retryMaxMs: 500 })
  const verdicts: unknown[] = []
  const counts: number[] = []
  const refused: unknown[] = []
  const life = new AbortController()
  let said = 0
  live.onState((state, { verdict }) => { if (state === 'open') verdicts.push(verdict) })
  live.onGap(() => verdicts.push('a gap'))
  live.on('said', (data) => { counts.push((data as { count: number }).count) })
  const talk = async () => {
    while (!life.signal.aborted) {
      said++
      await live.emit('say', { text: 'mine' }).catch((error: unknown) => refused.push(error))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const talking = talk()
  t.teardown(() => live.close())
  return {
    verdicts,
    /** Stops, and gives the session's own count of each event. */
    async stop () {
      life.abort()
      await talking
      await until(() => counts.length === said, 'all updates', 10_000)
      return { counts, expected: Array.from({ length: said }, (_, index) => index + 1), refused }
    }
  }
}

function endWith (t: Test, child: ChildProcess): void {
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  })
}

t.test('supervisors wait for longer than a stop takes', async (t) => {
  t.ok(killTimeoutMs >= stopMs, 'PM2')
  t.ok(number(service, /TimeoutStopSec=(\d+)/) * 1_000 >= stopMs, 'systemd')
  const preStopMs = number(kubernetes, /sleep, '(\d+)'/) * 1_000
  t.ok(number(kubernetes, /terminationGracePeriodSeconds: (\d+)/) * 1_000 >= preStopMs + stopMs, 'Kubernetes')
  for (const path of kubernetes.matchAll(/path: (\S+),/g)) t.match(program, `app.get('${path[1]!}'`)
  t.match(service, /RuntimeDirectoryPreserve=yes/)
})

t.test('processes that share a port by node:cluster are reloaded as PM2 does, and the page loses nothing', { skip: isShort }, async (t) => {
  const folder = makeFolder(t)
  const port = await freePort()
  const child = spawn(process.execPath, ['supervisor.js'], { cwd: folder, env: environment(folder, port), stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  endWith(t, child)
  const messages: unknown[] = []
  child.on('message', (message) => messages.push(message))
  await until(() => messages.includes('started'), 'the processes', 30_000)
  const page = startPage(t, port)
  await until(() => page.verdicts.length > 0, 'the page')
  child.send('reload')
  await until(() => messages.at(-1) === 'reloaded', 'the reload', 60_000)
  const { counts, expected, refused } = await page.stop()
  t.strictSame(messages, ['started', 'reloaded'])
  t.strictSame(refused, [])
  t.strictSame(counts, expected, 'each event ran once, in one session')
  t.strictSame(page.verdicts.slice(0, 1), ['new'])
  t.ok(page.verdicts.length > 1 && page.verdicts.slice(1).every((verdict) => verdict === 'resumed'), 'the rest resumed')
})

t.test('a process is restarted as systemd does, while its socket stays', { skip: isShort }, async (t) => {
  const folder = makeFolder(t)
  const holder = createServer()
  holder.listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const { fd } = (holder as unknown as { _handle: { fd: number } })._handle
  // The shell keeps the socket open, and starts the program again.
  const shell = spawn('sh', ['-c', 'while :; do "$0" server.js & echo $!; wait $!; done', process.execPath], { cwd: folder, env: { ...environment(folder, 1), LISTEN_FDS: '1' }, stdio: ['ignore', 'pipe', 'inherit', fd] })
  holder.close()
  let output = ''
  shell.stdout!.setEncoding('utf8').on('data', (text: string) => { output += text })
  const pids = () => output.trim().split('\n').filter((line) => /^\d+$/.test(line)).map(Number)
  t.teardown(() => {
    shell.kill('SIGKILL')
    try { process.kill(pids().at(-1)!, 'SIGKILL') } catch { /* It has ended. */ }
  })
  // Its connection waits until the program is there.
  const page = startPage(t, port)
  await until(() => page.verdicts.length > 0, 'the page', 30_000)
  const startedAt = performance.now()
  process.kill(pids()[0]!, 'SIGTERM')
  await until(() => pids().length === 2, 'the next process', 30_000)
  t.ok(performance.now() - startedAt < stopMs)
  await until(() => page.verdicts.length > 1, 'the page again', 30_000)
  const { counts, expected, refused } = await page.stop()
  t.strictSame(refused, [])
  // The only process takes the hub's memory to its file, and the next one reads it.
  t.strictSame(page.verdicts.slice(0, 2), ['new', 'resumed'])
  t.strictSame(counts, expected)
})

/** The cases of the contract that use all commands, and no faults. */
function casesOf (underTest: Parameters<typeof engineContract>[0]) {
  return engineContract(underTest).filter(({ name }) => !/flood|bounded|neither connection|frozen|slow|deadline/.test(name))
}

t.test('the Redis settings: the user may do what the engine does', async (t) => {
  const password = 'change-this'
  const lines = documented('conf redis').trim().split('\n')
  const user = lines.at(-1)!
  t.match(user, password)
  const folder = mkdtempSync(join(tmpdir(), 'tether-redis-conf-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'redis.conf')
  // The port is another one, and the test has a folder of its own.
  writeFileSync(file, lines.filter((line) => !/^port/.test(line)).join('\n'))
  const server = await startRedis({ after: (end) => { t.teardown(end) } }, { conf: file })
  const settings = Object.fromEntries(lines.slice(1, -1).map((line) => line.split(' ') as [string, string]))
  t.equal((await server.admin.config('GET', 'maxmemory-policy') as string[])[1], settings['maxmemory-policy'])
  t.equal((await server.admin.config('GET', 'appendfsync') as string[])[1], settings.appendfsync)
  const commandsAsked = async () => new Set([...(await server.admin.info('commandstats')).matchAll(/^cmdstat_([^:]+):/gm)].map(([, name]) => name!))
  await server.admin.call('ACL', 'LOG', 'RESET')
  await server.admin.config('RESETSTAT')
  for (const { name, client } of clientKinds) {
    const given = client(server.port, { username: 'shop', password })
    const cases = casesOf({ name, can: { durable: true, due: true, journal: true }, faults: [], deadlineMs: 5_000, queue: { count: 1_000, bytes: 4_000_000 }, start: async () => ({ node: (application) => ({ engine: redis(given, { deadlineMs: 5_000, maxCalls: 1_000, maxCallBytes: 4_000_000 }).engineFor(application) }) }) })
    // All cases with one client; the others differ in how they connect.
    for (const each of name === 'ioredis 6' ? cases : cases.slice(0, 1)) await t.test(`${name}: ${each.name}`, () => each.run())
  }
  t.strictSame((await server.admin.call('ACL', 'LOG') as unknown[][]).map((entry) => entry[7]).filter((what) => what !== 'client|setinfo'), [], 'nothing was refused')
  const asked = await commandsAsked()
  const allowed = [...user.matchAll(/\+([\w|]+)/g)].map(([, name]) => name!)
  // For clients with further settings: a database, a name.
  const further = /^(select|quit|ping|client\|setname|auth)$/
  t.strictSame(allowed.filter((name) => !asked.has(name) && !further.test(name)), [], 'each right is used')
  const stranger = new Redis({ port: server.port, host: '127.0.0.1', username: 'shop', password })
  t.teardown(() => stranger.disconnect())
  const forbidden: Array<[string, ...string[]]> = [['GET', 'other'], ['CONFIG', 'GET', '*'], ['FLUSHALL'], ['KEYS', '*'], ['PUBLISH', 'a', 'b']]
  for (const command of forbidden) {
    await t.rejects(stranger.call(...command), /NOPERM/, command.join(' '))
  }
})

t.test('the NATS settings: the user may do what the engine does', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tether-nats-conf-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'nats.conf')
  writeFileSync(file, replaced(documented('conf nats'), { 'listen: 127.0.0.1:4222\n': '', '  store_dir: /var/lib/nats\n': '' }))
  const server = await NatsServer.start((end) => { t.teardown(end) }, ['-c', file], false)
  const cases = casesOf({ name: 'nats', can: { durable: true, due: true, journal: true }, faults: [], deadlineMs: 5_000, queue: { count: 1_000, bytes: 8_000_000 }, start: async () => ({ node: ({ logMs }) => ({ engine: nats(() => newer(server.port, { user: 'shop', pass: 'change-this' })).engineFor({ name: 'shop', logMs }) }) }) })
  const told = cases.filter(({ name }) => /any bytes pass|created once/.test(name))
  t.ok(told.length > 0)
  for (const { name, run } of told) await t.test(name, () => within(Promise.resolve(run()), name, 60_000))
})
