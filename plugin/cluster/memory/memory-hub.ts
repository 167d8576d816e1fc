import type { EngineApplication, EngineSource } from '../engine.ts'
import { systemClock, type Clock } from '../hub/clock.ts'
import { HubStore, type StoreLimits } from '../hub/hub-store.ts'
import { Hub } from '../hub/hub.ts'
import type { CallLimits } from '../hub/pending-calls.ts'
import { MemoryEngine, type MemoryWeather } from './memory-engine.ts'

export interface MemoryLimits extends CallLimits, Omit<StoreLimits, 'logMs'> {}

/**
 * Joins the nodes of one process, in memory. Give one hub to each application that you register. It serves tests and
 * simulations: its connections can break, freeze, delay and lose, in every way that a test wants to repeat.
 */
export class MemoryHub implements EngineSource {
  readonly #limits: MemoryLimits
  readonly #clock: Clock
  readonly #weather: MemoryWeather
  readonly #hubs = new Map<string, Hub>()
  readonly #engines = new Map<string, MemoryEngine>()
  #epoch: number

  constructor (limits: MemoryLimits, { clock = systemClock, weather = () => 0 }: { clock?: Clock | undefined, weather?: MemoryWeather | undefined } = {}) {
    this.#limits = limits
    this.#clock = clock
    this.#weather = weather
    this.#epoch = Math.floor(clock.now())
  }

  /** Names of the nodes that are open. */
  get nodes (): string[] { return [...this.#engines.keys()] }

  engineFor (application: EngineApplication): MemoryEngine {
    return new MemoryEngine({
      clock: this.#clock,
      limits: this.#limits,
      weather: this.#weather,
      hub: () => this.#hubOf(application),
      arrived: (node, engine) => { this.#engines.set(node, engine) },
      left: (node, engine) => { if (this.#engines.get(node) === engine) this.#engines.delete(node) }
    })
  }

  /** Breaks a node's connection: what is under way is lost, `down` is reported, each call rejects, until `mend`. */
  cut (node: string): void {
    this.#engines.get(node)?.cut()
  }

  /** Carries nothing more between the hub and a node until `mend`. The node reports `down` after its deadline. */
  freeze (node: string): void {
    this.#engines.get(node)?.freeze()
  }

  /** Ends `cut` and `freeze` of a node: it catches up, and reports `up`. */
  mend (node: string): void {
    this.#engines.get(node)?.mend()
  }

  /** Loses log, records and leases of all applications. Each node reports `down`, `forgot` and `up`. */
  empty (): void {
    this.#hubs.clear()
    for (const engine of this.#engines.values()) engine.moved()
  }

  #hubOf ({ name, logMs }: EngineApplication): Hub {
    let hub = this.#hubs.get(name)
    if (hub === undefined) {
      this.#epoch = Math.max(this.#epoch + 1, Math.floor(this.#clock.now()))
      hub = new Hub(new HubStore({ ...this.#limits, logMs }, { now: this.#clock.now, epoch: this.#epoch }))
      this.#hubs.set(name, hub)
    }
    return hub
  }
}
