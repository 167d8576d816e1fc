import { cpus, freemem, hostname, loadavg, totalmem, uptime } from 'node:os'

const readingsAtMost = 60

/** How busy this machine is, and was in the last minute. */
export class Machine {
  readonly name = hostname()
  readonly #busyPercents: number[] = []
  #times = processorTimes()

  /** Takes a reading; call it once a second. */
  read (): void {
    const times = processorTimes()
    const all = times.all - this.#times.all
    // The system's clock has not moved since the last one.
    if (all === 0) return
    this.#busyPercents.push(100 * (1 - (times.idle - this.#times.idle) / all))
    if (this.#busyPercents.length > readingsAtMost) this.#busyPercents.shift()
    this.#times = times
  }

  /** Busy share of all cores in percent, a reading a second, oldest first. */
  get busyPercents (): readonly number[] {
    return this.#busyPercents
  }

  get cores (): number {
    return cpus().length
  }

  /** Load averages over 1, 5 and 15 minutes; zeros where the system has none. */
  get loadAverages (): readonly number[] {
    return loadavg()
  }

  get memoryBytes (): { used: number, all: number } {
    const all = totalmem()
    return { used: all - freemem(), all }
  }

  get upSeconds (): number {
    return uptime()
  }
}

function processorTimes (): { idle: number, all: number } {
  let idle = 0
  let all = 0
  for (const { times } of cpus()) {
    idle += times.idle
    all += times.user + times.nice + times.sys + times.idle + times.irq
  }
  return { idle, all }
}
