import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import { measuredNode } from '../process/measured-node.ts'

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  /** Load average of the last minute at the start of the run, which shows other work. */
  readonly load: number
  readonly packages: Record<string, string>
}

export function describeMachine (packages: readonly string[]): Machine {
  return {
    processor: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: measuredNode.version,
    load: Number(os.loadavg()[0]?.toFixed(2)),
    packages: Object.fromEntries(packages.map((name) => [name, packageVersion(name)]))
  }
}

export function formatMachine (machine: Machine): string {
  const packages = Object.entries(machine.packages).map(([name, version]) => `${name} ${version}`).join(', ')
  return `${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.system}; ` +
    `Node ${machine.node}; load ${machine.load}; ${packages}`
}

/** Read from the file itself, since most packages do not export their package.json. */
function packageVersion (name: string): string {
  const require = createRequire(import.meta.url)
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return (JSON.parse(readFileSync(`${folder}/${name}/package.json`, 'utf8')) as { version: string }).version
    } catch {
      continue
    }
  }
  return 'not installed'
}
