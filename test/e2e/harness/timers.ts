import { createHook } from 'node:async_hooks'
import { sep } from 'node:path'

/** Timers and immediates that the plugin's own code set. */
export interface PluginTimers {
  /** How many of them are still to fire; those that do not keep the process alive included. */
  readonly active: number
  stop: () => void
}

const own = `${sep}plugin${sep}`
/** The exported tests wait with timers of their own. */
const entries = `${own}entries${sep}`

/** Counts the plugin's timers from now on, which `process.getActiveResourcesInfo()` does not when they are unref'd. */
export function watchTimers (): PluginTimers {
  const active = new Set<number>()
  const hook = createHook({
    init (id, type) {
      if (type !== 'Timeout' && type !== 'Immediate') return
      const { stack = '' } = new Error()
      const caller = stack.split('\n').find((line) => !line.includes('node:') && !line.includes(import.meta.filename) && line.includes(sep))
      if (caller?.includes(own) === true && !caller.includes(entries) && !caller.includes('node_modules')) active.add(id)
    },
    destroy (id) { active.delete(id) }
  })
  hook.enable()
  return {
    get active () { return active.size },
    stop: () => { hook.disable() }
  }
}

/** What keeps the process alive, by kind; not the servers, of which those of earlier tests may still be closing. */
export function activeResources (): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo().sort()) {
    if (kind !== 'TCPServerWrap') counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}
