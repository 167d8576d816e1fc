import type { Cell } from './measurement.ts'
import type { Workload } from './workload.ts'

export interface PlanParts {
  readonly workloads: readonly Workload[]
  readonly writeBuffers: readonly number[]
  readonly commandBuffers: readonly number[]
  /** The fixed size of each buffer while the other one is swept. */
  readonly fixedWriteBuffer: number
  readonly fixedCommandBuffer: number
  /** Whether to measure every combination instead of one dimension at a time. */
  readonly crossed: boolean
}

/**
 * The cells to measure. Without `crossed`: all write buffers under the first workload; a few of them under the
 * others; all channels with one write buffer under the first workload.
 */
export function planCells (parts: PlanParts): Cell[] {
  const { workloads, writeBuffers, commandBuffers, fixedWriteBuffer, fixedCommandBuffer } = parts
  const cells = workloads.flatMap((workload, index) => [
    ...sweep([workload], index === 0 || parts.crossed ? writeBuffers : few(writeBuffers), parts.crossed ? commandBuffers : [fixedCommandBuffer]),
    ...index === 0 && !parts.crossed ? sweep([workload], [fixedWriteBuffer], commandBuffers) : []
  ])
  const seen = new Set<string>()
  return cells.filter((cell) => {
    const key = JSON.stringify(cell)
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

function sweep (workloads: readonly Workload[], writeBuffers: readonly number[], commandBuffers: readonly number[]): Cell[] {
  return workloads.flatMap((workload) => commandBuffers.flatMap((commandBuffer) =>
    writeBuffers.map((writeBuffer) => ({ workload, writeBuffer, commandBuffer }))))
}

/** Every second size: 1, 4, 16 and so on of the powers of two. */
function few (buffers: readonly number[]): number[] {
  return buffers.filter((buffer, index) => buffers.length <= 5 || index % 2 === 0)
}
