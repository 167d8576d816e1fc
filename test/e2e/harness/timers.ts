import { createHook } from 'node:async_hooks'
import { sep } from 'node:path'

/** Timers and immediates set by the plugin's own code. */
export interface PluginTimers {
  /** Number that have not fired yet, including those that do not keep the process alive. */
  readonly active: number
  stop: () => void
}

const own = `${sep}plugin${sep}`
/** Sets the timer of the plugin's deadlines. */
const timeSource = `${sep}schemas${sep}time-source.`
/** The exported tests wait with timers of their own. */
const entries = `${own}entries${sep}`

/** Counts the plugin's timers from now on, with unref'd ones, which `process.getActiveResourcesInfo()` leaves out. */
export function watchTimers (): PluginTimers {
  const active = new Set<number>()
  const hook = createHook({
    init (id, type) {
      if (type !== 'Timeout' && type !== 'Immediate') return
      const { stack = '' } = new Error()
      const caller = stack.split('\n').find((line) => !line.includes('node:') && !line.includes(import.meta.filename) && line.includes(sep))
      if (caller !== undefined && (caller.includes(own) || caller.includes(timeSource)) && !caller.includes(entries) && !caller.includes('node_modules')) active.add(id)
    },
    destroy (id) { active.delete(id) }
  })
  hook.enable()
  return {
    get active () { return active.size },
    stop: () => { hook.disable() }
  }
}

/** Resources that keep the process alive, by kind. Servers are left out: those of earlier tests may still be closing. */
export function activeResources (): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo().sort()) {
    if (kind !== 'TCPServerWrap') counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}
