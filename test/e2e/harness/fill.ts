export { fill } from '../../../plugin/entries/contract-tests/fill.ts'
