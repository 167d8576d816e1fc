import process from 'node:process'
import type { Calls } from '../../../tune/process/child-endpoint.ts'
import { ChildProcess } from '../../../tune/process/child-process.ts'
import { measuredNode } from './measured-node.ts'

export type { ChildProcess } from '../../../tune/process/child-process.ts'

export interface ChildOptions {
  /** Name of the process in every error. */
  readonly name: string
  /** Longest time until the module answers requests. */
  readonly startTimeoutMs?: number
  /** Core that it runs on, by `taskset`. */
  readonly core?: number | undefined
}

// Children are killed on exit, but a signal alone would end Node without one.
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
  process.on(signal, () => process.exit(code))
}

/** Processes that end together. Each runs a TypeScript module on the measured Node.js. */
export class Children {
  readonly #all: Array<{ stop (): Promise<void> }> = []

  async start<Handlers extends Calls> (module: URL, { core, ...options }: ChildOptions): Promise<ChildProcess<Handlers>> {
    const flags = ['--expose-gc', '--import', import.meta.resolve('tsx')]
    // `taskset` becomes Node, which inherits the channel. A core set later would leave out threads that run already.
    const command = core === undefined
      ? { execPath: measuredNode.path, execArgv: flags }
      : { execPath: 'taskset', execArgv: ['--cpu-list', String(core), measuredNode.path, ...flags] }
    const child = await ChildProcess.start<Handlers>(module, { ...options, command })
    this.#all.push(child)
    return child
  }

  async stop (): Promise<void> {
    await Promise.all(this.#all.map(async (child) => await child.stop()))
  }
}

/** Ends all children that `use` has started, whatever happened. */
export async function withChildren<Result> (use: (children: Children) => Promise<Result>): Promise<Result> {
  const children = new Children()
  try {
    return await use(children)
  } finally {
    await children.stop()
  }
}
