import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { until } from '../../e2e/harness/until.ts'

const directory = fileURLToPath(new URL('../../../.tap', import.meta.url))
const lock = `${directory}/build-turn`

/**
 * Starting an example builds the library anew, in the very place that other examples
 * load it from: so one at a time, over all test files, from the build until it is loaded.
 *
 * @returns gives the turn to the next
 */
export async function takeBuildTurn (): Promise<() => void> {
  mkdirSync(directory, { recursive: true })
  await until(isTaken, 'the turn to build', 300_000)
  return () => rmSync(lock, { force: true })
}

function isTaken (): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (!isHeld()) rmSync(lock, { force: true })
    return false
  }
}

// Whoever was killed in its turn does not give it back.
function isHeld (): boolean {
  try {
    const holder = Number(readFileSync(lock, 'utf8'))
    // Empty for the moment between its making and its writing.
    return holder === 0 || process.kill(holder, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
