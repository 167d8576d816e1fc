import { ArgumentError } from '../../schemas/errors.ts'
import { messageOf } from '../../schemas/thrown.ts'

/**
 * Writes data of the application as JSON.
 *
 * @throws `FST_ERR_TETHER_ARGUMENT` for data that JSON cannot hold
 */
export function jsonOf (data: unknown, what: string): string {
  let text: string | undefined
  try {
    text = JSON.stringify(data)
  } catch (error) {
    throw new ArgumentError(`${what} cannot be written as JSON: ${messageOf(error)}`)
  }
  if (text === undefined) throw new ArgumentError(`${what} cannot be written as JSON: it is ${typeof data}`)
  return text
}

/** Reads a text that another node has written as a JSON array; null for any other text. */
export function jsonArrayOf (text: string): unknown[] | null {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : null
  } catch {
    return null
  }
}
