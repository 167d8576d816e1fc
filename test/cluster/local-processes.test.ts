import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../e2e/harness/until.ts'
import { effort } from '../harness/effort.ts'
import { LocalEngine } from '../../plugin/cluster/local/local-engine.ts'
import { LocalProcess } from './harness/local-process-handle.ts'
import { defaultLocal } from './harness/local-settings.ts'
import { makeDirectory, settingsFor } from './harness/local-under-test.ts'

const application = { name: 'shop', logMs: 60_000 }

/** For the long run alone: each process costs a second to start. */
function testAtLength (name: string, run: (t: Test) => Promise<void>): void {
  if (effort > 1) t.test(name, run)
}

class Host {
  readonly directory: string
  readonly processes: LocalProcess[] = []
  readonly #isDurable: boolean
  #started = 0

  constructor (t: Test, isDurable = true) {
    const ends: Array<() => unknown> = []
    t.teardown(async () => { for (const end of ends.reverse()) await end() })
    this.directory = makeDirectory({ after: (end) => { ends.push(end) } })
    ends.push(() => Promise.all(this.processes.map((one) => one.kill())))
    this.#isDurable = isDurable
  }

  /** Starts processes at the same time, and waits until all are up. */
  async start (count: number): Promise<LocalProcess[]> {
    const started = Array.from({ length: count }, () => new LocalProcess(this.directory, application.name, `n${++this.#started}`, this.#isDurable))
    this.processes.push(...started)
    return await Promise.all(started.map((one) => one.up()))
  }

  async serving (): Promise<LocalProcess[]> {
    const alive = this.processes.filter((one) => one.isUp)
    const answers = await Promise.all(alive.map((one) => one.call('serving')))
    return alive.filter((_one, index) => answers[index])
  }

  async kill (one: LocalProcess): Promise<void> {
    this.processes.splice(this.processes.indexOf(one), 1)
    await one.kill()
  }
}

t.test('of several that start at once, one serves, and all are joined', async (t) => {
  const host = new Host(t)
  for (let round = 0; round < 2; round++) {
    const processes = await host.start(4)
    t.equal((await host.serving()).length, 1, 'one serves')
    await Promise.all(processes.map((one) => one.call('append', `${round}:${one.node}`)))
    for (const one of processes) await until(() => one.entries.filter((entry) => entry.startsWith(`${round}:`)).length === 4, 'all entries')
    for (const one of processes) t.same(one.entries.filter((entry) => entry.startsWith(`${round}:`)), processes[0]!.entries.filter((entry) => entry.startsWith(`${round}:`)))
    if (round === 0) await processes[0]!.call('put', 'kept', 'value', null)
    else t.equal((await processes[0]!.call('get', 'kept')).value, 'value', 'the next ones have what the dead ones wrote')
    // The next round finds sockets to which nobody listens.
    for (const one of processes) await host.kill(one)
    t.ok(readdirSync(host.directory).some((file) => file.endsWith('.sock')), 'a dead socket is left')
  }
})

t.test('the process that serves is killed under load: nothing that was acknowledged is lost, and nothing is forgotten', async (t) => {
  const host = new Host(t)
  await host.start(3)
  for (let round = 0; round < effort; round++) {
    const [server] = await host.serving() as [LocalProcess]
    const others = host.processes.filter((one) => one !== server)
    const loads = others.map((one) => one.call('load', 400))
    // The server's own load ends with it.
    server.call('load', 400).catch(() => {})
    await until(() => host.processes.every((one) => one.appended.length > 20), 'the load')
    const before = new Map(others.map((one) => [one, one.states.length]))
    await host.kill(server)
    await until(() => others.every((one) => one.states.slice(before.get(one)).includes('down') && one.isUp), 'the others are up again')
    await Promise.all(loads)
    t.equal((await host.serving()).length, 1)
    const [one, two] = others as [LocalProcess, LocalProcess]
    await one.call('append', `mark:${round}`)
    for (const other of others) {
      await until(() => other.entries.includes(`mark:${round}`), 'the mark')
      t.notOk(other.states.includes('forgot'), 'nothing was forgotten')
    }
    const log = await two.call('range') as string[]
    const known = new Set(log)
    const reported = others.map((other) => new Set(other.entries))
    for (const acknowledged of [server, ...others]) {
      t.same(acknowledged.appended.filter((entry) => !known.has(entry)), [], 'acknowledged entries are in the log')
      for (const set of reported) t.same(acknowledged.appended.filter((entry) => !set.has(entry)), [], 'and were reported')
      const read = await Promise.all(acknowledged.written.slice(-50).map((key) => two.call('get', key)))
      t.same(acknowledged.written.slice(-50).filter((_key, index) => read[index] === null), [], 'acknowledged records are there')
    }
    t.same(unique(one.entries), unique(two.entries), 'in one order')
    await host.start(1)
    for (const one of host.processes) one.appended.length = one.written.length = one.entries.length = 0
  }
})

testAtLength('without a file, the others learn that the hub which is killed takes its memory with it', async (t) => {
  const host = new Host(t, false)
  await host.start(3)
  const [server] = await host.serving() as [LocalProcess]
  const others = host.processes.filter((one) => one !== server)
  await others[0]!.call('put', 'lost', 'value', null)
  await host.kill(server)
  await until(() => others.every((one) => one.states.length >= 4 && one.isUp), 'the others are up again')
  for (const one of others) t.same(one.states, ['up', 'down', 'forgot', 'up'])
  t.equal(await others[1]!.call('get', 'lost'), null)
  t.notOk(readdirSync(host.directory).some((file) => file.endsWith('.memory')), 'no file')
})

t.test('the process that serves leaves: the next one has all of its memory', async (t) => {
  const host = new Host(t)
  await host.start(2)
  const [server] = await host.serving() as [LocalProcess]
  const [other] = host.processes.filter((one) => one !== server) as [LocalProcess]
  await server.call('renew', 60_000)
  await other.call('renew', 60_000)
  const revision = await server.call('put', 'kept', 'value', null)
  for (let index = 0; index < 10; index++) await server.call('append', `e:${index}`)
  await server.call('close')
  await until(() => other.states.includes('down') && other.isUp, 'up again')
  t.same(other.states, ['up', 'down', 'up'])
  t.same(await other.call('get', 'kept'), { revision, value: 'value' })
  t.same(await other.call('nodes'), [other.node], 'who left is listed no more, who stays still is')
  t.same(await other.call('range'), Array.from({ length: 10 }, (_, index) => `e:${index}`))
  t.same(unique(other.entries), Array.from({ length: 10 }, (_, index) => `e:${index}`))
  const next = await other.call('put', 'kept', 'again', revision)
  t.type(next, 'string')
  t.equal(await other.call('put', 'kept', 'late', revision), null, 'an old revision')
})

t.test('the process that serves stops for longer than the deadline, and goes on: nobody takes over, nothing is lost', async (t) => {
  const host = new Host(t)
  await host.start(3)
  const [server] = await host.serving() as [LocalProcess]
  const others = host.processes.filter((one) => one !== server)
  await others[0]!.call('put', 'kept', 'value', null)
  await others[0]!.call('append', 'before')
  for (const one of others) await until(() => one.entries.includes('before'), 'the entry')
  await server.freeze()
  const startedAt = performance.now()
  await t.rejects(others[0]!.call('append', 'doubtful'), /gave no answer|broken the connection/)
  t.ok(performance.now() - startedAt < defaultLocal.deadlineMs * 2 + 5_000, 'within the deadline')
  for (const one of others) await until(() => one.states.at(-1) === 'down', 'down')
  await new Promise((resolve) => setTimeout(resolve, defaultLocal.deadlineMs * 3))
  for (const one of others) t.same(one.states, ['up', 'down'])
  server.thaw()
  for (const one of others) await until(() => one.isUp, 'up again')
  await until(() => server.isUp, 'its own node')
  t.same(await host.serving(), [server])
  t.equal((await others[1]!.call('get', 'kept')).value, 'value')
  await others[1]!.call('append', 'after')
  for (const one of host.processes) {
    await until(() => one.entries.includes('after'), 'the next entry')
    t.notOk(one.states.includes('forgot'))
  }
  t.same(unique(others[0]!.entries), unique(others[1]!.entries))
})

testAtLength('a node that stops delays nobody, and gets all that it missed', async (t) => {
  const host = new Host(t)
  await host.start(3)
  const [server] = await host.serving() as [LocalProcess]
  const [stopped, other] = host.processes.filter((one) => one !== server) as [LocalProcess, LocalProcess]
  await stopped.freeze()
  const large = 'x'.repeat(20_000)
  for (let index = 0; index < 200; index++) await other.call('append', `${index}:${large}`)
  t.same(other.states, ['up'])
  stopped.thaw()
  await until(() => stopped.entries.length >= 200, 'all entries')
  t.same(unique(stopped.entries), unique(other.entries))
  t.notOk(stopped.states.includes('forgot'))
})

testAtLength('a hub whose socket somebody removes gives way', async (t) => {
  const host = new Host(t)
  const [first] = await host.start(1) as [LocalProcess]
  await first.call('put', 'old', 'value', null)
  for (const file of readdirSync(host.directory)) rmSync(join(host.directory, file))
  const [second] = await host.start(1) as [LocalProcess]
  await until(() => first.states.includes('down') && first.isUp, 'it has moved')
  await first.call('append', 'joined')
  await until(() => second.entries.includes('joined'), 'both are joined')
  t.equal((await host.serving()).length, 1)
  t.ok(first.states.includes('forgot'), 'what it had was removed with the socket')
})

testAtLength('a hub whose directory somebody removes makes it again', async (t) => {
  const host = new Host(t)
  const [first] = await host.start(1) as [LocalProcess]
  rmSync(host.directory, { recursive: true })
  await until(() => first.states.includes('down') && first.isUp, 'it is up again')
  const [second] = await host.start(1) as [LocalProcess]
  await first.call('append', 'joined')
  await until(() => second.entries.includes('joined'), 'both are joined')
})

t.test('a directory in which others may put sockets is refused by name', async (t) => {
  const { directory } = new Host(t)
  const silent = { entry () {}, message () {}, up () {}, down () {}, forgot () {} }
  const open = async (folder: string) => {
    const engine = new LocalEngine(settingsFor(folder), application)
    try {
      await engine.open('node', silent)
    } finally {
      await engine.close()
    }
  }
  const shared = join(directory, 'shared')
  mkdirSync(shared)
  chmodSync(shared, 0o777)
  await t.rejects(open(shared), { code: 'FST_ERR_TETHER_OPTION', message: /option "directory" of local\(\).*can be written by other users/ })
  writeFileSync(join(directory, 'file'), '')
  await t.rejects(open(join(directory, 'file')), { code: 'FST_ERR_TETHER_OPTION' })
  await t.rejects(open(join(directory, 'x'.repeat(100))), { code: 'FST_ERR_TETHER_OPTION', message: /path of \d+ bytes/ })
  await open(join(directory, 'new', 'folder'))
  t.ok(existsSync(join(directory, 'new', 'folder')), 'it is made')
  t.throws(() => new LocalEngine(settingsFor(directory), { name: 'a/b', logMs: 1 }), { code: 'FST_ERR_TETHER_OPTION', message: /name/ })
})

t.test('what listens at the place of a hub and is none is given up again and again, and the calls reject', async (t) => {
  const { directory } = new Host(t)
  let connections = 0
  const stranger = createServer((socket) => {
    connections++
    socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  await new Promise<void>((resolve) => stranger.listen(join(directory, `${application.name}.7.sock`), resolve))
  t.teardown(() => { stranger.close() })
  const engine = new LocalEngine(settingsFor(directory), application)
  const states: string[] = []
  await engine.open('node', { entry () {}, message () {}, up: () => { states.push('up') }, down: () => { states.push('down') }, forgot () {} })
  t.teardown(() => engine.close())
  await until(() => connections > 2, 'it tries again')
  await t.rejects(engine.append(Buffer.from('x')), { code: 'FST_ERR_TETHER_ENGINE' })
  t.same(states, [])
})

/** First reports of each. */
function unique (entries: readonly string[]): string[] {
  return [...new Set(entries)]
}
