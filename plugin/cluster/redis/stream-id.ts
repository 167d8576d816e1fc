import type { Offset } from '../engine.ts'

/** Before the first entry of a stream. */
export const firstId = '0-0'

// An id is two numbers of up to 64 bits. In base 36, and each behind its length, they are short and sort as text.
function sortable (number: string): string {
  const digits = number.length < 16 ? Number(number).toString(36) : BigInt(number).toString(36)
  return digits.length.toString(36) + digits
}

/** How many digits follow, and what they mean. */
function readNumber (offset: Offset, at: number): { number: string, end: number } {
  const end = at + 1 + Number.parseInt(offset[at] ?? '', 36)
  const digits = offset.slice(at + 1, end)
  let number = 0n
  for (const digit of digits) number = number * 36n + BigInt(Number.parseInt(digit, 36))
  return { number: number.toString(), end }
}

/** The offset of a stream's id. Offsets sort like the ids. */
export function offsetOf (id: string): Offset {
  const [ms = '0', sequence = '0'] = id.split('-')
  return sortable(ms) + sortable(sequence)
}

/** The id of an offset. */
export function idOf (offset: Offset): string {
  const ms = readNumber(offset, 0)
  return `${ms.number}-${readNumber(offset, ms.end).number}`
}

/** The earlier of two ids. */
export function earlier (one: string, other: string): string {
  return offsetOf(one) < offsetOf(other) ? one : other
}

/** The later of two ids. */
export function later (one: string, other: string): string {
  return offsetOf(one) < offsetOf(other) ? other : one
}

/** The id that is `ms` milliseconds before another. */
export function before (id: string, ms: number): string {
  const time = BigInt(id.split('-')[0]!) - BigInt(ms)
  return time > 0n ? `${time}-0` : firstId
}
