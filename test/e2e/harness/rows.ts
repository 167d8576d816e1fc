export { range, rows, sendRows } from '../../../plugin/entries/contract-tests/rows.ts'
