import type { EventBlock } from './event-block.ts'
import type { LiveSession } from './live.ts'

/** Sends one `row` for each whole number from `first` to `last`. */
export function sendRows (session: Pick<LiveSession, 'send'>, first: number, last: number): void {
  for (let number = first; number <= last; number++) session.send('row', String(number))
}

/** The numbers of the received rows, in order. */
export function rows (reader: { readonly updates: readonly EventBlock[] }): number[] {
  return reader.updates.filter(({ event }) => event === 'row').map(({ data }) => Number(data))
}

/** Whole numbers from `first` to `last`. */
export function range (first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
