import { isThenable } from '../../commands/command-channel.ts'

const pollMs = 4

/**
 * Waits until `condition` returns a truthy value, or a promise of one, and resolves with that.
 *
 * @param what names the awaited state, for the error of a missed deadline
 */
export async function until<Value> (condition: () => Value | PromiseLike<Value>, what: string, withinMs = 15_000): Promise<Exclude<Value, false | 0 | '' | null | undefined>> {
  const startedAt = performance.now()
  const missed = new Error(`waited ${withinMs} ms in vain: ${what}`)
  for (;;) {
    const given = condition()
    const value = isThenable(given) ? await given : given
    if (value) return value as Exclude<Value, false | 0 | '' | null | undefined>
    if (performance.now() - startedAt > withinMs) throw missed
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

/** Resolves like `promise`; rejects if that takes longer than `withinMs`. */
export async function within<Value> (promise: Promise<Value>, what: string, withinMs = 15_000): Promise<Value> {
  const missed = new Error(`waited ${withinMs} ms in vain: ${what}`)
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => { timer = setTimeout(() => reject(missed), withinMs) })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}

/** Lets `count` turns of the event loop pass, so that pending work can run. */
export async function turns (count = 10): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Whether `promise` has settled by now. */
export async function isSettled (promise: Promise<unknown>): Promise<boolean> {
  const unsettled = Symbol('unsettled')
  const first = await Promise.race([promise.catch(() => {}), new Promise((resolve) => setImmediate(resolve, unsettled))])
  return first !== unsettled
}
