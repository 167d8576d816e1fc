import { markdownTable } from 'markdown-table'

export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string
}

/** A Markdown table that is readable in a terminal: first column aligned left, the others right. */
export function formatTable<Row> (rows: readonly Row[], columns: ReadonlyArray<Column<Row>>): string {
  const lines = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ value }) => value(row)))]
  return markdownTable(lines, { align: columns.map((column, index) => index === 0 ? 'left' : 'right') })
}
