#!/usr/bin/env node
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import process from 'node:process'
import { readEvents } from './input/events.ts'
import { helpText, readOptions, type TuneOptions } from './input/options.ts'
import { UsageError } from './input/usage-error.ts'

const usageCode = 2
const needed = ['hdr-histogram-js', 'uplot']

async function main (words: readonly string[]): Promise<number> {
  const [command, ...rest] = words
  if (command === undefined || command === '--help' || command === 'help') {
    process.stdout.write(helpText())
    return command === undefined ? usageCode : 0
  }
  if (command !== 'tune') throw new UsageError(`there is no command ${JSON.stringify(command)}; there is: tune`)
  const options = readOptions(rest)
  if (options === null) {
    process.stdout.write(helpText())
    return 0
  }
  const earlier = options.compare === null ? null : await readEarlier(options.compare)
  const events = await readEvents(options)
  const { tune, compare, describe, writeReport } = await loadTool()
  const abort = new AbortController()
  process.once('SIGINT', () => {
    process.stderr.write('\nStopping; what was measured is kept. Again: stop at once.\n')
    process.once('SIGINT', () => process.exit(130))
    abort.abort()
  })
  const results = await tune(options, events, progress(), abort.signal)
  const comparison = earlier === null ? null : compare(earlier, results)
  process.stdout.write(describe(results, comparison))
  await writeFiles(options, async () => { if (options.out !== null) await writeReport(options.out, results, comparison) }, JSON.stringify(results, null, 1))
  return comparison?.isRegression === true ? 1 : results.exitCode
}

/** The parts that need optional packages. */
async function loadTool () {
  try {
    const [{ tune }, { compare }, { describe }, { writeReport }] = await Promise.all([import('./tune.ts'), import('./report/compare.ts'), import('./report/terminal.ts'), import('./report/write.ts')])
    return { tune, compare, describe, writeReport }
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND' && needed.some((name) => (error as Error).message.includes(name))) {
      throw new UsageError(`packages are missing, since optional dependencies were left out: npm install --save-dev ${needed.join(' ')}`)
    }
    throw error
  }
}

async function readEarlier (file: string): Promise<never> {
  let value: { format?: unknown } | null
  try {
    value = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw new UsageError(`--compare: ${file} cannot be read: ${(error as Error).message}`)
  }
  if (value?.format !== 'fastify-tether/tune/1') throw new UsageError(`--compare: ${file} was not written by --json of this command`)
  return value as never
}

async function writeFiles ({ json }: TuneOptions, writeReport: () => Promise<void>, text: string): Promise<void> {
  await writeReport()
  if (json === null) return
  await mkdir(dirname(resolve(json)), { recursive: true }).catch(() => {})
  await writeFile(json, text)
}

/** Writes on one line of a terminal, and a line for each step elsewhere. */
function progress (): (text: string) => void {
  const { stderr } = process
  if (!stderr.isTTY) return (text) => { stderr.write(`${text}\n`) }
  return (text) => { stderr.write(`\r\x1b[K${text.slice(0, Math.max(20, stderr.columns - 1))}`) }
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const isUsage = error instanceof UsageError
  process.stderr.write(isUsage ? `fastify-tether: ${error.message}\n` : `fastify-tether: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = usageCode
}
// Sockets of fetch may be kept alive.
process.exit()
