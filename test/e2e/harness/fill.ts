export { fill, type Filled } from '../../../plugin/entries/contract-tests/fill.ts'
