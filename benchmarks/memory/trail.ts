import type { MemoryReading } from '../harness/process/memory-reading.ts'
import { formatTable } from '../harness/report/table.ts'
import { judge, type Verdict } from '../harness/report/verdict.ts'

/** Memory of a server after more and more of the same. */
export interface Trail {
  readonly name: string
  readonly readings: ReadonlyArray<MemoryReading & { readonly count: number }>
}

/** The heap after each number of `what`. */
export function describeTrails (title: string, trails: readonly Trail[]): string[] {
  const [first] = trails
  if (first === undefined) return []
  const divided = (bytes: number | undefined, unit: number): string => ((bytes ?? Number.NaN) / unit).toFixed(0)
  return [
    title,
    formatTable(trails, [
      { title: 'kind', value: ({ name }) => name },
      ...first.readings.map(({ count }, index) => ({
        title: String(count), value: ({ readings }: Trail) => divided(readings[index]?.heapUsedBytes, 1024)
      })),
      { title: 'resident MiB, first', value: ({ readings }) => divided(readings[0]?.residentBytes, 2 ** 20) },
      { title: 'last', value: ({ readings }) => divided(readings.at(-1)?.residentBytes, 2 ** 20) }
    ])
  ]
}

/** @param limit most bytes for each of them that do not count as a leak */
export function judgeTrails (trails: readonly Trail[], what: string, limit: number): Verdict[] {
  return trails.filter(({ name }) => name.startsWith('tether')).map(({ name, readings }) => {
    const grown = (readings.at(-1)?.heapUsedBytes ?? Number.NaN) - (readings[0]?.heapUsedBytes ?? Number.NaN)
    const { count = Number.NaN } = readings.at(-1) ?? {}
    return judge({ name: `${name}: heap after ${count} ${what}`, direction: 'at most', limit, unit: 'bytes more for each' }, [grown / count])
  })
}
