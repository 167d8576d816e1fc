import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Cores of their own for the measured process and for its load. */
export interface Cores {
  readonly measured: number
  readonly load: number
}

/** The first two cores that this process may use; null with fewer, or without `taskset`. */
export function separateCores (): Cores | null {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' })
    const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
    const [measured, load] = list.split(',').flatMap((range) => {
      const [first = 0, last = first] = range.split('-').map(Number)
      return Array.from({ length: last - first + 1 }, (_, index) => first + index)
    })
    return measured === undefined || load === undefined ? null : { measured, load }
  } catch {
    // Another system than Linux.
    return null
  }
}
