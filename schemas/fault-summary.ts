import { cutText, jsonBytes } from './cut-text.ts'
import { defaults } from './defaults.ts'
import type { Fault } from './fault.ts'

/** Lists the faults in one line. A line that grows too long ends with the number of the others. */
export function faultSummary (faults: readonly Fault[]): string {
  const { faultMessageBytes } = defaults.fixed
  let text = ''
  for (const [index, { path, message }] of faults.entries()) {
    if (jsonBytes(text) > faultMessageBytes) return `${text}; and ${faults.length - index} more`
    text += `${index === 0 ? '' : '; '}${cutText(`${path}${path === '' ? '' : ' '}${message}`, faultMessageBytes)}`
  }
  return text
}
