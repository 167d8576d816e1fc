import { readdirSync, readFileSync } from 'node:fs'
import { until } from '../../e2e/harness/until.ts'

/** Stops a process, and waits until all its threads stand still: they may run for a moment after the signal. */
export async function stopProcess (pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await until(() => readdirSync(`/proc/${pid}/task`).every((task) => stateOf(pid, task) === 'T'), 'every thread is stopped')
}

function stateOf (pid: number, task: string): string {
  try {
    const text = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8')
    // The name of the thread, in brackets, may have any characters.
    return text.charAt(text.lastIndexOf(')') + 2)
  } catch {
    // The thread has ended since.
    return 'T'
  }
}
