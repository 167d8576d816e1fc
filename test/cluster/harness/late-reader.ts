import type { Engine, EngineApplication, EngineSource } from '../../../plugin/cluster/engine.ts'

/** The engine of one node that can be late to read the log, while its calls are answered at once. */
export class LateReader implements EngineSource {
  readonly #source: EngineSource
  readonly #waiting: Array<() => void> = []
  #isLate = false

  constructor (source: EngineSource) {
    this.#source = source
  }

  engineFor (application: EngineApplication): Engine {
    const engine = this.#source.engineFor(application)
    const open: Engine['open'] = (node, on) => engine.open(node, {
      ...on,
      entry: (at, bytes) => {
        if (this.#isLate) this.#waiting.push(() => { on.entry(at, bytes) })
        else on.entry(at, bytes)
      }
    })
    return new Proxy(engine, {
      get: (target, name) => {
        if (name === 'open') return open
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) as unknown : value
      }
    })
  }

  /** Reads no entry any more until it goes on. */
  stop (): void {
    this.#isLate = true
  }

  /** Reads what has come meanwhile. */
  goOn (): void {
    this.#isLate = false
    for (const read of this.#waiting.splice(0)) read()
  }
}
