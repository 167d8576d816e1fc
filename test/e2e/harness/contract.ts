/** A contract with one of each kind, for tests that need no contract of their own. */
export { contract, silent } from '../../../plugin/entries/contract-tests/live.ts'
