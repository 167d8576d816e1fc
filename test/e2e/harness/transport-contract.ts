import t from 'tap'
import { transportContract, type TransportUnderTest } from '../../../plugin/entries/contract-tests.ts'
import type { Server } from './server.ts'

/** Runs the exported contract, each case as a test. Where transports differ is in their own tests. */
export function testTransport (transport: TransportUnderTest<Server>): void {
  for (const { name, run } of transportContract(transport)) t.test(name, () => run())
}
