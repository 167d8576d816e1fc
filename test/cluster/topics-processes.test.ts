// One producer for all processes: one is stopped and wakes again, one is killed.
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { local } from '../../plugin/entries/local.ts'
import { RawResponse } from '../e2e/harness/raw-response.ts'
import { StreamReader, type Reader } from '../e2e/harness/reader.ts'
import { until } from '../e2e/harness/until.ts'
import { makeDirectory } from './harness/local-under-test.ts'
import { stopProcess } from './harness/stopped-process.ts'

const program = fileURLToPath(new URL('harness/producer-process.ts', import.meta.url))
const leaseMs = 1_000

interface Node { readonly child: ChildProcess, readonly told: string[], port: number, reader: Reader }

async function start (t: Test, directory: string, name: string): Promise<Node> {
  const child = fork(program, [directory, name, String(leaseMs)], { execArgv: ['--import', 'tsx'] })
  const node: Node = { child, told: [], port: 0, reader: null as never }
  t.teardown(async () => {
    node.reader?.destroy()
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  })
  child.on('message', (message: Record<string, unknown>) => {
    if ('port' in message) node.port = message.port as number
    else node.told.push(...Object.keys(message))
  })
  await until(() => node.port > 0, 'the process listens')
  node.reader = new StreamReader(new RawResponse(node.port, '/live?topic=host%3Fid%3Da', { accept: 'text/event-stream' }, {}, false))
  return node
}

const logs = ({ reader }: Node) => reader.updates.filter(({ event }) => event === 'log@host?id=a').map(({ data }) => JSON.parse(data!) as string)
const isRunning = ({ told }: Node) => told.at(-1) === 'started'

t.test('a producer whose process stops publishes nothing when it wakes; one that is killed has a successor', async (t) => {
  const directory = makeDirectory({ after: (end) => { t.teardown(end) } })
  // The hub is served here, since both processes will be gone for a time.
  const hub = local({ directory }).engineFor({ name: 'tether', logMs: 60_000 })
  t.teardown(() => hub.close())
  await hub.open('host', { entry () {}, message () {}, up () {}, down () {}, forgot () {} })
  const [one, two] = await Promise.all([start(t, directory, 'one'), start(t, directory, 'two')]) as [Node, Node]
  await until(() => isRunning(one) || isRunning(two), 'the producer')
  for (const node of [one, two]) await until(() => logs(node).length > 0, 'its updates')
  const [old, next] = isRunning(one) ? [one, two] : [two, one]
  t.notOk(isRunning(next), 'one of both')
  const nameOf = (node: Node) => node === one ? 'one' : 'two'
  const stoppedAt = performance.now()
  await stopProcess(old.child.pid!)
  await until(() => isRunning(next), 'the successor')
  t.ok(performance.now() - stoppedAt < 2 * leaseMs + 10_000, `after ${Math.round(performance.now() - stoppedAt)} ms`)
  await until(() => logs(next).at(-1)?.startsWith(nameOf(next)), 'its updates')
  old.child.kill('SIGCONT')
  await until(() => old.told.at(-1) === 'ended', 'the end of the old one')
  const wokeAt = logs(next).length
  await until(() => logs(next).length > wokeAt + 100, 'more updates')
  const first = logs(next).findIndex((text) => text.startsWith(nameOf(next)))
  t.strictSame(logs(next).slice(first).filter((text) => !text.startsWith(nameOf(next))), [], 'nothing of the old one behind the new one')
  t.strictSame(old.told, ['started', 'ended'])
  await until(() => logs(old).at(-1)?.startsWith(nameOf(next)), 'the page of the old node has the updates of the new one')
  const killedAt = performance.now()
  next.child.kill('SIGKILL')
  await until(() => isRunning(old), 'the old one produces again')
  t.ok(performance.now() - killedAt < 2 * leaseMs + 10_000, `after ${Math.round(performance.now() - killedAt)} ms`)
})
