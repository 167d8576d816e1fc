import { extname } from 'node:path'
import type { WeightedEvent } from '../input/events.ts'
import type { TuneOptions } from '../input/options.ts'
import { ChildProcess } from '../process/child-process.ts'
import type { ProbeCalls, ProbeReading } from '../generator/probe.ts'
import { targetOf } from '../generator/target.ts'
import type { WorkerCalls, WorkerReading } from '../generator/worker.ts'

/** Clients of one process of the generator. */
const clientsPerWorker = 8_000
const mostProbes = 20
/** The probes are at most this share of the readers, but there is one. */
const probeShare = 0.01
const leastPings = 10
/** A server answers 128 a second and session. */
const mostPings = 100
/** Pings are at most this share of the events. */
const pingShare = 0.01

/** Why clients could not connect. */
export interface Refusal {
  readonly reason: string
  /** Clients that could. */
  readonly open: number
}

export interface GeneratorReading {
  readonly workers: readonly WorkerReading[]
  readonly probe: ProbeReading
}

/** The processes that make the load and measure it. */
export class Generator {
  readonly #workers: ReadonlyArray<ChildProcess<WorkerCalls>>
  readonly #probe: ChildProcess<ProbeCalls>
  readonly #connectRate: number
  readonly #maxClients: number

  private constructor (workers: ReadonlyArray<ChildProcess<WorkerCalls>>, probe: ChildProcess<ProbeCalls>, { connectRate, maxClients }: Pick<TuneOptions, 'connectRate' | 'maxClients'>) {
    this.#workers = workers
    this.#probe = probe
    this.#connectRate = connectRate
    this.#maxClients = maxClients
  }

  static async start ({ url, headers, transport, readers, maxClients, connectRate }: TuneOptions, events: readonly WeightedEvent[]): Promise<Generator> {
    const target = targetOf(url, headers, transport)
    const workers: Array<ChildProcess<WorkerCalls>> = []
    for (let number = 1; number <= Math.ceil(maxClients / clientsPerWorker); number += 1) {
      const worker = await ChildProcess.start<WorkerCalls>(moduleOf('worker'), { name: `the load generator ${number}` })
      await worker.call('setUp', { target, mix: readers, events, seed: number * 1_000 })
      workers.push(worker)
    }
    const probe = await ChildProcess.start<ProbeCalls>(moduleOf('probe'), { name: 'the probe' })
    await probe.call('setUp', target)
    return new Generator(workers, probe, { connectRate, maxClients })
  }

  /** Opens or closes clients. The probes are beside them, or among them where there may be no more. Returns why it could not; null if it could. */
  async resize (clients: number): Promise<Refusal | null> {
    const count = this.#workers.length
    const probes = this.#maxClients === 1 ? 0 : Math.min(mostProbes, Math.max(1, Math.floor(clients * probeShare)))
    const senders = Math.min(clients, this.#maxClients - probes)
    const timeoutMs = 30_000 + clients / this.#connectRate * 2_000
    const answers = await Promise.all(this.#workers.map(async (worker, index) => await worker.call('resize', {
      count: Math.floor(senders / count) + (index < senders % count ? 1 : 0),
      perSecond: this.#connectRate / count
    }, timeoutMs)))
    const open = answers.reduce((sum, one) => sum + one.open, 0)
    const fault = answers.find((one) => one.fault !== null)?.fault ?? null
    // Without room for all clients, the probes that are there must do.
    const probeFault = fault === null ? await this.#probe.call('resize', probes) : null
    const reason = fault ?? probeFault
    return reason === null ? null : { reason, open: open - (probeFault === null ? 0 : 1) }
  }

  async drive (perSecond: number): Promise<void> {
    await Promise.all(this.#workers.map(async (worker) => await worker.call('drive', perSecond / this.#workers.length)))
    await this.#probe.call('drive', perSecond === 0 ? 0 : Math.min(mostPings, Math.max(leastPings, perSecond * pingShare)))
  }

  async mark (): Promise<void> {
    await Promise.all([...this.#workers.map(async (worker) => await worker.call('mark', undefined)), this.#probe.call('mark', undefined)])
  }

  async take (): Promise<GeneratorReading> {
    const [workers, probe] = await Promise.all([
      Promise.all(this.#workers.map(async (worker) => await worker.call('take', undefined))),
      this.#probe.call('take', undefined)
    ])
    return { workers, probe }
  }

  get pids (): number[] { return [...this.#workers, this.#probe].flatMap(({ pid }) => pid ?? []) }

  async stop (): Promise<void> {
    await Promise.all([...this.#workers, this.#probe].map(async (child) => await child.stop()))
  }
}

/** A module beside this room: TypeScript in the repository, JavaScript in the package. */
function moduleOf (name: string): URL {
  return new URL(`../generator/${name}${extname(import.meta.url)}`, import.meta.url)
}
