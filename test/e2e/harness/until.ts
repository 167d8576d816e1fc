import { turns, until as untilWithin, within as promiseWithin } from '../../../plugin/entries/contract-tests/wait.ts'

export { isSettled, turns } from '../../../plugin/entries/contract-tests/wait.ts'

/** Far more than any condition takes, for machines that are slow, or busy with other tests. */
export const patienceMs = 60_000

/** Waits until `condition` returns a truthy value, or a promise of one, and resolves with that. */
export const until = <Value>(condition: () => Value | PromiseLike<Value>, what: string, withinMs = patienceMs) => untilWithin(condition, what, withinMs)

/** Resolves like `promise`; rejects if that takes longer than `withinMs`. */
export const within = <Value>(promise: Promise<Value>, what: string, withinMs = patienceMs) => promiseWithin(promise, what, withinMs)

/** Whether `promise` is still pending after `ms` milliseconds. Some extra turns handle the input of a process that was blocked meanwhile. */
export async function staysPending (promise: Promise<unknown>, ms: number): Promise<boolean> {
  let isPending = true
  const settle = () => { isPending = false }
  let timer: NodeJS.Timeout | undefined
  await Promise.race([promise.then(settle, settle), new Promise((resolve) => { timer = setTimeout(resolve, ms) })])
  clearTimeout(timer)
  if (isPending) await turns()
  return isPending
}
