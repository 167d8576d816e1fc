import t from 'tap'
import { transportContract, type TransportUnderTest } from '../../../plugin/entries/contract-tests.ts'
import type { Server } from './server.ts'

/** Runs each case of the exported contract as a test. Each transport has tests of its own for its differences. */
export function testTransport (transport: TransportUnderTest<Server>): void {
  for (const { name, run } of transportContract(transport)) t.test(name, () => run())
}
