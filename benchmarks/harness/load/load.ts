import type { ChildProcess, Children } from '../process/child-process.ts'
import type { DriveOptions, LoadCalls } from './generator.ts'
import type { LoadReading } from './recorder.ts'

/** Time that autocannon may take beyond its duration. */
const slackMs = 20_000

/** Posts events, from a process of its own. */
export class Load {
  readonly #generator: ChildProcess<LoadCalls>

  private constructor (generator: ChildProcess<LoadCalls>) {
    this.#generator = generator
  }

  /** @param core core that it runs on; any without it */
  static async start (children: Children, core?: number): Promise<Load> {
    return new Load(await children.start<LoadCalls>(new URL('generator.ts', import.meta.url), { name: 'the load generator', core }))
  }

  async drive (options: DriveOptions): Promise<void> {
    await this.#generator.call('drive', options, options.seconds * 1000 + slackMs)
  }

  /** Returns the record of a name since the last call. */
  async take (record: string): Promise<LoadReading> {
    return await this.#generator.call('take', record)
  }
}
