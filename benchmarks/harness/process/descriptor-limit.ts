import { execFileSync } from 'node:child_process'

/**
 * Throws unless one process may open `needed` file descriptors. Node raises its own soft limit to the
 * hard one when it starts and children inherit that, so what a shell below us sees is what they get.
 */
export function requireDescriptors (needed: number): void {
  let answer: string
  try {
    answer = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim()
  } catch {
    return // No shell to ask: opening the streams fails if the limit is too low.
  }
  const available = answer === 'unlimited' ? Number.POSITIVE_INFINITY : Number(answer)
  if (available >= needed) return
  throw new Error(
    `this run needs ${needed} open files in one process, the limit is ${available}. In the same shell, first run\n` +
    `  ulimit -n ${needed}\n` +
    'or, if that is refused,\n' +
    `  sudo prlimit --pid $$ --nofile=${needed}:${needed}`
  )
}
