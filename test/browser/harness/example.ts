import { spawn, type ChildProcess } from 'node:child_process'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { until } from '../../e2e/harness/until.ts'
import { takeBuildTurn } from './build-turn.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** An example as a user starts it, in a process group of its own. */
export interface Example {
  readonly port: number
  readonly url: string
  /** Everything that it printed so far. */
  output: () => string
  /** Signals the whole group, and waits for its end. */
  end: (signal: NodeJS.Signals) => Promise<{ code: number | null, signal: NodeJS.Signals | null }>
  /** Resolves when it has ended by itself. */
  ended: Promise<{ code: number | null, signal: NodeJS.Signals | null }>
}

/** Runs `npm run <script> [file]` and waits for the line with the URL. */
export async function startExample (t: Test, script: 'start' | 'start:cluster' | 'start:htmx' | 'start:react' | 'example', port: number, ...file: string[]): Promise<Example> {
  const giveTurn = await takeBuildTurn()
  try {
    const example = spawnGroup(t, { PORT: String(port) }, 'npm', ['run', script, ...file])
    let isOver = false
    example.ended.then(() => { isOver = true })
    await until(() => {
      if (isOver) throw new Error(`npm run ${script} ended early:\n${example.output()}`)
      return example.output().includes(example.url)
    }, `npm run ${script} to print ${example.url}`, 180_000)
    return example
  } finally {
    giveTurn()
  }
}

/** Runs what `npm start` runs once it has built the library, and waits until it has ended: it should. */
export async function failDashboard (t: Test, env: { PORT: string }): Promise<Example> {
  const giveTurn = await takeBuildTurn()
  try {
    const example = spawnGroup(t, env, process.execPath, ['--import', 'tsx', 'examples/dashboard/server.ts'])
    await example.ended
    return example
  } finally {
    giveTurn()
  }
}

function spawnGroup (t: Test, env: { PORT: string }, command: string, args: string[]): Example {
  const child = spawn(command, args, { cwd: root, env: { ...process.env, HOST: '127.0.0.1', ...env }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const pieces: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (piece: string) => pieces.push(piece))
  const ended = new Promise<{ code: number | null, signal: NodeJS.Signals | null }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  t.teardown(async () => {
    signalGroup(child, 'SIGKILL')
    await ended
  })
  return {
    port: Number(env.PORT),
    url: `http://127.0.0.1:${env.PORT}`,
    output: () => pieces.join(''),
    ended,
    end: async (signal) => {
      signalGroup(child, signal)
      return ended
    }
  }
}

/** A connection with no request yet, as browsers open them ahead. */
export async function connectAhead (t: Test, { port }: Example): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
}

// npm, its shell and the server: whoever is left of them.
function signalGroup (child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
