import process from 'node:process'
import { parseArgs } from 'node:util'
import { chooseNode } from '../process/measured-node.ts'

/** Options of a benchmark; `true` marks a flag, all others take one value. */
export interface OptionHelp {
  readonly help: string
  readonly value?: string
}

/** The options of `npm run <script>` on the command line, as text. With `--help`, prints the help and ends the process. */
export function readCommandLine<Name extends string> (
  script: string,
  options: Record<Name, OptionHelp>
): Partial<Record<Name, string>> {
  const entries = Object.entries<OptionHelp>({ ...options, node: { value: 'MAJOR', help: 'the Node.js of servers and readers, 24 for example; fetched once (the running one)' } })
  const { values } = parseArgs({
    allowPositionals: false,
    options: {
      help: { type: 'boolean' },
      ...Object.fromEntries(entries.map(([name, { value }]) =>
        [name, { type: value === undefined ? 'boolean' as const : 'string' as const }]))
    }
  })
  if (values.help === true) {
    const heads = entries.map(([name, { value }]) => `--${name}${value === undefined ? '' : ` ${value}`}`)
    const width = Math.max(...heads.map((head) => head.length))
    const lines = entries.map(([, { help }], index) => `  ${(heads[index] ?? '').padEnd(width)}  ${help}`)
    process.stdout.write(`npm run ${script} -- [options]\n${lines.join('\n')}\n`)
    process.exit(0)
  }
  const { node, ...own } = values as Record<string, unknown>
  if (node !== undefined) chooseNode(String(node))
  const given = Object.entries(own).map(([name, value]) => [name, String(value)])
  return Object.fromEntries(given) as Partial<Record<Name, string>>
}

export function readPositive (name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new Error(`--${name} must be a positive number, got ${JSON.stringify(text)}`)
}

export function readCount (name: string, text: string | undefined, otherwise: number): number {
  const value = readPositive(name, text, otherwise)
  if (Number.isInteger(value)) return value
  throw new Error(`--${name} must be a whole number, got ${JSON.stringify(text)}`)
}

export function readCounts (name: string, list: string): number[] {
  return list.split(',').map((text) => readCount(name, text, 0))
}

/** Runs a benchmark. A failure gives one message and exit code 1, not a stack of the harness. */
export async function runBenchmark (run: () => Promise<void>): Promise<never> {
  try {
    await run()
    process.exit(0)
  } catch (error) {
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  }
}
