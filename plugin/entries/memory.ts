import { OptionValidator } from '../app/option-validator.ts'
import type { Clock } from '../cluster/hub/clock.ts'
import type { MemoryWeather } from '../cluster/memory/memory-engine.ts'
import { MemoryHub } from '../cluster/memory/memory-hub.ts'
import { defaults } from '../../schemas/defaults.ts'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import { optionGroups } from '../../schemas/options.ts'

export type { Clock } from '../cluster/hub/clock.ts'
export type { MemoryPassage, MemoryWeather } from '../cluster/memory/memory-engine.ts'
export type { MemoryHub } from '../cluster/memory/memory-hub.ts'

export interface MemoryOptions extends OptionsOf<typeof optionTable.hub> {
  /**
   * Decides for each call, answer, entry and message how many milliseconds it is under way, or that it is `'lost'`. Called
   * once for each. Without it, nothing is delayed or lost.
   */
  weather?: MemoryWeather
  /** The time and the timers of the hub and its nodes, for simulations. Without it, those of the system. */
  clock?: Clock
}

const validator = new OptionValidator(optionGroups.memory)

/**
 * Makes a hub that joins the nodes of one process in memory, for the coming option `cluster` of `app.register(tether)`.
 * All nodes need the same hub. It serves tests: when the process ends, all is gone.
 *
 * @throws `FST_ERR_TETHER_OPTION` for options that are not allowed
 * @see docs/cluster.md
 */
export function memory (options: MemoryOptions = {}): MemoryHub {
  validator.check(options)
  const { weather, clock, ...limits } = options
  return new MemoryHub({ ...defaults.memory, ...limits }, { weather, clock })
}
