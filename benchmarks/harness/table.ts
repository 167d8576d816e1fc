export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string
}

/** A table for the terminal that is also a Markdown table: first column to the left, the others to the right. */
export function formatTable<Row> (rows: readonly Row[], columns: ReadonlyArray<Column<Row>>): string {
  const cells = rows.map((row) => columns.map((column) => column.value(row)))
  const widths = columns.map((column, index) =>
    Math.max(3, column.title.length, ...cells.map((line) => line[index]?.length ?? 0)))
  const pad = (text: string, index: number): string =>
    index === 0 ? text.padEnd(widths[index] ?? 0) : text.padStart(widths[index] ?? 0)
  const line = (texts: readonly string[]): string => `| ${texts.map(pad).join(' | ')} |`
  const rule = widths.map((width, index) => index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)
  return [line(columns.map((column) => column.title)), line(rule), ...cells.map(line)].join('\n')
}
