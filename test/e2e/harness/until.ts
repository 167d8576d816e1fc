import { turns } from '../../../plugin/entries/contract-tests/wait.ts'

export { isSettled, turns, until, within } from '../../../plugin/entries/contract-tests/wait.ts'

/** Whether `promise` is pending after so long. A process that stood still meanwhile gets some turns more, for what has come by then. */
export async function staysPending (promise: Promise<unknown>, ms: number): Promise<boolean> {
  let isPending = true
  const settle = () => { isPending = false }
  let timer: NodeJS.Timeout | undefined
  await Promise.race([promise.then(settle, settle), new Promise((resolve) => { timer = setTimeout(resolve, ms) })])
  clearTimeout(timer)
  if (isPending) await turns()
  return isPending
}
