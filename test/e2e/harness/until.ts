import { turns } from '../../../plugin/entries/contract-tests/wait.ts'

export { isSettled, turns, until, within } from '../../../plugin/entries/contract-tests/wait.ts'

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
