import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { connect, type Connection } from '../../../client/index.ts'
import { killTimeoutMs, program, stopMs } from '../../cluster/harness/documented-deployment.ts'
import { until } from '../../e2e/harness/until.ts'
import { freePort } from '../../harness/free-port.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

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
      await until(() => counts.length === said, 'all updates')
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

t.test('processes that share a port by node:cluster are reloaded as PM2 does, and the page loses nothing', async (t) => {
  const folder = makeFolder(t)
  const port = await freePort()
  const child = spawn(process.execPath, ['supervisor.js'], { cwd: folder, env: environment(folder, port), stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  endWith(t, child)
  const messages: unknown[] = []
  child.on('message', (message) => messages.push(message))
  await until(() => messages.includes('started'), 'the processes')
  const page = startPage(t, port)
  await until(() => page.verdicts.length > 0, 'the page')
  child.send('reload')
  await until(() => messages.at(-1) === 'reloaded', 'the reload')
  const { counts, expected, refused } = await page.stop()
  t.strictSame(messages, ['started', 'reloaded'])
  t.strictSame(refused, [])
  t.strictSame(counts, expected, 'each event ran once, in one session')
  t.strictSame(page.verdicts.slice(0, 1), ['new'])
  t.ok(page.verdicts.length > 1 && page.verdicts.slice(1).every((verdict) => verdict === 'resumed'), 'the rest resumed')
})

t.test('a process is restarted as systemd does, while its socket stays', async (t) => {
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
  await until(() => page.verdicts.length > 0, 'the page')
  const startedAt = performance.now()
  process.kill(pids()[0]!, 'SIGTERM')
  await until(() => pids().length === 2, 'the next process')
  t.ok(performance.now() - startedAt < stopMs)
  await until(() => page.verdicts.length > 1, 'the page again')
  const { counts, expected, refused } = await page.stop()
  t.strictSame(refused, [])
  // The only process takes the hub's memory to its file, and the next one reads it.
  t.strictSame(page.verdicts.slice(0, 2), ['new', 'resumed'])
  t.strictSame(counts, expected)
})
