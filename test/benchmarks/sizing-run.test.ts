import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { readResults } from '../../benchmarks/buffer-sizing/results.ts'
import { until } from '../e2e/harness/until.ts'

const tool = fileURLToPath(new URL('../../benchmarks/buffer-sizing/run.ts', import.meta.url))
/** The smallest that measures something. */
const small = ['--quick', '--write-buffers', '4', '--command-buffers', '64', '--repeats', '20', '--seconds', '1', '--sessions', '1', '--readers', 'fast', '--fan-out', 'none']
const slowMachineMs = 120_000
const onLinux = { skip: process.platform === 'linux' ? false : 'needs /proc' }

t.setTimeout(300_000)

interface Run {
  readonly child: ChildProcess
  readonly folder: string
  readonly output: () => string
  readonly ended: Promise<{ code: number | null, signal: NodeJS.Signals | null }>
}

/** Runs the tool as the leader of a process group of its own, as a shell does. */
function start (t: Test, args: readonly string[]): Run {
  const folder = t.testdir()
  const child = spawn(process.execPath, ['--import', 'tsx', tool, ...args, '--out', folder], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  const ended = new Promise<{ code: number | null, signal: NodeJS.Signals | null }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  t.teardown(() => { child.kill('SIGKILL') })
  return { child, folder, output: () => output, ended }
}

/** Processes of a group that have not ended. */
function members (group: number): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      const [state, , groupOfIt] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
      return Number(groupOfIt) === group && state !== 'Z'
    } catch {
      return false
    }
  })
}

function commandOf (pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

t.test('refuses what cannot be measured, and says why', async (t) => {
  const faults: Array<[string[], RegExp]> = [
    [['--target-p99', '50'], /--target-p99 must be a duration/],
    [['--budget', 'much'], /--budget must be a size/],
    [['--clients', '-1'], /clients/],
    [['--readers', 'frozen'], /--readers names nobody who reads/],
    [['--readers', 'snail'], /--readers takes fast, frozen and speeds/],
    [['--write-buffers', '4,none'], /--write-buffers must be/],
    [['--quick', '--full'], /exclude each other/],
    [['--fan-out', '/no/such/file.json'], /--fan-out: .* cannot be read/],
    [['--from', '/no/such/file.json'], /--from: .* cannot be read/],
    [['--no-such-option'], /no-such-option/]
  ]
  const runs = faults.map(([args, message]) => ({ args, message, run: start(t, args) }))
  for (const { args, message, run } of runs) {
    t.equal((await run.ended).code, 1, args.join(' '))
    t.match(run.output(), message)
    t.notMatch(run.output(), /\n {4}at /, 'no stack')
  }
})

t.test('Ctrl-C keeps what was measured and leaves no process', onLinux, async (t) => {
  const run = start(t, small)
  const group = run.child.pid!
  await until(() => run.output().includes('[3/21]'), 'the second measurement to begin', slowMachineMs)
  t.ok(members(group).length >= 3, 'the tool, the load and the readers run')
  // A terminal sends it to the whole group.
  process.kill(-group, 'SIGINT')
  t.equal((await run.ended).code, 130)
  await until(() => members(group).length === 0, 'the end of all processes')
  t.ok(existsSync(join(run.folder, 'buffer-sizing.html')))
  const { complete, measurements } = readResults(join(run.folder, 'buffer-sizing.json'))
  t.equal(complete, false)
  t.ok(measurements.length >= 1)
  t.match(run.output(), /Ended early: \d+ of 20 measurements/)
})

for (const [file, message] of [
  ['server', /the server \(process \d+\) ended with SIGKILL|the server did not take the events|readers of the speed/],
  ['readers', /the readers \(process \d+\) ended with SIGKILL/]
] as const) {
  t.test(`ends with an error when the process of the ${file} is gone`, onLinux, async (t) => {
    const run = start(t, small)
    const group = run.child.pid!
    await until(() => run.output().includes('[2/21]'), 'the first measurement to begin', slowMachineMs)
    const victim = await until(() => members(group).find((pid) => commandOf(pid).includes(`buffer-sizing/${file}.ts`)), 'the process', slowMachineMs)
    process.kill(victim, 'SIGKILL')
    t.equal((await run.ended).code, 1)
    t.match(run.output(), message)
    await until(() => members(group).length === 0, 'the end of all processes')
  })
}
