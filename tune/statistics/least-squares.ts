/**
 * The coefficients by which the columns of each row come closest to its target, least squares. Null where the columns do
 * not determine them.
 */
export function leastSquares (rows: ReadonlyArray<readonly number[]>, targets: readonly number[]): number[] | null {
  const width = rows[0]?.length ?? 0
  if (rows.length < width || width === 0) return null
  // Columns of one size each keep the elimination exact.
  const sizes = Array.from({ length: width }, (_, column) => Math.max(...rows.map((row) => Math.abs(row[column]!))) || 1)
  const normal = Array.from({ length: width }, (_, i) => [
    ...Array.from({ length: width }, (_, j) => sum(rows, (row) => row[i]! / sizes[i]! * row[j]! / sizes[j]!)),
    sum(rows, (row, index) => row[i]! / sizes[i]! * targets[index]!)
  ])
  for (let pivot = 0; pivot < width; pivot += 1) {
    const best = normal.slice(pivot).reduce((most, row, index) => Math.abs(row[pivot]!) > Math.abs(normal[most]![pivot]!) ? pivot + index : most, pivot)
    if (Math.abs(normal[best]![pivot]!) < 1e-10 * rows.length) return null
    ;[normal[pivot], normal[best]] = [normal[best]!, normal[pivot]!]
    for (let row = 0; row < width; row += 1) {
      if (row === pivot) continue
      const factor = normal[row]![pivot]! / normal[pivot]![pivot]!
      for (let column = pivot; column <= width; column += 1) normal[row]![column]! -= factor * normal[pivot]![column]!
    }
  }
  return normal.map((row, index) => row[width]! / row[index]! / sizes[index]!)
}

function sum (rows: ReadonlyArray<readonly number[]>, of: (row: readonly number[], index: number) => number): number {
  return rows.reduce((total, row, index) => total + of(row, index), 0)
}
