import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { Results } from '../../../tune/decision/results.ts'

const cli = fileURLToPath(new URL('../../../tune/cli.ts', import.meta.url))

export interface TuneRun {
  readonly child: ChildProcess
  readonly folder: string
  readonly output: () => string
  readonly ended: Promise<number | null>
  /** The figures that it wrote; null for none. */
  readonly results: () => Results | null
}

/** Events of which the handlers of the test server make work. */
export const workEvents = '{"event":"work","data":{"n":3}}\n'

/** Runs the command. `EVENTS` among the words stands for a file with {@link workEvents}. */
export function runTune (t: Test, words: readonly string[], events = workEvents): TuneRun {
  const folder = t.testdir()
  writeFileSync(join(folder, 'events.ndjson'), events)
  const json = join(folder, 'tune.json')
  const given = words.map((word) => word === 'EVENTS' ? join(folder, 'events.ndjson') : word === 'JSON' ? json : word === 'OUT' ? join(folder, 'out') : word)
  const child = spawn(process.execPath, ['--import', 'tsx', cli, ...given], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  t.teardown(() => { child.kill('SIGKILL') })
  return {
    child,
    folder,
    output: () => output,
    ended: new Promise((resolve) => child.on('close', resolve)),
    results: () => existsSync(json) ? JSON.parse(readFileSync(json, 'utf8')) as Results : null
  }
}
